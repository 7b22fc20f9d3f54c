"""Words and n-grams as 64-bit numbers, and an index that tells which texts hold an n-gram.

A word is a stretch of letters and digits of any script, in lower case and in the normal form NFC, with the marks that
belong to them; all else only parts words. Where a script parts no words by blanks (Chinese, Japanese, Thai, ...), each
letter with its marks is a word, so that n-grams of words are n-grams of characters there. The numbers are
defined here by integer arithmetic modulo 2^64 alone, so they are the same on any machine. Two different n-grams get
the same number with a chance of about 2^-64: among a million n-grams looked for and a billion looked up, about 1 in
20,000 for a single false match.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache, lru_cache
from itertools import accumulate, pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from train.unicode import UNPARTED, canonical, categories, characters

Numbers = NDArray[np.uint64]
Places = NDArray[np.intp]
Matches = dict[int, tuple[Places, Places]]  # length -> places in a text, and rows of the table of such n-grams

NO_NUMBERS = np.empty(0, np.uint64)
PARTS, LETTER, MARK, ALONE = range(4)
ODD = 0x9E3779B97F4A7C15  # 2^64 over the golden ratio, made odd: has an inverse, and bits without a pattern
MULTIPLIER = np.uint64(ODD)
MIXER = np.uint64(0xD6E8FEB86659FD93)
HALF = np.uint64(32)
LETTERS = re.compile(r"[^\W_]+")  # what `isalnum` says yes to
SIEVE = 16  # places for each n-gram in an index, so that most n-grams that it lacks are told by one look


@dataclass(frozen=True)
class Words:
    """The words of a text in their order: word i is `text[starts[i] : ends[i]]` of some text in lower case."""

    text: str
    numbers: Numbers
    starts: Places
    ends: Places

    def span(self, start: int, length: int) -> str:
        """`length` words from word `start` on, as they stand in the text but for white space."""
        return " ".join(self.text[self.starts[start] : self.ends[start + length - 1]].split())


def words(text: str) -> Words:
    """The words of `text`."""
    return words_of([text])[0]


def words_of(texts: Sequence[str]) -> list[Words]:
    """The words of each text, with their numbers: the polynomial of a word's characters in `ODD`, its bits mixed."""
    lower = [canonical(text).lower() for text in texts]
    together = "\n".join(lower)
    characters = np.frombuffer(together.encode("utf-32-le"), "<u4")
    kinds = np.zeros(len(characters) + 2, np.uint8)  # with what parts words at both ends
    np.take(_kinds(), characters, out=kinds[1:-1], mode="clip")
    before, after = kinds[:-1], kinds[1:]
    begins = ((before == PARTS) & (after != PARTS)) | (after == ALONE) | ((before == ALONE) & (after == LETTER))
    starts = np.flatnonzero(begins)
    ends = np.flatnonzero((before != PARTS) & ((after == PARTS) | begins))
    numbers = mix64(polynomials(characters)(starts, ends))
    bounds = np.searchsorted(starts, list(accumulate((len(each) + 1 for each in lower), initial=0)))
    return [Words(together, numbers[a:b], starts[a:b], ends[a:b]) for a, b in pairwise(bounds.tolist())]


def polynomials(characters: NDArray[np.uint32]) -> Callable[[Places, Places], Numbers]:
    """What gives pieces of a text, by starts and ends, their numbers: the polynomials of their characters in ODD."""
    powers, inverses = _powers(len(characters).bit_length())
    sums = np.zeros(len(characters) + 1, np.uint64)
    np.cumsum(characters * powers[: len(characters)], out=sums[1:])
    return lambda starts, ends: (sums[ends] - sums[starts]) * inverses[starts]


@lru_cache(maxsize=4)
def _powers(bits: int) -> tuple[Numbers, Numbers]:
    """Powers of ODD and of its inverse modulo 2^64, from the 0th on, 2^bits of each."""
    factors = np.full((2, 1 << bits), [[ODD], [pow(ODD, -1, 1 << 64)]], np.uint64)
    factors[:, 0] = 1
    one, other = np.multiply.accumulate(factors, axis=1)
    return one, other


def mix64(numbers: Numbers) -> Numbers:
    """Mix the bits of 64-bit numbers by a bijection: two rounds of shift and multiply."""
    numbers = numbers ^ (numbers >> HALF)
    for _ in range(2):
        numbers *= MIXER
        numbers ^= numbers >> HALF
    return numbers


def ngrams(numbers: Numbers, length: int) -> Numbers:
    """The number of each n-gram of `length` words or tokens, in order; none where the text is shorter."""
    *_, last = rolling_ngrams(numbers, length)
    return last


def grouped(keys: Numbers) -> Places:
    """The places of mixed numbers, those of equal ones together, in order: by radix sort of half of their bits.

    numpy sorts 16 bits by radix, twice as fast as it compares 64; where what differs shares these bits, it compares.
    """
    parts = keys.view(np.uint16).reshape(-1, 4)
    order: Places = parts[:, 0].argsort(kind="stable")
    order = order[parts[order, 1].argsort(kind="stable")]
    ordered = keys[order]
    differ = ordered[1:] != ordered[:-1]
    if np.any(differ & (ordered[1:].astype(np.uint32) == ordered[:-1].astype(np.uint32))):
        order = keys.argsort(kind="stable")
    return order


def groups(keys: NDArray[Any], least: int = 1) -> Iterator[slice]:
    """Where equal keys stand, of keys in their order; only those that stand `least` times."""
    bounds = np.concatenate(([0], np.flatnonzero(keys[1:] != keys[:-1]) + 1, [len(keys)]))
    for several in np.flatnonzero(np.diff(bounds) >= least):
        yield slice(int(bounds[several]), int(bounds[several + 1]))


def rolling_ngrams(numbers: Numbers, longest: int) -> Iterator[Numbers]:
    """Rolling polynomial hashes of n-grams, h_n = h_(n-1) * ODD + w, (words - n + 1,) for n = 1 ... `longest`."""
    grams = numbers
    yield grams
    for length in range(2, longest + 1):
        grams = grams[:-1] * MULTIPLIER + numbers[length - 1 :]
        yield grams


class Index:
    """The n-grams of some texts, called owners and numbered in their order, to be found in other texts.

    An owner is looked for by its n-grams of `longest` words or tokens; one that is shorter, by the whole of it.
    """

    def __init__(self, owners: Iterable[Numbers], longest: int) -> None:
        grams: dict[int, list[Numbers]] = {}
        holders: dict[int, list[NDArray[np.int64]]] = {}
        sizes: list[int] = []  # different n-grams of each owner
        for owner, numbers in enumerate(owners):
            length = min(longest, len(numbers))
            different = np.unique(ngrams(numbers, length)) if length else numbers
            sizes.append(len(different))
            grams.setdefault(length, []).append(different)
            holders.setdefault(length, []).append(np.full(len(different), owner))
        self.sizes = np.array(sizes, np.int64)
        self.tables = {
            length: Table(np.concatenate(different), np.concatenate(holders[length]))
            for length, different in sorted(grams.items())
            if length
        }

    def find(self, numbers: Numbers) -> Iterator[tuple[int, Places, Places]]:
        """Where a text of `numbers` holds n-grams of the owners: (length, places in the text, rows of its table)."""
        for length, grams in enumerate(rolling_ngrams(numbers, max(self.tables, default=1)), start=1):
            if length in self.tables:
                yield length, *self.tables[length].find(grams)

    def matches(self, texts: Sequence[Numbers]) -> list[Matches]:
        """The same of each of some texts, looked for in all of them together."""
        matches, bounds = [Matches() for _ in texts], np.cumsum([0, *map(len, texts)])
        for length, places, rows in self.find(np.concatenate([NO_NUMBERS, *texts])):
            which = np.searchsorted(bounds, places, "right") - 1
            inside = places + length <= bounds[which + 1]  # and not of two texts
            for text in np.unique(which[inside]).tolist():
                some = inside & (which == text)
                matches[text][length] = places[some] - bounds[text], rows[some]
        return matches

    def shared(self, rows: dict[int, Places]) -> NDArray[np.int64]:
        """How many different n-grams of each owner stand in `rows`: length -> rows of its table, none twice."""
        counts = np.zeros(len(self.sizes), np.int64)
        for length, matches in rows.items():
            counts += np.bincount(self.tables[length].owners_of(matches), minlength=len(counts))
        return counts


class Table:
    """Different n-grams of one length, sorted, and for each one its owners."""

    def __init__(self, grams: Numbers, owners: NDArray[np.int64]) -> None:
        order = np.argsort(grams, kind="stable")
        self.grams, self.first = np.unique(grams[order], return_index=True)
        self.owners, self.times = owners[order], np.diff(self.first, append=len(owners))
        bits = max(10, (SIEVE * len(self.grams)).bit_length())
        self.shift = np.uint64(64 - bits)
        self.sieve = np.zeros(1 << bits, bool)
        self.sieve[self.grams >> self.shift] = True

    def find(self, grams: Numbers) -> tuple[Places, Places]:
        """Which of `grams` are in the table, and in which row."""
        places = np.flatnonzero(self.sieve[grams >> self.shift])
        rows = np.minimum(np.searchsorted(self.grams, grams[places]), len(self.grams) - 1)
        held = self.grams[rows] == grams[places]
        return places[held], rows[held]

    def owners_of(self, rows: Places) -> NDArray[np.int64]:
        """The owners of the n-grams in `rows`, each as often as it has one of them."""
        times = self.times[rows]
        within = np.arange(times.sum()) - np.repeat(times.cumsum() - times, times)
        owners: NDArray[np.int64] = self.owners[np.repeat(self.first[rows], times) + within]
        return owners


@cache
def _kinds() -> NDArray[np.uint8]:
    """The kind of each character: PARTS words, LETTER (or digit) in one, MARK on one, or ALONE as a word."""
    kinds = np.where(np.frombuffer(categories(), np.uint8) == ord("M"), np.uint8(MARK), np.uint8(PARTS))
    for letters in LETTERS.finditer(characters()):
        kinds[slice(*letters.span())] = LETTER
    for first, last in UNPARTED:
        block = kinds[first : last + 1]
        block[block == LETTER] = ALONE
    return kinds
