"""The configuration as a release keeps it, `code/config.json`, complete, and each stage's own part of it."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from train.config import check_name, part_of
from train.data.benchmarks import BenchmarksConfig
from train.data.documents import DocumentsConfig
from train.data.duplicates import DuplicatesConfig
from train.data.judged import JudgedConfig
from train.data.mixture import require_sources
from train.data.raw import RawConfig
from train.data.selected import SelectConfig, SelectedConfig
from train.data.tokenizer import TokenizerConfig
from train.evaluation.measure import EvaluationConfig, MeasureConfig
from train.licences import CLOSED, standing
from train.model import ModelConfig
from train.release.about import ReleaseConfig
from train.spdx import UNFILLED
from train.training.loop import FitConfig, TrainingConfig


@dataclass(frozen=True)
class DataConfig:
    """Where the text comes from, and what of it is kept."""

    name: str  # also of its card, data_cards/<name>.md
    raw: RawConfig
    documents: DocumentsConfig
    selected: SelectedConfig

    def __post_init__(self) -> None:
        check_name(self.name)
        allowed = self.selected.licences
        for name in allowed:
            if name != UNFILLED and standing(name) == CLOSED:
                raise ValueError(
                    f"selected.licences: '{name}' is not known to be open, and no release may hold such texts; "
                    "leave it out, or read the licence and list it in train/licences.toml"
                )


@dataclass(frozen=True)
class Resolved:
    """All that decides what a release is."""

    name: str  # of the release, before its version
    data: DataConfig
    benchmarks: BenchmarksConfig
    tokenizer: TokenizerConfig
    model: ModelConfig
    training: TrainingConfig
    evaluation: EvaluationConfig
    release: ReleaseConfig

    def __post_init__(self) -> None:
        check_name(self.name)
        require_sources(self.training.mixture, (source.purl for source in self.data.raw.sources))

    @property
    def fit(self) -> FitConfig:
        return FitConfig(self.model, self.training)

    @property
    def measure(self) -> MeasureConfig:
        return MeasureConfig(self.model, self.evaluation)


# Stage -> its own part of the configuration: all of it that enters the key.
SETTINGS: dict[str, Callable[[Resolved], Any]] = {
    "raw": lambda config: config.data.raw,
    "documents": lambda config: config.data.documents,
    "benchmarks": lambda config: config.benchmarks,
    "judged": lambda config: part_of(JudgedConfig, config.data.selected),
    "duplicates": lambda config: part_of(DuplicatesConfig, config.data.selected),
    "selected": lambda config: part_of(SelectConfig, config.data.selected),
    "tokenizer": lambda config: config.training.init_from or config.tokenizer,
    "tokens": lambda config: None,
    "weights": lambda config: config.fit,
    "evaluation": lambda config: config.measure,
}
