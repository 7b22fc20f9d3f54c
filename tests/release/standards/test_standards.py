"""What others' standards ask of a release: OSAID, MOF, SBOM, Croissant and the hub's results."""

import hashlib
import importlib.metadata
import json

import pytest
import yaml
from conftest import edit

from train import pipeline
from train.artifact import as_json, digest, read_json, write_json
from train.data import schema
from train.release.bundle import chain
from train.release.cards import templates
from train.release.cards.model_card import SCORES, dataset, eval_results
from train.release.standards.croissant import croissant
from train.release.standards.mof import CLASSES, mof_class, mof_yml
from train.release.standards.osaid import files, openness_json, table, verdict
from train.release.standards.sbom import bill, installed
from train.release.verify.checks import CHECKS
from train.release.view import Release

# The verdict: nothing that is required may be absent, and what people state is never ticked by a machine -------------


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


# The class follows from what is here and under which licence; no path in mof.yml leads nowhere -----------------------


def test_a_whole_release_is_open_science_and_every_path_is_there(release):
    assert mof_class(release) == {"class": "I", "name": "Open Science", "missing_for_the_next": []}
    found = yaml.safe_load((release / "provenance/mof.yml").read_bytes())["release"]
    names = [name for each in CLASSES.values() for name, _, _ in each.components]
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


# The bill of materials is accepted by CycloneDX's own strict validator; the chain tells every exchanged checkpoint


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


# The data as other programs and regulators read it. mlcroissant passes wrong digests, so these are tested here -------


@pytest.fixture(scope="module")
def described(release):
    return read_json(release / "data/croissant.json")


def loaded(folder, table):
    """The rows of a record set as mlcroissant reads them, without the name of the table in each key."""
    mlcroissant = pytest.importorskip("mlcroissant")
    rows = mlcroissant.Dataset(folder / "croissant.json").records(table)
    plain = ({key.split("/")[1]: value for key, value in row.items()} for row in rows)
    return [{key: v.decode() if isinstance(v, bytes) else v for key, v in row.items()} for row in plain]


def test_mlcroissant_finds_nothing_to_say_against_it(release):
    mlcroissant = pytest.importorskip("mlcroissant")
    found = mlcroissant.Dataset(release / "data/croissant.json").metadata
    assert (found.ctx.issues.errors, found.ctx.issues.warnings) == (set(), set())
    assert (found.name, found.ctx.is_v1_1()) == ("stories", True)


def test_every_file_has_its_digest(release, described):
    files = {entry["@id"]: entry for entry in described["distribution"] if entry["@type"] == "cr:FileObject"}
    data = release / "data"
    there = {path.relative_to(data).as_posix() for path in data.rglob("*") if path.is_file()}
    assert files.keys() == there - {"croissant.json"}
    for path, entry in files.items():
        content = (data / path).read_bytes()
        assert entry["sha256"] == hashlib.sha256(content).hexdigest(), path
        assert (entry["contentUrl"], entry["contentSize"]) == (path, f"{len(content)} B")


def test_mlcroissant_loads_the_data_wherever_the_folder_lies_and_an_empty_ledger_as_empty(copy):
    for name in ("documents", "ledger", "ranges"):
        rows = schema.read_rows(sorted((copy / "data" / name).glob("*.parquet")))
        in_order = {"key": lambda row: row["id"]}
        assert sorted(loaded(copy / "data", name), **in_order) == sorted(rows, **in_order)
    for path in (copy / "data/ledger").iterdir():
        schema.write_rows(path, [], schema.LEDGER)
    (copy / "data/croissant.json").write_bytes(as_json(croissant(copy)))
    assert loaded(copy / "data", "ledger") == []


def test_it_names_its_sources_and_repeats_what_people_wrote(release, described):
    sources = read_json(release / "data/sources.json")
    assert [entry["@id"] for entry in described["prov:wasDerivedFrom"]] == [source["purl"] for source in sources]
    assert described["prov:wasDerivedFrom"][0]["sc:sha256"] == [file["sha256"] for file in sources[0]["files"]]
    assert described["license"] == ["https://spdx.org/licenses/Apache-2.0.html"]
    assert described["rai:dataAnnotationProtocol"] == "There are no labels."
    assert described["conformsTo"] == ["http://mlcommons.org/croissant/1.1", "http://mlcommons.org/croissant/RAI/1.0"]


# The scores as the hub reads them follow from the records, and are part of the release -------------------------------


def test_each_set_has_its_scores(copy):
    found = {each["dataset"]["task_id"]: each for each in yaml.safe_load((copy / SCORES).read_text())}
    pairs, questions = (read_json(copy / f"evaluation/{name}.json") for name in ("minimal_pairs", "multiple_choice"))
    assert {name: each["value"] for name, each in found.items()} == {
        **{name: record["average"]["value"] for name, record in pairs.items()},
        **{f"others_{measure}": questions["others"][measure]["value"] for measure in ("acc", "acc_norm")},
    }
    assert found["pairs"]["dataset"]["id"] == "pellucid-pairs" and found["pairs"]["date"].count("-") == 2
    assert pairs["pairs"]["sha256"] in found["pairs"]["notes"] and "chance 0.5" in found["others_acc"]["notes"]
    assert SCORES in read_json(copy / "MANIFEST.json")["products"]
    for name in ("minimal_pairs", "multiple_choice"):
        write_json(copy / f"evaluation/{name}.json", {})
    assert yaml.safe_load(eval_results(copy)) == []


def test_what_does_not_follow_fails(copy, tmp_path):
    metadata = next(check for check in CHECKS if check.__name__ == "metadata")
    assert list(metadata(Release(copy, tmp_path / "a"))) == []
    (copy / SCORES).write_text((copy / SCORES).read_text().replace("value: 0", "value: 1"))
    assert list(metadata(Release(copy, tmp_path / "b")))


@pytest.mark.parametrize(("purl", "found"), [
    ("pkg:huggingface/datasets/allenai/ai2_arc@abc", {"id": "allenai/ai2_arc", "revision": "abc"}),
    ("pkg:huggingface/datasets/piqa@abc", {"id": "piqa", "revision": "abc"}), ("pkg:generic/blimp@1", {"id": "blimp"}),
    ("pkg:generic/cais/hle@1", {"id": "hle"}), ("pkg:generic/cais%2Fhle@1", {"id": "hle"}),
])  # fmt: skip
def test_a_set_of_the_hub_is_called_as_there(purl, found):
    assert dataset(purl, "task") == {**found, "task_id": "task"}
