"""Where two trainings that should be the same first differ: tensors, logs, environments."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from train.artifact import parse_json

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
    return {name: [a.get(name), b.get(name)] for name in sorted(a.keys() | b.keys()) if a.get(name) != b.get(name)}
