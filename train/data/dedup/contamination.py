"""Training text that would give away what a model is evaluated on: evaluation items and held-out documents."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from train.data.dedup.ngrams import Index, Numbers, Places, Words, ngrams, words
from train.data.schema import Item, read_records

WORDS = 13  # an n-gram, as for GPT-3 (Brown et al. 2020, appendix C)


@dataclass(frozen=True)
class Evaluated:
    """Texts to be evaluated on, to be found by their n-grams: owner i of `index` is called `names[i]`."""

    names: Sequence[str]
    index: Index


def evaluated(texts: Iterable[tuple[str, Numbers]]) -> Evaluated:
    """The texts, each given by its name and the numbers of its words."""
    named = list(texts)
    return Evaluated([name for name, _ in named], Index((numbers for _, numbers in named), WORDS))


def items_of(benchmarks: Path) -> Evaluated:
    """The items of every set of the artifact `benchmarks`."""
    items = read_records(Item, sorted(benchmarks.glob("*.parquet")))
    return evaluated((f"{item.set} {item.id}", words(item.text).numbers) for item in items)


def contaminated(text: Words, threshold: float, items: Evaluated, held_out: Evaluated) -> str | None:
    """13 words of an evaluation item in a row, or a shorter one whole; or too much in common with a held-out document.

    The latter is a larger share than the threshold of the word 13-grams of the shorter one of the two documents.
    One 13-gram of an item is enough, because items are few and made to be judged by; among documents such a stretch is
    as a rule a licence, a link or a command that many pages repeat, hence the share.
    """
    for length, places, rows in items.index.find(text.numbers):
        if len(rows):
            owner = items.index.tables[length].owners_of(rows[:1])[0]
            return f"{items.names[owner]}: {text.span(places[0], length)}"
    matches = {length: (places, rows) for length, places, rows in held_out.index.find(text.numbers)}
    if not any(len(rows) for _, rows in matches.values()):
        return None
    counts = held_out.index.shared({length: np.unique(rows) for length, (_, rows) in matches.items()})
    sizes = np.minimum(held_out.index.sizes, len(np.unique(ngrams(text.numbers, WORDS))))
    shares = counts / np.maximum(1, sizes)
    if not (shares > threshold).any():
        return None
    owner = int(shares.argmax())
    return f"{shares[owner]:.2f} of held_out {held_out.names[owner]}: {_first(text, owner, held_out, matches)}"


def _first(text: Words, owner: int, texts: Evaluated, matches: dict[int, tuple[Places, Places]]) -> str:
    """The first n-gram of `text` that the owner has too."""
    return next(
        text.span(position, length)
        for length, (places, rows) in matches.items()
        for position, row in zip(places, rows, strict=True)
        if owner in texts.index.tables[length].owners_of(np.array([row]))
    )
