"""Trainings that differ in their seed alone: what each scores, and how far they lie apart."""

import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from train.artifact import file_digest, read_json
from train.config import Natural
from train.differences import first_difference
from train.release.cards.facts import OWN


@dataclass(frozen=True)
class SeedRun:
    """A training with some seed: the publisher's word, which whoever trains with it can test."""

    seed: Natural  # of the initial weights and the data order
    weights: str  # SHA-256 of its model.safetensors
    scores: dict[str, float]  # of its evaluation, by name


def seed_run(seed: int, weights: Path, evaluation: Path) -> dict[str, Any]:
    """What there is to say of a training by the folders of its weights and of its evaluation, as plain data."""
    scores = {name: each["value"] for name, each in read_json(evaluation / "scores.json").items() if name in OWN}
    scores |= {name: each["value"] for name, each in read_json(evaluation / "minimal_pairs.json").items()}
    for name, each in read_json(evaluation / "multiple_choice.json").items():
        scores |= {f"{name} {measure}": each[measure]["value"] for measure in ("acc", "acc_norm")}
    return {"seed": seed, "weights": file_digest(weights / "model.safetensors"), "scores": scores}


def spread(runs: Sequence[Mapping[str, Any]]) -> dict[str, dict[str, float]]:
    """Mean and standard deviation of each score over several runs."""
    of = {name: [run["scores"][name] for run in runs] for name in runs[0]["scores"]}
    return {
        "mean": {name: round(statistics.mean(values), 4) for name, values in of.items()},
        "standard deviation": {name: round(statistics.stdev(values), 4) for name, values in of.items()},
    }


def require_table(runs: Iterable[SeedRun]) -> None:
    """ValueError unless these are at least two runs, each with a seed of its own and with the scores of the others."""
    runs = list(runs)
    seeds = [run.seed for run in runs]
    if len(seeds) != len(set(seeds)) or len(seeds) == 1 or len({frozenset(run.scores) for run in runs}) > 1:
        raise ValueError(f"seeds: expected none, or two and more with the same scores, got those of seeds {seeds}")


def own_run_apart(release: Path) -> str | None:
    """Where the run that a release tells of its own seed is not what it holds; None without such a table."""
    config = read_json(release / "code" / "config.json")
    if not (runs := config["release"]["seeds"]):
        return None
    own = seed_run(config["training"]["seed"], release, release / "evaluation")
    listed = next((run for run in runs if run["seed"] == own["seed"]), None)
    return first_difference(listed, own, f"release.seeds: the run of seed {own['seed']}")
