"""Training text that would give away what a model is evaluated on: evaluation items and held-out documents."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from train.data.dedup.ngrams import Index, Matches, Numbers, Words, ngrams, words
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


def contaminated(
    texts: Sequence[Words], threshold: float, items: Evaluated, held_out: Evaluated
) -> Iterator[str | None]:
    """13 words of an evaluation item in a row, or a shorter one whole; or too much in common with a held-out document.

    The latter is a larger share than the threshold of the word 13-grams of the shorter one of the two documents.
    One 13-gram of an item is enough, because items are few and made to be judged by; among documents such a stretch is
    as a rule a licence, a link or a command that many pages repeat, hence the share. Texts are judged one by one, and
    are looked at together because that is faster.
    """
    numbers = [text.numbers for text in texts]
    for text, of_items, shared in zip(
        texts, items.index.matches(numbers), held_out.index.matches(numbers), strict=True
    ):
        yield _of_item(text, items, of_items) or _of_held_out(text, threshold, held_out, shared)


def _of_item(text: Words, items: Evaluated, matches: Matches) -> str | None:
    for length, (places, rows) in matches.items():
        owner = items.index.tables[length].owners_of(rows[:1])[0]
        return f"{items.names[owner]}: {text.span(places[0], length)}"
    return None


def _of_held_out(text: Words, threshold: float, held_out: Evaluated, matches: Matches) -> str | None:
    if not matches:
        return None
    tables = held_out.index.tables
    every = [tables[length].owners_of(np.unique(rows)) for length, (_, rows) in matches.items()]
    owners, counts = np.unique(np.concatenate(every), return_counts=True)
    sizes = np.minimum(held_out.index.sizes[owners], len(np.unique(ngrams(text.numbers, WORDS), sorted=False)))
    shares = counts / np.maximum(1, sizes)
    owner = owners[shares.argmax()]
    if shares.max() <= threshold:
        return None
    first = next(
        text.span(common[0], length)
        for length, (places, rows) in matches.items()
        if len(common := np.repeat(places, tables[length].times[rows])[tables[length].owners_of(rows) == owner])
    )
    return f"{shares.max():.2f} of held_out {held_out.names[owner]}: {first}"
