"""Each check has a release that fails it: the table says which alteration. A check without one fails the suite."""

import re
import shutil
from pathlib import Path

import pytest
from conftest import edit, failure

from train.artifact import write_json
from train.compose import overrides_of
from train.data import schema
from train.data.generated.pairs import pairs
from train.release.bundle import checkout, write_manifest
from train.release.standards import osaid
from train.release.verify.checks import CHECKS, DEEP
from train.release.verify.result import against
from train.release.verify.run import verify

NAMES = {"integrity", "completeness", *(check.__name__ for check in CHECKS)}


def replace(path: Path, old: str, new: str) -> None:
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))


def append(path: Path, text: str) -> None:
    path.write_text(path.read_text() + text)


def licence(release: Path, path: str, name: str) -> None:
    """Put a file under another licence."""
    append(release / "REUSE.toml", f'\n[[annotations]]\npath = "{path}"\nSPDX-License-Identifier = "{name}"\n')


def rewrite(release: Path, change) -> None:
    """Write a part of the documents anew, each row as `change` returns it; None drops the row."""
    path = sorted((release / "data" / "documents").glob("*.parquet"))[0]
    rows = [change(number, row) for number, row in enumerate(schema.read_rows([path]))]
    schema.write_rows(path, [row for row in rows if row], schema.SELECTED)


def flip_byte(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[-3] ^= 1
    path.write_bytes(data)


def claim_commit(release: Path) -> None:
    """Say that the code is that of the last commit of this clone, unchanged, and change it."""
    commit = checkout()["commit"] or pytest.skip("not in a clone")
    write_json(release / "logs/release/commit.json", {"commit": commit, "uncommitted_changes": False})
    append(release / "code/Makefile", "# and more\n")


OTHER = {"train": "held_out", "held_out": "train"}
TOKEN = "ghp_" + "0a" * 18  # has the form of a secret and is none
TAMPER = {
    "integrity": lambda r: append(r / "NOTICE", " "), "completeness": lambda r: (r / "generation_config.json").unlink(),
    "provenance": lambda r: edit(r / "data/sources.json", 0, "files", to=[]),
    "sources": lambda r: edit(r / "data/sources.json", 0, "attribution", by=lambda text: f"{text} and others"),
    "generated": lambda r: edit(r / "evaluation/data/sets.json", 0, "items", by=lambda n: n + 1),
    "statistics": lambda r: edit(r / "data/statistics.json", "tokens", by=lambda n: n + 1),
    "counts": lambda r: edit(r / "data/counts.json", "dropped", "too_short", "documents", by=lambda n: n + 1),
    "labelling": lambda r: replace(r / "data/README.md", "Labelling", "Something else"),
    "split": lambda r: rewrite(r, lambda number, row: row if number else {**row, "split": OTHER[row["split"]]}),
    "selection": lambda r: rewrite(r, lambda _, row: {**row, "text": f"{row['text']} {next(pairs(1, 1))[1]}"}),
    "tokens": lambda r: rewrite(r, lambda number, row: row if number else {**row, "text": row["text"] + "!"}),
    "source_kinds": lambda r: rewrite(r, lambda number, row: row if number else None),
    "data_terms": lambda r: licence(r, "data/README.md", "CC-BY-4.0"),
    "components": lambda r: (r / "code/train/model.py").unlink(),
    "settings": lambda r: edit(r / "code/config.json", "training", "evaluate_every", by=lambda n: n + 1),
    "tokenizer": lambda r: append(r / "tokenizer.json", "\n"),
    "scores": lambda r: edit(r / "evaluation/scores.json", "bits_per_byte", "value", by=lambda v: v - 0.1),
    "overlap": lambda r: edit(r / "data/overlap.json", "held_out", "words", "shared", by=lambda n: n + 1),
    "code_terms": lambda r: licence(r, "code/**", "CC-BY-NC-4.0"),
    "environment": lambda r: replace(r / "code/requirements.lock", "torch==", "torch>="),
    "weights": lambda r: flip_byte(r / "model.safetensors"),
    "logits": lambda r: edit(r / "evaluation/logits.json", 1, "next", 0, "logit", by=lambda v: v + 0.01),
    "checkpoints": lambda r: shutil.rmtree(r / "checkpoints/step-000002"),
    "losses": lambda r: replace(r / "logs/weights/log.jsonl", '"held_out_loss": ', '"held_out_loss": 1'),
    "optimizer_state": lambda r: edit(r / "checkpoints/next_step.json", "files", "model.safetensors", to=""),
    "parameter_terms": lambda r: replace(r / "README.md", "freely available to all", "available to some"),
    "use_restrictions": lambda r: append(r / "LICENSE", "For research purposes only.\n"),
    "chain": lambda r: edit(r / "provenance/weights.json", "inputs", "tokens", "products", to="0" * 64),
    "licences": lambda r: (r / "LICENSES/Apache-2.0.txt").write_text("do as you like\n"),
    "cards": lambda r: replace(r / "README.md", "| parameters | ", "| parameters | 1"),
    "metadata": lambda r: edit(r / "data/croissant.json", "distribution", 0, "sha256", to="0" * 64),
    "osaid": lambda r: edit(r / "openness.json", "verdict", "must", "stated", to=0),
    "placeholders": lambda r: append(r / "README.md", "Training data: [More Information Needed]\n"),
    "machine_paths": lambda r: edit(r / "provenance/raw.json", "config", "at", to="/home/somebody/corpus"),
    "layout": lambda r: (r / "special_tokens_map.json").write_text("{}\n"),
    "canonical": lambda r: append(r / "logs/packages.json", "\n"),
    "order": lambda r: replace(r / "logs/weights/log.jsonl", '"batch": "', '"batch": "0'),
    "mof": lambda r: replace(r / "provenance/mof.yml", "Data card", "Card of data"), "snapshot": claim_commit,
    "collected": lambda r: append(r / "code/tests/test_model.py", "from train.nowhere import nothing\n"),
    "report": lambda r: replace(r / "report.html", "<body", "<body hidden"),
    "witnesses": lambda r: edit(r / "logs/raw/run.json", "seconds", to=-1.0),
    "recipe": lambda r: edit(r / "code/overrides.json", 0, to="recipe=reference"),
    "secrets": lambda r: append(r / "logs/weights/log.jsonl", TOKEN),
}  # fmt: skip
# What a check that fails says of a value: where it stands, as it is recorded, as it was derived.
SAYS = {
    "integrity": r"NOTICE: changed: \d+ bytes, \d+ are listed",
    "sources": r"data/sources.json: .*: attribution: .* and others is recorded, .* was made",
    "generated": r"evaluation/data/sets.json: \[0\].items: 121 is recorded, 120 was made",
    "statistics": r"data/statistics.json: tokens: (\d+) is recorded, (?!\1)\d+ was made",
    "counts": r"data/counts.json: dropped.too_short.documents: \d+ is recorded, \d+ was made",
    "tokens": r"data/ranges/train.parquet: row \d+: .*; data/tokens.json: train.bytes: \d+ is recorded, \d+ was made",
    "source_kinds": r"\d+ is recorded, \d+ was made",
    "settings": r"training.evaluate_every: 4 is recorded, 5 was made",
    "tokenizer": r"tokenizer.json: the same values, spelt otherwise",
    "scores": r"evaluation/scores.json: bits_per_byte.value: [\d.]+ is recorded, [\d.]+ was made",
    "overlap": r"data/overlap.json: held_out.words.shared: \d+ is recorded, \d+ was made",
    "weights": r"model.safetensors: .*: [\w.]+\[\d+.*\]: [-e\d.]+ is recorded, [-e\d.]+ was made; 1 elements",
    "logits": r"evaluation/logits.json: \[1\].next\[0\].logit: [-\d.]+ is recorded, [-\d.]+ was made",
    "losses": r"step 4: held_out_loss: [\d.]+ is recorded, [\d.]+ was made",
    "optimizer_state": r"checkpoints/next_step.json: files.model.safetensors: '' is recorded, [0-9a-f]{64} was made",
    "chain": r"inputs.tokens.products: 0{64} is recorded, [0-9a-f]{64} was made",
    "licences": r"LICENSES/Apache-2.0.txt: line 1: do as you like is recorded, ",
    "cards": r"README.md: line \d+: \| parameters \| 1\d+,\d+ \| is recorded, \| parameters \| \d+,\d+ \| was made",
    "metadata": r"data/croissant.json: distribution\[0\].sha256: 0{64} is recorded, [0-9a-f]{64} was made",
    "osaid": r"openness.json: verdict.must.stated: 0 is recorded, 3 was made",
    "order": r"logs/weights/log.jsonl: step 1: batch: 0[0-9a-f]{64} is recorded, [0-9a-f]{64} was made",
    "mof": r"provenance/mof.yml: line \d+: .*Card of data.* is recorded, .*Data card.* was made",
    "report": r"report.html: line \d+: <body hidden> is recorded, <body> was made",
    "recipe": r"code/overrides.json: \[0\]: recipe=reference is recorded, recipe=tiny was made",
}


def no_licence(release: Path) -> None:
    """Reserve all uses in every copy of the licence."""
    for path in ("LICENSE", "LICENSES/Apache-2.0.txt", "code/LICENSE"):
        replace(release / path, "2. Grant of Copyright License. Subject to", "2. No use without consent, nor")


# What no file tells of another, since all that could are altered alike: check, alteration, what is told.
ALIKE = [
    ("parameter_terms", no_licence, "LICENSE: not the text of Apache-2.0"),
    ("layout", lambda r: write_json(r / "logs/statements/audited.json", {}), "statements/audited.json: no release"),
    ("sources", lambda r: edit(r / "provenance/benchmarks.json", "products", "generic-others-1/LICENSE", "bytes", to=9),
     "provenance/benchmarks.json: products: generic-others-1/LICENSE.bytes: 9 is recorded, 8 was made"),
    ("witnesses", lambda r: edit(r / "logs/release/asked.json", "overrides", 0, to={"audited": 1}), "overrides[0]: "),
]  # fmt: skip


@pytest.mark.parametrize(("name", "alter", "told"), ALIKE)
def test_what_is_altered_everywhere_alike_is_told(copy, name, alter, told):
    alter(copy)
    write_manifest(copy)
    assert told in failure(copy, name)


def test_every_check_has_a_release_that_fails_it():
    assert TAMPER.keys() == NAMES
    assert {check.__name__ for check in DEEP} == {"installs"}  # tested in test_hostile.py: it needs no whole release


def test_every_row_of_the_table_has_a_check():
    decided = {row.check for row in osaid.ROWS if row.kind not in ("statement", "command")}
    assert decided <= NAMES and all(row.check is None for row in osaid.ROWS if row.kind in ("statement", "command"))


def test_an_untouched_release_passes_every_check(copy):
    results = verify(copy, "full", overrides_of=overrides_of)
    assert against(results) == [] and {result.name for result in results} == NAMES


def altered(release: Path, name: str) -> None:
    """Make the alteration, and every digest of the manifest anew, as somebody would who means to deceive."""
    TAMPER[name](release)
    if name != "integrity":
        write_manifest(release)


@pytest.mark.parametrize("name", TAMPER)
def test_a_check_fails_by_name(copy, name):
    altered(copy, name)
    results = {result.name: result for result in verify(copy, "full", {name, "integrity"}, overrides_of=overrides_of)}
    assert not results[name].ok and results[name].detail and "could not be checked" not in results[name].detail
    assert re.search(SAYS.get(name, ""), results[name].detail), results[name].detail
    assert results["integrity"].ok == (name != "integrity")
