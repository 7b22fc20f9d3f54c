"""Forms that others ask for: each question has an answer from a record, a section or a person, or is open by name."""

import re

import pytest
from conftest import edit, failure, refusal

from train.artifact import read_json, write_json
from train.config import build
from train.errors import ConfigError
from train.release.about import ReleaseConfig
from train.release.bundle import ROOT, source_tree
from train.release.standards import forms
from train.release.standards.osaid import table, verdict

FMTI, EU = "forms/foundation_model_transparency.md", "forms/eu_training_summary.md"
ASKED = {
    "consumer information": ["forms/california_ab_2013.md"], "purchases": [EU, "forms/california_ab_2013.md", FMTI],
    "trademarks and patents": ["forms/california_ab_2013.md"],
    "security": [FMTI, "forms/g7_sbom_for_ai.md"], "risks": [FMTI], "deployment": [FMTI], "policies": [FMTI],
}  # item that the release states -> the forms that ask for it  # fmt: skip
SIZES = {
    "eu_training_summary": (3, 24), "california_ab_2013": (1, 12), "g7_sbom_for_ai": (7, 50),
    "foundation_model_transparency": (19, 100), "croissant_rai": (1, 12),
}  # parts, questions  # fmt: skip


def answers(release, name):
    return {asked: answer.text for part in forms.Form(release, name).parts.values() for asked, answer in part.items()}


def unanswered(release):
    return {path: unsaid for path, unsaid in forms.status(release).items() if unsaid}


def state(release, items):
    """Let the release state just these items."""
    said = [{"item": item, "text": "None.", "name": "A person", "date": "2026-11-29"} for item in items]
    edit(release / "code/config.json", "release", "statements", to=said)


@pytest.mark.parametrize("name", SIZES)
def test_each_question_has_an_answer(release, name):
    form = forms.Form(release, name)
    assert (len(form.parts), sum(map(len, form.parts.values()))) == SIZES[name]
    for part in form.parts.values():
        for asked, answer in part.items():
            assert answer.text and not re.search(r"[{}]|not applicable:?$", answer.text), asked
    assert forms.table()[1].keys() == SIZES.keys()


def test_the_forms_of_the_release_are_complete_but_for_what_nobody_recorded(release):
    assert unanswered(release) == {FMTI: ["statements.development"]}
    assert read_json(release / "openness.json")["forms"] == forms.status(release)
    assert f"| [{FMTI}]({FMTI}) | open: statements.development |" in (release / "README.md").read_text()


def test_what_nobody_stated_is_open_by_name_in_the_forms_that_ask_for_it_alone(copy):
    for item, paths in ASKED.items():
        state(copy, [*(ASKED.keys() - {item}), "development"])
        assert unanswered(copy) == {path: [f"statements.{item}"] for path in paths}
    state(copy, ["description", "licence claims", "completeness"])
    assert unanswered(copy).keys() == {path for paths in ASKED.values() for path in paths}
    assert verdict(copy, table(copy))["osaid_1_0"]
    where = "not answered by the publisher: statements.consumer information in configs/release/{}.yaml"
    assert answers(copy, "california_ab_2013")["8 aggregate consumer information"] == where.format("default")
    (copy / "code/configs/release/tiny.yaml").write_text("")  # as in a fork, whose recipe has a file of its own
    assert answers(copy, "california_ab_2013")["8 aggregate consumer information"] == where.format("tiny")


def test_every_place_that_the_table_names_is_in_the_release(release):
    text = forms.TABLE.read_text().partition("\nanswers:")[2]
    places = {name for kind, name in forms.BLANK.findall(text) if kind in ("", "number of ")}
    assert len(places) > 40
    for place in places:
        file, _, pointer = place.partition("#")
        read_json(release / file, pointer.partition("/[")[0])
    for path in re.findall(r"`([^`]+)`", text):
        assert (release / path).exists() or path == "logs/statements", path
    kinds = {name for kind, names in forms.BLANK.findall(text) if kind == "sources: " for name in names.split()}
    assert kinds == {"pypi", "hub", "files", "stories"}


@pytest.mark.parametrize("path", [*forms.pages(), "data/croissant.json"])
def test_a_forged_answer_fails_by_the_name_of_its_form(copy, reseal, path):
    text, times = re.subn("no (surnames|labels)", r"many \1", (copy / path).read_text())
    assert times
    (copy / path).write_text(text)
    reseal(copy)
    assert path in failure(copy, "metadata")


COMMIT = "0" * 40
NONE_WRITTEN = "not applicable: no source was written by a program of this repository"
COLUMNS = {"text": "text", "path": None, "attribution": None, "licence": None, "licence_names": {}}
KINDS = {  # of sources, as `sources.json` has them
    "pypi": {"purl": "pkg:pypi/a@1", "filename": "a-1.tar.gz", "sha256": "0" * 64, "bytes": 9},
    "hub": {"purl": f"pkg:huggingface/datasets/a/b@{COMMIT}", "config": None, "split": "train", "columns": COLUMNS,
            "limit": None, "streaming": False},
    "stories": {"purl": "pkg:generic/a@1", "seed": 1, "count": 9},
    "files": {"purl": "pkg:generic/a@1", "sha256": "0" * 64, "columns": None},
}  # fmt: skip


@pytest.mark.parametrize(("kind", "asked", "others"), [
    ("pypi", "2.1 publicly available data sets", {"2.5 synthetic data": NONE_WRITTEN}),
    ("hub", "2.1 publicly available data sets", {"2.6 other sources": "not applicable: there are none"}),
    ("stories", "2.5 synthetic data", {"2.1 publicly available data sets": "not applicable: none was used"}),
    ("files", "2.6 other sources", {"2.1 publicly available data sets": "not applicable: none was used"}),
])  # fmt: skip
def test_sources_stand_where_their_kind_belongs(copy, kind, asked, others):
    (source,) = read_json(copy / "data/sources.json")
    kept = {name: value for name, value in source.items() if name not in KINDS["stories"]}
    write_json(copy / "data/sources.json", [{**kept, "kind": kind, **KINDS[kind]}])
    found = answers(copy, "eu_training_summary")
    assert f"{KINDS[kind]['purl']} (Copyright The Pellucid maintainers; " in found[asked]
    assert {name: found[name] for name in others} == others


def test_a_large_model_may_be_meant_and_then_its_representative_is_asked_for(copy):
    assert "very likely none" in answers(copy, "eu_training_summary")["0 whether the duty applies"]
    edit(copy / "provenance/facts.json", "flops", to=2 * 10**23)
    assert "possibly one" in answers(copy, "eu_training_summary")["0 whether the duty applies"]
    assert forms.status(copy)[EU] == ["statements.authorised representative"]


def test_of_a_signature_that_is_not_there_nothing_is_claimed(release):
    assert answers(release, "g7_sbom_for_ai")["Author signature"].startswith("none in it: ")


def test_trials_are_told_where_there_were_any(copy):
    asked = "Compute usage including R&D"
    assert answers(copy, "foundation_model_transparency")[asked].startswith("not answered by the publisher")
    trial = {"settings": "a", "tokens": 2000, "seconds": 9, "bits_per_byte": 1.5}
    edit(copy / "code/config.json", "release", "trials", to=[trial])
    told = "trainings by which settings were chosen: bits per byte 1.5000, seconds 9, settings a, tokens 2,000"
    assert answers(copy, "foundation_model_transparency")[asked] == told


def test_weights_that_began_from_others_name_them(copy):
    assert answers(copy, "eu_training_summary")["1.2 models it depends on"].startswith("not applicable")
    edit(copy / "code/config.json", "training", "init_from", to="a-1.0")
    assert answers(copy, "eu_training_summary")["1.2 models it depends on"] == "weights of a-1.0"


def test_a_form_says_nothing_of_a_release_whose_record_lacks_it(copy):
    (copy / "provenance/facts.json").write_text("{}\n")
    refusal(forms.page, copy, "eu_training_summary", match=r"nothing stands at /flops", error=Exception)


def test_the_table_is_in_the_key_of_a_release():
    assert forms.TABLE.relative_to(ROOT).as_posix() in source_tree(ROOT)


def test_statements_are_on_what_is_asked_for(release):
    about = read_json(release / "code/config.json")["release"]
    build(ReleaseConfig, about)
    about["statements"][0]["item"] = "weather"
    with pytest.raises(ConfigError, match=r"'weather' is not among the statement items: .*consumer information"):
        build(ReleaseConfig, about)


def test_values_of_a_record_in_words():
    value = {"en": {"bytes": 2000, "kept_documents": 1}, "de": {"bytes": 1}}
    assert forms.said(value) == "en (bytes 2,000, kept documents 1), de (1)"
    assert forms.said(["a", {"name": "b"}, 0.5]) == "a; b; 0.5000"
