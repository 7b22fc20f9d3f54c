"""Training, straight on: batch, loss, gradient, update, log, checkpoint."""

import functools
import hashlib
import math
import shutil
import signal
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import torch

from train import exact, initial
from train.artifact import copy_file, file_digest, manifest
from train.config import Count, Natural, plain
from train.data.batches import Order, batch_at, ordered, prefetch, window_count
from train.data.mixture import Mixture, require_stages
from train.data.schema import TokenRange, read_records
from train.data.tokenizer import load as load_tokenizer
from train.data.tokens import ranges_path, read_tokens
from train.errors import UserError
from train.model import ModelConfig, Transformer, weights_of
from train.training.checkpoint import LOG, WEIGHTS, Checkpoint, join_shares, save, settle, thin, write_shares
from train.training.distributed import all_reduce_gradients, any_rank, gathered, joined, shard
from train.training.numerics import NumericsConfig, prepare, record_stack
from train.training.optimizer import Optimizer, OptimizerConfig
from train.training.start import initial_model, place_of, resumed
from train.training.steps import is_checkpoint, tokens_seen
from train.world import Inputs, World

if TYPE_CHECKING:
    from train.machine import Machine
    from train.training.log import Log


@dataclass(frozen=True)
class TrainingConfig:
    """How long to train, on how much at a time, and how often to look."""

    seed: Natural  # of the initial weights and the data order
    init_from: str | None  # a release, by folder or identity: begin with its weights and its tokenizer
    steps: Count  # updates of the weights
    batch: Count  # sequences of `model.context` tokens a step
    mixture: Mixture  # what each stage of the steps reads of which sources; none: all text once, by its size
    repeats: Literal["many"] | None  # null: no source of a mixture is read more than four times over
    checkpoint_every: Count  # steps between the checkpoints that a release holds; the last step leaves one as well
    evaluate_every: Count  # steps between measurements of the held-out loss
    evaluate_batches: Count  # from the held-out text, always the same
    numerics: NumericsConfig
    optimizer: OptimizerConfig

    def __post_init__(self) -> None:
        require_stages(self.mixture, self.steps)


@dataclass(frozen=True)
class FitConfig:
    model: ModelConfig
    training: TrainingConfig

    def owner(self, data: str) -> dict[str, Any]:
        """What a checkpoint belongs to, config and digest of data; settings of training that are off are left out."""
        record = plain(self)
        record["training"] = {name: value for name, value in record["training"].items() if value not in (None, [])}
        return {"config": record, "data": data}

    def order(self, tokens: Path) -> Order:
        """What each step reads of the artifact `tokens`, of which a mixture needs the ranges alone.

        UserError where the text is less than a batch, or not what the mixture says.
        """
        training, ranges = self.training, read_records(TokenRange, [ranges_path(tokens, "train")])
        spans = ((each.source, each.start, each.end) for each in ranges)
        length = 0 if training.mixture else len(_tokens(tokens, "train", self))
        named = {name: getattr(training, name) for name in ("steps", "batch", "seed")}
        return ordered(training.mixture, training.repeats, spans, length, context=self.model.context, **named)


def fit(config: FitConfig, inputs: Inputs, out: Path, world: World) -> None:
    """Train; `out` gets `model.safetensors`, `checkpoints/step-*/` and, as witnesses, the log and the stack.

    Goes on from the newest whole checkpoint in `out`. Checkpoints are written while training goes on. Of several ranks
    each takes its share of every batch, and the first writes. Raises UserError when the text is smaller than a batch
    or of another vocabulary, when there are only checkpoints of another training, when another rank is lost, and,
    before the update, when loss or gradient is not finite.
    """
    training, machine = config.training, world.machine
    prepare(machine)
    _require_vocabulary(inputs.tokens, inputs.tokenizer)
    held_out, order = _tokens(inputs.tokens, "held_out", config), config.order(inputs.tokens)
    vocabulary = load_tokenizer(inputs.tokenizer).vocabulary
    model = initial_model(config, vocabulary, machine.init_from)
    belongs_to = config.owner(manifest(inputs.tokens).digest)
    if world.rank == 0:
        if training.init_from:
            initial.keep(machine.init_from, training.init_from, out)
        record_stack(out, training.numerics, machine, belongs_to)
        world.meter(out, model)
    saving: list[Future[None]] = []  # of checkpoints, in the background

    # Whatever ends the training, what is being saved is saved, and then the log is closed.
    with joined(world, out.name), stop_requests() as signals, ExitStack() as ending, ThreadPoolExecutor(1) as writer:
        if machine.sharded:
            shard(model, world)
        training.numerics.place(model, machine.device, training.batch, machine.compile)
        optimizer = Optimizer(model, training.optimizer, training.numerics)
        if model.exact:
            require_products(model, order.batch_at(read_tokens(inputs.tokens, "train"), 0), world)
        start, skipped = resumed(out, model, optimizer, training, belongs_to, world)
        log: Log | None = None
        if world.rank == 0:
            log = world.log(out / LOG, machine, start, training.steps, {**plain(config), "data": belongs_to["data"]})
            ending.callback(log.close)
            log.compare_with_peak(model, world.size)
            for error in skipped:
                log.note(f"passed over a checkpoint: {error}")
            if start:
                log.note(f"going on after step {start}")
        for record in steps(config, model, optimizer, inputs.tokens, world, range(start, training.steps)):
            step, stop = record["step"], any_rank(bool(signals), world)
            settle(saving, wait=False)
            if (log or machine.sharded) and (step % training.evaluate_every == 0 or step == training.steps):
                record |= evaluated(config, model, held_out, machine, step)
            if log:
                log.record(record)
            if (log or machine.sharded) and (stop or is_due(step, training, machine)):
                settle(saving, wait=True)
                write = snapshot(place_of(out, training, step), step, model, optimizer, belongs_to, machine)
                if log:
                    saving.append(writer.submit(_after_its_log, log, write))
                    saving.append(writer.submit(thin, out / "resume", machine.keep_saves))
            if stop:
                settle(saving, wait=True)
                raise KeyboardInterrupt if signals[:1] == [signal.SIGINT] else SystemExit(128 + signal.SIGTERM)
        settle(saving, wait=True)
        ending = ending.pop_all()  # there is more for the log to tell, which the other ranks need not wait for
    with ending:
        if log is None:
            return
        copy_file(place_of(out, training, training.steps) / WEIGHTS, out / WEIGHTS)
        products = [out / WEIGHTS, *filter(Path.is_file, sorted(out.glob("checkpoints/**/*")))]
        log.products({path.relative_to(out).as_posix(): file_digest(path) for path in products})
    shutil.rmtree(out / "resume", ignore_errors=True)


def evaluated(
    config: FitConfig, model: Transformer, held_out: np.ndarray, machine: "Machine", step: int
) -> dict[str, Any]:
    """What the record of a step holds of the held-out text: its loss, and after the last step the gradients' noise."""
    with _eager(machine):
        measured: dict[str, Any] = {"held_out_loss": held_out_loss(model, held_out, config)}
        if model.exact and step == config.training.steps:
            measured["gradient_noise"] = gradient_noise(model, held_out)
    return measured


def is_due(step: int, training: TrainingConfig, machine: "Machine") -> bool:
    """Whether the state after a step is written: for the release, or only to go on from."""
    product = is_checkpoint(step, training.checkpoint_every, training.steps)
    return product or bool(machine.save_every and step % machine.save_every == 0)


def snapshot(
    directory: Path, step: int, model: Transformer, optimizer: Optimizer, belongs_to: Any, machine: "Machine"
) -> Callable[[], None]:
    """Copy the state after `step`, or write all ranks' shares of it; what is left to do for a checkpoint of it."""
    if machine.sharded:  # all write together, so training waits
        state = Checkpoint(step, {n: p.detach().float() for n, p in model.named_parameters()}, optimizer.state)
        return functools.partial(join_shares, directory, write_shares(directory, state), state, belongs_to)
    copy = Checkpoint(step, weights_of(model), optimizer.state).copy()
    return functools.partial(save, directory, copy, belongs_to)


def steps(
    config: FitConfig, model: Transformer, optimizer: Optimizer, tokens: Path, world: World, numbers: range
) -> Iterator[dict[str, Any]]:
    """Take the steps `numbers` (from 0) on the artifact `tokens`; one record after each update.

    The one loop: of a run, and of its replay. Raises UserError before an update whose loss or gradient is not finite.
    """
    training, order = config.training, config.order(tokens)
    read = functools.partial(order.batch_at, read_tokens(tokens, "train"))
    began = time.monotonic()
    for step, batch in prefetch(read, numbers):
        loss = gradients(model, batch, world.machine.micro_batches, world)
        norm = optimizer.gradient_norm()
        if not (math.isfinite(loss) and math.isfinite(norm)):
            if world.rank:
                raise SystemExit(1)  # one rank tells
            raise UserError(_not_finite(step, loss, norm, order, tokens))
        report = optimizer.step(step, training.steps, norm)
        yield {
            "step": step + 1,
            "batch": hashlib.sha256(batch.astype("<i8").tobytes()).hexdigest(),  # what was read, for `replay`
            "loss": loss,
            "gradient_norm": norm,
            **report,
            "tokens": tokens_seen(step + 1, training.batch, config.model.context),
            "seconds": (seconds := time.monotonic() - began),
            "tokens_per_second": tokens_seen(1, training.batch, config.model.context) / seconds,
        }
        began = time.monotonic()


def require_shares(training: TrainingConfig, world: World) -> None:
    """Refuse, with UserError, a batch that the ranks' micro-batches do not divide, and shares where none can be."""
    if world.machine.sharded and (world.size == 1 or (training.numerics.exact and world.size & (world.size - 1))):
        # Shares are means over the ranks, whose division rounds where it is not by a power of two.
        raise UserError("machine.sharded: needs several ranks (see torchrun), under exact 2, 4, 8 or so on")
    if training.batch % (world.size * world.machine.micro_batches):
        each = f"on each of {world.size} ranks " if world.size > 1 else ""
        raise UserError(
            f"machine.micro_batches: {world.machine.micro_batches} {each}does not divide training.batch "
            f"({training.batch})"
        )


def require_groups(config: FitConfig, world: World) -> None:
    """Refuse, with UserError, ranks and micro-batches that would cut groups of sequences which share a grid."""
    training = config.training
    cut = training.numerics.cut(training.batch, config.model.context)
    if cut and cut.groups % (world.size * world.machine.micro_batches):
        raise UserError(
            f"machine.micro_batches: {world.machine.micro_batches} on each of {world.size} ranks do not divide the "
            f"{cut.groups} groups of {cut.sequences} sequences in training.batch ({training.batch}), which exact "
            f"leaves whole; use fewer, or a training.numerics.group below {training.numerics.group}, for other weights"
        )


def require_products(model: Transformer, batch: np.ndarray, world: World) -> None:
    """Refuse, with UserError, a machine where the first micro-batch's gradients differ with the kind of its products.

    By float32 as in training, compiled where training is, and by float64: the kernels in use, at the shapes in use.
    """
    first = np.array_split(part(batch, world), world.machine.micro_batches)[0]
    passes = []
    for double in (False, True):
        with exact.double_products() if double else nullcontext(), _eager(world.machine if double else None):
            gradients(model, first, 1, World(0, 1, world.machine))
        passes.append([parameter.grad for parameter in model.parameters()])
        model.zero_grad()
    if not all(torch.equal(a, b) for a, b in zip(*passes, strict=True)):
        raise UserError(
            "training.numerics.contract: exact does not hold here, where float32 products of the first micro-batch "
            "differ from those in float64; use another machine, or training.numerics.contract=pinned"
        )


def gradient_noise(model: Transformer, tokens: np.ndarray) -> dict[str, float]:
    """The relative error of `exact` gradients by tensor: their distance from float64's, over one group of sequences."""
    exactly, passes = model.exact, []
    size = min(exactly.sequences if exactly else 1, window_count(len(tokens), model.config.context))
    for contract in (exactly, None):
        model.compute_by(contract)
        gradients(model, batch_at(tokens, model.config.context, size, 0, 0), 1)
        passes.append({name: gathered(p.grad).double() for name, p in model.named_parameters() if p.grad is not None})
        model.zero_grad()
    model.compute_by(exactly)
    rounded, precise = passes
    shares = {name: (rounded[name] - grad).norm() / grad.norm() for name, grad in precise.items() if grad.any()}
    return {name: float(f"{float(share):.3g}") for name, share in shares.items()}


def _eager(machine: "Machine | None") -> Any:
    """Do without the compiler for a moment: compiling again for few calls would not pay off."""
    return torch.compiler.set_stance("force_eager") if machine and machine.compile else nullcontext()


def part(batch: np.ndarray, world: World) -> np.ndarray:
    """The sequences of `batch` that this rank takes."""
    size = len(batch) // world.size
    return batch[world.rank * size : (world.rank + 1) * size]


def gradients(model: Transformer, batch: np.ndarray, micro_batches: int, world: World | None = None) -> float:
    """Leave the gradient of the mean loss of `batch` [sequences, context + 1] in `model`; return that loss in nats.

    Slices and ranks add up nats, which are divided at the end, so their number does not enter the mathematics.
    """
    device = next(model.parameters()).device
    tokens = torch.from_numpy(part(batch, world) if world else batch)
    tokens = tokens.pin_memory().to(device, non_blocking=True) if device.type == "cuda" else tokens
    total = torch.zeros((), dtype=next(model.parameters()).dtype, device=device)
    for share in tokens.chunk(micro_batches):
        total = total + _side_by_side(model, share, world)
    # The one moment at which the processor waits for a GPU before the update.
    return all_reduce_gradients(model, total.item(), len(batch) * (batch.shape[1] - 1), world)


def _side_by_side(model: Transformer, share: torch.Tensor, world: World | None) -> torch.Tensor:
    """Add the gradients of `share` [sequences, context + 1], of which threads take whole groups; the nats of it.

    Threads that share the work on small matrices spend their time waiting. Under `exact` the order of sums is free.
    """
    threads, lanes = torch.get_num_threads(), 1
    if world and model.exact and share.is_cpu and not (world.machine.compile or world.machine.sharded):
        lanes = math.gcd(len(share) // model.exact.sequences, threads)
    if lanes == 1:
        loss = model.loss(share[:, :-1], share[:, 1:])
        loss.backward()
        return loss.detach()
    with ThreadPoolExecutor(lanes, initializer=torch.set_num_threads, initargs=(threads // lanes,)) as pool:
        parts = list(pool.map(functools.partial(_gradients, model), share.chunk(lanes)))
    nats, *totals = (functools.reduce(torch.add, each) for each in zip(*parts, strict=True))
    torch.set_num_threads(threads)  # which some libraries have for all threads alike
    for parameter, gradient in zip(model.parameters(), totals, strict=True):
        parameter.grad = gradient if parameter.grad is None else parameter.grad.add_(gradient)
    return nats  # type: ignore[no-any-return]


def _gradients(model: Transformer, share: torch.Tensor) -> tuple[torch.Tensor, ...]:
    """The nats of a micro-batch, and their gradients."""
    loss = model.loss(share[:, :-1], share[:, 1:])
    return loss.detach(), *torch.autograd.grad(loss, list(model.parameters()))


@torch.no_grad()
def held_out_loss(model: Transformer, tokens: np.ndarray, config: FitConfig) -> float:
    """Mean nats a token over the first `evaluate_batches` batches of the held-out order."""
    size = min(config.training.batch, window_count(len(tokens), config.model.context))
    device = next(model.parameters()).device
    total = 0.0
    for step in range(config.training.evaluate_batches):
        batch = torch.from_numpy(batch_at(tokens, config.model.context, size, 0, step)).to(device)
        total += model.loss(batch[:, :-1], batch[:, 1:]).item() / (size * config.model.context)
    return total / config.training.evaluate_batches


@contextmanager
def stop_requests() -> Iterator[list[int]]:
    """A list that Ctrl-C and SIGTERM put their number into, so that a step is finished and saved before stopping.

    A second Ctrl-C stops at once.
    """
    signals: list[int] = []

    def ask(number: int, _frame: object) -> None:
        if signals:
            raise KeyboardInterrupt
        signals.append(number)

    if threading.current_thread() is not threading.main_thread():
        yield signals
        return
    before = {number: signal.signal(number, ask) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield signals
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _after_its_log(log: "Log", write: Callable[[], None]) -> None:
    """Write a checkpoint once the records of the steps that led to it are durable."""
    log.sync()
    write()


def _require_vocabulary(tokens: Path, tokenizer: Path) -> None:
    if manifest(tokens).inputs["tokenizer"].products != manifest(tokenizer).digest:
        raise UserError(f"{tokens}: encoded by another tokenizer than {tokenizer}; give the two that belong together")


def _tokens(artifact: Path, split: str, config: FitConfig) -> np.ndarray:
    tokens = read_tokens(artifact, split)
    windows = window_count(len(tokens), config.model.context)
    needed = config.training.batch if split == "train" else 1
    if windows < needed:
        raise UserError(
            f"the {split} text has {len(tokens)} tokens, {windows} windows of {config.model.context}; at least {needed}"
            " are needed: use more text, a smaller model.context or a smaller training.batch"
        )
    return tokens


def _not_finite(step: int, loss: float, norm: float, order: Order, tokens: Path) -> str:
    """The error for step `step`: what was found, and which documents the batch holds."""
    places = np.sort(order.places_at(step), axis=None)
    documents = [
        each.id[:12]
        for each in read_records(TokenRange, [ranges_path(tokens, "train")])
        if np.searchsorted(places, each.start) < np.searchsorted(places, each.end)
    ]
    return (
        f"step {step + 1}: loss {loss}, gradient norm {norm}; stopped before the update. The batch holds documents "
        f"{', '.join(documents[:8])}{' ...' if len(documents) > 8 else ''}. The last checkpoint is whole; "
        "try a smaller learning rate or a longer warm-up"
    )
