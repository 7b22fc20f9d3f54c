"""Checkpoints: everything that training needs to go on, in safetensors and JSON, whole or not there.

The complete state of a run is: the weights, the optimizer's moments (`first` and `second` of AdamW, `momentum` of
Muon), and the number of steps taken. The data order is a pure function of seed and step, the schedule of the step, and
no random number is drawn after the weights are initialised, so there is no generator state to keep. `state.json` also
holds the digests of the tensors' files, and what they belong to: the config, and the digest of the data.

Where ranks hold a share each of the state, each writes its own; the first joins them to the same two files on the disk.

A checkpoint is worth nothing as a proof without the log of the steps before it, so a run goes on only from one whose
log is there.
"""

import json
import shutil
import warnings
from concurrent.futures import Future
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from train.artifact import file_digest, sync_directory, write_bytes, write_json
from train.config import read
from train.differences import differences
from train.errors import UserError

WEIGHTS, OPTIMIZER, STATE = "model.safetensors", "optimizer.safetensors", "state.json"
LOG = "witness/log.jsonl"  # of a run, one record a step


class ForeignError(UserError):
    """A checkpoint is whole, but of another training."""


@dataclass(frozen=True)
class State:
    """What stands in `state.json` beside the tensors of a checkpoint."""

    step: int
    belongs_to: dict[str, Any]
    files: dict[str, str]  # name -> SHA-256


@dataclass(frozen=True)
class Checkpoint:
    step: int  # steps taken
    weights: dict[str, Tensor]
    optimizer: dict[str, Tensor]

    def copy(self) -> "Checkpoint":
        """What training that goes on cannot change any more, in the processor's memory."""
        weights, optimizer = ({n: t.to("cpu", copy=True) for n, t in x.items()} for x in (self.weights, self.optimizer))
        return Checkpoint(self.step, weights, optimizer)


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


def save(directory: Path, checkpoint: Checkpoint, belongs_to: dict[str, Any]) -> None:
    """Write `checkpoint` to `directory`: built aside, every file fsynced, then renamed.

    Aside is one place for all of a folder's checkpoints: what a killed process leaves there, the next save clears.
    """
    aside = directory.with_name(".saving.tmp")
    shutil.rmtree(aside, ignore_errors=True)
    try:
        write_tensors(aside / WEIGHTS, checkpoint.weights)
        write_tensors(aside / OPTIMIZER, checkpoint.optimizer)
        files = {name: file_digest(aside / name) for name in (WEIGHTS, OPTIMIZER)}
        write_json(aside / STATE, vars(State(checkpoint.step, belongs_to, files)))
    except BaseException:
        shutil.rmtree(aside, ignore_errors=True)  # on a full disk it would be in the way of everything
        raise
    if directory.exists():
        shutil.rmtree(directory)
    aside.rename(directory)
    sync_directory(directory.parent)


def write_shares(directory: Path, checkpoint: Checkpoint) -> Path:
    """Write, all ranks together, each what it holds of a checkpoint's tensors; returns the folder."""
    from torch.distributed import get_rank
    from torch.distributed.checkpoint import CheckpointException
    from torch.distributed.checkpoint import save as save_shares
    from torch.distributed.checkpoint.hf_storage import HuggingFaceStorageWriter

    shares = directory.with_name(".shares.tmp")
    if get_rank() == 0:
        shutil.rmtree(shares, ignore_errors=True)  # of a run that was killed; nobody writes before all have planned
    try:
        save_shares(
            {**checkpoint.weights, **checkpoint.optimizer},
            storage_writer=HuggingFaceStorageWriter(str(shares), save_distributed=True),
        )
    except CheckpointException as error:  # what went wrong on some ranks, told to all
        raise next(iter(error.failures.values()))[0] from None
    return shares


def read_shares(directory: Path, tensors: dict[str, Tensor]) -> None:
    """Fill `tensors`, of which this rank may hold a share each, from safetensors in `directory`, whole or shares."""
    from torch.distributed.checkpoint import load as load_shares
    from torch.distributed.checkpoint.hf_storage import HuggingFaceStorageReader

    with warnings.catch_warnings(action="ignore"):  # that this rank reads for itself is meant
        load_shares(tensors, storage_reader=HuggingFaceStorageReader(str(directory)), no_dist=True)


def join_shares(directory: Path, shares: Path, checkpoint: Checkpoint, belongs_to: dict[str, Any]) -> None:
    """Make of the `shares` of `checkpoint` that all ranks wrote what `save` makes of the whole; they are gone then."""
    parts = (checkpoint.weights, checkpoint.optimizer)
    weights, optimizer = ({n: torch.empty(t.shape, dtype=t.dtype) for n, t in part.items()} for part in parts)
    read_shares(shares, {**weights, **optimizer})
    save(directory, Checkpoint(checkpoint.step, weights, optimizer), belongs_to)
    shutil.rmtree(shares)


def thin(directory: Path, keep: int) -> None:
    """Remove all but the newest `keep` checkpoints in `directory`."""
    for old in sorted(directory.glob("step-*"))[:-keep]:
        shutil.rmtree(old)


def settle(saving: list[Future[None]], *, wait: bool) -> None:
    """Raise what went wrong where a checkpoint was written in the background; with `wait`, after all are written."""
    while saving and (wait or saving[0].done()):
        saving.pop(0).result()


def load(directory: Path, belongs_to: dict[str, Any] | None = None) -> Checkpoint:
    """Read the checkpoint in `directory`, checking it as `checked` does."""
    step = checked(directory, belongs_to)
    return Checkpoint(step, read_tensors(directory / WEIGHTS), read_tensors(directory / OPTIMIZER))


def checked(directory: Path, belongs_to: dict[str, Any] | None = None) -> int:
    """The step of the checkpoint in `directory`, whose files have the digests that they were saved with.

    Raises UserError when a file is missing, torn or changed, and ForeignError, naming the field, when the checkpoint
    belongs to another config or other data than `belongs_to`.
    """
    state = read(State, directory / STATE)
    for name in (WEIGHTS, OPTIMIZER):
        if not (directory / name).is_file() or file_digest(directory / name) != state.files.get(name):
            raise UserError(f"{directory / name}: missing, or changed since it was saved")
    if belongs_to is not None and state.belongs_to != belongs_to:
        raise ForeignError(
            f"{directory}: belongs to another training ({unlike(state.belongs_to, belongs_to)}); go on with that one, "
            "or remove the checkpoint"
        )
    return state.step


def unlike(there: Any, here: Any) -> str:
    """The first field in which two nested mappings differ, with both values."""
    path, saved, current = next(differences(there, here))
    return f"{path} is {saved!r} there and {current!r} here"


def newest(run: Path, belongs_to: dict[str, Any]) -> tuple[int, list[UserError]]:
    """The step of the newest checkpoint in the folder `run` to go on from, 0 if there is none; why not the newer ones.

    It is whole, and so is the log of every step before it.
    """
    skipped: list[UserError] = []
    logged = len(log_lines(run / LOG))
    for directory in saved(run):
        try:
            step = checked(directory, belongs_to)
            if step <= logged:
                return step, skipped
            raise UserError(f"{directory}: {run / LOG} is whole up to step {logged} only")
        except UserError as error:
            skipped.append(error)
    return 0, skipped


def saved(run: Path) -> list[Path]:
    """The folders of all checkpoints in the folder `run`, the newest first."""
    checkpoints = [*run.glob("checkpoints/step-*"), *run.glob("resume/step-*")]
    return sorted(checkpoints, key=lambda directory: directory.name, reverse=True)


def log_lines(path: Path) -> list[bytes]:
    """The lines of a log from its first step on, up to the first that is torn, missing or of another step."""
    lines: list[bytes] = []
    for line in path.read_bytes().split(b"\n")[:-1] if path.exists() else []:
        try:
            step = json.loads(line)["step"]
        except (ValueError, KeyError, TypeError, RecursionError):
            break
        if step != len(lines) + 1:
            break
        lines.append(line)
    return lines


def restore(state: dict[str, Tensor], saved: dict[str, Tensor]) -> None:
    """Copy the optimizer's saved moments into `state`; ValueError when names or shapes differ."""
    if state.keys() != saved.keys():
        raise ValueError(f"the optimizer's state differs in {sorted(state.keys() ^ saved.keys())[:3]}")
    for name, tensor in state.items():
        if tensor.shape != saved[name].shape:
            raise ValueError(f"{name}: shape {tuple(saved[name].shape)}, expected {tuple(tensor.shape)}")
        with torch.no_grad():
            tensor.copy_(saved[name])
