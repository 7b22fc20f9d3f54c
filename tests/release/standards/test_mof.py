"""The class follows from what is here and under which licence; no path in mof.yml leads nowhere."""

import pytest
import yaml
from conftest import edit

from train.release.standards.mof import CLASSES, mof_class, mof_yml
from train.release.standards.osaid import openness_json


def test_a_whole_release_is_open_science_and_every_path_is_there(release):
    assert mof_class(release) == {"class": "I", "name": "Open Science", "missing_for_the_next": []}
    found = yaml.safe_load((release / "provenance/mof.yml").read_bytes())["release"]
    names = [name for each in CLASSES.values() for name, _, _ in each["components"]]
    assert [part["name"] for part in found["components"]] == names and len(names) == 17
    for part in found["components"]:
        assert (release / part["component_path"]).exists() and (release / part["license_path"]).exists(), part


@pytest.mark.parametrize(("path", "reached"), [
    ("evaluation/scores.json", "none"), ("model.safetensors", "none"), ("code/train/inference/generate.py", "III"),
    ("evaluation/samples.json", "I"),
])  # fmt: skip
def test_a_component_that_is_not_there_lowers_the_class(copy, path, reached):
    (copy / path).unlink()
    assert mof_class(copy)["class"] == reached and f'component_path": "{path}"' not in mof_yml(copy).decode()
    assert set(CLASSES) == {"I", "II", "III"}


def test_data_under_a_closed_licence_is_no_open_science(copy):
    edit(copy / "data/statistics.json", "licences", to={"CC-BY-NC-4.0": {"documents": 1, "bytes": 1, "tokens": 1}})
    assert mof_class(copy) == {"class": "II", "name": "Open Tooling", "missing_for_the_next": ["Datasets"]}


def test_openness_says_what_was_run_and_who_stated_what(copy):
    found = openness_json(copy)
    ran, scripts = (
        ["training step 3 again, from the checkpoint before it"],
        ["scripts/replay.py", "scripts/reproduce.py"],
    )
    assert found["verdict"]["reproducibility"] == {"level": "exact", "ran": ran, "not_run": scripts}
    assert found["verdict"]["all_training_data_included_and_free"] is True
    stated = [row["stated"] for row in found["rows"] if row["kind"] == "statement"]
    assert all(entry["name"] and entry["date"] for entry in stated) and len(stated) == 3
    assert {row["class"] for row in found["rows"]} == {"must", "should", "beyond"}
    (copy / "checkpoints/next_step.json").unlink()
    assert openness_json(copy)["verdict"]["reproducibility"]["ran"] == []
