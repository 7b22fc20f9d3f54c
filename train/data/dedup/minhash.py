"""Near duplicates: texts of which most word n-grams are the same.

MinHash with banding (Broder 1997; Leskovec, Rajaraman and Ullman, Mining of Massive Datasets, chapter 3). A signature
holds the least value of each of `SIZE` hash functions over the word n-grams of a text; two signatures agree in
a share of places that estimates the Jaccard similarity s of the two sets of n-grams, with a standard deviation of
sqrt(s (1 - s) / SIZE). Texts that agree in a whole band are compared, which happens with probability
1 - (1 - s^ROWS)^BANDS: 0.92 at s = 0.8, 0.99 at 0.85, and 0.05 at 0.5.

Written here, on numpy, because signatures decide which documents are kept: their bytes must be the same on any machine
and with any version of a library, which no library for them promises.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import accumulate, pairwise

import numpy as np
from numpy.typing import NDArray

from train.data.dedup.ngrams import HALF, MULTIPLIER, NO_NUMBERS, Numbers, Places, groups, mix64, ngrams

WORDS = 5  # an n-gram
BANDS = 14
ROWS = 8
SIZE = BANDS * ROWS  # of a signature
COMPARED = 512  # texts equal in a band that each of them is compared with, at most

Signatures = NDArray[np.uint32]  # (texts, SIZE)

# A multiplier and a summand for each hash function, x -> a x + b modulo 2^32 with odd a: a permutation.
_CONSTANTS = (mix64(np.arange(1, 2 * SIZE + 1, dtype=np.uint64)) >> HALF).astype(np.uint32)
MULTIPLIERS, SUMMANDS = _CONSTANTS.reshape(2, SIZE)
MULTIPLIERS |= np.uint32(1)
NONE = np.uint32(2**32 - 1)  # in every place of the signature of a text with fewer than WORDS words


def signatures(texts: Sequence[Numbers]) -> Signatures:
    """The signatures of some texts, each given by the numbers of its words, (texts, SIZE)."""
    grams = (mix64(ngrams(np.concatenate([NO_NUMBERS, *texts]), WORDS)) >> HALF).astype(np.uint32)
    bounds = pairwise(accumulate(map(len, texts), initial=0))
    kept = [grams[start : max(start, end - WORDS + 1)] for start, end in bounds]  # none that is of two texts
    sizes, grams = np.array([*map(len, kept)], np.intp), np.concatenate([grams[:0], *kept])
    filled, starts = np.flatnonzero(sizes), (np.cumsum(sizes) - sizes)[sizes > 0]
    least, values = np.full((SIZE, len(texts)), NONE), np.empty_like(grams)
    for row, multiplier, summand in zip(least, MULTIPLIERS, SUMMANDS, strict=True):
        np.multiply(grams, multiplier, out=values)
        values += summand
        row[filled] = np.minimum.reduceat(values, starts)
    return least.T


def similarity(one: Signatures, other: Signatures) -> NDArray[np.float64]:
    """The estimated Jaccard similarity of texts, from their signatures (..., SIZE)."""
    return (one == other).mean(-1)  # type: ignore[no-any-return]


def band_key(signatures: Signatures, band: int) -> Numbers:
    """A number for a band of each signature, (texts, SIZE) -> (texts,): equal where the bands are equal."""
    keys = np.zeros(len(signatures), np.uint64)
    for row in range(ROWS * band, ROWS * (band + 1)):
        keys = keys * MULTIPLIER + signatures[:, row]
    return mix64(keys)


def equal(keys: Numbers) -> Iterator[Places]:
    """Where equal keys stand, in order, for each key that stands more than once."""
    order = np.argsort(keys, kind="stable")
    yield from (order[several] for several in groups(keys[order], least=2))


def joined(
    texts: Numbers, signatures: Callable[[Numbers], Signatures], threshold: float, band: int
) -> Iterator[tuple[int, int]]:
    """Pairs that join those of `texts`, all equal in `band`, that are at least `threshold` alike, in one or more steps.

    A pair that is equal in an earlier band is left out: it is joined there. What is joined of at most COMPARED texts
    does not depend on their order, nor on others that are missing. Of more, each text is compared with the COMPARED
    that come next and are joined to none yet: all that share a template take time in proportion to their number.
    """
    near, marks, reached = texts[:0], signatures(texts[:0]), list[int]()
    while len(near) + len(texts) > (not reached):
        more = COMPARED + (not reached) - len(near)
        near, marks = np.append(near, texts[:more]), np.concatenate([marks, signatures(texts[:more])])
        texts = texts[more:]
        if not reached:
            reached, near, marks = [int(near[0])], near[1:], marks[1:]
        one = reached.pop()
        same = marks == signatures(np.array([one], np.uint64))  # read again: what is reached may be a million texts
        alike = same.mean(-1) >= threshold
        new = alike & ~same[:, : ROWS * band].reshape(len(same), band, ROWS).all(-1).any(-1)
        yield from ((one, int(other)) for other in near[new])
        reached += near[alike].tolist()
        near, marks = near[~alike], marks[~alike]


def pairs(signatures: Signatures, threshold: float) -> Iterator[tuple[int, int]]:
    """Pairs of places that join the similar ones of some texts, (texts, SIZE)."""
    places = np.flatnonzero((signatures != NONE).any(1)).astype(np.uint64)  # of texts with any n-gram
    for band in range(BANDS):
        for group in equal(band_key(signatures[places], band)):
            yield from joined(places[group], signatures.__getitem__, threshold, band)


def components(count: int, joins: Iterable[tuple[int, int]]) -> NDArray[np.int64]:
    """Connected components of what is joined, (count,): for each the first one of its component.

    A cluster is what pairs join in one or more steps, so two of its texts may be less alike than the threshold.
    """
    first = list(range(count))
    for pair in joins:
        one, other = sorted(_root(first, each) for each in pair)
        first[other] = one
    return np.array([_root(first, each) for each in range(count)], np.int64)


def _root(first: list[int], text: int) -> int:
    while first[text] != text:
        first[text] = text = first[first[text]]  # halves the way for the next one
    return text
