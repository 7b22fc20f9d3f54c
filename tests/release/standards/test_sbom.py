"""The bill of materials is accepted by CycloneDX's own strict validator; the chain tells every exchanged checkpoint."""

import importlib.metadata
import json

import pytest
from conftest import edit

from train import pipeline
from train.artifact import digest, read_json
from train.release.chain import chain
from train.release.standards.sbom import bill, installed


def errors(value: dict) -> object:
    from cyclonedx.schema import SchemaVersion
    from cyclonedx.validation.json import JsonStrictValidator

    return JsonStrictValidator(SchemaVersion.V1_7).validate_str(json.dumps(value))


def test_the_strict_validator_accepts_both_bills_and_can_refuse(release):
    told = read_json(release / "provenance/bom.json")
    assert told == bill(release) and errors(told) is None and errors(read_json(release / "logs/packages.json")) is None
    assert errors({**told, "bomFormat": "another"}) and errors({**told, "unknown": 1})


def test_it_names_model_data_and_the_packages_of_the_lock(release):
    told = bill(release)
    assert told["metadata"]["component"]["type"] == "machine-learning-model"
    assert told["metadata"]["component"]["licenses"] == [{"license": {"id": "Apache-2.0"}}]
    components = {each["purl"]: each for each in told["components"]}
    assert {s["purl"] for s in read_json(release / "data/sources.json")} <= components.keys()
    lock = (release / "code/requirements.lock").read_text()
    assert f"torch=={components['pkg:pypi/torch@2.13.0']['version']}" in lock
    assert "serialNumber" not in told and told["metadata"]["timestamp"] == "2026-11-23T00:00:00Z"
    assert told["dependencies"] == [{"ref": "model", "dependsOn": [each["bom-ref"] for each in told["components"]]}]
    score = read_json(release / "evaluation/scores.json")["bits_per_byte"]
    metrics = told["metadata"]["component"]["modelCard"]["quantitativeAnalysis"]["performanceMetrics"]
    found = metrics[0]["value"], metrics[0]["confidenceInterval"]["upperBound"]
    assert found == (str(score["value"]), str(score["high"]))


def test_packages_as_installed_have_licences_and_digests():
    found = {each["name"].lower(): each for each in installed()["components"]}
    assert found["numpy"]["licenses"] and len(found["numpy"]["hashes"][0]["content"]) == 64
    assert installed() == installed()


def test_the_chain_starts_from_the_commitment_and_has_a_link_a_checkpoint(release):
    told = read_json(release / "provenance/chain.json")
    assert told["digest"] == digest(told["commitment"]) and told["commitment"]["seed"] == 0
    assert [link["step"] for link in told["links"]] == [2, 4]
    files = read_json(release / "checkpoints/step-000002/state.json")["files"]
    assert told["links"][0]["digest"] == digest({"previous": told["digest"], "step": 2, "files": files})


@pytest.mark.parametrize("step", [2, 4])
def test_another_checkpoint_gives_another_end(copy, step):
    before = chain(copy)
    edit(copy / f"checkpoints/step-{step:06d}/state.json", "files", "model.safetensors", to="0" * 64)
    assert chain(copy)["links"][-1] != before["links"][-1] and chain(copy)["digest"] == before["digest"]


def test_a_distribution_without_a_name_is_left_out_of_every_record(monkeypatch, tmp_path):
    left = tmp_path / "half_removed-1.0.dist-info"
    left.mkdir()
    (left / "RECORD").write_text("")
    monkeypatch.syspath_prepend(tmp_path)
    assert any(found.metadata is None or not found.metadata["Name"] for found in importlib.metadata.distributions())
    packages = pipeline.environment()["packages"]
    assert "numpy" in packages and all(packages) and all(each["name"] for each in installed()["components"])
