"""Proof: training from one checkpoint of a release reaches the next one, bit for bit.

Segment k goes from checkpoint k to checkpoint k + 1; checkpoint 0 is the initial weights, made from the seed. `retrain`
does the work and may run as another program, with the release's own code; `compare` judges what it left.
"""

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from train.artifact import digest, file_digest, product_digest, read_json, write_json
from train.config import UserError, build, plain
from train.data import tokenizer
from train.model import Transformer, load_weights, weights_of
from train.release.checks import Release
from train.release.differences import environments_apart, tensors_apart
from train.training.checkpoint import OPTIMIZER, STATE, WEIGHTS, Checkpoint, load, restore, save
from train.training.log import Log
from train.training.loop import FitConfig, steps
from train.training.numerics import prepare, stack
from train.training.optimizer import Optimizer
from train.world import Machine

LOG, RUN = "log.jsonl", "run.json"  # of what `retrain` leaves, beside the checkpoint's files
# Outside its contract a replay is compared by tolerance: of losses, relative; and of what is kept, as the share of the
# way that the segment moved it. Measured with `pinned` on unlike stacks: MEASURED
LOSS_TOLERANCE = {"portable": 1e-9, "pinned": 1e-2}
STATE_TOLERANCE = 0.1


@dataclass(frozen=True)
class Segment:
    number: int
    start: int  # steps taken before it
    end: int
    origin: Path | None  # the checkpoint it starts from; None: the initial weights
    target: Path


def config_of(release: Path) -> FitConfig:
    found = read_json(release / "code" / "config.json")
    return build(FitConfig, {name: found.get(name) for name in ("model", "training")})


def segments(release: Path) -> list[Segment]:
    """Every segment that the config says there is, whether or not its checkpoints are there."""
    training = config_of(release).training
    ends = [*range(training.checkpoint_every, training.steps, training.checkpoint_every), training.steps]
    paths = [None, *(release / "checkpoints" / f"step-{end:06d}" for end in ends)]
    starts = zip([0, *ends], ends, paths, paths[1:], strict=False)
    return [Segment(n, start, end, origin, target) for n, (start, end, origin, target) in enumerate(starts) if target]


def chosen(release: Path, every: list[Segment], number: int | None, nonce: str) -> tuple[Segment, str]:
    """The segment of that number; without one, a segment that whoever published could not choose. And how, in words."""
    if number is None:
        identity = read_json(release / "MANIFEST.json")["identity"]
        return every[drawn(identity, nonce, len(every))], f"drawn with the nonce {nonce!r}"
    if not 0 <= number < len(every):
        raise UserError(f"segment {number}: the segments of this release are 0 to {len(every) - 1}")
    return every[number], "asked for"


def drawn(identity: str, nonce: str, count: int) -> int:
    """A number below `count` that follows from the release's identity and a word of the checker's."""
    return int(digest({"identity": identity, "nonce": nonce}), 16) % count


def require_same_code(release: Path, own: Mapping[str, str]) -> None:
    """Refuse, with UserError, to replay with training code (path -> SHA-256) other than that which trained."""
    told = read_json(release / "provenance" / "weights.json")["code"]
    other = sorted(path for path in told.keys() | own.keys() if told.get(path) != own.get(path))
    if other:
        raise UserError(
            f"this clone's training code is not that of the release, first in {other[0]} ({len(other)} files in all); "
            "use a clone at the release's commit, or --release-code to run the code that the release holds"
        )


def beginning(release: Path, segment: Segment, machine: Machine) -> tuple[Transformer, Optimizer]:
    """Model and optimizer as they are before the segment's first step; UserError when the checkpoint does not fit."""
    config = config_of(release)
    model = Transformer(config.model, tokenizer.load(release).vocabulary, config.training.seed)
    model = model.to(machine.device, config.training.numerics.compute)
    optimizer = Optimizer(model, config.training.optimizer, config.training.numerics)
    if segment.origin:
        found = load(segment.origin)
        try:
            load_weights(model, found.weights)
            restore(optimizer.state, found.optimizer)
        except ValueError as error:
            raise UserError(f"{segment.origin}: {error}") from None
    return model, optimizer


def retrain(release: Path, segment: Segment, out: Path, machine: Machine, environment: Mapping[str, Any]) -> None:
    """Train the segment on the release's documents, encoded anew; leave the checkpoint that it reaches in `out`.

    Beside it LOG, a record of each step, and RUN: the digest of the tokens, and what this ran on.
    """
    prepare(machine)
    config = config_of(release)
    files = Release(release, out / "made")
    model, optimizer = beginning(release, segment, machine)
    log = Log(out / "steps" / LOG, machine, segment.start, segment.end, {})
    for record in steps(config, model, optimizer, files.tokens, machine, range(segment.start, segment.end)):
        log.record(record)
    log.close()
    moments = {name: tensor.cpu() for name, tensor in optimizer.state.items()}
    owner = {"config": digest(plain(config)), "data": product_digest(files.views["tokens"])}
    save(out / "reached", Checkpoint(segment.end, weights_of(model), moments), owner)
    ran = {**environment, **stack(torch.get_num_threads(), machine.device)}
    write_json(out / RUN, {"tokens": file_digest(files.tokens / "train.npy"), "environment": ran})


def compare(release: Path, segment: Segment, out: Path, machine: Machine) -> dict[str, Any]:
    """What `retrain` left in `out` against the release: a report that is plain data; `holds` is its verdict."""
    ran = read_json(out / RUN)
    contract = config_of(release).training.numerics.contract
    recorded = {**read_json(release / "logs/weights/run.json"), **read_json(release / "logs/weights/stack.json")}
    environment = environments_apart(recorded, ran["environment"])
    same_stack = read_json(release / "provenance/weights.json")["config"].get("stack") == stack(
        ran["environment"]["threads"], ran["environment"]["device"]
    )
    bits = contract == "portable" or same_stack
    told, found = read_records(release / "logs/weights" / LOG, segment), read_records(out / "steps" / LOG, segment)
    problems = (
        same_bits(segment, release, out / "reached") if bits else near(release, segment, out / "reached", machine)
    )
    tolerance = LOSS_TOLERANCE["portable" if bits else "pinned"]
    apart = first_apart(told, found, tolerance)
    if apart:
        problems.append(apart)
    same_tokens = ran["tokens"] == read_json(release / "provenance/tokens.json")["products"]["train.npy"]["sha256"]
    return {
        "holds": not problems,
        "segment": segment.number,
        "steps": [segment.start, segment.end],
        "compared": "bit for bit" if bits else f"by tolerance: the contract is {contract} and the stack another",
        "problems": problems,
        "cause": cause(told, found, tolerance, same_tokens) if problems else None,
        "environment": environment,
    }


def same_bits(segment: Segment, release: Path, reached: Path) -> list[str]:
    """Every file of the checkpoint, and after the last segment the final weights, is what was reached."""
    told, found = load(segment.target), load(reached)
    name = f"checkpoints/{segment.target.name}"
    apart = {
        WEIGHTS: tensors_apart(told.weights, found.weights),
        OPTIMIZER: tensors_apart(told.optimizer, found.optimizer),
    }
    problems = [f"{name}/{file}: {line}" for file, line in apart.items() if line]
    ours, theirs = read_json(reached / STATE), read_json(segment.target / STATE)
    problems += [f"{name}/{STATE}: another {key}" for key in ("step", "belongs_to") if ours[key] != theirs.get(key)]
    if not problems and ours != theirs:
        problems.append(f"{name}: the tensors are the same and the files are not")
    if segment == segments(release)[-1] and file_digest(release / WEIGHTS) != file_digest(reached / WEIGHTS):
        problems.append(f"{WEIGHTS}: not the weights that the last segment reaches")
    return problems


def near(release: Path, segment: Segment, reached: Path, machine: Machine) -> list[str]:
    """What was reached lies near what is recorded, measured by how far the segment went."""
    model, optimizer = beginning(release, segment, machine)
    told, found = load(segment.target), load(reached)
    problems = []
    for name, before, recorded, now in (
        (WEIGHTS, weights_of(model), told.weights, found.weights),
        (OPTIMIZER, optimizer.state, told.optimizer, found.optimizer),
    ):
        if any(recorded.get(n) is None or recorded[n].shape != now[n].shape for n in now):
            problems.append(f"checkpoints/{segment.target.name}/{name}: other tensors")
            continue
        share = distance(recorded, now) / (distance(recorded, before) or 1.0)
        if not share <= STATE_TOLERANCE:
            problems.append(
                f"checkpoints/{segment.target.name}/{name}: is off by {share:.1%} of the segment's way; up to "
                f"{STATE_TOLERANCE:.0%} is allowed"
            )
    return problems


def distance(a: Mapping[str, Tensor], b: Mapping[str, Tensor]) -> float:
    return math.sqrt(sum(float((a[n].double() - b[n].double().cpu()).square().sum()) for n in b))


def read_records(path: Path, segment: Segment) -> dict[int, dict[str, Any]]:
    """The records of the segment's steps in a log, by step; what cannot be read is left out."""
    found: dict[int, dict[str, Any]] = {}
    for line in path.read_text(errors="replace").splitlines():
        try:
            record = json.loads(line)
            step, loss = int(record["step"]), float(record["loss"])
        except (ValueError, KeyError, TypeError, RecursionError):
            continue
        if segment.start < step <= segment.end:
            found[step] = {"loss": loss, "batch": record.get("batch")}
    return found


Records = Mapping[int, Mapping[str, Any]]


def first_apart(told: Records, found: Records, tolerance: float) -> str | None:
    """The first step whose recorded loss is missing, or further from the replayed one than the tolerance, relative."""
    for step, record in found.items():
        if step not in told:
            return f"logs/weights/{LOG}: no loss of step {step}"
        if not math.isclose(record["loss"], told[step]["loss"], rel_tol=tolerance):
            return (
                f"logs/weights/{LOG}: step {step}: loss {told[step]['loss']} is recorded, {record['loss']} was reached"
            )
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
