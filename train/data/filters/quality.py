"""Whether a text reads like prose, by its characters, words and lines. `rules.py` names the papers cited.

Words are what white space separates, so the rules on words mean little for a language that writes none.
"""

import re
from itertools import islice

import numpy as np
from numpy.typing import NDArray

from train.data.dedup.ngrams import Places
from train.data.filters.pieces import BULLET, DASH, ENDING, LETTER, SYMBOL, Shapes, measured
from train.unicode import CLOSING, ENDS


def too_short(text: str, threshold: int) -> str | None:
    """Fewer characters than the threshold."""
    return f"{len(text)} characters" if len(text) < threshold else None


def too_long(text: str, threshold: int) -> str | None:
    """More characters than the threshold."""
    return f"{len(text)} characters" if len(text) > threshold else None


def few_words(text: str, threshold: int) -> str | None:
    """Fewer words than the threshold. Gopher: 50."""
    count = measured(text, word_counts)
    return f"{count} words" if count < threshold else None


def many_words(text: str, threshold: int) -> str | None:
    """More words than the threshold. Gopher: 100,000."""
    count = measured(text, word_counts)
    return f"{count} words" if count > threshold else None


def short_words(text: str, threshold: float) -> str | None:
    """Words have fewer characters on average than the threshold. Gopher: 3."""
    mean = measured(text, mean_lengths)
    return f"{mean:.4f} characters a word" if mean < threshold else None


def long_words(text: str, threshold: float) -> str | None:
    """Words have more characters on average than the threshold. Gopher: 10."""
    mean = measured(text, mean_lengths)
    return f"{mean:.4f} characters a word" if mean > threshold else None


def mostly_symbols(text: str, threshold: float) -> str | None:
    """A larger share of characters than the threshold is neither a letter nor white space: tables, dumps, markup.

    A mark that belongs to a letter, such as a vowel sign, counts as one.
    """
    return more(measured(text, symbols) / max(1, len(text)), threshold, "characters")


def symbols_per_word(text: str, threshold: float) -> str | None:
    """More hash signs, or more ellipses, for each word than the threshold. Gopher: 0.1."""
    most = max(text.count("#"), text.count("...") + text.count("…")) / max(1, measured(text, word_counts))
    return f"{most:.4f} a word" if most > threshold else None


def few_alphabetic_words(text: str, threshold: float) -> str | None:
    """A smaller share of words than the threshold has a letter in it. Gopher: 0.80."""
    share = measured(text, alphabetic_words)
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
    if text.count(". ") >= threshold:
        return None  # as it is for most texts
    count = sum(1 for _ in islice(SENTENCE.finditer(text), threshold))
    return f"{count} sentences" if count < threshold else None


# A point ends a sentence where a blank follows; the marks of other scripts have one meaning, wherever they stand.
SENTENCE = re.compile(rf"[.!?…][{re.escape(CLOSING)}]*(?!\S)|[{ENDS}]+")


def bullet_lines(text: str, threshold: float) -> str | None:
    """A larger share of lines than the threshold begins with a bullet. Gopher: 0.90."""
    return more(measured(text, lines)[0], threshold, "lines")


def ellipsis_lines(text: str, threshold: float) -> str | None:
    """A larger share of lines than the threshold ends with an ellipsis. Gopher: 0.30."""
    return more(measured(text, lines)[1], threshold, "lines")


def short_lines(text: str, threshold: float) -> str | None:
    """A larger share of lines than the threshold has fewer than 30 characters. FineWeb: 0.67."""
    return more(measured(text, lines)[2], threshold, "lines")


def few_punctuated_lines(text: str, threshold: float) -> str | None:
    """A smaller share of lines than the threshold ends with a mark that ends a sentence. FineWeb: 0.12."""
    share = measured(text, lines)[3]
    return f"{share:.4f} of lines" if share < threshold else None


def curly_brackets(text: str, threshold: int) -> str | None:
    """More curly brackets than the threshold, which web prose has no use for and code has. C4: 0."""
    count = text.count("{")
    return f"{count} curly brackets" if count > threshold else None


def lorem_ipsum(text: str, threshold: int) -> str | None:
    """The dummy text of layouts, "lorem" and then "ipsum", more often than the threshold. C4: 0."""
    count = text.lower().count("lorem ipsum")
    return f"{count} times" if count > threshold else None


def word_counts(texts: Shapes) -> Places:
    """How many words each text has, (texts,)."""
    return texts.count(texts.words.starts)


def mean_lengths(texts: Shapes) -> NDArray[np.float64]:
    """The characters of a word, on average, (texts,)."""
    return texts.mean(texts.words.lengths, texts.words)


def symbols(texts: Shapes) -> Places:
    """How many characters of each text are symbols, (texts,)."""
    return texts.count(np.flatnonzero(texts.of(SYMBOL)))


def alphabetic_words(texts: Shapes) -> NDArray[np.float64]:
    """The share of words with a letter in it, (texts,)."""
    letters = np.append(0, texts.of(LETTER).cumsum(dtype=np.int32))  # half the time of 64 bits
    return texts.mean(letters[texts.words.ends] > letters[texts.words.starts], texts.words)


def lines(texts: Shapes) -> NDArray[np.float64]:
    """The shares of lines with a bullet, with an ellipsis, that are short, and that a sentence ends, (texts, 4)."""
    codes, kinds, (starts, ends), lengths = texts.codes, texts.kinds, texts.lines, texts.lines.lengths
    dashes = (kinds[starts] & DASH != 0) & (codes[starts + 1] == ord(" ")) & (lengths > 1)
    points = np.all([codes[ends - back] == ord(".") for back in (1, 2, 3)], 0) & (lengths > 2)
    ellipses = points | (codes[ends - 1] == ord("…"))
    wanted = (dashes | (kinds[starts] & BULLET != 0), ellipses, lengths < 30, kinds[ends - 1] & ENDING != 0)
    return np.stack([texts.mean(each, texts.lines) for each in wanted], 1)


def more(share: float, threshold: float, of: str) -> str | None:
    """What a predicate says of a share above its threshold."""
    return f"{share:.4f} of {of}" if share > threshold else None
