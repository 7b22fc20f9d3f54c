"""How much of a text says again what it said before: lines, paragraphs and n-grams of words.

A piece *repeats* when an equal one stands earlier in the same text.
"""

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from train.data.dedup.ngrams import MULTIPLIER, Places, ngrams
from train.data.filters.pieces import Shapes, measured
from train.data.filters.quality import more

SHORT, LONG = range(2, 5), range(5, 11)  # words of n-grams
LEADING = 18  # bits of its number
BITS = 32  # of a length, beside how often an n-gram stands


def duplicate_lines(text: str, threshold: float) -> str | None:
    """A larger share of lines than the threshold repeats an earlier line. Gopher: 0.30."""
    return more(measured(text, repeats, "lines")[0], threshold, "lines")


def duplicate_line_characters(text: str, threshold: float) -> str | None:
    """A larger share of the text than the threshold stands in lines that repeat. Gopher: 0.20, FineWeb: 0.10."""
    return more(measured(text, repeats, "lines")[1], threshold, "the text")


def duplicate_paragraphs(text: str, threshold: float) -> str | None:
    """A larger share of paragraphs than the threshold repeats an earlier paragraph. Gopher: 0.30."""
    return more(measured(text, repeats, "paragraphs")[0], threshold, "paragraphs")


def duplicate_paragraph_characters(text: str, threshold: float) -> str | None:
    """A larger share of the text than the threshold stands in paragraphs that repeat. Gopher: 0.20."""
    return more(measured(text, repeats, "paragraphs")[1], threshold, "the text")


def top_ngrams(text: str, thresholds: Sequence[float]) -> str | None:
    """The commonest n-gram of 2, 3, 4 words takes a larger share of the text. Gopher: 0.20, 0.18, 0.16.

    Characters are those of words; an n-gram that stands only once takes none.
    """
    return _of_ngrams(measured(text, commonest), thresholds, SHORT, "the text is one {}-gram")


def duplicate_ngrams(text: str, thresholds: Sequence[float]) -> str | None:
    """N-grams of 5 to 10 words that repeat cover a larger share of the text. Gopher: 0.15, 0.14, ... 0.10.

    Characters are those of words, each counted once however many n-grams cover it.
    """
    return _of_ngrams(measured(text, covered), thresholds, LONG, "the text in {}-grams")


def _of_ngrams(shares: Sequence[float], thresholds: Sequence[float], lengths: range, of: str) -> str | None:
    """What a predicate says of the shortest n-grams whose share is above its threshold."""
    each = zip(lengths, shares, thresholds, strict=False)
    return next((more(share, most, of.format(n)) for n, share, most in each if share > most), None)


def repeats(texts: Shapes, kind: str) -> NDArray[np.float64]:
    """The share of "lines" or "paragraphs" that repeat an earlier one, and of the text in these, (texts, 2)."""
    pieces = getattr(texts, kind)
    numbers, lengths = texts.numbers(pieces), pieces.lengths
    order = numbers.argsort()
    ordered, again = numbers[order], np.zeros(len(order), bool)
    again[order[1:]] = ordered[1:] == ordered[:-1]
    inside = texts.sum(lengths * again, pieces) / np.maximum(1, texts.sum(lengths, pieces))
    return np.stack([texts.mean(again, pieces), inside], 1)


def commonest(texts: Shapes) -> NDArray[np.float64]:
    """The share of each text that is the commonest n-gram, for each length of the SHORT ones, (texts, lengths)."""
    owners, ends, most = texts.owners(texts.words), texts.before, np.zeros((len(SHORT), len(texts.texts)), np.int64)
    for row, (n, first, times, _) in zip(most, repeating(texts, SHORT), strict=False):
        np.maximum.at(row, owners[first], times << BITS | ends[first + n] - ends[first])
    return ((most >> BITS) * (most & (1 << BITS) - 1) / texts.characters).T


def covered(texts: Shapes) -> NDArray[np.float64]:
    """The share of each text in n-grams that repeat, for each length of the LONG ones, (texts, lengths)."""
    owners, ends, shares = texts.owners(texts.words), texts.before, np.zeros((len(LONG), len(texts.texts)))
    for row, (n, _, _, later) in zip(shares, repeating(texts, LONG), strict=False):
        new = ends[later + n] - ends[np.maximum(later, np.append(0, later[:-1] + n))]  # what the one before left
        row[:] = np.bincount(owners[later], new, len(row))
    return (shares / texts.characters).T


def repeating(texts: Shapes, lengths: range) -> Iterator[tuple[int, Places, Places, Places]]:
    """The n-grams that stand more than once in a text: n, where each stands first, how often, and all later places.

    A longer n-gram repeats only where a shorter one does, so fewer and fewer places are looked at.
    """
    words = texts.numbers(texts.words)
    grams = ngrams(words, lengths.start)
    leading = (grams >> np.uint64(64 - LEADING)).astype(np.intp)
    places = np.flatnonzero(np.bincount(leading, minlength=1 << LEADING)[leading] > 1)  # or nearly: a few do not repeat
    grams = grams[places]
    for n in lengths:
        order = grams.argsort()
        ordered = grams[order]
        starts = np.flatnonzero(np.append(True, ordered[1:] != ordered[:-1])[: len(order)])
        times = np.diff(starts, append=len(order))
        if not (several := times > 1).any():
            return
        later = np.zeros(len(order), bool)
        later[order[np.repeat(several, times)]] = True
        left = later & (places < len(words) - n)
        later[first := np.minimum.reduceat(order, starts)[several]] = False
        yield n, places[first], times[several], places[later]
        places = places[left]
        grams = grams[left] * MULTIPLIER + words[places + n]
