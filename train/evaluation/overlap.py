"""Overlap (contamination): n-grams of evaluation sets and held-out text that stand in the training text too.

What is left of it after the selection. The n-grams of what is evaluated are held in memory, and the training text is
read once, a piece at a time.
"""

from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby
from typing import Any

import numpy as np

from train.data import tokenizer
from train.data.dedup.contamination import WORDS
from train.data.dedup.ngrams import Index, Numbers, mix64, words
from train.data.schema import Item, read_records
from train.data.selected import kept_documents
from train.data.tokens import read_tokens
from train.world import Inputs, World

TOKENS = 13  # an n-gram
AT_A_TIME = 1 << 20  # tokens of the training text


def overlap(inputs: Inputs, world: World) -> dict[str, Any]:
    """`overlap.json`: for each evaluation set and for the held-out split, what the training text holds of it.

    Counted are the different n-grams of each item: of 13 words or tokens, or all of a shorter item as one. `found`
    lists the items of which any n-gram stands in the training text.
    """
    items = list(read_records(Item, sorted(inputs.benchmarks.glob("*.parquet"))))
    held_out = list(kept_documents(inputs.selected, "held_out"))
    texts = [item.text for item in items] + [document.text for document in held_out]
    encoded = tokenizer.load(inputs.tokenizer).encode(texts)
    indexes = {
        "words": Index((words(text).numbers for text in texts), WORDS),
        "tokens": Index((numbers_of(np.array(tokens)) for tokens in encoded), TOKENS),
    }
    training = world.track(kept_documents(inputs.selected, "train"), "documents compared")
    pieces = {
        "words": (words(document.text).numbers for document in training),
        "tokens": token_pieces(read_tokens(inputs.tokens, "train")),
    }
    shared = {unit: seen(index, pieces[unit]) for unit, index in indexes.items()}
    names = [(item.set, item.id) for item in items] + [("", document.id) for document in held_out]
    rows = [
        (name, {unit: {"ngrams": int(indexes[unit].sizes[i]), "shared": int(shared[unit][i])} for unit in indexes})
        for i, name in enumerate(names)
    ]
    sets = {name: summary(list(of_set)) for name, of_set in groupby(rows, key=lambda row: row[0][0])}
    return {"lengths": {"words": WORDS, "tokens": TOKENS}, "held_out": sets.pop("", None), "sets": sets}


def summary(rows: Sequence[tuple[tuple[str, str], dict[str, dict[str, int]]]]) -> dict[str, Any]:
    """One evaluation set: n-grams in all and shared, their share, and the items that share any."""
    total: dict[str, Any] = {"items": len(rows), "found": {}}
    for (_, id), counts in rows:
        if any(count["shared"] for count in counts.values()):
            total["found"][id] = counts
    for unit in rows[0][1]:
        ngrams, shared = (sum(counts[unit][what] for _, counts in rows) for what in ("ngrams", "shared"))
        having = sum(counts[unit]["shared"] > 0 for _, counts in rows)
        total[unit] = {"ngrams": ngrams, "shared": shared, "share": round(shared / max(1, ngrams), 6), "items": having}
    return total


def seen(index: Index, texts: Iterable[Numbers]) -> list[int]:
    """How many different n-grams of each owner of `index` stand in any of `texts`."""
    shared = {length: np.zeros(len(table.grams), bool) for length, table in index.tables.items()}
    for text in texts:
        for length, _, rows in index.find(text):
            shared[length][rows] = True
    return index.shared({length: np.flatnonzero(rows) for length, rows in shared.items()}).tolist()  # type: ignore[no-any-return]


def token_pieces(tokens: np.ndarray) -> Iterator[Numbers]:
    """The flat array of a split, in pieces that together hold each n-gram.

    Documents are kept apart by the end-of-text mark between them, which nothing that is evaluated holds.
    """
    for start in range(0, len(tokens), AT_A_TIME):
        yield numbers_of(tokens[start : start + AT_A_TIME + TOKENS - 1])


def numbers_of(tokens: np.ndarray) -> Numbers:
    """A number for each token, its bits mixed."""
    return mix64(np.asarray(tokens).astype(np.uint64) + np.uint64(1))
