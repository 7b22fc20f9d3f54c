"""Canonical files: each is what its writer makes of what is read in it, so that nothing else can stand in a file."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from train import initial
from train.artifact import as_json, file_digest, read_json
from train.data.schema import ITEM, LEDGER, RANGES, SELECTED, rows_of, write_rows
from train.errors import UserError
from train.release import bundle
from train.release.attest.dsse import PLACE
from train.release.differences import bytes_apart
from train.release.verify.run import of_the_machine
from train.release.view import Release
from train.training.checkpoint import read_tensors, write_tensors

# What another library or another key writes: learnt again, and opened with the key that signed it.
OTHERS = ("tokenizer.json", f"{initial.FOLDER}/{initial.TOKENIZER}", PLACE)
TABLES: Mapping[str, Any] = {  # folder -> schema of the Parquet files in it
    "data/documents/": SELECTED,
    "data/ledger/": LEDGER,
    "data/ranges/": RANGES,
    "evaluation/data/": ITEM,
}


def canonical(release: Release) -> list[str]:
    """Every file of JSON, Parquet and safetensors, written again from what is read in it, has the same bytes."""
    problems = []
    for path in release.paths:
        if not path.startswith(OTHERS) and (not path.startswith("code/") or path in bundle.RESOLVED):
            try:
                why = difference(release.path, path, release.scratch)
            except UserError as error:
                if of_the_machine(error):
                    raise
                why = str(error)
            problems += [f"{path}: {why}"] if why else []
    return problems


def difference(root: Path, path: str, scratch: Path) -> str:
    """Why a file of JSON, Parquet or tensors is not what its writer makes of what it holds; empty if it is."""
    again, file = scratch / "again", root / path
    if path.endswith(".json"):
        return _bytes(file, as_json(read_json(file)))
    if path.endswith(".jsonl"):
        ascii_only = path.startswith("logs/")
        lines = [json.dumps(record, ensure_ascii=ascii_only) for record in read_json(file)]
        return _bytes(file, "".join(f"{line}\n" for line in lines).encode())
    if path.endswith(".parquet"):
        schema = next((schema for folder, schema in TABLES.items() if path.startswith(folder)), None)
        if schema is None:
            return "a table where none is written"
        write_rows(again, rows_of(file, path, schema.names, schema), schema)
    elif path.endswith(".safetensors"):
        write_tensors(again, read_tensors(file))
    else:
        return ""
    return "" if file_digest(again) == file_digest(file) else "not what its writer makes of what it holds"


def _bytes(file: Path, again: bytes) -> str:
    here = file.read_bytes()
    return "" if again == here else f"not spelt as its writer spells what it holds: {bytes_apart('', here, again)}"
