"""Folders of models as they are handed around: what each shows, claims and lacks; and folders that mean harm."""

import json
import os
from pathlib import Path

import pytest
import torch
import warm

from train.errors import UserError
from train.keys import ROOT
from train.release.assess import assess, read_yaml, tensors_problem
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


def command(*arguments: object, status: int) -> str:
    done = warm.run([str(ROOT / "scripts" / "assess.py"), *map(str, arguments)])
    assert done.returncode == status, done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    return done.stdout or done.stderr


def statuses(report: dict) -> dict[str, str]:
    return {row["id"]: row["status"] for row in report["items"]}


def with_card(folder: Path, licence: str, text: str = "") -> None:
    (folder / "README.md").write_text(f"---\nlicense: {licence}\n---\n# A model\n{text}\n")


def test_weights_alone_show_one_item(folder):
    said = command(folder, status=1).splitlines()
    assert said[-1].startswith("weights without open terms: 1 of 17 must-items shown; not Open Source AI because")
    found = statuses(assess(folder, None))
    assert [item for item, status in found.items() if status == "shown"] == ["14"]
    assert [found[item] for item in ("description", "licence claims", "completeness")] == ["not machine-decidable"] * 3


def test_a_card_claims_and_a_licence_text_shows(folder):
    with_card(folder, "mit", "It was trained on tales, with a learning rate of 1.")
    found = statuses(assess(folder, None))
    assert {found[item] for item in ("1", "9", "17", "18")} == {"claimed"}
    (folder / "LICENSE").write_text(MIT)
    report = assess(folder, None)
    assert {statuses(report)[item] for item in ("17", "18")} == {"shown"}
    assert statuses(report)["12"] == "missing", "there is no code that the licence could be for"
    assert report["verdict"].startswith("open weights: 3 of 17 ")
    assert {(each["where"], each["licence"]) for each in report["licences"]} == {
        ("LICENSE", "MIT"), ("README.md: license", "MIT"),
    }  # fmt: skip


def test_code_and_data_are_shown_by_their_files(folder):
    with_card(folder, "apache-2.0")
    (folder / "LICENSE").write_text(MIT)
    for path in ("train.py", "model.py", "preprocess.py", "data/tales.txt", "eval/run.py", "requirements.txt"):
        (folder / path).parent.mkdir(exist_ok=True)
        (folder / path).write_text("text")
    report = assess(folder, None)
    shown = {item for item, status in statuses(report).items() if status == "shown"}
    assert shown == {"5", "6", "7", "8", "9", "11", "12", "13", "14", "17", "18"}
    assert report["verdict"].startswith("open weights and code: 11 of 17 ")
    (folder / "model.py").write_text("")
    assert statuses(assess(folder, None))["8"] == "missing", "an empty file shows nothing"


@pytest.mark.parametrize("before", ["", "\n", "\n\n", "\r\n", "  \n", "\ufeff", "\ufeff\n\n", "\t\n \n"])
def test_front_matter_is_read_as_the_hub_reads_it(folder, before):
    text = before + "---\nlicense: apache-2.0\n---\n# A model\n"
    (folder / "README.md").write_text(text, encoding="utf-8", newline="")
    report = assess(folder, None)
    assert [each["licence"] for each in report["licences"]] == ["Apache-2.0"] and report["notes"] == []


@pytest.mark.parametrize(
    "head", ["license: [", "a: b: c", "- mit", "\tlicense: mit", "license: !!python/name:os.system x"]
)
def test_front_matter_that_is_no_yaml_is_told(folder, head):
    (folder / "README.md").write_text(f"---\n{head}\n---\n# A model\n")
    (note,) = assess(folder, None)["notes"]
    assert note.startswith("README.md: front matter: ")
    assert any(line.startswith("note ") for line in command(folder, status=1).splitlines())


def test_a_mof_yml_claims_what_it_lists(folder, tmp_path):
    (tmp_path / "mof.yml").write_text(MOF)
    said = command(folder, "--mof", tmp_path / "mof.yml", "--json", status=1)
    report = json.loads(said)
    assert {item for item, status in statuses(report).items() if status == "claimed"} == {"1", "6", "8", "9", "18"}
    assert {each["licence"] for each in report["licences"]} == {"MIT", "CC-BY-4.0"}
    for wrong in ("- a list", "release: {components: 3}", "a: [", "a: " + "[" * 3000):
        (tmp_path / "mof.yml").write_text(wrong)
        assert command(folder, "--mof", tmp_path / "mof.yml", status=2).startswith("error: mof.yml")


@pytest.mark.parametrize(
    "licence, held",
    [("cc-by-nc-4.0", "-NC-"), ("openrail", "rail"), ("llama3.1", "llama"), ("[mit, cc-by-nd-4.0]", "-ND-")],
)
def test_restrictions_of_use_are_named(folder, licence, held):
    with_card(folder, licence)
    report = assess(folder, None)
    assert [each["restriction"] for each in report["licences"]] == [held]
    assert statuses(report)["18"] == statuses(report)["17"] == "missing"
    assert report["verdict"].startswith("weights without open terms")


def test_a_text_that_reserves_uses_counts_whatever_the_card_says(folder):
    with_card(folder, "apache-2.0")
    (folder / "LICENSE.txt").write_text("You agree to the use-based restrictions in attachment A.")
    assert statuses(assess(folder, None))["18"] == "missing"


def test_pickles_are_named_and_not_opened(folder):
    (folder / "model.safetensors").unlink()
    (folder / "pytorch_model.bin").write_bytes(b"cos\nsystem\n(S'touch /nonexistent'\ntR.")
    assert statuses(assess(folder, None))["14"] == "shown"


@pytest.mark.parametrize(
    "data",
    [b"", b"\xff" * 8, (2**40).to_bytes(8, "little") + b"{}", (2).to_bytes(8, "little") + b"[]",
     (60_000).to_bytes(8, "little") + b"[" * 60_000],
)  # fmt: skip
def test_a_safetensors_header_that_lies_shows_nothing(folder, data):
    (folder / "model.safetensors").write_bytes(data)
    assert tensors_problem(folder / "model.safetensors", len(data))
    assert statuses(assess(folder, None))["14"] == "missing"


def test_links_special_files_and_names_cannot_lead_anywhere(folder, tmp_path):
    (tmp_path / "secret").write_text(MIT)
    (folder / "LICENSE").symlink_to(tmp_path / "secret")
    (folder / "round").symlink_to(folder)
    os.mkfifo(folder / "train.py")
    (folder / "eval").mkdir()
    (folder / "eval/\x1b[2J.py").write_text("text")
    report = assess(folder, None)
    assert statuses(report)["9"] == "missing" and report["licences"] == []
    assert "\x1b" not in command(folder, status=1)


def test_what_is_too_much_is_refused(folder, monkeypatch):
    monkeypatch.setattr("train.release.assess.MOST_FILES", 3)
    for number in range(3):
        (folder / str(number)).write_text("")
    with pytest.raises(UserError, match="more than 3 files"):
        assess(folder, None)
    with pytest.raises(UserError, match="<<"):
        read_yaml("a: &a {x: 1}\nb: {<<: [*a, *a]}", "card")
    assert "not a folder" in command(folder / "config.json", status=2)


def test_our_own_release_lacks_nothing_that_a_machine_decides(release):
    assert command(release, status=0).splitlines()[-1].startswith("open data, code and weights: ")
