"""How much of a text says again what it said before: lines, paragraphs and n-grams of words.

A piece *repeats* when an equal one stands earlier in the same text.
"""

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from train.data.dedup.ngrams import MULTIPLIER, Places, grouped, mix64, ngrams
from train.data.filters.pieces import Shapes, measured
from train.data.filters.quality import more

SHORT, LONG = range(2, 5), range(5, 11)  # words of n-grams
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
    return _of_ngrams(measured(text, ngram_shares), thresholds, SHORT, "the text is one {}-gram")


def duplicate_ngrams(text: str, thresholds: Sequence[float]) -> str | None:
    """N-grams of 5 to 10 words that repeat cover a larger share of the text. Gopher: 0.15, 0.14, ... 0.10.

    Characters are those of words, each counted once however many n-grams cover it.
    """
    return _of_ngrams(measured(text, ngram_shares)[len(SHORT) :], thresholds, LONG, "the text in {}-grams")


def _of_ngrams(shares: Sequence[float], thresholds: Sequence[float], lengths: range, of: str) -> str | None:
    """What a predicate says of the shortest n-grams whose share is above its threshold."""
    each = zip(lengths, shares, thresholds, strict=False)
    return next((more(share, most, of.format(n)) for n, share, most in each if share > most), None)


def repeats(texts: Shapes, kind: str) -> NDArray[np.float64]:
    """The share of "lines" or "paragraphs" that repeat an earlier one, and of the text in these, (texts, 2)."""
    pieces = getattr(texts, kind)
    numbers, lengths = texts.numbers(pieces), pieces.lengths
    order = grouped(mix64(numbers))
    ordered, again = numbers[order], np.zeros(len(order), bool)
    again[order[1:]] = ordered[1:] == ordered[:-1]
    inside = texts.sum(lengths * again, pieces) / np.maximum(1, texts.sum(lengths, pieces))
    return np.stack([texts.mean(again, pieces), inside], 1)


def ngram_shares(texts: Shapes) -> NDArray[np.float64]:
    """The share of each text that is the commonest n-gram, for each length of the SHORT ones, and the share in n-grams
    that repeat, for each of the LONG ones, (texts, lengths)."""
    owners, ends = texts.owners(texts.words), texts.before
    shares = np.zeros((len(SHORT) + len(LONG), len(texts.texts)))
    for row, (n, first, times, later) in zip(shares, repeating(texts), strict=False):
        if n in SHORT:
            most = np.zeros(len(row), np.int64)
            np.maximum.at(most, owners[first], times << BITS | ends[first + n] - ends[first])
            row[:] = (most >> BITS) * (most & (1 << BITS) - 1)
        else:
            new = ends[later + n] - ends[np.maximum(later, np.append(0, later[:-1] + n))]  # what the one before left
            row[:] = np.bincount(owners[later], new, len(row))
    return (shares / texts.characters).T


def repeating(texts: Shapes) -> Iterator[tuple[int, Places, Places, Places]]:
    """The n-grams that stand more than once in a text: n, where each stands first, how often, and all later places.

    A longer n-gram repeats only where a shorter one does, so fewer and fewer places are looked at.
    """
    words = mix64(texts.numbers(texts.words))  # or what differs would share sums of the same powers
    grams = ngrams(words, SHORT.start)
    places = np.arange(len(grams))
    for n in (*SHORT, *LONG):
        order = grouped(grams)
        same = grams[order[1:]] == grams[order[:-1]]
        after, before = np.append(False, same)[: len(order)], np.append(same, False)[: len(order)]
        order = order[several := after | before]
        if not len(order):
            return
        starts = np.flatnonzero(~after[several])
        first, again = order[starts], np.zeros(len(grams), bool)
        again[order] = True
        left = again & (places < len(words) - n)
        again[first] = False
        yield n, places[first], np.diff(starts, append=len(order)), places[again]
        places = places[left]
        grams = grams[left] * MULTIPLIER + words[places + n]
