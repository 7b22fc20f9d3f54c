"""Stage 6: the documents we keep, and for each one we drop or change, why.

Workers share the parts. Equal texts are all in one part, so exact duplicates are decided there; near duplicates follow
from the clusters, and what gives away an evaluation item or a held-out text from these texts themselves, of all parts.
Nothing depends on the order of the input or on the number of workers.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from heapq import merge
from pathlib import Path
from typing import Any

import numpy as np

from train.artifact import read_json, write_json
from train.config import Share
from train.data.candidates import DROPPED, FILE, Candidate, Candidates, Rows, together
from train.data.dedup.contamination import Evaluated, contaminated, evaluated, items_of
from train.data.dedup.ngrams import groups, words_of
from train.data.duplicates import Clusters, DuplicatesConfig, named
from train.data.filters import rules
from train.data.judged import HeldOut, JudgedConfig, Parts
from train.data.ledger import SPLITS, add, check_counts, count, ledger_rows
from train.data.schema import LEDGER, SELECTED, SelectedDocument, read_records, table
from train.world import Inputs, World

HELD_OUT = SPLITS.index("held_out")


@dataclass(frozen=True)
class SelectConfig:
    """What this stage needs."""

    parts: Parts
    held_out: HeldOut
    contaminated: Share  # share of word 13-grams


@dataclass(frozen=True)
class SelectedConfig(JudgedConfig, DuplicatesConfig, SelectConfig):
    """The settings of a selection as they are written: those of the three stages that make it."""


def select(config: SelectConfig, inputs: Inputs, out: Path, world: World) -> None:
    """Write `documents/`, `ledger/` and `counts/` part by part; alone, also their sum, `counts.json`.

    Raises UserError when nothing is kept, and when a split is empty.
    """
    counts = [out / "counts" / f"{name(part)}.json" for part in range(config.parts)]
    if left := [part for part in world.share(range(config.parts)) if not counts[part].exists()]:
        selection = Selection(config, inputs)
        for part in world.track(left, "parts selected"):
            write_json(counts[part], count(written(selection.part(part), out, part)))
    if world.size == 1:
        total = add(*map(read_json, counts))
        check_counts(config.held_out, total)
        write_json(out / "counts.json", total)


def kept_documents(selected: Path, split: str) -> Iterator[SelectedDocument]:
    """The documents of a split (`train` or `held_out`) of the artifact `selected`, in the order of their ids."""
    parts = sorted((selected / "documents").glob("*.parquet"))
    documents = merge(*(read_records(SelectedDocument, [part], len(parts)) for part in parts), key=lambda each: each.id)
    return (document for document in documents if document.split == split)


def name(part: int) -> str:
    """The stem of a part's files."""
    return f"part-{part:04d}"


def written(candidates: Iterable[Candidate], out: Path, part: int) -> Iterator[Candidate]:
    """Write the documents and the ledger of one part; pass its candidates on."""
    paths = (out / folder / f"{name(part)}.parquet" for folder in ("documents", "ledger"))
    with table(next(paths), SELECTED) as documents, table(next(paths), LEDGER) as ledger:
        for candidate in candidates:
            if not candidate.judgement.dropped:
                documents(candidate.document)
            for row in ledger_rows(candidate):
                ledger(row)
            yield candidate


class Selection:
    """The decisions for which a document is compared with others and with evaluation sets."""

    def __init__(self, config: SelectConfig, inputs: Inputs) -> None:
        self.config, self.candidates = config, Candidates(inputs.judged)
        self.clusters = Clusters(self.candidates, inputs.duplicates)
        self.items, self.held_out = items_of(inputs.benchmarks), self._held_out()

    def part(self, part: int) -> Iterator[Candidate]:
        """The decided candidates of a part, in the order of their ids, then of their sources and paths."""
        for some in together(self._compared(part), lambda each: len(each.document.text)):
            training = [each for each in some if not each.judgement.dropped and each.document.split != SPLITS[HELD_OUT]]
            texts = words_of([each.document.text for each in training])
            details = contaminated(texts, self.config.contaminated, self.items, self.held_out)
            for each, detail in zip(training, details, strict=True):
                each.judgement.dropped = ("contaminated", detail) if detail else None
            yield from some

    def _compared(self, part: int) -> Iterator[Candidate]:
        """The candidates of a part, in that order, decided as far as other documents do."""
        originals = {
            original["text"]: (place(original), self.candidates.of_row(original).title)
            for rows in self.candidates.part(part, "text")
            for original in self._originals(rows, least=2)
        }
        for rows in self.candidates.part(part, "id"):
            for group in groups(rows["id"]):
                for row, candidate in self._in_order(rows[group]):
                    if row["split"] != DROPPED:
                        first, title = originals.get(row["text"], (place(row), ""))
                        other = None if first == place(row) else title
                        candidate.judgement.dropped = self._reason(row, candidate, other)
                    yield candidate

    def _reason(self, row: Any, candidate: Candidate, original: str | None) -> tuple[str, str] | None:
        """Why a document is dropped that is like another one."""
        if detail := rules.exact_duplicates(original):
            return "exact_duplicates", detail
        detail = self._better(row, candidate)
        return ("near_duplicates", detail) if detail else None

    def _better(self, row: Any, candidate: Candidate) -> str | None:
        node = int(row["node"])
        return None if node < 0 else self.clusters.better(self.candidates.files[row["run"]] << FILE | node, candidate)

    def _originals(self, rows: Rows, least: int = 1) -> Iterator[Any]:
        """Of rows in the order of their texts, the first document of each text that stands in `least` of them."""
        rows = rows[rows["split"] != DROPPED]
        for group in groups(rows["text"], least):
            alone = group.stop - group.start == 1
            yield rows[group.start] if alone else min(rows[group], key=lambda row: self.candidates.of_row(row).order)

    def _in_order(self, rows: Rows) -> Iterator[tuple[Any, Candidate]]:
        """The candidates of one id, by source and path, as those of each run are."""
        if len(rows) == 1:
            return iter([(rows[0], self.candidates.of_row(rows[0]))])
        runs = (((row, self.candidates.of_row(row)) for row in rows[run]) for run in groups(rows["run"]))
        return merge(*runs, key=lambda each: each[1].order)

    def _held_out(self) -> Evaluated:
        """The held-out texts that are kept, in the order of their ids."""
        rows = np.concatenate([*self.candidates.rows(lambda run: run["split"] == HELD_OUT), self.candidates.none])
        first = ((row, self.candidates.of_row(row)) for row in self._originals(rows[np.argsort(rows["text"])]))
        alone, kept = (each for row, each in first if not self._better(row, each)), []
        for some in together(alone, lambda each: len(each.document.text)):
            texts = words_of([each.document.text for each in some])
            kept += [(each.document.id, named(each), text.numbers) for each, text in zip(some, texts, strict=True)]
        return evaluated((title, numbers) for _, title, numbers in sorted(kept, key=lambda each: each[0]))


def place(row: Any) -> tuple[int, int]:
    """What tells a row from all others."""
    return int(row["run"]), int(row["start"])
