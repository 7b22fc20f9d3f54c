"""The outcome of a check: it holds, it fails, or it was not checked, with the reason. Standard library alone."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

Status = Literal["holds", "fails", "not checked"]


class NotChecked(Exception):
    """Raised by a check that cannot decide here, with the reason: no network, no key, no room. It is no failure."""


@dataclass(frozen=True)
class Result:
    name: str
    status: Status
    detail: str

    @property
    def ok(self) -> bool:
        """Whether the claim holds: what was not checked does not."""
        return self.status == "holds"


def exit_status(results: Iterable[Result]) -> int:
    """0 if everything holds, 1 if anything fails, 2 if nothing fails but something was not checked."""
    outcomes = {result.status for result in results}
    return 1 if "fails" in outcomes else 2 if "not checked" in outcomes else 0


def tally(results: Iterable[Result]) -> str:
    """How many checks hold, fail and were not made: `35 of 37 checks hold, 1 fails, 1 not checked`."""
    outcomes = [result.status for result in results]
    failures, unmade = outcomes.count("fails"), outcomes.count("not checked")
    parts = [f"{outcomes.count('holds')} of {len(outcomes)} checks hold"]
    parts += [f"{failures} fail{'s' * (failures == 1)}"] if failures else []
    return ", ".join(parts + ([f"{unmade} not checked"] if unmade else []))
