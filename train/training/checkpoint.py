"""Checkpoints: everything that training needs to go on, in safetensors and JSON, whole or not there.

The complete state of a run is: the weights, the optimizer's moments, and the number of the next step. The data order
is a pure function of seed and step, the schedule of the step, and no random number is drawn after the weights are
initialised, so there is no generator state to keep. `state.json` also holds the digests of the tensors' files and of
the config and data they belong to.
"""

import os
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from train.artifact import file_digest, read_json, sync_directory, write_bytes, write_json
from train.config import UserError

WEIGHTS, OPTIMIZER, STATE = "model.safetensors", "optimizer.safetensors", "state.json"


@dataclass(frozen=True)
class Checkpoint:
    step: int  # steps taken
    weights: dict[str, Tensor]
    optimizer: dict[str, Tensor]


def write_tensors(path: Path, tensors: dict[str, Tensor]) -> None:
    """Write tensors as safetensors, whole or not at all; the same tensors give the same bytes."""
    from safetensors.torch import save

    contiguous = {name: tensors[name].contiguous() for name in sorted(tensors)}
    write_bytes(path, save(contiguous, metadata={"format": "pt"}))


def read_tensors(path: Path) -> dict[str, Tensor]:
    """Read a safetensors file; UserError names it when it is missing or malformed."""
    from safetensors import SafetensorError
    from safetensors.torch import load

    try:
        return load(path.read_bytes())
    except (OSError, SafetensorError, ValueError, KeyError) as error:
        raise UserError(f"{path}: cannot be read as safetensors ({error})") from None


def save(directory: Path, checkpoint: Checkpoint, belongs_to: dict[str, str]) -> None:
    """Write `checkpoint` to `directory`: built aside, every file fsynced, then renamed."""
    aside = directory.with_name(f".{directory.name}.{os.getpid()}.tmp")
    shutil.rmtree(aside, ignore_errors=True)
    write_tensors(aside / WEIGHTS, checkpoint.weights)
    write_tensors(aside / OPTIMIZER, checkpoint.optimizer)
    files = {name: file_digest(aside / name) for name in (WEIGHTS, OPTIMIZER)}
    write_json(aside / STATE, {"step": checkpoint.step, "belongs_to": belongs_to, "files": files})
    if directory.exists():
        shutil.rmtree(directory)
    aside.rename(directory)
    sync_directory(directory.parent)


def load(directory: Path, belongs_to: dict[str, str] | None = None) -> Checkpoint:
    """Read the checkpoint in `directory`, checking its digests.

    Raises UserError when a file is missing, torn or changed, or when the checkpoint belongs to another config or
    other data than `belongs_to`.
    """
    state: dict[str, Any] = read_json(directory / STATE)
    try:
        step, owner, files = int(state["step"]), dict(state["belongs_to"]), dict(state["files"])
    except (KeyError, TypeError, ValueError):
        raise UserError(f"{directory / STATE}: not the state of a checkpoint") from None
    for name in (WEIGHTS, OPTIMIZER):
        if not (directory / name).is_file() or file_digest(directory / name) != files.get(name):
            raise UserError(f"{directory / name}: missing, or changed since it was saved")
    for name, expected in (belongs_to or {}).items():
        if owner.get(name) != expected:
            raise UserError(f"{directory}: made with another {name} ({owner.get(name)}, now {expected})")
    return Checkpoint(step, read_tensors(directory / WEIGHTS), read_tensors(directory / OPTIMIZER))


def newest(directories: list[Path], belongs_to: dict[str, str]) -> tuple[Checkpoint | None, list[str]]:
    """The whole checkpoint with the most steps among `directories`, and a line for each one passed over."""
    skipped: list[str] = []
    for directory in sorted(directories, key=lambda d: d.name, reverse=True):
        try:
            return load(directory, belongs_to), skipped
        except UserError as error:
            skipped.append(str(error))
    return None, skipped


def restore(state: dict[str, Tensor], saved: dict[str, Tensor]) -> None:
    """Copy the optimizer's saved moments into `state`; ValueError when names or shapes differ."""
    if state.keys() != saved.keys():
        raise ValueError(f"the optimizer's state differs in {sorted(state.keys() ^ saved.keys())[:3]}")
    for name, tensor in state.items():
        if tensor.shape != saved[name].shape:
            raise ValueError(f"{name}: shape {tuple(saved[name].shape)}, expected {tuple(tensor.shape)}")
        with torch.no_grad():
            tensor.copy_(saved[name])
