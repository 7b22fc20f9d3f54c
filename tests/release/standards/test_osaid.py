"""The verdict: nothing that is required may be absent, and what people state is never ticked by a machine."""

from conftest import edit

from train.artifact import read_json
from train.release.cards import templates
from train.release.standards.osaid import files, table, verdict

TRIAL = {"settings": "batch 4", "tokens": 655360, "seconds": 130, "bits_per_byte": 2.1}


def status(release, row):
    return next(each.status for each in table(release) if each.row.id == row)


def test_a_whole_release_is_complete(release):
    found = verdict(release, table(release))
    assert found["osaid_1_0"] and found["must"]["items"] == found["must"]["held"]
    assert found["should"] == {"items": 2, "held": 2, "stated": 0, "not_used": 0}


def test_evidence_that_is_not_there_makes_it_incomplete(copy):
    (copy / "tokenizer.json").unlink()
    assert status(copy, "10") == "absent: tokenizer.json" and not verdict(copy, table(copy))["osaid_1_0"]


def test_what_is_optional_may_be_absent(copy):
    (copy / "checkpoints/next_step.json").unlink()
    found = verdict(copy, table(copy))
    assert found["osaid_1_0"] and found["should"]["held"] == 1


def test_statements_carry_name_and_date_and_must_be_made(copy):
    assert status(copy, "completeness").startswith("stated by The Pellucid maintainers on 2026-11-23: ")
    edit(copy / "code/config.json", "release", "statements", to=[])
    assert status(copy, "completeness") == "absent: statement" and not verdict(copy, table(copy))["osaid_1_0"]


def test_conditional_items_are_declared_with_a_reason(copy):
    assert status(copy, "4").startswith("not used: Nothing was labelled")
    search = "hyper-parameter search"
    assert status(copy, search).startswith("not used: ")
    edit(copy / "code/config.json", "release", "trials", to=[TRIAL])
    assert status(copy, search) == "evidenced" and status(copy, "4").startswith("not used: ")
    edit(copy / "code/config.json", "release", "not_used", to={})
    assert status(copy, "4") == "evidenced"


def test_evidence_names_files_and_folders():
    assert files("a/", ["a/b", "ab", "a"]) == ["a/b"] and files("a", ["a/b", "ab", "a"]) == ["a"]


def test_the_summary_tells_what_is_absent(copy):
    edit(copy / "openness.json", "rows", 0, "status", to="absent: data/README.md")
    edit(copy / "openness.json", "verdict", "osaid_1_0", to=False)
    text = "\n".join(templates.lines("openness.jinja", openness=read_json(copy / "openness.json")))
    assert "INCOMPLETE" in text and "absent  1: provenance of all training data" in text
