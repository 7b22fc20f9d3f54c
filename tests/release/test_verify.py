"""Each check has a release that fails it, by its name, while all the others' files are in order."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from train.artifact import read_json, write_json
from train.config import UserError
from train.data import tables
from train.data.pairs import pairs
from train.release import openness
from train.release.bundle import manifest_of
from train.release.checks import CHECKS
from train.release.verify import verify

ROOT = Path(__file__).resolve().parents[2]
NAMES = {"integrity", "completeness", *(check.__name__ for check in CHECKS)}


def edit(path: Path, *steps, by) -> None:
    """Change the value at `steps` of a JSON file."""
    whole = value = read_json(path)
    for step in steps[:-1]:
        value = value[step]
    value[steps[-1]] = by(value[steps[-1]])
    write_json(path, whole)


def replace(path: Path, old: str, new: str) -> None:
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


def append(path: Path, text: str) -> None:
    path.write_text(path.read_text() + text)


def licence(release: Path, path: str, name: str) -> None:
    """Put a file under another licence."""
    append(release / "REUSE.toml", f'\n[[annotations]]\npath = "{path}"\nSPDX-License-Identifier = "{name}"\n')


def rewrite(release: Path, change) -> None:
    """Write a part of the documents anew, each row as `change` returns it; None drops the row."""
    path = sorted((release / "data" / "documents").glob("*.parquet"))[0]
    rows = [change(number, row) for number, row in enumerate(tables.read_rows([path]))]
    tables.write_rows(path, [row for row in rows if row], tables.SELECTED)


def flip(number: int, row: dict) -> dict:
    return {**row, "split": "held_out" if row["split"] == "train" else "train"} if number == 0 else row


def give_away(number: int, row: dict) -> dict:
    """The document with the first sentence of our evaluation set in it."""
    return {**row, "text": f"{row['text']} {next(pairs(1, 1))[1]}"}


def flip_byte(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[-3] ^= 1
    path.write_bytes(data)


def forget_checkpoint(release: Path) -> None:
    folder = release / "checkpoints" / "step-000002"
    for file in folder.iterdir():
        file.unlink()
    folder.rmdir()


TAMPER = {
    "integrity": lambda r: append(r / "NOTICE", " "),
    "completeness": lambda r: (r / "NOTICE").unlink(),
    "provenance": lambda r: edit(r / "data/sources.json", 0, "files", by=lambda _: []),
    "statistics": lambda r: edit(r / "data/statistics.json", "tokens", by=lambda n: n + 1),
    "counts": lambda r: edit(r / "data/counts.json", "dropped", "too_short", "documents", by=lambda n: n + 1),
    "labelling": lambda r: replace(r / "data/README.md", "Labelling", "Something else"),
    "split": lambda r: rewrite(r, flip),
    "selection": lambda r: rewrite(r, give_away),
    "tokens": lambda r: rewrite(r, lambda number, row: row if number else {**row, "text": row["text"] + "!"}),
    "source_kinds": lambda r: rewrite(r, lambda number, row: row if number else None),
    "data_terms": lambda r: licence(r, "data/README.md", "CC-BY-4.0"),
    "components": lambda r: (r / "code/train/model.py").unlink(),
    "settings": lambda r: edit(r / "code/config.json", "training", "seed", by=lambda n: n + 1),
    "tokenizer": lambda r: append(r / "tokenizer.json", "\n"),
    "scores": lambda r: edit(r / "evaluation/scores.json", "bits_per_byte", "value", by=lambda v: v - 0.1),
    "overlap": lambda r: edit(r / "data/overlap.json", "held_out", "words", "shared", by=lambda n: n + 1),
    "code_terms": lambda r: licence(r, "code/**", "CC-BY-NC-4.0"),
    "environment": lambda r: replace(r / "code/requirements.lock", "torch==", "torch>="),
    "weights": lambda r: flip_byte(r / "model.safetensors"),
    "logits": lambda r: edit(r / "evaluation/logits.json", 1, "next", 0, "logit", by=lambda v: v + 0.01),
    "checkpoints": forget_checkpoint,
    "optimizer_state": lambda r: edit(r / "checkpoints/next_step.json", "files", "model.safetensors", by=lambda _: ""),
    "parameter_terms": lambda r: replace(r / "README.md", "freely available to all", "available to some"),
    "use_restrictions": lambda r: append(r / "LICENSE", "For research purposes only.\n"),
    "chain": lambda r: edit(r / "provenance/weights.json", "inputs", "tokens", "products", by=lambda _: "0" * 64),
    "licences": lambda r: (r / "LICENSES/Apache-2.0.txt").write_text("do as you like\n"),
    "cards": lambda r: replace(r / "README.md", "| parameters | ", "| parameters | 1"),
    "metadata": lambda r: edit(r / "data/croissant.json", "distribution", 0, "sha256", by=lambda _: "0" * 64),
    "osaid": lambda r: edit(r / "openness.json", "verdict", "must", "stated", by=lambda _: 0),
    "report": lambda r: replace(r / "report.html", "complete", "twice complete"),
    "placeholders": lambda r: append(r / "README.md", "Training data: [More Information Needed]\n"),
    "machine_paths": lambda r: edit(r / "provenance/raw.json", "config", by=lambda _: ["/home/somebody/corpus"]),
}


def test_every_check_has_a_release_that_fails_it():
    assert TAMPER.keys() == NAMES


def test_every_row_of_the_table_has_a_check():
    assert {row.check for row in openness.ROWS if row.kind != "statement"} <= NAMES
    assert all(row.check is None for row in openness.ROWS if row.kind == "statement")


def test_an_untouched_release_passes_every_check(copy):
    results = verify(copy, "full")
    assert [result for result in results if not result.ok] == []
    assert {result.name for result in results} == NAMES


@pytest.mark.parametrize("name", TAMPER)
def test_a_check_fails_by_name(copy, name):
    TAMPER[name](copy)
    if name != "integrity":
        write_json(copy / "MANIFEST.json", manifest_of(copy))
    results = {result.name: result for result in verify(copy, "full", {name, "integrity"})}
    assert not results[name].ok
    assert results[name].detail
    assert "could not be checked" not in results[name].detail
    assert results["integrity"].ok == (name != "integrity")


@pytest.mark.parametrize("tensor", ["model.norm.weight", "lm_head.extra"])
def test_weights_that_are_not_finite_or_not_of_the_model_fail(copy, tensor):
    import torch

    from train.training.checkpoint import read_tensors, write_tensors

    found = read_tensors(copy / "model.safetensors")
    write_tensors(copy / "model.safetensors", {**found, tensor: torch.full((64,), float("nan"))})
    (result,) = verify(copy, "full", {"weights"})
    assert not result.ok
    assert tensor in result.detail


# A release that means harm ------------------------------------------------------------------------------------------


def fails(path: Path, level="quick") -> str:
    (result,) = verify(path, level, {"integrity"})
    assert not result.ok
    return result.detail


def test_added_hidden_missing_and_changed_files_are_found(copy):
    (copy / ".gitattributes").write_text("x")
    assert ".gitattributes: not in MANIFEST.json" in fails(copy)
    (copy / ".gitattributes").unlink()
    (copy / "LICENSE").unlink()
    assert "LICENSE: missing" in fails(copy)


def test_a_product_cannot_hide_among_the_witnesses(copy):
    manifest = read_json(copy / "MANIFEST.json")
    manifest["witnesses"]["README.md"] = manifest["products"].pop("README.md")
    write_json(copy / "MANIFEST.json", manifest)
    assert "README.md: a product among the witnesses" in fails(copy)
    assert "identity" in fails(copy)


def test_links_and_pipes_are_refused_before_anything_is_read(copy):
    (copy / "README.md").unlink()
    (copy / "README.md").symlink_to("/etc/hostname")
    os.mkfifo(copy / "pipe")
    results = verify(copy, "full")
    assert not any(result.ok for result in results if result.name != "completeness")
    assert "README.md: neither a file nor a folder" in results[0].detail


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
    outside = {"../../outside": {"sha256": "0" * 64, "bytes": 0}, "/tmp/outside": {"sha256": "0" * 64, "bytes": 0}}
    edit(copy / "provenance/selected.json", "products", by=lambda products: {**products, **outside})
    assert [result.ok for result in verify(copy, "full", {"tokens", "chain"})] == [True, False]
    assert not (tmp_path / "outside").exists()


def test_what_is_no_release_is_an_error(tmp_path, copy):
    with pytest.raises(UserError, match=r"not a release"):
        verify(tmp_path, "quick")
    (copy / "MANIFEST.json").write_text("{")
    with pytest.raises(UserError, match=r"MANIFEST.json: cannot be read"):
        verify(copy, "quick")


def test_a_check_that_does_not_exist_is_an_error(release):
    with pytest.raises(UserError, match=r"'tokenzier' is no check of this level; did you mean 'tokenizer'"):
        verify(release, "full", {"tokenzier"})
    with pytest.raises(UserError, match=r"'tokenizer' is no check of this level"):
        verify(release, "quick", {"tokenizer"})


# The command --------------------------------------------------------------------------------------------------------


def command(*arguments: object, python=(sys.executable,)) -> subprocess.CompletedProcess:
    line = [*python, str(ROOT / "scripts" / "verify.py"), *map(str, arguments)]
    return subprocess.run(line, capture_output=True, text=True, timeout=300)


def test_quick_needs_the_standard_library_alone(release):
    done = command(release, "--quick", python=(sys.executable, "-I", "-S"))
    assert (done.returncode, done.stderr) == (0, "")
    assert "2 of 2 checks hold" in done.stdout


def test_exit_status_tells_the_outcome(copy, tmp_path):
    (copy / "NOTICE").unlink()
    done = command(copy, "--quick", "--json")
    assert done.returncode == 1
    found = {result["name"]: result["ok"] for result in json.loads(done.stdout)}
    assert found == {"integrity": False, "completeness": False}
    done = command(tmp_path / "nowhere", "--quick")
    assert done.returncode == 2
    assert done.stderr.startswith("error: ") and "Traceback" not in done.stderr
