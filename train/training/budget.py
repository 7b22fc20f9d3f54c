"""Before anything runs: the rules that size a model by one number, and what a run will take here.

The dial is the number of layers; `configs/model/<size>.yaml` holds what `preset` makes of it, so that a config stays
complete and readable. The rules:

* shape: 64 of width and one head of width 64 a layer, feed-forward 8/3 as wide (Shazeer 2020). Kaplan et al. 2020
  (arXiv 2001.08361) found that loss hardly depends on a shape anywhere near this one, but on its weights.
* context: the next power of two from the width on, 2048 at most.
* tokens: 20 a weight (Hoffmann et al. 2022, arXiv 2203.15556).
* batch and learning rate by compute C in floating-point operations: 0.292 C^0.3271 tokens, 0.3118 C^-0.125 (Bi et al.
  2024, arXiv 2401.02954). At the compute of the reference recipe this gives 0.0086; sweeps found 0.008.
* Muon's learning rate is 2.5 times that, as those sweeps found; its update has AdamW's size at any width, so that one
  rate does for both (Liu et al. 2025, arXiv 2502.16982).

Weights are those of the layers, without embeddings. The rules were found on larger vocabularies and other text: they
are where a sweep begins, not where it ends.
"""

import math
import os
import shutil
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from train.errors import UserError
from train.humanize import byte_size, duration
from train.machine import Machine
from train.model import ModelConfig, Transformer
from train.training.loop import FitConfig, gradients
from train.training.numerics import prepare
from train.training.optimizer import Optimizer
from train.training.steps import tokens_seen

PRESETS = {"1m": 3, "3m": 4, "10m": 6, "25m": 8, "85m": 12, "200m": 16, "400m": 20, "1b": 28}  # name -> layers
LIBRARIES = 450 << 20  # bytes of memory that torch and the rest take before there is a model
# Of a GPU as its maker describes it, for plans on a machine without one: operations a second, in bfloat16 and in full
# precision; and the share of them that a training of this size may reach.
GPU, GPU_OPERATIONS, GPU_USE = "an NVIDIA A100", {"fast": 3.12e14, "full": 1.95e13}, 0.3
TRIAL = 3e11  # floating-point operations of one try, at most
MOST_SLICES = 2**16  # of a batch, that are looked at


def preset(layers: int) -> dict[str, Any]:
    """What `configs/model/<size>.yaml` holds: all of `model`, and of `training` what size decides."""
    width, hidden = 64 * layers, 64 * math.ceil(8 * layers / 3)
    context = min(2048, 2 ** math.ceil(math.log2(width)))
    weights = layers * width * (4 * width + 3 * hidden)
    tokens = 20 * weights
    compute = 6 * weights * tokens
    batch = 2 ** round(math.log2(0.292 * compute**0.3271 / context))
    steps, rate = round(tokens / batch / context), 0.3118 * compute**-0.125
    shape = {"layers": layers, "width": width, "heads": layers, "kv_heads": layers, "head_width": 64, "hidden": hidden}
    rest = {"rope_theta": 10000.0, "norm_epsilon": 1e-6, "tied_embeddings": True, "init_std": 0.02}
    rates = {"learning_rate": float(f"{rate:.2g}"), "matrix_learning_rate": float(f"{2.5 * rate:.2g}")}
    return {
        "model": {**shape, "context": context, **rest, "zero_residual": True},
        "training": {
            "steps": steps,
            "batch": batch,
            "checkpoint_every": math.ceil(steps / 4),
            "evaluate_every": math.ceil(steps / 10),
            "optimizer": {**rates, "warmup_steps": max(20, steps // 100)},
        },
    }


@dataclass(frozen=True)
class Needs:
    """What a run takes, in numbers that follow from its config."""

    parameters: int
    tokens: int  # that training sees
    flops: int
    memory: int  # bytes at the peak of a step, about
    weights: int  # bytes of the file
    checkpoint: int  # bytes of one
    checkpoints: int
    disk: int  # bytes of weights and checkpoints in each file system that they are kept in; data comes on top


@dataclass(frozen=True)
class Room:
    """A folder that weights and checkpoints are to be kept in, and how many bytes of them are there already."""

    folder: Path
    there: int = 0


def rooms(machine: Machine, runs: bool = True, releases: bool = True, there: int = 0) -> list[Room]:
    """Room among the machine's runs and releases, which share large files where they are of one file system.

    UserError when a folder cannot be written to.
    """
    wanted = [Room(machine.runs, there)] if runs else []
    if releases and existing(machine.runs).stat().st_dev != existing(machine.releases).stat().st_dev:
        wanted.append(Room(machine.releases))
    for folder in (machine.runs, *((machine.releases,) if releases else ())):
        if not os.access(existing(folder), os.W_OK | os.X_OK):
            raise UserError(f"{folder}: {existing(folder)} cannot be written to; choose another, or change its mode")
    return wanted


def shapes(model: ModelConfig) -> Counter[tuple[int, int]]:
    """How many matrices of each shape [out, in] the layers hold."""
    width, hidden = model.width, model.hidden
    queries, keys = model.heads * model.head_width, model.kv_heads * model.head_width
    attention = [(queries, width), (keys, width), (keys, width), (width, queries)]
    a_layer = Counter([*attention, (hidden, width), (hidden, width), (width, hidden)])
    return Counter({shape: number * model.layers for shape, number in a_layer.items()})


def needs(config: FitConfig, vocabulary: int, micro_batches: int) -> Needs:
    """What training as `config` says takes, in slices of the batch as `micro_batches` says.

    Memory: weights and gradients in the precision of the numerics, all else in float32: the optimizer's state; and the
    larger of what forward keeps for backward (some 8 widths, 11 of attention and 4 of the feed-forward block a token
    and layer) and what the optimizer holds for a moment (gradients in float32; Muon's largest stack three times).
    """
    model, training = config.model, config.training
    counted, inner = shapes(model), model.heads * model.head_width
    matrices = sum(out * into * number for (out, into), number in counted.items())
    tables = vocabulary * model.width * (1 if model.tied_embeddings else 2)
    parameters = matrices + tables + model.width + model.layers * 2 * (model.width + model.head_width)
    muon = matrices if training.optimizer.name == "muon" else 0
    state, size = 4 * muon + 8 * (parameters - muon), training.numerics.compute.itemsize
    sequences = math.ceil(training.batch / micro_batches)
    kept = sequences * model.context * model.layers * (8 * model.width + 11 * inner + 4 * model.hidden) * 4
    stack = max(out * into * number for (out, into), number in counted.items()) if muon else 0
    seen = tokens_seen(training.steps, training.batch, model.context)
    checkpoints = math.ceil(training.steps / training.checkpoint_every)
    return Needs(
        parameters=parameters,
        tokens=seen,
        flops=seen * (6 * (matrices + vocabulary * model.width) + 12 * model.layers * inner * model.context),
        memory=LIBRARIES + 2 * size * parameters + state + max(kept, 4 * parameters + 3 * size * stack),
        weights=4 * parameters,
        checkpoint=4 * parameters + state,
        checkpoints=checkpoints,
        disk=4 * parameters + checkpoints * (4 * parameters + state),
    )


def refuse(config: FitConfig, vocabulary: int, machine: Machine, ranks: int = 1) -> None:
    """UserError when memory or disk do not hold the run; it says what they would hold."""
    refuse_memory(config, vocabulary, machine, ranks)
    refuse_disk(config, vocabulary, rooms(machine))


def refuse_memory(config: FitConfig, vocabulary: int, machine: Machine, ranks: int) -> None:
    """UserError when a step takes more memory than is free.

    Of ranks that hold a share each of the state, and of a GPU that is not here, nothing is known.
    """
    if machine.sharded or absent(machine):
        return
    need, room = needs(config, vocabulary, machine.micro_batches * ranks), memory_of(machine)
    if need.memory > room:
        raise UserError(
            f"a step takes about {byte_size(need.memory)} of memory with machine.micro_batches="
            f"{machine.micro_batches}, and {byte_size(room)} are free; "
            + next(less_memory(config, vocabulary, machine, room), "no size that this pipeline knows would fit")
        )


def refuse_disk(config: FitConfig, vocabulary: int, wanted: list[Room]) -> None:
    """UserError when a file system is too full for the copies of weights and checkpoints that it is to hold."""
    need = needs(config, vocabulary, 1)
    for room in wanted:
        size, free = need.disk - room.there, free_at(room.folder)
        if size > free:
            fewer = int((free + room.there - need.weights) / need.checkpoint)
            every = math.ceil(config.training.steps / max(1, fewer))
            remedy = f"training.checkpoint_every={every} would keep {fewer}, " * (fewer > 0)
            raise UserError(
                f"{room.folder}: weights and {need.checkpoints} checkpoints take {byte_size(size)} of disk, and "
                f"{byte_size(free)} are free; {remedy}a smaller model= takes less"
            )


def less_memory(config: FitConfig, vocabulary: int, machine: Machine, room: int) -> Iterator[str]:
    """What would fit into `room` bytes, the nearest to what was asked for first."""
    batch = config.training.batch
    for slices in range(machine.micro_batches + 1, min(batch, MOST_SLICES) + 1):
        if batch % slices == 0 and (least := needs(config, vocabulary, slices).memory) <= room:
            yield f"machine.micro_batches={slices} would take {byte_size(least)}"
    for name, layers in reversed(PRESETS.items()):
        model = replace(config.model, **preset(layers)["model"])
        training = replace(config.training, batch=preset(layers)["training"]["batch"])
        least = needs(FitConfig(model, training), vocabulary, training.batch).memory
        if least <= room:
            yield f"model={name} with machine.micro_batches={training.batch} would take {byte_size(least)}"


def memory_of(machine: Machine) -> int:
    """Bytes of memory that are free where training runs: of the GPU, else of the system or of its container."""
    if machine.device == "cuda":
        return torch.cuda.mem_get_info()[0]
    free = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    known, limit = Path("/proc/meminfo"), Path("/sys/fs/cgroup/memory.max")
    if known.is_file():
        fields = dict(line.split(":") for line in known.read_text().splitlines())
        free = int(fields["MemAvailable"].split()[0]) * 1024
    return min(free, int(limit.read_text())) if limit.is_file() and limit.read_text().strip().isdigit() else free


def existing(folder: Path) -> Path:
    """The folder, or the nearest above it that is there."""
    return next(path for path in (folder.absolute(), *folder.absolute().parents) if path.is_dir())


def free_at(folder: Path) -> int:
    """Bytes of disk that are free in a folder, whether or not it is there yet."""
    return shutil.disk_usage(existing(folder)).free


def absent(machine: Machine) -> bool:
    """Whether the machine that the config speaks of has a GPU, and this one has none."""
    return machine.device == "cuda" and not torch.cuda.is_available()


def seconds_a_step(config: FitConfig, vocabulary: int, machine: Machine, seconds: float) -> float:
    """How long a step takes here, tried for about `seconds` on random tokens; without torch's compiler.

    Tried is the model itself on a slice of the batch; where one such try would take too long, with fewer sequences and
    then fewer layers, in proportion to the operations that they take.
    """
    prepare(machine)
    model, training = config.model, config.training
    total = needs(config, vocabulary, 1)
    sequences = math.ceil(training.batch / machine.micro_batches)
    a_layer_less = total.flops / training.steps / training.batch
    sequences = max(1, min(sequences, int(TRIAL / a_layer_less)))
    layers = max(1, min(model.layers, int(model.layers * TRIAL / a_layer_less)))
    tried = FitConfig(replace(model, layers=layers), replace(training, batch=sequences))
    small = needs(tried, vocabulary, 1)
    trial = Transformer(tried.model, vocabulary).to(machine.device, training.numerics.compute)
    optimizer = Optimizer(trial, training.optimizer, training.numerics)
    batch = np.random.default_rng(0).integers(0, vocabulary, (sequences, model.context + 1))
    gradients(trial, batch, 1)  # the first is slow: memory is asked for
    began, tries = time.monotonic(), 0
    while not tries or time.monotonic() - began < seconds:
        gradients(trial, batch, 1)
        tries += 1
    once = (time.monotonic() - began) / tries
    began = time.monotonic()
    optimizer.step(0, training.steps, optimizer.gradient_norm())
    update = (time.monotonic() - began) * total.parameters / small.parameters
    return once * total.flops / small.flops + update


def plan(config: FitConfig, vocabulary: int, machine: Machine, seconds: float) -> list[str]:
    """The plan of training, a line a fact; UserError when it does not fit here."""
    refuse(config, vocabulary, machine)
    need = needs(config, vocabulary, machine.micro_batches)
    free = "no GPU is here" if absent(machine) else f"{byte_size(memory_of(machine))} are free"
    return [
        f"parameters {need.parameters:,}",
        f"tokens     {need.tokens:,} in {config.training.steps:,} steps",
        f"FLOPs      {need.flops:.3g}",
        f"memory     about {byte_size(need.memory)} at the peak; {free}",
        f"time       {time_line(config, vocabulary, machine, seconds)}",
        f"disk       {byte_size(need.disk)} for weights and checkpoints, beside the data; "
        f"{byte_size(free_at(machine.runs))} are free",
        f"release    weights of {byte_size(need.weights)}, {need.checkpoints} checkpoints of "
        f"{byte_size(need.checkpoint)}; documents, ledger, tokenizer, evaluation, code, cards, evidence",
    ]


def time_line(config: FitConfig, vocabulary: int, machine: Machine, seconds: float) -> str:
    """How long training takes: measured here, or reckoned for a GPU that is not here, described by its maker."""
    if not absent(machine):
        step = seconds_a_step(config, vocabulary, machine, seconds)
        return f"about {duration(step * config.training.steps)} of training, measured here: {step:.3g} s a step"
    rate = GPU_OPERATIONS["fast" if config.training.numerics.contract == "fast" else "full"]
    flops = needs(config, vocabulary, 1).flops
    return f"about {duration(flops / rate / GPU_USE)} of training on {GPU} at {GPU_USE:.0%} of its {rate:.3g} FLOP/s"
