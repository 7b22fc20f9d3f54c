"""Folders of models as they are handed around: what is found in each, and what is not; and folders that mean harm."""

import json
import os
from pathlib import Path

import pytest
import torch
from conftest import refusal
from warm import command

from train.release.assess import assess, tensors_problem
from train.release.cards.templates import read_yaml
from train.release.standards import osaid
from train.training.checkpoint import write_tensors

MIT = "Permission is hereby granted, free of charge, to any person\n obtaining a copy of this software"
MOF = """
release:
  name: Somebody's model
  components:
  - {name: Training code, license: MIT, component_path: elsewhere/train.py}
  - {name: Datasets, license: CC-BY-4.0}
"""


@pytest.fixture
def folder(tmp_path) -> Path:
    """A folder with weights, a config and nothing else."""
    write_tensors(tmp_path / "model/model.safetensors", {"a": torch.ones(2, 3), "b": torch.ones(5)})
    (tmp_path / "model/config.json").write_text("{}")
    return tmp_path / "model"


def statuses(report: dict) -> dict[str, str]:
    return {row["id"]: row["status"] for row in report["items"]}


def with_card(folder: Path, licence: str, text: str = "") -> None:
    (folder / "README.md").write_text(f"---\nlicense: {licence}\n---\n# A model\n{text}\n")


ALL = {"train.py", "model.py", "preprocess.py", "data/tales.txt", "eval/run.py", "requirements.txt"}


@pytest.mark.parametrize(("files", "licence", "text", "found"), [
    ((), None, None, {"14"}), ((), "mit", None, {"14"}), ((), None, MIT, {"14", "17", "18"}),
    (ALL, "apache-2.0", MIT, {"5", "6", "7", "8", "9", "11", "12", "13", "14", "17", "18"}),
    (ALL, "apache-2.0", None, {"5", "6", "8", "9", "11", "13", "14"}),
    ((), "apache-2.0", "You agree to the use-based restrictions in attachment A.", {"14"}),
    (("sources.json", "label_guide.md", "sweep.yaml", "ledger/a.txt"), None, None,
     {"1", "3", "4", "14", "hyper-parameter search"}),
])  # fmt: skip
def test_files_show_items_and_names_of_licences_do_not(folder, files, licence, text, found):
    for path in files:
        (folder / path).parent.mkdir(exist_ok=True)
        (folder / path).write_text("text")
    if licence:
        with_card(folder, licence, "It was trained on tales, with a learning rate of 1.")
    if text:
        (folder / "LICENSE").write_text(text)
    report = assess(folder, None)
    assert {item for item, status in statuses(report).items() if status == "found"} == found
    undecided = {item for item, status in statuses(report).items() if status == "cannot tell"}
    assert {"description", "licence claims", "completeness"} <= undecided
    terms = {"17", "18"} if licence and not text else set()
    assert undecided & {"17", "18"} == terms, "a licence that is named, without its text"
    assert all(row["why"].startswith(tuple(files)) for row in report["items"] if row["id"] in found & {"8", "9", "13"})


def test_the_last_line_counts_and_judges_nobody(folder):
    said = command("assess", folder, status=1).splitlines()
    assert said[-1] == "20 must-items by files alone: 1 found, 14 not found, 5 cannot tell"


def test_a_file_that_holds_nothing_shows_nothing(folder):
    (folder / "model.py").write_text("")
    row = next(row for row in assess(folder, None)["items"] if row["id"] == "8")
    assert (row["status"], row["why"]) == ("not found", "model.py: an empty file")


@pytest.mark.parametrize("before", ["", "\n", "\n\n", "\r\n", "  \n", "\ufeff", "\ufeff\n\n", "\t\n \n"])
def test_front_matter_is_read_as_the_hub_reads_it(folder, before):
    text = before + "---\nlicense: apache-2.0\n---\n# A model\n"
    (folder / "README.md").write_text(text, encoding="utf-8", newline="")
    report = assess(folder, None)
    assert [each["licence"] for each in report["licences"]] == ["Apache-2.0"] and report["notes"] == []


@pytest.mark.parametrize("head", ["license: [", "a: b: c", "- mit", "\tlicense: mit",
                                  "license: !!python/name:os.system x"])  # fmt: skip
def test_front_matter_that_is_no_yaml_is_told(folder, head):
    (folder / "README.md").write_text(f"---\n{head}\n---\n# A model\n")
    (note,) = assess(folder, None)["notes"]
    assert note.startswith("README.md: front matter: ")
    assert any(line.startswith("note ") for line in command("assess", folder, status=1).splitlines())


def test_what_a_mof_yml_lists_is_not_found_for_that(folder, tmp_path):
    (tmp_path / "mof.yml").write_text(MOF)
    said = command("assess", folder, "--mof", tmp_path / "mof.yml", "--json", status=1)
    report = json.loads(said)
    assert {item for item, status in statuses(report).items() if status == "cannot tell"} == {
        "1", "6", "8", "9", "17", "18", "4", "hyper-parameter search", "description", "licence claims", "completeness",
    }  # fmt: skip
    assert {each["licence"] for each in report["licences"]} == {"MIT", "CC-BY-4.0"}
    for wrong in ("- a list", "release: {components: 3}", "a: [", "a: " + "[" * 3000):
        (tmp_path / "mof.yml").write_text(wrong)
        assert command("assess", folder, "--mof", tmp_path / "mof.yml", status=2).startswith("error: mof.yml")


@pytest.mark.parametrize("licence, held", [("cc-by-nc-4.0", "-NC"), ("openrail", "openrail"),
                                           ("[mit, cc-by-nd-4.0]", "-ND")])  # fmt: skip
def test_restrictions_of_use_are_named(folder, licence, held):
    with_card(folder, licence)
    report = assess(folder, None)
    assert [each["restriction"] for each in report["licences"]] == [held]
    assert statuses(report)["18"] == statuses(report)["17"] == "not found"


def test_pickles_are_named_and_not_opened(folder):
    (folder / "model.safetensors").unlink()
    (folder / "pytorch_model.bin").write_bytes(b"cos\nsystem\n(S'touch /nonexistent'\ntR.")
    assert statuses(assess(folder, None))["14"] == "found"


@pytest.mark.parametrize("data", [
    b"", b"\xff" * 8, (2**40).to_bytes(8, "little") + b"{}", (2).to_bytes(8, "little") + b"[]",
    (60_000).to_bytes(8, "little") + b"[" * 60_000,
])  # fmt: skip
def test_a_safetensors_header_that_lies_shows_nothing(folder, data):
    (folder / "model.safetensors").write_bytes(data)
    assert tensors_problem(folder / "model.safetensors", len(data))
    assert statuses(assess(folder, None))["14"] == "not found"


def test_links_special_files_and_names_cannot_lead_anywhere(folder, tmp_path):
    (tmp_path / "secret").write_text(MIT)
    (folder / "LICENSE").symlink_to(tmp_path / "secret")
    (folder / "round").symlink_to(folder)
    os.mkfifo(folder / "train.py")
    (folder / "eval").mkdir()
    (folder / "eval/\x1b[2J.py").write_text("text")
    report = assess(folder, None)
    assert statuses(report)["9"] == "not found" and report["licences"] == []
    assert "\x1b" not in command("assess", folder, status=1)


def test_what_is_too_much_is_refused(folder, monkeypatch):
    monkeypatch.setattr("train.release.assess.MOST_FILES", 3)
    for number in range(3):
        (folder / str(number)).write_text("")
    refusal(assess, folder, None, match="more than 3 files")
    refusal(read_yaml, "a: &a {x: 1}\nb: {<<: [*a, *a]}", "card", match="<<")
    bomb = "a0: &a0 [x]\n" + "".join(f"a{n + 1}: &a{n + 1} {{a: [*a{n}, *a{n}]}}\n" for n in range(40))
    for text in (bomb, "a: &a [*a]"):
        refusal(read_yaml, text, "card", match="card: aliases that stand for more than 65536 values")
    assert read_yaml("a: &a [1]\nb: [*a, *a]", "card") == {"a": [1], "b": [[1], [1]]}
    assert "not a folder" in command("assess", folder / "config.json", status=2)


def test_all_of_our_own_release_is_found_that_a_machine_finds(release):
    assert command("assess", release).splitlines()[-1].endswith("15 found, 0 not found, 5 cannot tell")


def test_each_item_that_files_can_show_says_how_they_are_called():
    rows = [row for row in osaid.ROWS if row.importance != "beyond" and row.kind != "statement"]
    assert [row.id for row in rows if not row.like] == ["18"]
