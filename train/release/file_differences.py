"""Where files that were made again differ from recorded ones: which file, and in it the value, row, element or line."""

from collections.abc import Mapping
from itertools import zip_longest
from pathlib import Path
from typing import Any

from train.artifact import Product, file_digest, inventory, parse_json, read_manifest
from train.data.schema import read_rows
from train.differences import first_difference, sides
from train.layout import placed
from train.release.differences import tensors_apart
from train.training.checkpoint import read_tensors

SAME = "the same values, spelt otherwise"


def products_apart(release: Path, name: str, folder: Path) -> list[str]:
    """What of an artifact's files in `folder` is not as it stands in the release, or as the release records it."""
    recorded, rebuilt = read_manifest(release / "provenance" / f"{name}.json").products, inventory(folder)
    held = {path: release / place for path in rebuilt if path in recorded and (place := placed(name, path))}
    other = [path for path, file in held.items() if not file.is_file() or file_digest(file) != rebuilt[path].sha256]
    where = {path: file_apart(held[path], folder / path) if held[path].is_file() else "missing" for path in other}
    lines = [f"{placed(name, path)}: {difference}" for path, difference in where.items()]
    rest = ({path: entry for path, entry in each.items() if path not in where} for each in (recorded, rebuilt))
    return lines + files_apart(*rest)


def files_apart(recorded: Mapping[str, Product], rebuilt: Mapping[str, Product]) -> list[str]:
    """A line for each file that is recorded and was not made, was made and is not recorded, or has other bytes."""
    lines = []
    for path in sorted(recorded.keys() | rebuilt.keys()):
        if path not in rebuilt or path not in recorded:
            lines.append(f"{path}: {'recorded and not made' if path in recorded else 'made and not recorded'}")
        elif recorded[path] != rebuilt[path]:
            lines.append(f"{path}: {recorded[path].sha256[:12]} is recorded, {rebuilt[path].sha256[:12]} was made")
    return lines


def file_apart(recorded: Path, rebuilt: Path) -> str:
    """Where two files that have other bytes first differ, by the suffix of the second."""
    if rebuilt.suffix == ".safetensors":
        return tensors_apart(read_tensors(recorded), read_tensors(rebuilt)) or SAME
    if rebuilt.suffix == ".parquet":
        return rows_apart(recorded, rebuilt) or SAME
    return bytes_apart(rebuilt.name, recorded.read_bytes(), rebuilt.read_bytes())


def bytes_apart(name: str, recorded: bytes, rebuilt: bytes) -> str:
    """The first value of a JSON file in which two of one `name` differ, the first line of another."""
    try:
        if name.endswith(".json") and (line := first_difference(parse_json(recorded), parse_json(rebuilt))):
            return line
    except (ValueError, RecursionError):  # a stranger's, and no JSON
        pass
    lines = [data.decode(errors="backslashreplace").split("\n") for data in (recorded, rebuilt)]
    pairs = enumerate(zip_longest(*lines, fillvalue=""), 1)
    return next((f"line {n}: {sides(a, b)}" for n, (a, b) in pairs if a != b), SAME)


def rows_apart(recorded: Path, here: Path) -> str | None:
    """The first row that only one of two Parquet files holds, or the first row and column in which they differ."""
    for number, (a, b) in enumerate(zip_longest(read_rows([recorded]), read_rows([here]))):
        if a != b:
            recorded_names, names = ({_name(row) for row in read_rows([path])} for path in (recorded, here))
            if a and _name(a) not in names:
                return f"row {number}: {_name(a)} is recorded and was not made"
            if b and _name(b) not in recorded_names:
                return f"row {number}: {_name(b)} was made and is not recorded"
            return f"row {number}: {first_difference(a, b)}"
    return None


def _name(row: Mapping[str, Any]) -> str:
    """What tells a row of a table from the others: a document, with what was decided about it in a ledger."""
    decision = [str(row[key]) for key in ("action", "reason") if key in row]
    where = [f"({row['path']} of {row['source']})"] if "source" in row else []
    return " ".join([*decision, f"document {str(row.get('id'))[:64]}", *where])
