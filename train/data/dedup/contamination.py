"""Training text that would give away what a model is evaluated on: evaluation items and held-out documents."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from train.data.dedup.ngrams import Index, Numbers, Words, different, groups, ngrams_of, words
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
    details = dict(_of_held_out(texts, threshold, held_out)) | dict(_of_items(texts, items))
    yield from map(details.get, range(len(texts)))


def _of_items(texts: Sequence[Words], items: Evaluated) -> Iterator[tuple[int, str]]:
    """The place of each text that holds an item, and what; the shortest of several comes last."""
    for match in reversed(items.index.matches([text.numbers for text in texts])):
        for some in groups(match.texts):
            text, place = int(match.texts[some.start]), match.places[some.start]
            owner = items.index.tables[match.length].owners_of(match.rows[some][:1])[0]
            yield text, f"{items.names[owner]}: {texts[text].span(place, match.length)}"


def _of_held_out(texts: Sequence[Words], threshold: float, held_out: Evaluated) -> Iterator[tuple[int, str]]:
    """The place of each text that has too much in common with a held-out one, how much at most, and where first."""
    numbers, tables = [text.numbers for text in texts], held_out.index.tables
    matches, pairs = held_out.index.matches(numbers), [np.empty(0, np.intp)]
    for match in matches:
        table = tables[match.length]
        which, rows = np.divmod(different(match.texts * len(table.grams) + match.rows), len(table.grams))
        pairs.append(np.repeat(which, table.times[rows]) * len(held_out.names) + table.owners_of(rows))
    both, counts = np.unique(np.concatenate(pairs), return_counts=True)  # a text and an owner in one number
    if not len(both):
        return
    which, owners = np.divmod(both, len(held_out.names))
    own = np.array([len(different(grams)) for grams in ngrams_of(numbers, WORDS)], np.intp)[which]
    shares = counts / np.maximum(1, np.minimum(held_out.index.sizes[owners], own))
    above = np.flatnonzero(shares > threshold)
    for some in groups(which[above]):
        most = above[some][shares[above[some]].argmax()]
        text, owner = int(which[most]), owners[most]
        first = next(
            texts[text].span(match.places[at], match.length)
            for match in matches
            for at in np.flatnonzero(match.texts == text).tolist()
            if owner in tables[match.length].owners_of(match.rows[at : at + 1])
        )
        yield text, f"{shares[most]:.2f} of held_out {held_out.names[owner]}: {first}"
