"""Proof: training from one checkpoint of a release reaches the next one, bit for bit.

Segment k goes from checkpoint k to checkpoint k + 1; checkpoint 0 is the weights before step 1. The last segment is
the evaluation: its records follow from the last checkpoint. `retrain` does the work and may run as another program,
with the release's own code; `compare` judges what it left.

Whoever publishes must not know which segments will be trained again, or all others could be false: they are drawn with
a nonce that is made after the release, by whoever checks it.
"""

import math
import secrets
import time
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import Tensor

from train.artifact import digest, file_digest, read_json, read_manifest, write_json
from train.differences import keys_apart
from train.errors import UserError
from train.evaluation.measure import measure
from train.initial import identity_of
from train.machine import Machine
from train.model import weights_of
from train.release.bundle import fit_config, resumed
from train.release.differences import cause, environments_apart, losses_apart, read_records, tensors_apart
from train.release.view import Release, on_stack
from train.training.checkpoint import OPTIMIZER, STATE, WEIGHTS, Checkpoint, load, save
from train.training.log import Log
from train.training.loop import steps
from train.training.numerics import prepare, stack
from train.training.steps import checkpoint_name, checkpoint_steps
from train.world import World

LOG, RUN = "log.jsonl", "run.json"  # of what `retrain` leaves, beside the checkpoint's files
# Where bits are not promised, losses are compared by their relative difference, and what is kept by the share of the
# way that the segment moved it. Fifty steps of the tiny recipe under `pinned`, replayed with another vector width and
# in other slices, were off by less than 0.001 of the way, their losses by 4e-7; more steps drift further apart.
LOSS_TOLERANCE = 1e-3
STATE_TOLERANCE = 0.02


@dataclass(frozen=True)
class Segment:
    number: int
    start: int  # steps taken before it
    end: int
    origin: Path | None  # the checkpoint it starts from; None: the initial weights
    target: Path


def segments(release: Path) -> list[Segment]:
    """Every segment that the config says there is, whether or not its checkpoints are there."""
    training = fit_config(release).training
    ends = checkpoint_steps(training.checkpoint_every, training.steps)
    paths = [None, *(release / "checkpoints" / checkpoint_name(end) for end in ends)]
    starts = zip([0, *ends], ends, paths, paths[1:], strict=False)
    return [Segment(n, start, end, origin, target) for n, (start, end, origin, target) in enumerate(starts) if target]


@dataclass(frozen=True)
class Choice:
    """Which segments of `count` are made again; `nonce` where they were drawn, of those that were trained."""

    numbers: list[int]
    count: int
    nonce: str | None

    @property
    def missed(self) -> str | None:
        """With what probability a single false segment is not among them; None where somebody picked them."""
        left = self.count - len(self.numbers)
        return f"{left}/{self.count}" if self.nonce is not None or not left else None


def choose(release: Path, number: int | None, several: int | None, nonce: str | None) -> Choice:
    """The segment of that number, else `several` (None: all) drawn by the nonce; UserError for what cannot be.

    The evaluation is not drawn: it says nothing of how the weights were trained, and `verify` makes it again.
    """
    trained = len(segments(release))
    count = trained + 1
    if nonce is not None and not nonce.strip():
        raise UserError("--nonce: expected a word that whoever published could not know; without it one is drawn")
    if nonce is not None and several is None:
        raise UserError("--nonce: is what segments are drawn by, and --segment and --all draw none")
    if number is not None:
        if not 0 <= number < count:
            raise UserError(f"segment {number}: the segments of this release are 0 to {count - 1}")
        return Choice([number], count, None)
    if several is None:
        return Choice(list(range(count)), count, None)
    if not 1 <= several <= trained:
        raise UserError(f"--segments {several}: this release was trained in {trained}; give 1 to {trained}, or --all")
    nonce = secrets.token_hex(16) if nonce is None else nonce
    return Choice(drawn(identity_of(release), nonce, trained, several), trained, nonce)


def cost(release: Path, numbers: Collection[int]) -> str:
    """What it takes to make segments again, as a share of the training."""
    every = segments(release)
    steps, last = sum(each.end - each.start for each in every if each.number in numbers), every[-1].end
    trained = f"{steps} of {last} steps are trained again, {steps / last:.0%} of the training"
    return trained + ", and the evaluation" * (len(every) in numbers)


def drawn(identity: str, nonce: str, count: int, several: int) -> list[int]:
    """So many different numbers below `count`, in order, that follow from the identity and a word of the checker's."""
    order = sorted(range(count), key=lambda n: digest({"identity": identity, "nonce": nonce, "segment": n}))
    return sorted(order[:several])


@dataclass(frozen=True)
class Part:
    """What came of one segment."""

    holds: bool
    segment: int
    steps: list[int] | None  # taken before and after it; None for the evaluation
    compared: str  # how
    problems: list[str]
    cause: str | None
    environment: Mapping[str, list[Any]]  # what differs: name -> [there, here]
    training_seconds: float


def holds(parts: Sequence[bool], other: Collection[str]) -> bool | None:
    """Whether all segments hold; None where they do by `other` code than this clone's, which proves nothing yet."""
    return False if not all(parts) else None if other else True


def outcomes(holds: bool | None, missed: str | None) -> dict[str, str]:
    """What a verdict establishes, by rung: of segments that somebody picked, it is no word on the others."""
    word = {True: "holds", False: "FAILS", None: "not checked"}[holds]
    drawn = missed is not None or holds is False
    return {"intact": "holds"} | ({"trained": word} if drawn else {})


def require_same_code(release: Path, own: Mapping[str, str]) -> None:
    """Refuse, with UserError, to replay with training code (path -> its meaning) other than that which trained."""
    code = read_manifest(release / "provenance" / "weights.json").code
    if other := keys_apart(code, own):
        raise UserError(
            f"this clone's training code is not that of the release, first in {other[0]} ({len(other)} files in all); "
            "use a clone at the release's commit, or --release-code to run the code that the release holds"
        )


def retrain(release: Path, segment: Segment, out: Path, machine: Machine, environment: Mapping[str, Any]) -> None:
    """Train the segment on the release's documents, encoded anew; leave in `out` what it reaches, its LOG and RUN."""
    prepare(machine)
    config = fit_config(release)
    files = Release(release, out / "made")
    tokens = files.tokens
    _, model, optimizer = resumed(release, segment.origin, machine.device)
    log, began = Log(out / "steps" / LOG, machine, segment.start, segment.end, {}), time.monotonic()
    for record in steps(config, model, optimizer, tokens, World(0, 1, machine), range(segment.start, segment.end)):
        log.record(record)
    seconds = time.monotonic() - began
    log.close()
    moments = {name: tensor.cpu() for name, tensor in optimizer.state.items()}
    owner = config.owner(files.provenance["tokens"].digest)
    save(out / "reached", Checkpoint(segment.end, weights_of(model), moments), owner)
    ran = {**environment, **stack(machine)}
    write_json(out / RUN, {"tokens": file_digest(tokens / "train.npy"), "environment": ran, "seconds": seconds})


def compare(release: Path, segment: Segment, out: Path, machine: Machine) -> Part:
    """What `retrain` left in `out` against the release."""
    trained, here, seconds = (read_json(out / RUN, at) for at in ("/tokens", "/environment", "/seconds"))
    contract = fit_config(release).training.numerics.contract
    if contract == "exact" or on_stack(read_manifest(release / "provenance/weights.json"), here):
        compared, tolerance = "bit for bit", 0.0
        problems = same_bits(segment, release, out / "reached")
    else:
        compared, tolerance = f"by tolerance: the contract is {contract}, the stack another", LOSS_TOLERANCE
        problems = near(release, segment, out / "reached", machine)
    logs = (release / "logs/weights" / LOG, out / "steps" / LOG)
    before, after = (read_records(path, segment.start, segment.end) for path in logs)
    if difference := losses_apart(before, after, tolerance):
        problems.append(f"logs/weights/{LOG}: {difference}")
    same_tokens = trained == read_manifest(release / "provenance/tokens.json").products["train.npy"].sha256
    recorded = {**read_json(release / "logs/weights/run.json"), **read_json(release / "logs/weights/stack.json")}
    why, environment = cause(before, after, tolerance, same_tokens), environments_apart(recorded, here)
    steps = [segment.start, segment.end]
    return _part(segment.number, steps, compared, problems, why, seconds, environment)


def evaluate(release: Path, scratch: Path) -> Part:
    """A report on the last segment: the evaluation of the last checkpoint, against the records of the release."""
    began, files, every = time.monotonic(), Release(release, scratch), segments(release)
    inputs = files.inputs(tokens=files.tokens, weights=every[-1].target)
    measure(files.config.measure, inputs, scratch / "evaluation", files.world)
    problems = files.made_again("evaluation", scratch / "evaluation")
    why = "the evaluation: its records are not those of the last checkpoint"
    return _part(len(every), None, "bit for bit", problems, why, time.monotonic() - began, {})


def _part(
    number: int, steps: list[int] | None, compared: str, problems: list[str], why: str, seconds: float, environment: Any
) -> Part:
    cause = why if problems else None
    return Part(not problems, number, steps, compared, problems, cause, environment, round(seconds, 1))


def same_bits(segment: Segment, release: Path, folder: Path) -> list[str]:
    """Every file of the checkpoint, and after the last segment the final weights, is what was reached in `folder`."""
    recorded, reached = load(segment.target), load(folder)
    name = f"checkpoints/{segment.target.name}"
    differences = {
        WEIGHTS: tensors_apart(recorded.weights, reached.weights),
        OPTIMIZER: tensors_apart(recorded.optimizer, reached.optimizer),
    }
    problems = [f"{name}/{file}: {line}" for file, line in differences.items() if line]
    state, released = read_json(folder / STATE), read_json(segment.target / STATE)
    problems += [f"{name}/{STATE}: another {key}" for key in ("step", "belongs_to") if state[key] != released.get(key)]
    if not problems and state != released:
        problems.append(f"{name}: the tensors are the same and the files are not")
    if segment == segments(release)[-1] and file_digest(release / WEIGHTS) != file_digest(folder / WEIGHTS):
        problems.append(f"{WEIGHTS}: not the weights that the last segment reaches")
    return problems


def near(release: Path, segment: Segment, folder: Path, machine: Machine) -> list[str]:
    """What was reached lies near what is recorded: |reached - recorded| / |recorded - start| <= STATE_TOLERANCE."""
    _, model, optimizer = resumed(release, segment.origin, machine.device)
    recorded, reached = load(segment.target), load(folder)
    problems = []
    for name, before, goal, now in (
        (WEIGHTS, weights_of(model), recorded.weights, reached.weights),
        (OPTIMIZER, optimizer.state, recorded.optimizer, reached.optimizer),
    ):
        path = f"checkpoints/{segment.target.name}/{name}"
        if any(goal.get(n) is None or goal[n].shape != now[n].shape for n in now):
            problems.append(f"{path}: other tensors")
        elif not (share := distance(goal, now) / (distance(goal, before) or 1.0)) <= STATE_TOLERANCE:
            problems.append(
                f"{path}: is off by {share:.1%} of the segment's way; up to {STATE_TOLERANCE:.0%} is allowed"
            )
    return problems


def distance(a: Mapping[str, Tensor], b: Mapping[str, Tensor]) -> float:
    return math.sqrt(sum(float((a[n].double() - b[n].double().cpu()).square().sum()) for n in b))
