"""Errors that a user can fix, and the hint that names what was probably meant."""

import difflib
import errno

FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)  # of a place that is written to


class UserError(Exception):
    """An error that the user can fix, printed in a line, no traceback: what was found, what is allowed, what next."""


class ConfigError(UserError):
    """All problems of one configuration, one line each."""

    def __init__(self, problems: list[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = problems


def did_you_mean(word: str, known: list[str]) -> str:
    """A hint to append to an error about an unknown `word`; empty when nothing known is near."""
    near = difflib.get_close_matches(word, known, n=1, cutoff=0.7)  # of three letters all: `gpu` means no `cpu`
    return f"; did you mean '{near[0]}'?" if near else ""
