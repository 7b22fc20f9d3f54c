"""Near duplicates: texts of which most word n-grams are the same.

MinHash with banding (Broder 1997; Leskovec, Rajaraman and Ullman, Mining of Massive Datasets, chapter 3). A signature
holds the least value of each of `SIZE` hash functions over the word n-grams of a text; two signatures agree in
a share of places that estimates the Jaccard similarity s of the two sets of n-grams, with a standard deviation of
sqrt(s (1 - s) / SIZE). Texts that agree in a whole band are compared, which happens with probability
1 - (1 - s^ROWS)^BANDS: 0.92 at s = 0.8, 0.99 at 0.85, and 0.05 at 0.5.

Written here, on numpy, because signatures decide which documents are kept: their bytes must be the same on any machine
and with any version of a library, which no library for them promises.
"""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from train.data.dedup.ngrams import HALF, MULTIPLIER, Numbers, Places, mix64, ngrams

WORDS = 5  # an n-gram
BANDS = 14
ROWS = 8
SIZE = BANDS * ROWS  # of a signature
AT_A_TIME = 2048  # n-grams whose values stand in memory together

Signatures = NDArray[np.uint32]  # (texts, SIZE)

# A multiplier and a summand for each hash function, x -> a x + b modulo 2^32 with odd a: a permutation.
_CONSTANTS = (mix64(np.arange(1, 2 * SIZE + 1, dtype=np.uint64)) >> HALF).astype(np.uint32)
MULTIPLIERS, SUMMANDS = _CONSTANTS.reshape(2, SIZE, 1)
MULTIPLIERS |= np.uint32(1)
NONE = np.uint32(2**32 - 1)  # in every place of the signature of a text with fewer than WORDS words


def signature(words: Numbers) -> Signatures:
    """The signature (SIZE,) of a text, given the numbers of its words."""
    grams = (mix64(ngrams(words, WORDS)) >> HALF).astype(np.uint32)
    least = np.full(SIZE, NONE)
    for start in range(0, len(grams), AT_A_TIME):
        values = MULTIPLIERS * grams[start : start + AT_A_TIME]
        values += SUMMANDS
        np.minimum(least, values.min(1), out=least)
    return least


def similarity(one: Signatures, other: Signatures) -> NDArray[np.float64]:
    """The estimated Jaccard similarity of texts, from their signatures (..., SIZE)."""
    return (one == other).mean(-1)


def representatives(signatures: Signatures, lengths: NDArray[np.int64], threshold: float) -> NDArray[np.int64]:
    """The text that is kept of each text's cluster, (texts,): the longest, of equally long ones the first."""
    best: dict[int, int] = {}
    first = clusters(signatures, threshold)
    for text, cluster in enumerate(first):
        if lengths[text] > lengths[best.setdefault(cluster, text)]:
            best[cluster] = text
    return np.array([best[cluster] for cluster in first], np.int64)


def clusters(signatures: Signatures, threshold: float) -> NDArray[np.int64]:
    """Connected components of similar texts, (texts, SIZE) -> (texts,): for each text the first one of its cluster.

    A cluster is what pairs of at least `threshold` similarity join, in one or more steps, so two of its texts may be
    less alike than that. In each band the texts that agree are compared with the first of them, those that are unlike
    it with the first among themselves, and so on. The order of texts must not depend on that of the input.
    """
    first = np.arange(len(signatures))
    nonempty = np.flatnonzero((signatures != NONE).any(1))  # texts with any n-gram
    for band in range(BANDS):
        keys = np.zeros(len(nonempty), np.uint64)
        for row in range(ROWS * band, ROWS * (band + 1)):
            keys = keys * MULTIPLIER + signatures[nonempty, row]
        for group in _equal(keys):
            texts = nonempty[group]
            while len(texts) > 1:
                alike = similarity(signatures[texts[0]], signatures[texts[1:]]) >= threshold
                for text in texts[1:][alike]:
                    _join(first, int(texts[0]), int(text))
                texts = texts[1:][~alike]
    return np.array([_root(first, text) for text in range(len(first))], np.int64)


def _equal(keys: Numbers) -> Iterator[Places]:
    """Where equal keys stand, in order, for each key that stands more than once."""
    order = np.argsort(keys, kind="stable")
    bounds = np.r_[0, np.flatnonzero(keys[order][1:] != keys[order][:-1]) + 1, len(keys)]
    for several in np.flatnonzero(np.diff(bounds) > 1):
        yield order[bounds[several] : bounds[several + 1]]


def _root(first: NDArray[np.int64], text: int) -> int:
    while first[text] != text:
        first[text] = text = first[first[text]]  # halves the way for the next one
    return text


def _join(first: NDArray[np.int64], one: int, other: int) -> None:
    roots = sorted((_root(first, one), _root(first, other)))
    first[roots[1]] = roots[0]
