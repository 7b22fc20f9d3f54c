"""Where two trainings that should be the same first differ: tensors, logs, environments."""

import math
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from train.artifact import parse_json

# What of a record of an environment is no reason for other bits.
OF_ONE_RUN = ("began", "seconds", "earlier", "uncommitted_changes")
Records = Mapping[int, Mapping[str, Any]]  # step -> its loss, and the digest of its batch


def tensors_apart(told: Mapping[str, Tensor], found: Mapping[str, Tensor]) -> str | None:
    """The first tensor and element of two sets that differ in a bit, and by how much they all do; None if none does."""
    if told.keys() != found.keys():
        return f"other tensors: {', '.join(sorted(told.keys() ^ found.keys())[:3])}"
    for name in sorted(told):
        kinds = [f"{tensor.dtype} {tuple(tensor.shape)}" for tensor in (told[name], found[name])]
        if kinds[0] != kinds[1]:
            return f"{name}: {kinds[0]} is recorded, {kinds[1]} was made"
    apart = {name: mask for name in sorted(told) if (mask := bits_apart(told[name], found[name])).any()}
    if not apart:
        return None
    first = next(iter(apart))
    element = tuple(apart[first].nonzero()[0].tolist())
    far = torch.cat([(told[name].double() - found[name].double())[mask].abs() for name, mask in apart.items()])
    return (
        f"{first}{list(element)}: {told[first][element].item()!r} is recorded, {found[first][element].item()!r} was "
        f"made; {len(far)} elements of {len(apart)} tensors differ, by {far.max().item():.1e} at most, typically by "
        f"{far.median().item():.1e}"
    )


def bits_apart(a: Tensor, b: Tensor) -> Tensor:
    """Where two tensors of one shape and type do not hold the same bits: NaN equals itself, and -0 is not 0."""
    raw = [tensor.contiguous().reshape(-1, 1).view(torch.uint8) for tensor in (a, b)]
    return (raw[0] != raw[1]).any(1).reshape(a.shape)


def read_records(path: Path, start: int, end: int) -> dict[int, dict[str, Any]]:
    """What a log of training tells of the steps after `start` up to `end`; lines that cannot be read are left out."""
    found: dict[int, dict[str, Any]] = {}
    for line in path.read_text(errors="replace").splitlines():
        try:
            record = parse_json(line)
            step, told = int(record["step"]), {"loss": float(record["loss"]), "batch": str(record["batch"])}
        except (ValueError, KeyError, TypeError, RecursionError):
            continue
        if start < step <= end:
            found[step] = told
    return found


def losses_apart(told: Records, found: Records, tolerance: float) -> str | None:
    """The first step without a record, or with a loss further from the replayed one than the tolerance, relative."""
    for step, record in found.items():
        if step not in told:
            return f"no record of step {step}"
        if not math.isclose(record["loss"], told[step]["loss"], rel_tol=tolerance):
            return f"step {step}: loss {told[step]['loss']} is recorded, {record['loss']} was reached"
    return None


def cause(told: Records, found: Records, tolerance: float, same_tokens: bool) -> str:
    """Where the two trainings parted, as far as the records tell."""
    if not same_tokens:
        return "the data: the documents, encoded anew, do not give the tokens that are recorded"
    for step, record in found.items():
        if told.get(step, record)["batch"] != record["batch"]:
            return f"the batch: step {step} read other tokens than are recorded, so seed or order differ"
        if step in told and not math.isclose(record["loss"], told[step]["loss"], rel_tol=tolerance):
            first = step == min(found)
            where = f"in the loss of step {step}" if first else f"in an update before step {step}"
            return f"the arithmetic: the same batches were read, and the first difference is {where}"
    return "not the batches and not the losses, which agree: the checkpoint is not the one that this training left"


def environments_apart(told: Mapping[str, Any], found: Mapping[str, Any]) -> dict[str, list[Any]]:
    """What of two records of an environment differs: name -> [recorded, here]."""
    a, b = dict(_flat(told)), dict(_flat(found))
    return {name: [a.get(name), b.get(name)] for name in sorted(a.keys() | b.keys()) if a.get(name) != b.get(name)}


def _flat(environment: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    packages = environment.get("packages")
    yield from (item for item in environment.items() if item[0] not in (*OF_ONE_RUN, "packages"))
    yield from ((f"package {n}", v) for n, v in (packages if isinstance(packages, Mapping) else {}).items())
