"""What checks come to: what holds, what fails and what was not checked are never mixed."""

import errno
import os

import pytest

from train.errors import UserError
from train.release.standards import osaid
from train.release.standards.osaid import ROWS, RUNG_OF, RUNGS, WORD, ladder, table, verdict
from train.release.verify.result import NotChecked, Result, exit_status, rungs, tally
from train.release.verify.run import _run

HOLDS, FAILS, OPEN = (Result("a", status, "") for status in ("holds", "fails", "not checked"))


@pytest.mark.parametrize(("results", "status", "words"), [
    ([HOLDS, HOLDS], 0, "2 of 2 checks hold"), ([HOLDS, OPEN], 2, "1 of 2 checks hold, 1 not checked"),
    ([OPEN, FAILS], 1, "0 of 2 checks hold, 1 fails, 1 not checked"),
    ([FAILS, FAILS, HOLDS], 1, "1 of 3 checks hold, 2 fail"),
])  # fmt: skip
def test_what_was_not_checked_never_counts_as_holding(results, status, words):
    assert (exit_status(results), tally(results)) == (status, words)


def test_a_check_that_cannot_decide_says_why(tmp_path):
    def check(subject: object) -> list[str]:
        raise NotChecked("no network")

    assert _run(check, None, tmp_path) == Result("check", "not checked", "no network")


@pytest.mark.parametrize(("code", "status", "says"), [
    ("EACCES", "not checked", "forms: Permission denied; get the right to it"), ("ENOENT", "fails", "FileNotFound"),
    ("ENOSPC", "not checked", "no space left on the disk"), ("EMFILE", "not checked", "too many files are open"),
    ("EIO", "not checked", "forms: Input/output error"), ("EISDIR", "fails", "Is a directory"),
])  # fmt: skip
@pytest.mark.parametrize("told", [False, True])
def test_what_its_readers_machine_lacks_says_nothing_against_a_release(code, status, says, told, tmp_path):
    def check(subject: object) -> list[str]:
        try:
            raise OSError(number := getattr(errno, code), os.strerror(number), str(tmp_path / "forms"))
        except OSError as error:
            if told:
                raise UserError(f"forms: cannot be read ({error!r})") from None
            raise

    result = _run(check, None, tmp_path)
    assert result.status == status and says in result.detail


def outcomes(**statuses: str) -> dict[str, str]:
    return rungs([Result(name, status.replace("_", " "), "") for name, status in statuses.items()], RUNG_OF)


@pytest.mark.parametrize(("statuses", "found"), [
    ({"integrity": "holds"}, {"intact": "holds"}),
    ({"integrity": "fails", "completeness": "holds"}, {"intact": "FAILS"}),
    ({"integrity": "holds", "weights": "not_checked"}, {"intact": "holds", "consistent": "not checked"}),
    ({"weights": "holds", "snapshot": "not_checked"}, {"consistent": "holds"}),
    ({"weights": "holds", "snapshot": "fails"}, {"consistent": "FAILS"}),
    ({"weights": "holds", "prepared": "not_checked"}, {"consistent": "holds", "sourced": "not checked"}),
])  # fmt: skip
def test_a_rung_holds_when_all_that_it_asks_for_does(statuses, found):
    assert outcomes(**statuses) == found


def test_the_ladder_tells_what_was_not_run_and_how_to_run_it():
    lines = ladder("a release", {"intact": "holds", "consistent": "FAILS"})
    assert [line[:11].rstrip() for line in lines] == ["holds", "FAILS", *["not run"] * 4, "word"]
    assert "make verify RELEASE='a release' ARGS=--sources" in lines[2] and lines[-1].endswith(WORD)


def test_an_installed_package_names_its_own_command_where_there_is_no_makefile(monkeypatch, tmp_path):
    monkeypatch.setattr(osaid, "ROOT", tmp_path)
    assert ladder("a release", {})[2].endswith("pellucid verify 'a release' --sources")


def test_every_claim_has_a_rung_or_is_somebodys_word():
    names = [rung.name for rung in RUNGS]
    assert {row.rung for row in ROWS} <= {*names, None} and {*RUNG_OF.values()} <= {*names}
    assert all(row.rung is None for row in ROWS if row.kind == "statement")
    assert {"sourced", "trained", "made again"} <= {row.rung for row in ROWS if row.kind == "command"}
    assert all(names.index(row.rung or "") <= 1 for row in ROWS if row.check)


def test_what_somebody_has_to_run_counts_as_nothing(release):
    found = verdict(release, table(release))
    commands = [row for row in ROWS if row.kind == "command"]
    assert found["beyond"]["held"] == found["beyond"]["items"] - len(commands)
    assert found["to_run"] == len(commands) - 1  # and the publisher's word


def test_cards_and_page_show_the_ladder(release):
    for name in ("README.md", "report.html"):
        text = (release / name).read_text()
        assert all(rung.command("tiny-0.1.0").split(" ARGS")[0] in text for rung in RUNGS)
        assert "nothing tests them" in text and "every claim" not in text.lower()
