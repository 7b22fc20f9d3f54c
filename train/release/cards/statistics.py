"""`data/statistics.json`: the kept documents, counted anew from the documents and their ranges of tokens.

What a rule of selection says of a document is in the ledger; what the documents are like in sum is here.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from train.artifact import digest
from train.data import schema
from train.errors import UserError

UNITS = ("documents", "bytes", "tokens")  # bytes of text in UTF-8; tokens with the mark at each document's end
QUANTILES = {"least": 0.0, "5 %": 0.05, "25 %": 0.25, "median": 0.5, "75 %": 0.75, "95 %": 0.95, "most": 1.0}
EXAMPLES = 5  # of each kind


@dataclass(frozen=True)
class Label:
    """What a kept document is called, without its text."""

    id: str
    source: str
    path: str
    split: str


def statistics(release: Path) -> dict[str, Any]:
    """Documents, bytes and tokens; in all, and by split, source, licence and language.

    A quantile is the least length that this share of documents does not exceed. `digests` holds, for each split, the
    SHA-256 over the sorted ids of its documents, and `examples` what `examples_of` chooses. Raises UserError when a
    document has no range of tokens.
    """
    spans = schema.read_records(schema.TokenRange, parquet(release, "ranges"))
    ranges = {span.id: span.end - span.start for span in spans}
    total = dict.fromkeys(UNITS, 0)
    parts: dict[str, Any] = {kind: {} for kind in ("splits", "sources", "licences", "languages")}
    lengths: dict[str, list[int]] = {"bytes": [], "tokens": []}
    ids: dict[str, list[str]] = {}
    ratios: list[tuple[float, str]] = []  # bytes a token, id
    for row in schema.read_records(schema.SelectedDocument, parquet(release, "documents")):
        if row.id not in ranges:
            raise UserError(f"data/documents: document {row.id[:12]} has no range of tokens")
        size, tokens = len(row.text.encode()), ranges[row.id]
        here = {"documents": 1, "bytes": size, "tokens": tokens}
        keys = zip(parts, (row.split, row.source, row.licence, row.language), strict=True)
        for part in (total, *(parts[kind].setdefault(name, dict.fromkeys(UNITS, 0)) for kind, name in keys)):
            for unit, number in here.items():
                part[unit] += number
        for unit, numbers in lengths.items():
            numbers.append(here[unit])
        ids.setdefault(row.split, []).append(row.id)
        ratios.append((size / tokens, row.id))
    return {
        **total,
        **parts,
        "length": {unit: _quantiles(sorted(numbers)) for unit, numbers in lengths.items()},
        "digests": {split: digest(sorted(members)) for split, members in ids.items()},
        "examples": examples_of(release, ratios),
    }


def examples_of(release: Path, ratios: list[tuple[float, str]]) -> dict[str, list[dict[str, Any]]]:
    """The `typical` documents, those nearest to the median of bytes a token, and the `odd` ones, those farthest.

    The tokenizer was learnt on these texts: where a token holds about as many bytes as in most of them, a text is like
    the rest; where far fewer or far more, it is not. Ties go by id. Nobody picks, so nobody can pick the pretty ones.
    """
    median = sorted(ratio for ratio, _ in ratios)[(len(ratios) - 1) // 2] if ratios else 0.0
    ordered = sorted((abs(ratio - median), id, ratio) for ratio, id in ratios)
    chosen = {"typical": ordered[:EXAMPLES], "odd": ordered[EXAMPLES:][: -EXAMPLES - 1 : -1]}
    wanted = {id for some in chosen.values() for _, id, _ in some}
    rows = {row.id: row for row in schema.read_records(Label, parquet(release, "documents")) if row.id in wanted}
    return {
        kind: [{**vars(rows[id]), "bytes_per_token": round(ratio, 4)} for _, id, ratio in some]
        for kind, some in chosen.items()
    }


def parquet(release: Path, table: str) -> list[Path]:
    """The files of a table of the release's data, in order."""
    return sorted((release / "data" / table).glob("*.parquet"))


def _quantiles(ordered: list[int]) -> dict[str, int]:
    return {name: ordered[max(0, -int(-share * len(ordered) // 1) - 1)] for name, share in QUANTILES.items() if ordered}
