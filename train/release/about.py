"""What people say of a release, in its configuration; all else in it comes from records."""

import re
import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

from annotated_types import MinLen

from train.artifact import file_digest, read_json
from train.config import Count, Natural, Positive, build
from train.differences import first_difference
from train.errors import ConfigError, UserError
from train.release.cards.prose import LINE, PROSE, bounded, check_date
from train.release.standards import osaid

TABLE = Path(__file__).parent / "standards" / "forms.yaml"
# The items that forms ask a person to state.
FORMS = sorted({*re.findall(r"\{statement: ([^{}]+)\}", TABLE.read_text(encoding="utf-8"))} - {"ITEM"})


@dataclass(frozen=True)
class Statement:
    """What no machine can decide, said by somebody on a day."""

    item: str  # id of a row of kind "statement" in standards/osaid.toml, or what standards/forms.yaml asks for
    text: str  # what is said
    name: str  # of who says it
    date: str  # when

    def __post_init__(self) -> None:
        check_date(self.date)


@dataclass(frozen=True)
class Trial:
    """A short training by which settings were chosen: the publisher's word, as it is no part of a release."""

    settings: str  # what they were
    tokens: Count  # that it read
    seconds: Count  # of processors
    bits_per_byte: Positive  # of the held-out text, afterwards


@dataclass(frozen=True)
class SeedRun:
    """A training with some seed: the publisher's word, which whoever trains with it can test."""

    seed: Natural  # of the initial weights and the data order
    weights: str  # SHA-256 of its model.safetensors
    scores: dict[str, float]  # of its evaluation, by name


OWN = {"bits_per_byte", "next_token_accuracy", "perplexity"}  # scores of the model; the others are baselines
WORDS = ("title", "description", "contact", "intended_use", "limits")  # of people, in cards


def require_words(fields: Mapping[str, str]) -> None:
    """ValueError names the field whose words cannot stand in a card."""
    for name, text in fields.items():
        try:
            bounded(text, PROSE if name in ("description", "intended_use", "limits") else LINE)
        except UserError as error:
            raise ValueError(f"{name}: {error}") from None


@dataclass(frozen=True)
class ReleaseConfig:
    """What people say of the release; all else in it comes from records."""

    version: str  # of the release, in its name
    title: str  # of the release, in its cards
    description: str  # a paragraph about it
    licence: Literal["Apache-2.0"]  # of weights, code, cards and our own data
    authors: Annotated[tuple[str, ...], MinLen(1)]  # who made it, for the citation
    contact: str  # where to write to
    date: str  # of this version; chosen, not read from a clock
    intended_use: str  # what it is for
    limits: str  # what it is not for
    not_used: dict[str, str]  # id of a row of kind "declared" in standards/osaid.toml -> the reason
    trials: tuple[Trial, ...]  # hyper-parameter search; where there are any, its reason in `not_used` has no effect
    seeds: tuple[SeedRun, ...]  # trainings that differ in their seed alone, this one among them
    statements: tuple[Statement, ...]  # what people vouch for

    def __post_init__(self) -> None:
        if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._+-]{0,99}", self.version):  # also of folders, and of commands
            raise ValueError(f"version: expected letters, digits, '.', '_', '+' and '-', got {self.version!r}")
        require_words({name: getattr(self, name) for name in WORDS} | {"authors": ", ".join(self.authors)})
        require_words({f"trials.{number}.settings": trial.settings for number, trial in enumerate(self.trials)})
        check_date(self.date)
        require_table(self.seeds)
        for kind, items in (("declared", self.not_used), ("statement", [s.item for s in self.statements])):
            known = [row.id for row in osaid.ROWS if row.kind == kind] + FORMS * (kind == "statement")
            for item in sorted(set(items) - set(known)):
                raise ValueError(f"'{item}' is not among the {kind} items: {', '.join(known)}")


def require_table(runs: Iterable[SeedRun]) -> None:
    """ValueError unless these are at least two runs, each with a seed of its own and with the scores of the others."""
    runs = list(runs)
    seeds = [run.seed for run in runs]
    if len(seeds) != len(set(seeds)) or len(seeds) == 1 or len({frozenset(run.scores) for run in runs}) > 1:
        raise ValueError(f"seeds: expected none, or two and more with the same scores, got those of seeds {seeds}")


def about(release: Path) -> ReleaseConfig:
    """What people say of the release in a folder; UserError where that is not what they may say."""
    path = release / "code" / "config.json"
    try:
        return build(ReleaseConfig, read_json(path, "/release"))
    except ConfigError as error:
        raise UserError(f"{path}: release: {error}") from None


# Trainings that differ in their seed alone ---------------------------------------------------------------------------


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
