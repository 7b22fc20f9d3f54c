"""A run below `runs/` and a release read as one: documents, ledger, token ranges, and which step (from 1) read what."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from train.artifact import MANIFEST, Manifest, manifest, read_json, read_manifest, sealed
from train.config import build
from train.data import batches
from train.data.ledger import SPLITS
from train.data.mixture import Mixture, MixtureStage
from train.data.schema import LedgerRow, Origin, TokenRange, read_records
from train.data.tokens import ranges_path
from train.errors import UserError
from train.layout import ARTIFACTS, folder_of
from train.world import Inputs

T = TypeVar("T")


@dataclass(frozen=True)
class Order:
    """The settings of a training that decide the order of its data."""

    steps: int
    batch: int
    context: int
    seed: int
    checkpoint_every: int
    mixture: Mixture = ()


@dataclass(frozen=True)
class Labelled(Origin):
    """The labels of a kept document, without its text."""

    evidence: str
    attribution: str
    split: str


@dataclass(frozen=True)
class KeptDocument(Labelled):
    """A kept document: labels, the range of its tokens in its split, and the bytes of its text."""

    start: int
    end: int
    bytes: int


@dataclass(frozen=True)
class Lineage:
    """The records of one training, and where they stand."""

    folder: Path
    artifacts: Inputs
    order: Order | None  # None when nothing was trained yet

    @cached_property
    def kept(self) -> dict[str, KeptDocument]:
        """The kept documents by id."""
        documents = {each.id: each for each in self._rows(Labelled, "documents")}
        paths = (ranges_path(self.artifacts.tokens, split) for split in SPLITS)
        ranges = {each.id: each for each in read_records(TokenRange, paths)}
        if strangers := [id for id in ranges if id not in documents]:
            raise UserError(f"{self.folder}: document {strangers[0][:12]} has tokens, but was not kept")
        if without := [id for id in documents if id not in ranges]:
            raise UserError(f"{self.folder}: document {without[0][:12]} was kept, but has no range of tokens")
        return {id: KeptDocument(**vars(ranges[id]) | vars(label)) for id, label in documents.items()}

    @cached_property
    def ledger(self) -> list[LedgerRow]:
        return list(self._rows(LedgerRow, "ledger"))

    def _rows(self, record: type[T], table: str) -> Iterator[T]:
        return read_records(record, sorted((self.artifacts.selected / table).glob("*.parquet")))

    @cached_property
    def training(self) -> list[TokenRange]:
        """The documents of the training split, in the order of their tokens."""
        path = ranges_path(self.artifacts.tokens, "train")
        ranges = list(read_records(TokenRange, [path]))
        if not ranges:
            raise UserError(f"{path}: holds no document, so there is no training text")
        return ranges

    @cached_property
    def records(self) -> dict[str, dict[str, Any]]:
        """What is recorded of each source, by purl."""
        path = self.artifacts.raw / "sources.json"
        try:
            return {record["purl"]: record for record in read_json(path)}
        except (KeyError, TypeError):
            raise UserError(f"{path}: expected a list of sources, each with its purl") from None

    @property
    def trained(self) -> Order:
        if self.order is None:
            raise UserError(f"{self.folder}: nothing was trained from it yet, so there are no steps")
        return self.order

    @cached_property
    def drawn(self) -> batches.Order:
        """The order of the training, computed again."""
        named = {name: getattr(self.trained, name) for name in ("steps", "batch", "context", "seed")}
        spans = ((each.source, each.start, each.end) for each in self.training)
        return batches.ordered(self.trained.mixture, "many", spans, self.training[-1].end, **named)

    @cached_property
    def texts(self) -> list[list[TokenRange]]:
        """The documents of each text that was read, with the range of their tokens in it; without a mixture, of all."""
        texts: list[list[TokenRange]] = []
        for text in self.drawn.texts if self.trained.mixture else ():
            texts.append([])
            for each in (each for each in self.training if each.source in text.sources):
                start = texts[-1][-1].end if texts[-1] else 0
                texts[-1].append(replace(each, start=start, end=start + each.end - each.start))
        return texts or [self.training]

    @cached_property
    def places(self) -> dict[str, tuple[int, TokenRange]]:
        """The text that a document of the training split was read in, and where in it."""
        return {each.id: (number, each) for number, text in enumerate(self.texts) for each in text}

    @cached_property
    def sequences(self) -> tuple[NDArray[np.int64], ...]:
        """Text, window of it, and epoch from 0 that each sequence of the training reads, each (steps * batch,)."""
        return self.drawn.sequences(0, self.trained.steps * self.trained.batch)


def readings(lineage: Lineage, documents: Iterable[KeptDocument]) -> dict[str, NDArray[np.int64]]:
    """Every sequence of the training that held a token of some of the kept `documents`, as input or target.

    `step`, `sequence` (its place in the batch) and `epoch`, all from 1, each (readings,), in the order of training.
    """
    order, wanted = lineage.trained, [np.zeros(count, dtype=bool) for count in lineage.drawn.windows]
    for document in documents:
        if document.split == "train" and document.id in lineage.places:
            text, each = lineage.places[document.id]
            # A window holds `context` inputs and, as the last target, one token more.
            wanted[text][max(0, -(-each.start // order.context) - 1) : -(-each.end // order.context)] = True
    texts, windows, epochs = lineage.sequences
    first = np.cumsum([0, *lineage.drawn.windows])
    places = np.flatnonzero(np.concatenate(wanted)[first[texts] + windows])
    return {"step": places // order.batch + 1, "sequence": places % order.batch + 1, "epoch": epochs[places] + 1}


def lineage(folder: Path) -> Lineage:
    """The lineage of the newest training below a folder of runs, of one artifact in it, or of a release."""
    if (folder / "MANIFEST.json").is_file():
        artifacts = {name: folder_of(folder, name) for name in ARTIFACTS}
        trained: Manifest | None = read_manifest(folder / "provenance" / "weights.json")
    else:
        folder = folder if (folder / "manifest.json").is_file() else _newest(folder)
        artifacts = _chain(folder)
        trained = manifest(artifacts["weights"]) if "weights" in artifacts else None
    if missing := {"raw", "documents", "selected", "tokenizer", "tokens"} - artifacts.keys():
        raise UserError(f"{folder}: was not made from {', '.join(sorted(missing))}; name a weights or tokens artifact")
    return Lineage(folder, Inputs(**artifacts), _order(trained, folder) if trained is not None else None)


def ledger_of(folder: Path) -> Iterator[LedgerRow]:
    """The entries of the ledger of a release, of an artifact `selected`, or of the newest one in a folder of runs."""
    newest = sorted(folder.glob("selected-*[0-9a-f]/ledger"), key=lambda path: path.parent.stat().st_mtime_ns)
    places = (folder / "data" / "ledger", folder / "ledger", *reversed(newest))
    table = next((path for path in places if path.is_dir()), None)
    if table is None:
        raise UserError(f"{folder}: neither a release nor a folder of runs in which `selected` was made")
    return read_records(LedgerRow, sorted(table.glob("*.parquet")))


def _chain(folder: Path) -> dict[str, Path]:
    """The artifact `folder` and all that it was made from, by stage."""
    artifacts = {manifest(folder).stage: folder}
    for path in (queue := [folder]):
        for stage, origin in manifest(path).inputs.items():
            if stage not in artifacts:
                artifacts[stage] = folder.parent / f"{stage}-{origin.key[:8]}"
                queue.append(artifacts[stage])
    return artifacts


def _newest(folder: Path) -> Path:
    """The artifact that was made last: weights if there are any, else tokens."""
    for stage in ("weights", "tokens"):
        if artifacts := [path for path, _ in sealed(folder, stage)]:
            return max(artifacts, key=lambda path: ((path / MANIFEST).stat().st_mtime_ns, path.name))
    raise UserError(f"{folder}: neither a release (no MANIFEST.json) nor a folder of runs with tokens in it")


def _order(record: Manifest, folder: Path) -> Order:
    try:
        settings = {**record.config["model"], **record.config["training"]}
        names = ("steps", "batch", "context", "seed", "checkpoint_every")
        mixture = tuple(build(MixtureStage, stage) for stage in settings.get("mixture", ()))
        return Order(mixture=mixture, **{name: int(settings[name]) for name in names})
    except (KeyError, TypeError, ValueError) as error:
        raise UserError(f"{folder}: the manifest of its weights lacks a setting of the training ({error})") from None
