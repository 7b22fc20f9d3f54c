"""What `pellucid diff` says of two releases: nothing of a copy, and of each change where it is and how large."""

import json
from pathlib import Path

import pytest
from conftest import edit
from warm import command

from train.data import schema
from train.release.bundle import write_manifest
from train.release.prove.diff import changes
from train.training.checkpoint import read_tensors, write_tensors


@pytest.fixture
def changed(release, copy):
    """A function that lets another change a copy of the release, and returns the changes by kind."""

    def found(change) -> dict[str, list[dict]]:
        change(copy)
        write_manifest(copy)
        report = changes(release, copy)
        assert report["same"] is False
        return {kind: lines for kind, lines in report["changes"].items() if lines and kind != "files"}

    return found


def test_a_copy_is_the_same_and_a_damaged_one_cannot_be_compared(release, copy):
    assert command("diff", release, copy).startswith("the same: identity ")
    (copy / "config.json").write_text("{}")
    assert "integrity: config.json: changed" in command("diff", release, copy, status=2)
    assert "not a release" in command("diff", release, copy / "data", status=2)


def test_the_command_names_the_kind_and_the_place(release, copy):
    edit(copy / "code/config.json", "training", "seed", to=77)
    write_manifest(copy)
    said = command("diff", release, copy, status=1)
    assert "config     1 change\n           training.seed: 0 -> 77\n" in said and "weights    no changes" in said
    told = json.loads(command("diff", release, copy, "--json", status=1))["changes"]
    assert told["config"] == [{"what": "training.seed", "before": 0, "after": 77}]
    assert [change["what"] for change in told["files"]] == ["code/config.json"]


def test_of_tensors_the_largest_deviation(changed):
    def change(release: Path) -> None:
        tensors = read_tensors(release / "model.safetensors")
        tensors["model.norm.weight"][3] += 0.5
        tensors["model.norm.weight"][1] -= 0.25
        write_tensors(release / "model.safetensors", tensors)

    (told,) = changed(change)["weights"]
    assert told["what"].startswith("model.norm.weight: 2 of ") and told["what"].endswith("by 0.5 at most")
    assert round(told["after"] - told["before"], 5) == 0.5


def test_documents_are_counted_and_named(changed):
    def change(release: Path) -> None:
        path = next(p for p in sorted((release / "data/documents").glob("*.parquet")) if list(schema.read_rows([p])))
        first, *rest = schema.read_rows([path])
        rest = [{**row, "split": "elsewhere"} if row is rest[0] else row for row in rest] if rest else rest
        change.moved = bool(rest)
        change.first = first
        schema.write_rows(path, rest, schema.SELECTED)
        edit(release / "data/counts.json", "dropped", "too_short", "documents", by=lambda value: value + 1)

    found = changed(change)["documents"]
    assert found[0] == {"what": "only before", "before": 1, "after": None}
    assert [each["after"] for each in found if each["what"] == "in another split"] == [1] * change.moved
    assert any(each["what"].startswith(change.first["id"][:12]) for each in found)
    assert any(change["what"] == "dropped.too_short.documents" for change in found)


def test_code_sources_tokenizer_and_scores(changed):
    def change(release: Path) -> None:
        (release / "code/Makefile").write_text("all:\n")
        edit(release / "data/sources.json", 0, "language", to="fr")
        edit(release / "tokenizer.json", "model", "vocab", "xyzzy", to=9999)
        edit(release / "evaluation/scores.json", "perplexity", "value", to=0.5)

    found = changed(change)
    assert set(found) == {"code", "sources", "tokenizer", "scores"}
    assert [change["what"] for change in found["code"]] == ["Makefile"]
    assert [change["after"] for change in found["sources"]] == ["fr"]
    assert found["tokenizer"][1] == {"what": "only after", "before": ["xyzzy"], "after": 1}
    assert found["scores"][0]["what"] == "perplexity.value" and found["scores"][0]["after"] == 0.5


def test_what_one_does_not_hold_counts_as_nothing(changed):
    found = changed(lambda release: (release / "model.safetensors").unlink())
    assert {change["after"] for change in found["weights"]} == {None}
