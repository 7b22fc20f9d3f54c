"""Whether a text reads like prose, by its characters, words and lines. `rules.py` names the papers cited.

Words are what white space separates, so the rules on words mean little for a language that writes none.
"""

import re
from collections import defaultdict
from collections.abc import Callable, Mapping
from functools import lru_cache
from itertools import count, islice

import numpy as np
from numpy.typing import NDArray

from train.unicode import CLOSING, ENDS, WORD_MARKS, mark


@lru_cache(maxsize=1)  # the rules ask one after another about the same text
def words(text: str) -> list[str]:
    return text.split()


@lru_cache(maxsize=1)
def vocabulary(text: str) -> tuple[Mapping[str, int], NDArray[np.int64]]:
    """The different words, numbered in the order in which they first stand; and the numbers of all words."""
    numbers = defaultdict[str, int](count().__next__)
    which = np.fromiter(map(numbers.__getitem__, words(text)), np.int64, len(words(text)))
    return numbers, which


@lru_cache(maxsize=1)
def lines(text: str) -> list[str]:
    """The lines that hold something, without indentation."""
    return [line for line in map(str.strip, text.splitlines()) if line]


def too_short(text: str, threshold: int) -> str | None:
    """Fewer characters than the threshold."""
    return f"{len(text)} characters" if len(text) < threshold else None


def too_long(text: str, threshold: int) -> str | None:
    """More characters than the threshold."""
    return f"{len(text)} characters" if len(text) > threshold else None


def few_words(text: str, threshold: int) -> str | None:
    """Fewer words than the threshold. Gopher: 50."""
    return f"{len(words(text))} words" if len(words(text)) < threshold else None


def many_words(text: str, threshold: int) -> str | None:
    """More words than the threshold. Gopher: 100,000."""
    return f"{len(words(text))} words" if len(words(text)) > threshold else None


def short_words(text: str, threshold: float) -> str | None:
    """Words have fewer characters on average than the threshold. Gopher: 3."""
    mean = _mean_length(text)
    return f"{mean:.4f} characters a word" if mean < threshold else None


def long_words(text: str, threshold: float) -> str | None:
    """Words have more characters on average than the threshold. Gopher: 10."""
    mean = _mean_length(text)
    return f"{mean:.4f} characters a word" if mean > threshold else None


def mostly_symbols(text: str, threshold: float) -> str | None:
    """A larger share of characters than the threshold is neither a letter nor white space: tables, dumps, markup.

    A mark that belongs to a letter, such as a vowel sign, counts as one.
    """
    symbols = len(text.encode("ascii", "ignore").translate(None, ASCII_PROSE))
    symbols += sum(
        not (sign.isalpha() or sign.isspace() or mark(sign) or sign in WORD_MARKS)
        for sign in (() if text.isascii() else NOT_ASCII.findall(text))
    )
    share = symbols / max(1, len(text))
    return more(share, threshold, "characters")


ASCII_PROSE = bytes(code for code in range(128) if chr(code).isalpha() or chr(code).isspace())
NOT_ASCII = re.compile(r"[^\x00-\x7f]")


def symbols_per_word(text: str, threshold: float) -> str | None:
    """More hash signs, or more ellipses, for each word than the threshold. Gopher: 0.1."""
    most = max(text.count("#"), text.count("...") + text.count("…")) / max(1, len(words(text)))
    return f"{most:.4f} a word" if most > threshold else None


def few_alphabetic_words(text: str, threshold: float) -> str | None:
    """A smaller share of words than the threshold has a letter in it. Gopher: 0.80."""
    numbers, which = vocabulary(text)
    without = [numbers[word] for word in numbers if not word[0].isalpha() and not LETTER.search(word)]
    share = (len(which) - int(np.bincount(which)[without].sum())) / max(1, len(which))
    return f"{share:.4f} of words" if share < threshold else None


LETTER = re.compile(r"[^\W\d_]")


def few_stop_words(text: str, threshold: int) -> str | None:
    """Fewer than the threshold stand in the text of eight words that its language is full of. Gopher: 2, English."""
    if any(len(vocabulary(text)[0].keys() & listed) >= threshold for listed in STOP_WORDS.values()):
        return None  # as it is for most texts
    present = set(map(str.lower, vocabulary(text)[0]))
    most = max(len(present & listed) for listed in STOP_WORDS.values())
    return f"{most} stop words" if most < threshold else None


# Of each language, by ISO 639, words that no other one here has; those of English are Gopher's.
STOP_WORDS = {
    language: frozenset(listed.split())
    for language, listed in {
        "en": "the be to of and that have with",
        "de": "der und das nicht ist ein auf mit",
        "fr": "les des une est dans pour qui sur",
        "es": "el los las y una con del por",
        "it": "il che della gli sono nel anche più",
        "pt": "os uma não dos ao são pelo também",
        "nl": "het een niet zijn dat ook voor maar",
        "ru": "и в не на что как это по",
        "ar": "في من على إلى أن هذا التي مع",
    }.items()
}


def few_sentences(text: str, threshold: int) -> str | None:
    """Fewer sentences than the threshold, counted by the marks that end them. C4: 3."""
    count = sum(1 for _ in islice(SENTENCE.finditer(text), threshold))
    return f"{count} sentences" if count < threshold else None


# A point ends a sentence where a blank follows; the marks of other scripts have one meaning, wherever they stand.
SENTENCE = re.compile(rf"[.!?…][{re.escape(CLOSING)}]*(?!\S)|[{ENDS}]+")


def bullet_lines(text: str, threshold: float) -> str | None:
    """A larger share of lines than the threshold begins with a bullet. Gopher: 0.90."""
    return _lines_more(text, lambda line: line.startswith(BULLETS), threshold)


BULLETS = ("•", "‣", "◦", "●", "▪", "- ", "* ", "+ ")


def ellipsis_lines(text: str, threshold: float) -> str | None:
    """A larger share of lines than the threshold ends with an ellipsis. Gopher: 0.30."""
    return _lines_more(text, lambda line: line.endswith(("...", "…")), threshold)


def short_lines(text: str, threshold: float) -> str | None:
    """A larger share of lines than the threshold has fewer than 30 characters. FineWeb: 0.67."""
    return _lines_more(text, lambda line: len(line) < 30, threshold)


def few_punctuated_lines(text: str, threshold: float) -> str | None:
    """A smaller share of lines than the threshold ends with a mark that ends a sentence. FineWeb: 0.12."""
    count = sum(1 for line in lines(text) if line.endswith(TERMINAL))
    share = count / max(1, len(lines(text)))
    return f"{share:.4f} of lines" if share < threshold else None


TERMINAL = (".", "!", "?", '"', "”", "…", "」", "』", "»", *ENDS)


def curly_brackets(text: str, threshold: int) -> str | None:
    """More curly brackets than the threshold, which web prose has no use for and code has. C4: 0."""
    count = text.count("{")
    return f"{count} curly brackets" if count > threshold else None


def lorem_ipsum(text: str, threshold: int) -> str | None:
    """The dummy text of layouts, "lorem" and then "ipsum", more often than the threshold. C4: 0."""
    count = text.lower().count("lorem ipsum")
    return f"{count} times" if count > threshold else None


def _mean_length(text: str) -> float:
    return len("".join(words(text))) / max(1, len(words(text)))


def _lines_more(text: str, wanted: Callable[[str], bool], threshold: float) -> str | None:
    """What a predicate says when more than a share of lines is as `wanted`."""
    return more(sum(map(wanted, lines(text))) / max(1, len(lines(text))), threshold, "lines")


def more(share: float, threshold: float, of: str) -> str | None:
    """What a predicate says of a share above its threshold."""
    return f"{share:.4f} of {of}" if share > threshold else None
