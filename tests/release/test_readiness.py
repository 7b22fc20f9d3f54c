"""What a release would be refused for at its end is told before any work, with the file and line where it stands."""

import functools
import shutil
from pathlib import Path

import pytest

from train.commands.release import doubts
from train.compose import compose
from train.config import build
from train.errors import UserError
from train.keys import ROOT
from train.pipeline import Run, resolved, run
from train.release.readiness import check_evidence, unready

FILLED = [
    "data.raw.sources.0.licence=Apache-2.0", "data.raw.sources.0.language=en", "data.raw.sources.0.attribution=Ann",
    "data.selected.licences=[Apache-2.0]",
]  # fmt: skip


@functools.cache
def config(*overrides: str) -> Run:
    return build(Run, compose(list(overrides)))


@pytest.mark.parametrize("recipe", sorted({path.stem for path in (ROOT / "configs/recipe").glob("*")} - {"my_text"}))
def test_every_shipped_recipe_but_the_template_says_all_that_a_release_needs(recipe):
    assert unready(resolved(config(f"recipe={recipe}")), ROOT, release=True) == []


def test_a_template_is_told_line_by_line_and_each_once():
    problems = unready(resolved(config("recipe=my_text")), ROOT, release=True)
    lines = (ROOT / "configs/data/my_text.yaml").read_text().split("\n")
    keys = {"licence": "LicenseRef-TODO", "attribution": "TODO: who wrote the texts", "language": "TODO"}
    for key, value in keys.items():
        number = next(number for number, line in enumerate(lines, 1) if line.strip().startswith(f"{key}:"))
        where = f"configs/data/my_text.yaml:{number}: data.raw.sources.0.{key}: {value!r}"
        assert problems.count(where) == 1
    assert len(problems) == len(set(problems)) and not any("data/README.md" in problem for problem in problems)
    assert "data_cards/my_text.md:3: 'TODO'" in problems
    card = (ROOT / "data_cards/my_text.md").read_text().split("\n")
    assert sum(problem.startswith("data_cards/") for problem in problems) == sum("TODO" in line for line in card)


def test_before_weights_only_what_enters_them_is_asked_for():
    assert unready(resolved(config("recipe=my_text", *FILLED)), ROOT, release=False) == []
    assert len(unready(resolved(config("recipe=my_text", *FILLED[1:])), ROOT, release=False)) >= 1


@pytest.mark.parametrize("until", ["raw", "documents", "selected", "tokens"])
def test_before_training_nothing_has_to_be_filled_in(until, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError, match="my_text"):  # the folder that is not there, and not what says TODO
        run(config("recipe=my_text", f"until={until}"))


@pytest.mark.parametrize("until", ["weights", "evaluation", "release"])
def test_where_training_is_meant_nothing_is_begun(until, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError, match=r"my_text.yaml:\d+: data.raw.sources.0.licence"):
        run(config("recipe=my_text", f"until={until}"))
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(("override", "said"), [
    ("release.statements=[]", "release.statements: none on 'licence claims'"),
    ("release.not_used.4=' '", "release.not_used.4: no reason"),
    ("release.title='TBD'", "release.title: 'TBD'"),
    ("release.contact='[More Information Needed]'", "release.contact: '[More Information Needed]'"),
    ("release.description='see /home/ann/notes'", "release.description: holds a path of a machine"),
    ("release.contact='https://ann:secret@example.org'", "a password in an address"),
    ("release.limits=ghp_" + "a1B2" * 9 + "", "release.limits: holds a secret"),
    ("data.raw.sources.0.attribution='FIXME'", "data.raw.sources.0.attribution: 'FIXME'"),
    ("evaluation.samples.prompts=['lorem ipsum']", "evaluation.samples.prompts.0: 'lorem ipsum'"),
    ("data.name=nobody", "data_cards/nobody.md: cannot be read"),
])  # fmt: skip
def test_what_people_left_out_of_the_config_is_named(override, said):
    problems = unready(resolved(config("recipe=tiny", override)), ROOT, release=True)
    assert any(said in problem for problem in problems), problems


@pytest.fixture
def checkout(tmp_path) -> Path:
    for name in ("configs", "data_cards"):
        shutil.copytree(ROOT / name, tmp_path / name)
    shutil.copy(ROOT / "LICENSE", tmp_path)
    return tmp_path


@pytest.mark.parametrize(("old", "new", "said"), [
    ("## Labelling", "## Labels", "data_cards/stories.md: it lacks text under '## Labelling'"),
    ("licence: Apache-2.0", "licence: MIT", "its licence is MIT"),
    ("date: 2026-11-23", "date: yesterday", "date: expected a day"),
    ("curator:", "cure:", "it lacks 'curator:' at its head"), ("## Labelling\n", "## Labelling\n\nXXX\n", "'XXX'"),
    ("## Labelling\n", "## Labelling\n\nghp_" + "a1B2" * 9 + "\n", "holds a secret"), ("", None, "cannot be read"),
    ("## Labelling\n", "## Labelling\n\nBy hand, in /home/ann/texts.\n", "holds a path of a machine"),
])  # fmt: skip
def test_what_people_left_out_of_the_card_is_named(checkout, old, new, said):
    card = checkout / "data_cards/stories.md"
    if new is None:
        card.unlink()
    else:
        text = card.read_text()
        assert old in text
        card.write_text(text.replace(old, new))
    (problem,) = unready(resolved(config("recipe=tiny")), checkout, release=True)
    assert said in problem and "stories.md" in problem


def test_a_file_of_the_source_tree_that_no_release_may_hold_is_named(checkout):
    (checkout / "configs/my notes.yaml").touch()
    (problem,) = unready(resolved(config("recipe=tiny")), checkout, release=True)
    assert problem.startswith("configs/my notes.yaml: has a name that not every system can hold")


def test_a_licence_whose_text_somebody_changed_is_named(checkout):
    (checkout / "LICENSE").write_text((ROOT / "LICENSE").read_text().replace("[yyyy] [name of copyright owner]", "us"))
    (problem,) = unready(resolved(config("recipe=tiny")), checkout, release=True)
    assert problem.startswith("LICENSE: not the text of Apache-2.0, byte for byte")


@pytest.mark.parametrize("before", ["\ufeff", ""])
@pytest.mark.parametrize("after", [" ", "\t", "  \t"])
def test_marks_and_blanks_that_nobody_sees_are_no_fault_of_a_card(checkout, before, after):
    card = checkout / "data_cards/stories.md"
    text = before + card.read_text().replace("## Labelling\n", f"## Labelling{after}\n")
    card.write_text(text, encoding="utf-8")
    assert unready(resolved(config("recipe=tiny")), checkout, release=True) == []


def test_evidence_against_a_claim_stops_and_what_is_not_recognised_is_said(tmp_path):
    texts = {"a": "All rights reserved.", "b": "MIT License", "c": "For research purposes only. MIT License"}
    for name, text in texts.items():
        (tmp_path / f"{name}.txt").write_text(text)
    assert check_evidence([("pkg:generic/b@1", "MIT", {"LICENSE": "b"})], tmp_path) == []
    (note,) = check_evidence([("pkg:generic/a@1", "LAL-1.3", {"LICENSE": "a"})], tmp_path)
    assert note.startswith("pkg:generic/a@1: LICENSE: not recognised as LAL-1.3")
    for name in "ac":
        with pytest.raises(UserError, match=f"pkg:generic/{name}@1: LICENSE: "):
            check_evidence([(f"pkg:generic/{name}@1", "MIT", {"LICENSE": name})], tmp_path)


@pytest.mark.parametrize(("steps", "until", "said"), [
    (19, "release", True), (20, "release", True), (21, "release", False), (4, "tokens", False),
])  # fmt: skip
def test_a_warm_up_that_outlasts_the_training_is_told_before_it(steps, until, said):
    lines = doubts(config(f"training.steps={steps}", f"until={until}"))
    assert [f"warmup_steps is 20, training.steps {steps}" in line for line in lines] == [True] * said
