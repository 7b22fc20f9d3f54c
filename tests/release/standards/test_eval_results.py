"""The scores as the hub reads them follow from the records, and are part of the release."""

import pytest
import yaml

from train.artifact import read_json, write_json
from train.release.standards.eval_results import PLACE, dataset, eval_results
from train.release.verify.checks import CHECKS
from train.release.view import Release


def test_each_set_has_its_scores(copy):
    found = {each["dataset"]["task_id"]: each for each in yaml.safe_load((copy / PLACE).read_text())}
    pairs, questions = (read_json(copy / f"evaluation/{name}.json") for name in ("minimal_pairs", "multiple_choice"))
    assert {name: each["value"] for name, each in found.items()} == {
        **{name: record["average"]["value"] for name, record in pairs.items()},
        **{f"others_{measure}": questions["others"][measure]["value"] for measure in ("acc", "acc_norm")},
    }
    assert found["pairs"]["dataset"]["id"] == "pellucid-pairs" and found["pairs"]["date"].count("-") == 2
    assert pairs["pairs"]["sha256"] in found["pairs"]["notes"] and "chance 0.5" in found["others_acc"]["notes"]
    assert PLACE in read_json(copy / "MANIFEST.json")["products"]
    for name in ("minimal_pairs", "multiple_choice"):
        write_json(copy / f"evaluation/{name}.json", {})
    assert yaml.safe_load(eval_results(copy)) == []


def test_what_does_not_follow_fails(copy, tmp_path):
    metadata = next(check for check in CHECKS if check.__name__ == "metadata")
    assert metadata(Release(copy, tmp_path / "a")) == []
    (copy / PLACE).write_text((copy / PLACE).read_text().replace("value: 0", "value: 1"))
    assert metadata(Release(copy, tmp_path / "b"))


@pytest.mark.parametrize(("purl", "found"), [
    ("pkg:huggingface/datasets/allenai/ai2_arc@abc", {"id": "allenai/ai2_arc", "revision": "abc"}),
    ("pkg:huggingface/datasets/piqa@abc", {"id": "piqa", "revision": "abc"}), ("pkg:generic/blimp@1", {"id": "blimp"}),
])  # fmt: skip
def test_a_set_of_the_hub_is_called_as_there(purl, found):
    assert dataset(purl, "task") == {**found, "task_id": "task"}
