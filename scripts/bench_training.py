"""How fast training is, beside a plain GPT-2-style loop; `scripts/bench.py` runs these.

All train alike: the same shape, the same tokens, AdamW, the same threads. They take turns, some steps each, so that
whatever else runs on the machine hinders all of them. Counted is, of each turn, the time by the clock and by the
processors; ratios are the median over the turns, rates the best. Model FLOP utilisation (MFU) is the model's operations
a second, by the formula, over the best product of matrices in that precision in the same run; "at most" is the ratio
that a loop of nothing but such products would have.
"""

import dataclasses
import itertools
import math
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from train import pipeline
from train.data.batches import batch_at
from train.machine import Machine
from train.model import ModelConfig, Transformer
from train.training import meters
from train.training.loop import FitConfig, gradients, steps
from train.training.numerics import NumericsConfig, prepare
from train.training.optimizer import Optimizer
from train.world import World

TURNS = 5
NANOGPT_STEPS = 2000  # of its documented recipe for characters on a processor, which reaches NANOGPT_LOSS
NANOGPT_LOSS = 1.898  # nats a character, on the whole of its validation text


@dataclasses.dataclass(frozen=True)
class Shape:
    layers: int
    width: int
    heads: int
    context: int
    batch: int
    vocabulary: int
    steps: int  # a turn


SHAPES = {
    "s": Shape(4, 128, 4, 64, 12, 65, steps=10),  # nanoGPT's recipe for a processor
    "m": Shape(6, 320, 5, 256, 32, 4096, steps=1),
    "gpu": Shape(12, 768, 12, 1024, 32, 50304, steps=10),  # GPT-2
}
Step = Callable[[np.ndarray], Any]


class Block(nn.Module):
    """Of GPT-2: normalised, with biases, GELU between products four times as wide."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads, self.before, self.between = heads, nn.LayerNorm(width), nn.LayerNorm(width)
        self.qkv, self.out = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.mlp = nn.Sequential(nn.Linear(width, 4 * width), nn.GELU(), nn.Linear(4 * width, width))

    def forward(self, x: Tensor) -> Tensor:
        batch, length, width = x.shape
        qkv = self.qkv(self.before(x)).view(batch, length, 3, self.heads, width // self.heads)
        q, k, v = qkv.permute(2, 0, 3, 1, 4)
        y = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        x = x + self.out(y.transpose(1, 2).reshape(batch, length, width))
        return x + self.mlp(self.between(x))  # type: ignore[no-any-return]


class Plain(nn.Module):
    """A GPT-2 as one would write it first: learnt positions, the head tied to the embeddings."""

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.tokens, self.places = nn.Embedding(shape.vocabulary, shape.width), nn.Embedding(shape.context, shape.width)
        self.blocks = nn.Sequential(*(Block(shape.width, shape.heads) for _ in range(shape.layers)))
        self.norm = nn.LayerNorm(shape.width)

    def forward(self, tokens: Tensor) -> Tensor:
        places = torch.arange(tokens.shape[1], device=tokens.device)
        return F.linear(self.norm(self.blocks(self.tokens(tokens) + self.places(places))), self.tokens.weight)


def plain(shape: Shape, device: str) -> Step:
    """The plain loop, eager, in float32 on a processor and in bfloat16 on a GPU."""
    model = Plain(shape).to(device)
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)

    def step(batch: np.ndarray) -> float:
        tokens = torch.from_numpy(batch).to(device)
        with torch.autocast(device, torch.bfloat16, enabled=device == "cuda"):
            loss = F.cross_entropy(model(tokens[:, :-1]).flatten(0, 1), tokens[:, 1:].flatten())
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        return loss.item()

    return step


def model_config(shape: Shape) -> ModelConfig:
    """Our architecture with as many weights: three matrices of 8/3 the width for two of four times."""
    hidden = round(shape.width * 8 / 3 / 8) * 8
    inner = shape.width // shape.heads
    return ModelConfig(
        layers=shape.layers, width=shape.width, heads=shape.heads, kv_heads=shape.heads, head_width=inner,
        hidden=hidden, context=shape.context, rope_theta=1e4, norm_epsilon=1e-6, tied_embeddings=True, init_std=0.02,
        zero_residual=True,
    )  # fmt: skip


def ours(shape: Shape, contract: Any, config: pipeline.Run, machine: Machine) -> Step:
    """Our model and optimizer, as the loop calls them."""
    world, numerics = World(0, 1, machine), NumericsConfig(contract, "same", config.training.numerics.group)
    begun = Transformer(model_config(shape), shape.vocabulary)
    model = numerics.place(begun, machine.device, shape.batch, machine.compile)
    optimizer = Optimizer(model, dataclasses.replace(config.training.optimizer, name="adamw"), numerics)
    count = itertools.count(1)

    def step(batch: np.ndarray) -> None:
        gradients(model, batch, machine.micro_batches, world)
        optimizer.step(next(count), 10**6, optimizer.gradient_norm())

    return step


def now() -> tuple[float, float]:
    return time.monotonic(), time.process_time()


def turn_of(step: Step, turn: list[np.ndarray]) -> tuple[float, float]:
    """Seconds a step."""
    began = now()
    for batch in turn:
        step(batch)
    return tuple((b - a) / len(turn) for a, b in zip(began, now(), strict=True))  # type: ignore[return-value]


def speed(config: pipeline.Run, name: str) -> dict[str, Any]:
    """Tokens a second of every contestant at a shape; printed with ratios to the plain loop and MFU."""
    shape, machine = SHAPES[name], config.machine
    prepare(machine)
    gpu = machine.device == "cuda"
    contestants = {"plain": plain(shape, machine.device), "fast": ours(shape, "fast", config, machine)}
    for name, compiled in (("exact", False), ("compiled", True)):
        contestants[name] = ours(shape, "exact", config, dataclasses.replace(machine, compile=compiled))
    low = NumericsConfig("fast", "same", 256).products(machine.device)
    kinds = {"plain": torch.bfloat16 if gpu else torch.float32, "fast": low, "exact": torch.float32}
    draw = np.random.default_rng(0)
    batches = [draw.integers(0, shape.vocabulary, (shape.batch, shape.context + 1)) for _ in range(shape.steps)]
    for step in contestants.values():  # compiled and warm before it counts
        turn_of(step, batches[:1])
    times: dict[str, list[tuple[float, float]]] = {}
    peaks = dict.fromkeys(kinds.values(), 0.0)
    for _ in range(TURNS):
        for contestant, step in contestants.items():
            times.setdefault(contestant, []).append(turn_of(step, batches))
        for kind in peaks:
            like = torch.empty(0, dtype=kind, device=machine.device)
            peaks[kind] = max(peaks[kind], meters.speed((8192 if gpu else 1024,) * 3, like))
    operations = Transformer(model_config(shape), shape.vocabulary).flops_per_token()
    tokens = shape.batch * shape.context
    print(f"{'':<10} {'tokens/s':>10} {'by clock':>9} {'by processor':>13} {'at most':>8} {'MFU':>6}   precision, "
          "peak in GFLOP/s")  # fmt: skip
    for contestant, turns in times.items():
        best = min(clock for clock, _ in turns)
        ratios = [statistics.median(p[i] / f[i] for p, f in zip(times["plain"], turns, strict=True)) for i in (0, 1)]
        kind = kinds.get(contestant, torch.float32)
        used = operations * tokens / best / peaks[kind]
        rates = f"{ratios[0]:>8.2f}x {ratios[1]:>12.2f}x {ratios[0] / used:>7.2f}x {used:>6.1%}"
        print(f"{contestant:<10} {tokens / best:>10.0f} {rates}   {str(kind).removeprefix('torch.')}, "
              f"{peaks[kind] / 1e9:.0f}", flush=True)  # fmt: skip
    if gpu:
        print(f"memory at most {torch.cuda.max_memory_allocated() / 2**30:.1f} GiB")
    return {name: {"tokens_per_second": tokens / min(clock for clock, _ in turns)} for name, turns in times.items()}


def training_s(config: pipeline.Run) -> dict[str, Any]:
    """Training at nanoGPT's shape for a processor: 0.8 million parameters, context 64, batch 12."""
    return speed(config, "s")


def training_m(config: pipeline.Run) -> dict[str, Any]:
    """Training at a shape ten times as large: 8.7 million parameters, context 256, batch 32, vocabulary 4096."""
    return speed(config, "m")


def training_gpu(config: pipeline.Run) -> dict[str, Any]:
    """Training at the shape of GPT-2, 124 million parameters and context 1024; for machine.device=cuda."""
    if config.machine.device != "cuda":
        print("not run: needs a GPU and machine.device=cuda machine.compile=true")
        return {}
    return speed(config, "gpu")


def quality(config: pipeline.Run) -> None:
    """Time to nanoGPT's loss on Shakespeare, beside its step time times its steps; for recipe=shakespeare."""
    prepare(config.machine)
    texts = sorted(getattr(config.data.raw.sources[0], "path", Path("absent")).glob("*.txt"))
    if not texts:
        print("not run: give recipe=shakespeare and, where you work, what its head asks for")
        return
    # By characters, which are bytes here; 0 is the end-of-text mark. The split is nanoGPT's: the last tenth validates.
    tokens = np.frombuffer(b"".join(path.read_bytes() for path in texts), np.uint8).astype(np.uint16) + 1
    cut = int(0.9 * len(tokens))
    fit, machine = FitConfig(config.model, config.training), config.machine
    training, vocabulary = config.training, config.tokenizer.vocabulary
    begun = Transformer(config.model, vocabulary, training.seed)
    model = training.numerics.place(begun, machine.device, training.batch, machine.compile)
    optimizer = Optimizer(model, training.optimizer, training.numerics)
    shape = SHAPES["s"]  # of nanoGPT's recipe; its losses do not matter here, so its tokens are taken modulo its 65
    peer, spent, took = plain(shape, machine.device), np.zeros(2), np.zeros(2)
    with tempfile.TemporaryDirectory() as home:
        np.save(Path(home) / "train.npy", tokens[:cut])
        records: Iterator[Any] = steps(fit, model, optimizer, Path(home), World(0, 1, machine), range(training.steps))
        for number in range(training.steps):
            began = np.array(now())
            next(records)
            middle = np.array(now())
            took += middle - began
            if number % 3 == 0:
                peer(batch_at(tokens[:cut], shape.context, shape.batch, 0, number) % shape.vocabulary)
                spent += np.array(now()) - middle
    loss = whole_loss(model, tokens[cut:])
    needed = spent / len(range(0, training.steps, 3)) * NANOGPT_STEPS
    print(f"loss {loss:.4f} on the whole validation text after {training.steps} steps; nanoGPT's is {NANOGPT_LOSS}")
    print(f"{took[0]:.1f} s by the clock, {took[1]:.1f} s of processors; its {NANOGPT_STEPS} steps take "
          f"{needed[0]:.1f} s and {needed[1]:.1f} s here")  # fmt: skip
    print(f"ratio {needed[0] / took[0]:.2f} by the clock, {needed[1] / took[1]:.2f} by processors"
          f"{'' if loss <= NANOGPT_LOSS else '; THE LOSS IS NOT REACHED'}", flush=True)  # fmt: skip


@torch.no_grad()
def whole_loss(model: Transformer, tokens: np.ndarray) -> float:
    """Nats a token over every window of `tokens`, each token but the first predicted once."""
    context = model.config.context
    count = (len(tokens) - 1) // context
    places = np.arange(count)[:, None] * context + np.arange(context + 1)
    device = next(model.parameters()).device
    parts = torch.from_numpy(tokens[places].astype(np.int64)).to(device).split(256)
    return math.fsum(model.loss(part[:, :-1], part[:, 1:]).item() for part in parts) / (count * context)


BENCHMARKS = (training_s, training_m, training_gpu, quality)
