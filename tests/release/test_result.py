"""What checks come to: what holds, what fails and what was not checked are never mixed."""

import pytest

from train.release.result import NotChecked, Result, exit_status, tally
from train.release.verify import _run

HOLDS, FAILS, OPEN = (Result("a", status, "") for status in ("holds", "fails", "not checked"))


@pytest.mark.parametrize(
    ("results", "status", "words"),
    [
        ([HOLDS, HOLDS], 0, "2 of 2 checks hold"),
        ([HOLDS, OPEN], 2, "1 of 2 checks hold, 1 not checked"),
        ([OPEN, FAILS], 1, "0 of 2 checks hold, 1 fails, 1 not checked"),
        ([FAILS, FAILS, HOLDS], 1, "1 of 3 checks hold, 2 fail"),
    ],
)
def test_what_was_not_checked_never_counts_as_holding(results, status, words):
    assert (exit_status(results), tally(results)) == (status, words)


def test_a_check_that_cannot_decide_says_why(tmp_path):
    def check(subject: object) -> list[str]:
        raise NotChecked("no network")

    assert _run(check, None, tmp_path) == Result("check", "not checked", "no network")
