"""What people say of a release, in its configuration; all else in it comes from records."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

from annotated_types import MinLen

from train.artifact import read_json
from train.config import Count, Natural, Positive, build
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
