"""Where two that should be the same first differ: tensors, logs and environments of a training, and files."""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import zip_longest
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from train.artifact import Product, file_digest, inventory, parse_json, read_manifest
from train.data.schema import read_rows
from train.differences import first_difference, keys_apart, sides
from train.layout import placed
from train.training.checkpoint import read_tensors

SAME = "the same values, spelt otherwise"
# What of a record of an environment is no reason for other bits.
OF_ONE_RUN = ("began", "seconds", "earlier", "uncommitted_changes")


def tensors_apart(recorded: Mapping[str, Tensor], reached: Mapping[str, Tensor]) -> str | None:
    """The first tensor and element of two sets that differ in a bit, and by how much they all do; None if none does."""
    if recorded.keys() != reached.keys():
        return f"other tensors: {', '.join(sorted(recorded.keys() ^ reached.keys())[:3])}"
    for name in sorted(recorded):
        kinds = [f"{tensor.dtype} {tuple(tensor.shape)}" for tensor in (recorded[name], reached[name])]
        if kinds[0] != kinds[1]:
            return f"{name}: {kinds[0]} is recorded, {kinds[1]} was made"
    masks = {name: mask for name in sorted(recorded) if (mask := bits_apart(recorded[name], reached[name])).any()}
    if not masks:
        return None
    first = next(iter(masks))
    element = tuple(masks[first].nonzero()[0].tolist())
    far = torch.cat([(recorded[name].double() - reached[name].double())[mask].abs() for name, mask in masks.items()])
    values = [tensors[first][element].item() for tensors in (recorded, reached)]
    return (
        f"{first}{list(element)}: {values[0]!r} is recorded, {values[1]!r} was made; {len(far)} elements of "
        f"{len(masks)} tensors differ, by {far.max().item():.1e} at most, typically by {far.median().item():.1e}"
    )


def bits_apart(a: Tensor, b: Tensor) -> Tensor:
    """Where two tensors of one shape and type do not hold the same bits: NaN equals itself, and -0 is not 0."""
    raw = [tensor.contiguous().reshape(-1, 1).view(torch.uint8) for tensor in (a, b)]
    return (raw[0] != raw[1]).any(1).reshape(a.shape)


@dataclass(frozen=True)
class Step:
    """What a record of a step tells of its result and of what it read."""

    loss: float
    batch: str  # its digest


Records = Mapping[int, Step]  # by its number


def read_records(path: Path, start: int, end: int) -> dict[int, Step]:
    """What a log of training tells of the steps after `start` up to `end`; lines that cannot be read are left out."""
    records: dict[int, Step] = {}
    for line in path.read_text(errors="replace").splitlines():
        try:
            record = parse_json(line)
            number, step = int(record["step"]), Step(float(record["loss"]), str(record["batch"]))
        except (ValueError, KeyError, TypeError, RecursionError):
            continue
        if start < number <= end:
            records[number] = step
    return records


def losses_apart(recorded: Records, reached: Records, tolerance: float) -> str | None:
    """The first step without a record, or with a loss further from the replayed one than the tolerance, relative."""
    for step, record in reached.items():
        if step not in recorded:
            return f"no record of step {step}"
        if not math.isclose(record.loss, recorded[step].loss, rel_tol=tolerance):
            return f"step {step}: loss {recorded[step].loss} is recorded, {record.loss} was reached"
    return None


def cause(recorded: Records, reached: Records, tolerance: float, same_tokens: bool) -> str:
    """Where the two trainings parted, as far as the records tell."""
    if not same_tokens:
        return "the data: the documents, encoded anew, do not give the tokens that are recorded"
    for step, record in reached.items():
        if recorded.get(step, record).batch != record.batch:
            return f"the batch: step {step} read other tokens than are recorded, so seed or order differ"
        if step in recorded and not math.isclose(record.loss, recorded[step].loss, rel_tol=tolerance):
            first = step == min(reached)
            where = f"in the loss of step {step}" if first else f"in an update before step {step}"
            return f"the arithmetic: the same batches were read, and the first difference is {where}"
    return "not the batches and not the losses, which agree: the checkpoint is not the one that this training left"


def environments_apart(recorded: Mapping[str, Any], here: Mapping[str, Any]) -> dict[str, list[Any]]:
    """What of two records of an environment differs: name -> [recorded, here]."""
    a, b = ({name: value for name, value in each.items() if name not in OF_ONE_RUN} for each in (recorded, here))
    for each in (a, b):
        packages = each.pop("packages", {})
        each |= {f"package {n}": v for n, v in packages.items()} if isinstance(packages, Mapping) else {}
    return {name: [a.get(name), b.get(name)] for name in keys_apart(a, b)}


def mismatch(where: str, recorded: Any, computed: Any, path: str = "") -> Iterator[str]:
    """A line on where the first difference of two values is, below `path`; none where there is none."""
    if line := first_difference(recorded, computed, path):
        yield f"{where}: {line}"


# Files --------------------------------------------------------------------------------------------------------------


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
