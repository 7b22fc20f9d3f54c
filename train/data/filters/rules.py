"""What makes us drop or change a document: one pure function a reason.

A function's name is its threshold's name in the config, its `reason` in the ledger and its row in the data card,
which shows the first line of its docstring.

* A predicate takes (text, threshold) and returns what it saw, or None when the text passes.
* A redactor takes (text, mark) and returns the text with `mark` in the place of each find, and how many it found.

Redactors run first and predicates judge what is left, so each rule can be checked again on the text we keep. The
ledger holds the first reason that applies; `PREDICATES` is their order, the cheap ones first.

Predicates stand in `quality.py`, `repetition.py` and `language.py`, redactors in `redaction.py`, and here what does not
lie in a document's text. Published thresholds stand in the docstrings, after the recipes' names: Gopher (Rae et al.
2021, arXiv 2112.11446, appendix A), C4 (Raffel et al. 2020, arXiv 1910.10683, section 2.2), FineWeb (Penedo et al.
2024, arXiv 2406.17557, section 3). They were found for web pages; `configs/data/` says where a corpus departs, and why.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, fields
from typing import Any

from train import spdx
from train.data.dedup.contamination import contaminated
from train.data.filters import pii, quality, repetition
from train.data.filters.language import language

Predicate = Callable[[str, Any], str | None]


@dataclass(frozen=True)
class Thresholds:
    """The setting of each rule, by the rule's name; null switches a rule off."""

    email_addresses: str | None  # what takes their place
    ip_addresses: str | None  # what takes their place
    phone_numbers: str | None  # what takes their place
    secrets: str | None  # what takes their place
    too_short: int | None  # characters
    too_long: int | None  # characters
    few_words: int | None
    many_words: int | None
    short_words: float | None  # characters, on average
    long_words: float | None  # characters, on average
    mostly_symbols: float | None  # share of characters
    symbols_per_word: float | None
    few_alphabetic_words: float | None  # share of words
    few_stop_words: int | None
    few_sentences: int | None
    bullet_lines: float | None  # share of lines
    ellipsis_lines: float | None  # share of lines
    short_lines: float | None  # share of lines
    few_punctuated_lines: float | None  # share of lines
    curly_brackets: int | None
    lorem_ipsum: int | None
    duplicate_lines: float | None  # share of lines
    duplicate_line_characters: float | None  # share of the text
    duplicate_paragraphs: float | None  # share of paragraphs
    duplicate_paragraph_characters: float | None  # share of the text
    top_ngrams: tuple[float, ...] | None  # shares of the text, for 2, 3, 4 words
    duplicate_ngrams: tuple[float, ...] | None  # shares of the text, for 5 to 10 words
    language: dict[str, int] | None  # language -> least per cent of the text; needs the extra `language`

    def __post_init__(self) -> None:
        for field in fields(Thresholds):
            value = getattr(self, field.name)
            self._check(field.name, value if isinstance(value, tuple) else () if value is None else (value,))
        for few, many in (("too_short", "too_long"), ("few_words", "many_words"), ("short_words", "long_words")):
            low, high = getattr(self, few), getattr(self, many)
            if low is not None and high is not None and low > high:
                raise ValueError(f"{few}: expected at most {many} ({high}), got {low}")
        for name, most in (("top_ngrams", 3), ("duplicate_ngrams", 6)):
            if len(getattr(self, name) or ()) > most:
                raise ValueError(f"{name}: expected at most {most} shares, got {len(getattr(self, name))}")

    def _check(self, name: str, values: Iterable[Any]) -> None:
        share = name not in ("short_words", "long_words", "symbols_per_word")
        for value in values:
            if isinstance(value, str) and any(other(value, "")[1] for other in REDACTORS):
                raise ValueError(f"{name}: the mark {value!r} would itself be redacted")
            if isinstance(value, int | float) and (value < 0 or (share and isinstance(value, float) and value > 1)):
                raise ValueError(
                    f"{name}: expected {'0 to 1' if isinstance(value, float) else '0 or more'}, got {value}"
                )
            if isinstance(value, dict) and not all(0 < per_cent <= 100 for per_cent in value.values()):
                raise ValueError(f"{name}: expected 1 to 100 per cent, got {value}")


def excluded(row: Mapping[str, Any], entries: Mapping[str, str]) -> str | None:
    """Somebody asked for the document, or for all of its source, to be left out; the ledger holds the reason given."""
    return next((entries[name] for name in names(row) if name in entries), None)


def names(row: Mapping[str, Any]) -> tuple[str, str, str]:
    """What a document can be excluded by: its id as extracted, its source's purl, or the purl and #path."""
    return row["id"], row["source"], f"{row['source']}#{row['path']}"


def no_licence(licence: str) -> str | None:
    """Nothing says under which licence the document is: SPDX NOASSERTION, or NONE."""
    return f"licence {licence}" if licence in ("NOASSERTION", "NONE") else None


def exact_duplicates(other: str | None) -> str | None:
    """The same text, in any normal form of Unicode, stands in another document; the first one is kept."""
    return None if other is None else f"same text as {other}"


def near_duplicates(document: str, kept: str, similarity: float) -> str | None:
    """Most runs of five words stand in another document too (MinHash); the longest of all that are alike is kept.

    Where a script parts no words by blanks, as Chinese and Thai do, a character counts as a word.
    """
    return f"{similarity:.2f} like {kept}" if document != kept else None


def licences(expression: str, allowed: Iterable[str]) -> str | None:
    """A source's licence is outside the allowed ones: the build stops.

    `expression` is SPDX. AND needs both sides allowed, OR one of them; `X WITH exception` must be allowed as a whole.
    """
    return spdx.not_allowed(expression, allowed)


REDACTORS: tuple[pii.Redactor, ...] = (
    pii.email_addresses,
    pii.ip_addresses,
    pii.phone_numbers,
    pii.secrets,
)
PREDICATES: tuple[Predicate, ...] = (
    quality.too_short,
    quality.too_long,
    quality.few_words,
    quality.many_words,
    quality.short_words,
    quality.long_words,
    quality.mostly_symbols,
    quality.symbols_per_word,
    quality.few_alphabetic_words,
    quality.few_stop_words,
    quality.few_sentences,
    quality.bullet_lines,
    quality.ellipsis_lines,
    quality.short_lines,
    quality.few_punctuated_lines,
    quality.curly_brackets,
    quality.lorem_ipsum,
    repetition.duplicate_lines,
    repetition.duplicate_line_characters,
    repetition.duplicate_paragraphs,
    repetition.duplicate_paragraph_characters,
    repetition.top_ngrams,
    repetition.duplicate_ngrams,
    language,
)
COMPARISONS = (exact_duplicates, near_duplicates, contaminated)  # with other documents and with evaluation sets


def described() -> dict[str, str]:
    """Every rule's name and, in a sentence, what it finds; in the order in which they apply."""
    named = (licences, excluded, no_licence, *REDACTORS, *PREDICATES, *COMPARISONS)
    return {rule.__name__: str(rule.__doc__).splitlines()[0] for rule in named}
