"""Going on with more steps: a training of another length is the beginning of this one while their rates are the same.

What a step does follows from the weights, the batch and the rate. So two trainings that differ in their number of steps
alone are one, up to the step at which the schedule parts them: under warmup_stable_decay, where the shorter begins to
decay. What goes on from a checkpoint before that comes out with the bytes of a training that was never shorter.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from train.artifact import Bound, check, copy_file, read_json, sealed, write_bytes, write_json
from train.training.checkpoint import LOG, OPTIMIZER, STATE, WEIGHTS, log_lines, saved
from train.training.loop import FitConfig
from train.training.optimizer import schedule
from train.training.steps import checkpoint_name


def go_on(part: Path, bound: Bound, config: FitConfig) -> str:
    """Put into the new folder `part` what a training beside it shares with this one; a line on it, empty without one.

    `bound` is what the maker of `part` is bound to. A mixture's stages follow from the number of steps: none is shared.
    """
    others = {} if saved(part) or config.training.mixture else lengths(part.parent, bound)
    if not others:
        return ""
    shared = {run: same_rates(config, steps) for run, steps in others.items()}
    run = max(shared, key=lambda run: shared[run])
    step = min(shared[run], others[run] - 1) // config.training.checkpoint_every * config.training.checkpoint_every
    parted = f"a training of {others[run]} steps, with the same rates up to step {shared[run]}"
    if not step:
        return f"begun anew: {run} is {parted} ({config.training.optimizer.schedule}), before its first checkpoint"
    if problems := check(run):
        return f"begun anew: {run}: {problems[0]}"
    every = range(config.training.checkpoint_every, step + 1, config.training.checkpoint_every)
    take_over(run, part, every, config.owner(bound.inputs["tokens"].products))
    return f"goes on from step {step} of {run}, {parted}"


def take_over(run: Path, part: Path, steps: range, owner: Mapping[str, Any]) -> None:
    """Copy to `part` the checkpoints of `run` after these steps, as those of the training `owner`, and their log."""
    for step in steps:
        there = Path("checkpoints") / checkpoint_name(step)
        for name in (WEIGHTS, OPTIMIZER):
            copy_file(run / there / name, part / there / name)
        write_json(part / there / STATE, {**read_json(run / there / STATE), "belongs_to": owner})
    write_bytes(part / LOG, b"".join(line + b"\n" for line in log_lines(run / LOG)[: steps[-1]]))
    for name in ("resources.jsonl", "stack.json"):
        copy_file((run / LOG).with_name(name), (part / LOG).with_name(name))


def lengths(runs: Path, bound: Bound) -> dict[Path, int]:
    """The finished trainings in `runs` that differ from what is `bound` in their number of steps alone, and that."""
    like = ((run, record) for run, record in sealed(runs, bound.stage) if comparable(record) == comparable(bound))
    return {run: record.config["training"]["steps"] for run, record in like}


def comparable(record: Bound) -> tuple[Any, ...]:
    """What two trainings must have in common for the one to be the beginning of the other."""
    training = {**record.config["training"], "steps": None}
    return {**record.config, "training": training}, record.code, {n: e.products for n, e in record.inputs.items()}


def same_rates(config: FitConfig, other: int) -> int:
    """How many steps of this training have the rates that one of `other` steps has."""
    settings, steps = config.training.optimizer, config.training.steps
    most = min(steps, other)
    numbers = (n for n in range(most) if schedule(settings, n, steps) != schedule(settings, n, other))
    return next(numbers, most)
