"""How much of a text says again what it said before: lines, paragraphs and n-grams of words.

A piece *repeats* when an equal one stands earlier in the same text.
"""

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from functools import lru_cache
from itertools import accumulate

from train.data.filters.quality import lines, more, words


def duplicate_lines(text: str, threshold: float) -> str | None:
    """A larger share of lines than the threshold repeats an earlier line. Gopher: 0.30."""
    return more(_repeats(lines(text))[0], threshold, "lines")


def duplicate_line_characters(text: str, threshold: float) -> str | None:
    """A larger share of the text than the threshold stands in lines that repeat. Gopher: 0.20, FineWeb: 0.10."""
    return more(_repeats(lines(text))[1], threshold, "the text")


def duplicate_paragraphs(text: str, threshold: float) -> str | None:
    """A larger share of paragraphs than the threshold repeats an earlier paragraph. Gopher: 0.30."""
    return more(_repeats(_paragraphs(text))[0], threshold, "paragraphs")


def duplicate_paragraph_characters(text: str, threshold: float) -> str | None:
    """A larger share of the text than the threshold stands in paragraphs that repeat. Gopher: 0.20."""
    return more(_repeats(_paragraphs(text))[1], threshold, "the text")


def top_ngrams(text: str, thresholds: Sequence[float]) -> str | None:
    """The commonest n-gram of 2, 3, 4 words takes a larger share of the text. Gopher: 0.20, 0.18, 0.16.

    Characters are those of words; an n-gram that stands only once takes none.
    """
    ends = _ends(text)
    for n, (threshold, recurring) in enumerate(zip(thresholds, _recurring(text), strict=False), start=2):
        times, somewhere = Counter(recurring.values()), {which: at for at, which in recurring.items()}
        tops = ((count, ends[somewhere[which] + n] - ends[somewhere[which]]) for which, count in times.items())
        count, length = max(tops, default=(0, 0))
        if detail := more(count * length / max(1, ends[-1]), threshold, f"the text is one {n}-gram"):
            return detail
    return None


def duplicate_ngrams(text: str, thresholds: Sequence[float]) -> str | None:
    """N-grams of 5 to 10 words that repeat cover a larger share of the text. Gopher: 0.15, 0.14, ... 0.10.

    Characters are those of words, each counted once however many n-grams cover it.
    """
    ends = _ends(text)
    for n, (threshold, recurring) in enumerate(zip(thresholds, _recurring(text)[3:], strict=False), start=5):
        covered, end, seen = 0, 0, set()
        for at, which in recurring.items():
            if which in seen:
                covered += ends[at + n] - ends[max(at, end)]
                end = at + n
            seen.add(which)
        if detail := more(covered / max(1, ends[-1]), threshold, f"the text in {n}-grams"):
            return detail
    return None


@lru_cache(maxsize=1)
def _recurring(text: str) -> list[dict[int, int]]:
    """Where the n-grams stand that occur more than once, for n from 2 to 10: position in words -> number of the n-gram.

    What recurs at n + 1 recurs at n, so each n looks only where the one before it found something.
    """
    known: dict[str, int] = {}
    ids = [known.setdefault(word, len(known)) for word in words(text)]
    positions, recurring = dict(enumerate(ids)), []
    for n in range(2, 11):
        pairs = [which * len(ids) + ids[at + n - 1] for at, which in positions.items() if at + n <= len(ids)]
        times = Counter(pairs)
        numbers = {pair: number for number, pair in enumerate(times) if times[pair] > 1}
        fitting = zip(positions, pairs, strict=False)  # the last may lack room for n words
        positions = {at: numbers[pair] for at, pair in fitting if pair in numbers}
        recurring.append(positions)
    return recurring


@lru_cache(maxsize=1)
def _ends(text: str) -> list[int]:
    """For each word the characters of all words before it, and at the end those of all."""
    return [0, *accumulate(map(len, words(text)))]


def _paragraphs(text: str) -> list[str]:
    """What blank lines separate."""
    return [part for part in map(str.strip, re.split(r"\n\s*\n", text)) if part]


def _repeats(pieces: Iterable[str]) -> tuple[float, float]:
    """The share of pieces that repeat an earlier one, and the share of characters in them."""
    times = Counter(pieces)
    total = sum(len(piece) * count for piece, count in times.items())
    again = sum(len(piece) * (count - 1) for piece, count in times.items())
    return (times.total() - len(times)) / max(1, times.total()), again / max(1, total)
