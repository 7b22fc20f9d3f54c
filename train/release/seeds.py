"""Trainings that differ in their seed alone: what each scores, and how far they lie apart."""

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from train.artifact import file_digest, read_json
from train.differences import first_difference
from train.release.about import about
from train.release.cards.facts import OWN


def seed_run(seed: int, weights: Path, evaluation: Path) -> dict[str, Any]:
    """What there is to say of a training by the folders of its weights and of its evaluation, as plain data."""
    scores = {name: each["value"] for name, each in read_json(evaluation / "scores.json").items() if name in OWN}
    scores |= {name: each["value"] for name, each in read_json(evaluation / "minimal_pairs.json").items()}
    for name, each in read_json(evaluation / "multiple_choice.json").items():
        scores |= {f"{name} {measure}": each[measure]["value"] for measure in ("acc", "acc_norm")}
    return {"seed": seed, "weights": file_digest(weights / "model.safetensors"), "scores": scores}


@dataclass(frozen=True)
class Spread:
    """How far several runs lie apart in a score."""

    mean: float
    deviation: float  # of a run: the standard one, of a sample
    least: float
    most: float


def spread(runs: Sequence[Mapping[str, float]]) -> dict[str, Spread]:
    """The spread of each score of the first of several runs, over all that have it."""
    of = {name: [run[name] for run in runs if name in run] for name in runs[0]}
    return {
        name: Spread(statistics.mean(each), statistics.stdev(each) if each[1:] else 0.0, min(each), max(each))
        for name, each in of.items()
    }


def own_run_apart(release: Path, seed: int) -> str | None:
    """Where the run that a release tells of its own seed is not what it holds; None without such a table."""
    if not (runs := about(release).seeds):
        return None
    own = seed_run(seed, release, release / "evaluation")
    listed = next((vars(run) for run in runs if run.seed == seed), None)
    return first_difference(listed, own, f"release.seeds: the run of seed {seed}")
