"""The words, lines and paragraphs of a text as arrays: where they begin and end, and numbers that equal ones share.

Words are what white space separates. All come from one look at each character, so a rule costs little for a text that
another rule has asked about. Two different pieces have one number with a chance of about 2^-64.
"""

import re
from functools import cache, cached_property, lru_cache
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from train.unicode import ENDS, WORD_MARKS, categories, characters

Places = NDArray[np.int64]
Numbers = NDArray[np.uint64]

SPACE, BREAK, LETTER, SYMBOL, ENDING, BULLET, DASH = (1 << bit for bit in range(7))  # what a character is, or may be
ODD = 0x9E3779B97F4A7C15  # has an inverse modulo 2^64
TERMINAL = (".", "!", "?", '"', "”", "…", "」", "』", "»", *ENDS)
BULLETS = "•‣◦●▪"

KINDS = {
    SPACE: re.compile(r"\s+"),  # what `str.split` parts words by
    BREAK: re.compile("[\n\r\v\f\x1c-\x1e\x85\u2028\u2029]"),  # what `str.splitlines` parts lines by
    LETTER: re.compile(r"[^\W\d_]+"),
    ENDING: re.compile(f"[{re.escape(''.join(TERMINAL))}]"),
    BULLET: re.compile(f"[{BULLETS}]"),
    DASH: re.compile("[-*+]"),  # a bullet where a blank follows
}


class Pieces(NamedTuple):
    """Pieces of a text in their order, without the white space around them."""

    starts: Places
    ends: Places

    @property
    def lengths(self) -> Places:
        return self.ends - self.starts


class Shape:
    """What the rules look at of a text."""

    def __init__(self, text: str) -> None:
        data = text.encode("ascii") if text.isascii() else text.encode("utf-32-le", "surrogatepass")
        self.codes: NDArray[Any] = np.frombuffer(data, "u1" if text.isascii() else "<u4")
        kinds = data.translate(properties()[:256].tobytes()) if text.isascii() else properties().take(self.codes)
        self.kinds = np.frombuffer(kinds, np.uint8)

    def of(self, kind: int) -> NDArray[np.bool_]:
        """Which characters are of a kind."""
        return self.kinds & np.uint8(kind) > 0

    @cached_property
    def words(self) -> Pieces:
        inside = np.zeros(len(self.kinds) + 2, bool)
        np.logical_not(self.of(SPACE), out=inside[1:-1])
        bounds = np.flatnonzero(inside[1:] != inside[:-1])
        return Pieces(bounds[::2], bounds[1::2])

    @cached_property
    def lines(self) -> Pieces:
        """The lines that hold something, without indentation."""
        return self._parted(self.of(BREAK).nonzero()[0], 1)

    @cached_property
    def paragraphs(self) -> Pieces:
        """What blank lines separate."""
        return self._parted((self.codes == ord("\n")).nonzero()[0], 2)

    def _parted(self, breaks: Places, least: int) -> Pieces:
        """The words between which stand fewer than `least` of some breaks, as one piece each time."""
        first, last = self.words
        after = first.searchsorted(breaks)  # the word after each break
        after = after[least - 1 :][after[least - 1 :] == after[: len(after) + 1 - least]]
        begins = np.zeros(len(first) + 1, bool)
        begins[after] = True
        begins[0] = True
        places = begins[:-1].nonzero()[0]
        return Pieces(first[places], last[np.append(places[1:], len(last))[: len(places)] - 1])

    def numbers(self, pieces: Pieces) -> Numbers:
        """For each piece a number that only equal ones share: the polynomial of its characters in ODD."""
        _, inverses = powers(len(self.codes))
        return (self._sums[pieces.ends] - self._sums[pieces.starts]) * inverses[pieces.starts]

    @cached_property
    def of_words(self) -> Numbers:
        """The number of each word."""
        return self.numbers(self.words)

    @cached_property
    def _sums(self) -> Numbers:
        factors, _ = powers(len(self.codes))
        sums = np.zeros(len(self.codes) + 1, np.uint64)
        np.cumsum((self.codes + 1) * factors[: len(self.codes)], out=sums[1:])  # a NUL is more than nothing
        return sums


def powers(count: int) -> tuple[Numbers, Numbers]:
    """Powers of ODD and of its inverse modulo 2^64, from the 0th on, of each at least `count`."""
    return _short_powers(count.bit_length()) if count < 1 << 20 else _powers(count.bit_length())


def _powers(bits: int) -> tuple[Numbers, Numbers]:
    factors = np.full((2, 1 << bits), [[ODD], [pow(ODD, -1, 1 << 64)]], np.uint64)
    factors[:, 0] = 1
    one, other = np.multiply.accumulate(factors, axis=1)
    return one, other


_short_powers = cache(_powers)


@cache
def properties() -> NDArray[np.uint8]:
    """What each character of Unicode is."""
    category, every = np.frombuffer(categories(), np.uint8), characters()
    kinds = np.where((category == ord("L")) | (category == ord("M")), np.uint8(0), np.uint8(SYMBOL))
    for kind, pattern in KINDS.items():
        for run in pattern.finditer(every):
            kinds[slice(*run.span())] |= kind
    kinds[(kinds & SPACE) > 0] &= ~np.uint8(SYMBOL)
    kinds[[ord(sign) for sign in WORD_MARKS]] &= ~np.uint8(SYMBOL)
    return kinds


@lru_cache(maxsize=1)  # the rules ask one after another about the same text
def shape(text: str) -> Shape:
    return Shape(text)
