"""How much of a text says again what it said before: lines, paragraphs and n-grams of words.

A piece *repeats* when an equal one stands earlier in the same text.
"""

import re
from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache
from itertools import count, islice

import numpy as np
from numpy.typing import NDArray

from train.data.filters.quality import lines, more, vocabulary

Places = NDArray[np.int64]
FACTOR = 0x9E3779B97F4A7C15 - 2**64  # of the words of an n-gram, for a number that two seldom share


def duplicate_lines(text: str, threshold: float) -> str | None:
    """A larger share of lines than the threshold repeats an earlier line. Gopher: 0.30."""
    return more(_of_lines(text)[0], threshold, "lines")


def duplicate_line_characters(text: str, threshold: float) -> str | None:
    """A larger share of the text than the threshold stands in lines that repeat. Gopher: 0.20, FineWeb: 0.10."""
    return more(_of_lines(text)[1], threshold, "the text")


def duplicate_paragraphs(text: str, threshold: float) -> str | None:
    """A larger share of paragraphs than the threshold repeats an earlier paragraph. Gopher: 0.30."""
    return more(_of_paragraphs(text)[0], threshold, "paragraphs")


def duplicate_paragraph_characters(text: str, threshold: float) -> str | None:
    """A larger share of the text than the threshold stands in paragraphs that repeat. Gopher: 0.20."""
    return more(_of_paragraphs(text)[1], threshold, "the text")


def top_ngrams(text: str, thresholds: Sequence[float]) -> str | None:
    """The commonest n-gram of 2, 3, 4 words takes a larger share of the text. Gopher: 0.20, 0.18, 0.16.

    Characters are those of words; an n-gram that stands only once takes none.
    """
    ends, pairs = _ends(text), _sorted_ngrams(text, 2)
    # None stands more often than the commonest pair, nor is longer than the longest, which settles it for most texts.
    bounds = np.flatnonzero(np.concatenate(([True], pairs[1:] != pairs[:-1], [True])))
    times = (bounds[1:] - bounds[:-1]).max()
    longest = ((ends[n:] - ends[:-n]).max(initial=0) for n in range(2, 2 + len(thresholds)))
    if all(times * each / max(1, ends[-1]) <= threshold for each, threshold in zip(longest, thresholds, strict=True)):
        return None
    for n, threshold in enumerate(thresholds, start=2):
        first, times, _ = _recurring(text)(n)
        lengths = ends[first + n] - ends[first]
        top = np.lexsort((lengths, times))[-1:]
        share = int((times * lengths)[top].sum()) / max(1, int(ends[-1]))
        if detail := more(share, threshold, f"the text is one {n}-gram"):
            return detail
    return None


def duplicate_ngrams(text: str, thresholds: Sequence[float]) -> str | None:
    """N-grams of 5 to 10 words that repeat cover a larger share of the text. Gopher: 0.15, 0.14, ... 0.10.

    Characters are those of words, each counted once however many n-grams cover it.
    """
    ends, grams = _ends(text), _sorted_ngrams(text, 5)
    repeats = np.count_nonzero(grams[1:] == grams[:-1])
    if repeats * (ends[5:] - ends[:-5]).max(initial=0) / max(1, ends[-1]) <= min(thresholds, default=1):
        return None
    for n, threshold in enumerate(thresholds, start=5):
        _, _, again = _recurring(text)(n)
        covered = ends[again + n] - ends[np.maximum(again, np.r_[0, again + n][:-1])]  # what the one before left
        share = int(covered.sum()) / max(1, int(ends[-1]))
        if detail := more(share, threshold, f"the text in {n}-grams"):
            return detail
        if share <= min(thresholds[n - 5 :]):  # what longer ones cover, these do
            break
    return None


def _sorted_ngrams(text: str, n: int) -> Places:
    """A number for each n-gram of the text, in order; where two have one number, they only seem to be equal."""
    _, ids = vocabulary(text)
    grams = ids[: max(0, len(ids) - n + 1)].copy()
    for place in range(1, n):
        grams = grams * FACTOR + ids[place : place + len(grams)]
    grams.sort()
    return grams


@lru_cache(maxsize=1)
def _recurring(text: str) -> Callable[[int], tuple[Places, Places, Places]]:
    """What tells of n-grams that occur more than once, for n from 2 on: where in words each stands first, how often it
    stands in the text, and, in order, where any of them stands again.

    What recurs at n + 1 recurs at n, so each n looks only where the one before it found something.
    """
    levels = _levels(vocabulary(text)[1])
    known: list[tuple[Places, Places, Places]] = []

    def of(n: int) -> tuple[Places, Places, Places]:
        known.extend(islice(levels, max(0, n - 1 - len(known))))
        return known[n - 2]

    return of


def _levels(ids: Places) -> Iterator[tuple[Places, Places, Places]]:
    """What `_recurring` tells, for n from 2 on, of words with these numbers."""
    places, which = np.arange(len(ids)), ids
    for n in count(2):
        fitting = np.searchsorted(places, len(ids) - n, "right")  # the last may lack room for n words
        places, which = places[:fitting], which[:fitting] * len(ids) + ids[places[:fitting] + n - 1]
        order = np.argsort(which, kind="stable")
        ordered = which[order]
        same = np.zeros(len(order) + 1, bool)  # as the one before
        same[1:-1] = ordered[1:] == ordered[:-1]
        first, last = np.flatnonzero(same[1:] & ~same[:-1]), np.flatnonzero(same[:-1] & ~same[1:])
        again = np.zeros(len(order), bool)
        again[order[same[:-1]]] = True
        yield places[order[first]], last - first + 1, places[again]
        again[order[first]] = True
        which[order] = np.cumsum(~same[:-1])
        places, which = places[again], which[again]


@lru_cache(maxsize=1)
def _ends(text: str) -> Places:
    """For each word the characters of all words before it, and at the end those of all."""
    numbers, which = vocabulary(text)
    return np.cumsum(np.append(0, np.fromiter(map(len, numbers), np.int64, len(numbers))[which]))


@lru_cache(maxsize=1)
def _of_lines(text: str) -> tuple[float, float]:
    return _repeats(lines(text))


@lru_cache(maxsize=1)
def _of_paragraphs(text: str) -> tuple[float, float]:
    """Of what blank lines separate."""
    return _repeats([part for part in map(str.strip, re.split(r"\n\s*\n", text)) if part])


def _repeats(pieces: Sequence[str]) -> tuple[float, float]:
    """The share of pieces that repeat an earlier one, and the share of characters in them."""
    different, total = set(pieces), sum(map(len, pieces))
    return (len(pieces) - len(different)) / max(1, len(pieces)), (total - sum(map(len, different))) / max(1, total)
