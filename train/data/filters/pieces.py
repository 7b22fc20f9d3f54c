"""The words, lines and paragraphs of texts as arrays: where they begin and end, and numbers that equal ones share.

Words are what white space separates. All come from one look at each character of many texts at once, which numpy is
fast with; what a rule asks of one text is then known of all.
"""

import re
from collections.abc import Callable, Sequence
from functools import cache, cached_property
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from train.data.dedup.ngrams import MIXER, Numbers, Places, polynomials
from train.unicode import ENDS, WORD_MARKS, categories, characters

SPACE, BREAK, LETTER, SYMBOL, ENDING, BULLET, DASH = (1 << bit for bit in range(7))  # what a character is, or may be
APART = "\n\n"  # after each text, so that no piece goes on in the next one
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
    """Pieces of texts in their order, without the white space around them."""

    starts: Places
    ends: Places

    @property
    def lengths(self) -> Places:
        return self.ends - self.starts


class Shapes:
    """What the rules look at of some texts."""

    def __init__(self, texts: Sequence[str]) -> None:
        self.texts, self.text = texts, "".join([part for text in texts for part in (text, APART)])
        self.codes = np.frombuffer(self.text.encode("utf-32-le", "surrogatepass"), "<u4")
        self.kinds = properties().take(self.codes)
        self.starts = np.cumsum([0, *(len(text) + len(APART) for text in texts)])  # and where the last one ends
        self.measured: dict[Any, list[Any]] = {}

    def of(self, kind: int) -> NDArray[np.bool_]:
        """Which characters are of a kind."""
        return self.kinds & np.uint8(kind) > 0

    @cached_property
    def words(self) -> Pieces:
        inside = np.zeros(len(self.kinds) + 1, bool)
        np.logical_not(self.of(SPACE), out=inside[1:])
        bounds = np.flatnonzero(inside[1:] != inside[:-1])
        return Pieces(bounds[::2], bounds[1::2])

    @cached_property
    def before(self) -> Places:
        """For each word the characters of all words before it, and at the end those of all."""
        return np.append(0, self.words.lengths.cumsum())

    @cached_property
    def characters(self) -> Places:
        """The characters of each text's words, and at least one, (texts,)."""
        return np.maximum(1, self.sum(self.words.lengths, self.words))

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
        begins[np.append(0, after)] = True
        places = begins[:-1].nonzero()[0]
        return Pieces(first[places], last[np.append(places[1:], len(last))[: len(places)] - 1])

    def count(self, starts: Places) -> Places:
        """How many pieces, or characters, that begin there each text has, (texts,)."""
        return np.diff(starts.searchsorted(self.starts))

    def sum(self, values: NDArray[Any], pieces: Pieces) -> Places:
        """The sum of a value of each piece, for each text, (texts,)."""
        return np.diff(np.append(0, values.cumsum())[pieces.starts.searchsorted(self.starts)])

    def mean(self, values: NDArray[Any], pieces: Pieces) -> NDArray[np.float64]:
        """The mean of a value of each piece, or the share of pieces that are so, for each text, (texts,)."""
        return self.sum(values, pieces) / np.maximum(1, self.count(pieces.starts))

    def owners(self, pieces: Pieces) -> Places:
        """The place of the text that each piece is of."""
        return np.repeat(np.arange(len(self.starts) - 1), self.count(pieces.starts))

    def numbers(self, pieces: Pieces) -> Numbers:
        """For each piece a number that only equal ones of its text share."""
        return self._polynomials(*pieces) + self.owners(pieces).astype(np.uint64) * MIXER

    @cached_property
    def _polynomials(self) -> Callable[[Places, Places], Numbers]:
        return polynomials(self.codes + np.uint32(1))  # a NUL is more than nothing


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


class Text(str):
    """A text that was looked at with others: what a rule measures of one of them is then known of all."""

    shapes: Shapes
    place: int  # among them


def look(texts: Sequence[str]) -> list[Text]:
    """Some texts, looked at together."""
    shapes, looked = Shapes(texts), list(map(Text, texts))
    for place, text in enumerate(looked):
        text.shapes, text.place = shapes, place
    return looked


def measured(text: str, measure: Callable[..., Any], *about: Any) -> Any:
    """What a measure, a function of Shapes whose result has a row for each text, finds of a text."""
    looked = text if isinstance(text, Text) else look([text])[0]
    key, rows = (measure, *about), looked.shapes.measured
    if key not in rows:
        rows[key] = measure(looked.shapes, *about).tolist()
    return rows[key][looked.place]
