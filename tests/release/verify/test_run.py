"""What verify finds, how it says so, and the command itself."""

import base64
import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import ROOT, edit, refusal

from train.artifact import read_json, write_json
from train.release.bundle import write_manifest
from train.release.verify.run import verify


@pytest.mark.parametrize("tensor", ["model.norm.weight", "lm_head.extra"])
def test_weights_that_are_not_finite_or_not_of_the_model_fail(copy, tensor):
    import torch

    from train.training.checkpoint import read_tensors, write_tensors

    found = read_tensors(copy / "model.safetensors")
    write_tensors(copy / "model.safetensors", {**found, tensor: torch.full((64,), float("nan"))})
    (result,) = verify(copy, "full", {"weights"})
    assert not result.ok and tensor in result.detail


def test_what_was_made_must_be_what_was_committed_to(copy):
    path = copy / "logs/weights/commitment.json"
    edit(path, "bound", "config", "training", "seed", by=lambda value: value + 1)
    write_manifest(copy)
    (result,) = verify(copy, "full", {"chain"})
    committed = "provenance/weights.json: is not what was committed to in logs/weights/commitment.json"
    assert result.detail == f"{committed}: config.training.seed: 0 is recorded, 1 was made"


# A release that means harm ------------------------------------------------------------------------------------------


def fails(path: Path, level="quick") -> str:
    (result,) = verify(path, level, {"integrity"})
    assert not result.ok
    return result.detail


def test_a_product_cannot_hide_among_the_witnesses(copy):
    manifest = read_json(copy / "MANIFEST.json")
    manifest["witnesses"]["README.md"] = manifest["products"].pop("README.md")
    write_json(copy / "MANIFEST.json", manifest)
    assert "README.md: a product among the witnesses" in fails(copy) and "identity" in fails(copy)


def test_no_check_crashes_on_nonsense_and_nothing_is_written(copy):
    for path in copy.rglob("*"):
        if path.is_file() and path.name != "MANIFEST.json" and "code/train" not in path.as_posix():
            path.write_bytes(b"[[[\xff\x00\x1b[31m")
    before = sorted(path.as_posix() for path in copy.rglob("*"))
    results = verify(copy, "full")
    assert not next(result for result in results if result.name == "integrity").ok
    assert all(result.detail.isprintable() for result in results)
    assert sorted(path.as_posix() for path in copy.rglob("*")) == before


def test_a_product_name_that_leads_outside_is_not_followed(copy, tmp_path):
    for name in ("../../outside", "/tmp/outside"):
        edit(copy / "provenance/selected.json", "products", name, to={"sha256": "0" * 64, "bytes": 0})
    assert [result.ok for result in verify(copy, "full", {"tokens", "chain"})] == [True, False]
    assert not (tmp_path / "outside").exists()


def test_no_check_of_documents_holds_where_there_are_none(copy):
    shutil.rmtree(copy / "data/documents")
    results = verify(copy, "full", {"split", "use_restrictions", "secrets"})
    assert [result.detail for result in results] == ["data/documents: holds no table"] * 3


def test_what_is_no_release_is_an_error(tmp_path, copy):
    refusal(verify, tmp_path, "quick", match=r"not a release")
    (copy / "MANIFEST.json").write_text("{")
    refusal(verify, copy, "quick", match=r"MANIFEST.json: cannot be read")


def test_a_check_that_does_not_exist_is_an_error(release):
    refusal(verify, release, "full", {"tokenzier"}, match="is no check of this level; did you mean 'tokenizer'")
    refusal(verify, release, "quick", {"tokenizer"}, match=r"'tokenizer' is no check of this level")


# The command --------------------------------------------------------------------------------------------------------


def command(*arguments: object, python=(sys.executable,)) -> subprocess.CompletedProcess:
    line = [*python, str(ROOT / "scripts" / "verify.py"), *map(str, arguments)]
    return subprocess.run(line, capture_output=True, text=True, timeout=300)


def test_quick_needs_the_standard_library_alone(release):
    done = command(release, "--quick", python=(sys.executable, "-I", "-S"))
    assert (done.returncode, done.stderr) == (0, "") and "2 of 2 checks hold" in done.stdout


BESIDE = {
    "nothing that is a statement": b"{}", "no JSON": b"\x00", "another release": None, "a word": b'"text"',
    "deep": b"[" * 5000, "large": b" " * (2**24 + 1),
}  # fmt: skip


@pytest.mark.parametrize("name", BESIDE)
def test_quick_needs_the_standard_library_alone_whatever_lies_beside(copy, name):
    statement = {"_type": "https://in-toto.io/Statement/v1", "predicateType": "https://slsa.dev/provenance/v1",
                 "subject": [{"digest": {"sha256": "0" * 64}}], "predicate": {}}  # fmt: skip
    body = base64.b64encode(json.dumps(statement).encode()).decode()
    signed = {"payloadType": "application/vnd.in-toto+json", "payload": body, "signatures": [{"keyid": "k", "sig": ""}]}
    content = BESIDE[name] if BESIDE[name] is not None else json.dumps(signed).encode()
    (copy.parent / f"{copy.name}.replay.12345678.json").write_bytes(content)
    (copy.parent / "x.reproduce.12345678.json").write_bytes(content)  # of another
    done = command(copy, "--quick", python=(sys.executable, "-I", "-S"))
    assert (done.returncode, done.stderr) == (0, "")
    assert "3 of 3 checks hold" in done.stdout and "beside it, copy.replay.12345678.json: " in done.stdout
    done = command(copy, "--quick", "--only", "integrity", python=(sys.executable, "-I", "-S"))
    assert (done.returncode, done.stderr) == (0, "") and "1 of 1 checks hold" in done.stdout
    assert "signatures" not in done.stdout


def test_exit_status_tells_the_outcome(copy, tmp_path):
    (copy / "NOTICE").unlink()
    done = command(copy, "--quick", "--json")
    assert done.returncode == 1
    found = {result["name"]: result["ok"] for result in json.loads(done.stdout)}
    assert found == {"integrity": False, "completeness": False}
    done = command(tmp_path / "nowhere", "--quick")
    assert done.returncode == 2 and done.stderr.startswith("error: ") and "Traceback" not in done.stderr
