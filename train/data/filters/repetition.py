"""How much of a text says again what it said before: lines, paragraphs and n-grams of words.

A piece *repeats* when an equal one stands earlier in the same text.
"""

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from train.data.filters.pieces import Numbers, Pieces, Places, Shape, shape
from train.data.filters.quality import more

HALF = np.uint64(32)
FACTOR = np.uint64(0xD6E8FEB86659FD93)  # of the words of an n-gram, for a number that two seldom share


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
    most, total = len(text), max(1, int(_ends(text)[-1]))
    for n, threshold in enumerate(thresholds, start=2):
        grams, lengths = _ngrams(text, n)
        if most * lengths.max(initial=0) / total > threshold:
            most = int(_times(_sorted_halves(grams)).max(initial=0))  # at most, and longer ones stand no more often
        if most * lengths.max(initial=0) / total > threshold:
            ordered = np.sort(grams)
            times = _times(ordered)
            most = int(times.max(initial=0))
            commonest = ordered[times.cumsum() - 1][times == most]
            top = lengths[commonest.take(commonest.searchsorted(grams), mode="clip") == grams][
                : len(grams) * (most > 1)
            ]
            if detail := more(most * int(top.max(initial=0)) / total, threshold, f"the text is one {n}-gram"):
                return detail
    return None


def duplicate_ngrams(text: str, thresholds: Sequence[float]) -> str | None:
    """N-grams of 5 to 10 words that repeat cover a larger share of the text. Gopher: 0.15, 0.14, ... 0.10.

    Characters are those of words, each counted once however many n-grams cover it.
    """
    ends, total = _ends(text), max(1, int(_ends(text)[-1]))
    for n, threshold in enumerate(thresholds, start=5):
        grams, lengths = _ngrams(text, n)
        halves, least = _sorted_halves(grams), min(thresholds[n - 5 :])
        repeats = np.count_nonzero(halves[1:] == halves[:-1])
        if repeats * lengths.max(initial=0) / total <= least:  # what longer ones cover, these do
            break
        order = np.argsort(grams, kind="stable")
        again = np.sort(order[1:][grams[order[1:]] == grams[order[:-1]]])
        covered = ends[again + n] - ends[np.maximum(again, np.append(0, again + n)[:-1])]  # what the one before left
        share = int(covered.sum()) / total
        if detail := more(share, threshold, f"the text in {n}-grams"):
            return detail
        if share <= least:
            break
    return None


def _ngrams(text: str, n: int) -> tuple[Numbers, Places]:
    """For each n-gram of the text a number that equal ones share, and its characters."""
    words, rolled, ends = shape(text).of_words, _rolled(text), _ends(text)
    while len(rolled) < n:
        rolled.append(rolled[-1][:-1] * FACTOR + words[len(rolled) :])
    return rolled[n - 1], ends[n:] - ends[:-n]


@lru_cache(maxsize=1)
def _rolled(text: str) -> list[Numbers]:
    """The numbers of the n-grams of 1, 2, ... words, as far as they were asked for."""
    return [shape(text).of_words]


def _sorted_halves(grams: Numbers) -> NDArray[np.uint32]:
    """Half of each number, in order, which is faster to sort; where two have one, they only seem to be equal."""
    return np.sort((grams >> HALF).astype(np.uint32))


def _times(ordered: NDArray[Any]) -> Places:
    """How often each different number stands among some in order."""
    bounds = np.concatenate(([-1], np.flatnonzero(ordered[1:] != ordered[:-1]), [len(ordered) - 1]))
    return bounds[1:] - bounds[:-1]


@lru_cache(maxsize=1)
def _ends(text: str) -> Places:
    """For each word the characters of all words before it, and at the end those of all."""
    return np.append(0, shape(text).words.lengths.cumsum())


@lru_cache(maxsize=1)
def _of_lines(text: str) -> tuple[float, float]:
    return _repeats(shape(text), shape(text).lines)


@lru_cache(maxsize=1)
def _of_paragraphs(text: str) -> tuple[float, float]:
    return _repeats(shape(text), shape(text).paragraphs)


def _repeats(shape: Shape, pieces: Pieces) -> tuple[float, float]:
    """The share of pieces that repeat an earlier one, and the share of characters in them."""
    numbers, lengths = shape.numbers(pieces), pieces.lengths
    order = numbers.argsort()
    ordered = numbers[order]
    again = order[1:][ordered[1:] == ordered[:-1]]
    return len(again) / max(1, len(order)), int(lengths[again].sum()) / max(1, int(lengths.sum()))
