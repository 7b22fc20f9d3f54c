"""Whether a text reads like prose, by its characters, words and lines. `rules.py` names the papers cited.

Words are what white space separates, so the rules on words mean little for a language that writes none.
"""

import re
from itertools import islice

import numpy as np
from numpy.typing import NDArray

from train.data.filters.pieces import BULLET, DASH, ENDING, LETTER, SYMBOL, shape
from train.unicode import CLOSING, ENDS


def too_short(text: str, threshold: int) -> str | None:
    """Fewer characters than the threshold."""
    return f"{len(text)} characters" if len(text) < threshold else None


def too_long(text: str, threshold: int) -> str | None:
    """More characters than the threshold."""
    return f"{len(text)} characters" if len(text) > threshold else None


def few_words(text: str, threshold: int) -> str | None:
    """Fewer words than the threshold. Gopher: 50."""
    count = word_count(text)
    return f"{count} words" if count < threshold else None


def many_words(text: str, threshold: int) -> str | None:
    """More words than the threshold. Gopher: 100,000."""
    count = word_count(text)
    return f"{count} words" if count > threshold else None


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
    return more(int(np.count_nonzero(shape(text).of(SYMBOL))) / max(1, len(text)), threshold, "characters")


def symbols_per_word(text: str, threshold: float) -> str | None:
    """More hash signs, or more ellipses, for each word than the threshold. Gopher: 0.1."""
    most = max(text.count("#"), text.count("...") + text.count("…")) / max(1, word_count(text))
    return f"{most:.4f} a word" if most > threshold else None


def few_alphabetic_words(text: str, threshold: float) -> str | None:
    """A smaller share of words than the threshold has a letter in it. Gopher: 0.80."""
    letters = np.logical_or.reduceat(shape(text).of(LETTER), shape(text).words.starts) if word_count(text) else ()
    share = int(np.count_nonzero(letters)) / max(1, word_count(text))
    return f"{share:.4f} of words" if share < threshold else None


def few_stop_words(text: str, threshold: int) -> str | None:
    """Fewer than the threshold stand in the text of eight words that its language is full of. Gopher: 2, English."""
    begin = text[:BEGIN]
    for listed in STOP_WORDS.values():
        if len([*islice((word for word in listed if f" {word} " in begin), threshold)]) == threshold:
            return None  # as it is for most texts
    present = set(map(str.lower, set(text.split())))
    most = max(len(present & listed) for listed in STOP_WORDS.values())
    return f"{most} stop words" if most < threshold else None


BEGIN = 2**12  # characters
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
    (starts, ends), codes, kinds = shape(text).lines, shape(text).codes, shape(text).kinds[shape(text).lines.starts]
    blank = (codes[np.minimum(starts + 1, len(codes) - 1)] == ord(" ")) & (ends - starts > 1)
    return _lines_more((kinds & BULLET != 0) | ((kinds & DASH != 0) & blank), threshold)


def ellipsis_lines(text: str, threshold: float) -> str | None:
    """A larger share of lines than the threshold ends with an ellipsis. Gopher: 0.30."""
    (starts, ends), codes = shape(text).lines, shape(text).codes
    points = (codes[ends - 1] == ord(".")) & (ends - starts > 2)
    for back in (2, 3):
        points &= codes[np.maximum(ends - back, 0)] == ord(".")
    return _lines_more(points | (codes[ends - 1] == ord("…")), threshold)


def short_lines(text: str, threshold: float) -> str | None:
    """A larger share of lines than the threshold has fewer than 30 characters. FineWeb: 0.67."""
    return _lines_more(shape(text).lines.lengths < 30, threshold)


def few_punctuated_lines(text: str, threshold: float) -> str | None:
    """A smaller share of lines than the threshold ends with a mark that ends a sentence. FineWeb: 0.12."""
    share = _share(shape(text).kinds[shape(text).lines.ends - 1] & ENDING != 0)
    return f"{share:.4f} of lines" if share < threshold else None


def curly_brackets(text: str, threshold: int) -> str | None:
    """More curly brackets than the threshold, which web prose has no use for and code has. C4: 0."""
    count = text.count("{")
    return f"{count} curly brackets" if count > threshold else None


def lorem_ipsum(text: str, threshold: int) -> str | None:
    """The dummy text of layouts, "lorem" and then "ipsum", more often than the threshold. C4: 0."""
    count = text.lower().count("lorem ipsum")
    return f"{count} times" if count > threshold else None


def word_count(text: str) -> int:
    return len(shape(text).words.starts)


def _mean_length(text: str) -> float:
    return int(shape(text).words.lengths.sum()) / max(1, word_count(text))


def _lines_more(wanted: NDArray[np.bool_], threshold: float) -> str | None:
    """What a predicate says when more than a share of lines is as `wanted`."""
    return more(_share(wanted), threshold, "lines")


def _share(wanted: NDArray[np.bool_]) -> float:
    return int(np.count_nonzero(wanted)) / max(1, len(wanted))


def more(share: float, threshold: float, of: str) -> str | None:
    """What a predicate says of a share above its threshold."""
    return f"{share:.4f} of {of}" if share > threshold else None
