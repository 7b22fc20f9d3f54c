"""What makes us drop or change a document: one pure function a reason.

A function's name is its threshold's name in the config, its `reason` in the ledger and its row in the data card,
which shows the first line of its docstring.

* A predicate takes (text, threshold) and returns what it saw, or None when the text passes.
* A redactor takes (text, mark) and returns the text with `mark` in the place of each find, and how many it found.
* A rule of lines takes (line, setting) and says whether the line is taken out of its text.

Redactors and rules of lines run first, until none finds anything, and predicates judge what is left, so each rule can
be checked again on the text we keep. The ledger holds the first reason that applies; `PREDICATES` is their order, the
cheap ones first.

Predicates stand in `quality.py`, `repetition.py` and `language.py`, redactors in `pii.py`, and here what does not
lie in a document's text. Published thresholds stand in the docstrings, after the recipes' names: Gopher (Rae et al.
2021, arXiv 2112.11446, appendix A), C4 (Raffel et al. 2020, arXiv 1910.10683, section 2.2), FineWeb (Penedo et al.
2024, arXiv 2406.17557, section 3). They were found for web pages; `configs/data/` says where a corpus departs, and why.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Annotated, Any

from annotated_types import Ge, Le, MaxLen, MinLen

from train import spdx
from train.config import Natural, Share
from train.data.dedup.contamination import contaminated
from train.data.filters import lines, pii, quality, repetition
from train.data.filters.language import language
from train.data.schema import Document, Origin

Predicate = Callable[[str, Any], str | None]
Mean = Annotated[float, Ge(0)]


@dataclass(frozen=True)
class Thresholds:
    """The setting of each rule, by the rule's name; null switches a rule off."""

    email_addresses: str | None  # what takes their place
    ip_addresses: str | None  # what takes their place
    phone_numbers: str | None  # what takes their place
    secrets: str | None  # what takes their place
    unended_lines: Natural | None  # most characters of such a line
    few_word_lines: Natural | None  # least words
    boilerplate_lines: Annotated[tuple[str, ...], MinLen(1)] | None  # phrases in small letters
    too_short: Natural | None  # characters
    too_long: Natural | None  # characters
    few_words: Natural | None  # least words
    many_words: Natural | None  # most words
    short_words: Mean | None  # characters, on average
    long_words: Mean | None  # characters, on average
    mostly_symbols: Share | None  # share of characters
    symbols_per_word: Mean | None  # most, on average
    few_alphabetic_words: Share | None  # share of words
    few_stop_words: Natural | None  # least stop words
    few_sentences: Natural | None  # least sentences
    bullet_lines: Share | None  # share of lines
    ellipsis_lines: Share | None  # share of lines
    short_lines: Share | None  # share of lines
    few_punctuated_lines: Share | None  # share of lines
    curly_brackets: Natural | None  # most of them
    lorem_ipsum: Natural | None  # most of them
    duplicate_lines: Share | None  # share of lines
    duplicate_line_characters: Share | None  # share of the text
    duplicate_paragraphs: Share | None  # share of paragraphs
    duplicate_paragraph_characters: Share | None  # share of the text
    top_ngrams: Annotated[tuple[Share, ...], MaxLen(3)] | None  # shares of the text, for 2, 3, 4 words
    duplicate_ngrams: Annotated[tuple[Share, ...], MaxLen(6)] | None  # shares of the text, for 5 to 10 words
    # Per cent of the text that must be in each language, by its tag; needs the extra `language`.
    language: dict[str, Annotated[int, Ge(1), Le(100)]] | None

    def __post_init__(self) -> None:
        for name in (redactor.__name__ for redactor in REDACTORS):
            mark = getattr(self, name)
            if mark is not None and any(other(mark, "")[1] for other in REDACTORS):
                raise ValueError(f"{name}: the mark {mark!r} would itself be redacted")
        for phrase in self.boilerplate_lines or ():
            if phrase != phrase.lower().strip() or not phrase:
                raise ValueError(f"boilerplate_lines: expected phrases in small letters, got {phrase!r}")
        for few, many in (("too_short", "too_long"), ("few_words", "many_words"), ("short_words", "long_words")):
            low, high = getattr(self, few), getattr(self, many)
            if low is not None and high is not None and low > high:
                raise ValueError(f"{few}: expected at most {many} ({high}), got {low}")


def excluded(document: Document | Origin, entries: Mapping[str, str]) -> str | None:
    """Somebody asked for the document, or for all of its source, to be left out; the ledger holds the reason given."""
    return next((entries[name] for name in names(document) if name in entries), None)


def names(document: Document | Origin) -> tuple[str, str, str]:
    """What a document can be excluded by: its id as extracted, its source's purl, or the purl and #path."""
    return document.id, document.source, f"{document.source}#{document.path}"


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


REDACTORS: tuple[pii.Redactor, ...] = (pii.email_addresses, pii.ip_addresses, pii.phone_numbers, pii.secrets)
LINE_RULES: tuple[Callable[[str, Any], bool], ...] = (lines.unended_lines, lines.few_word_lines,
                                                      lines.boilerplate_lines)  # fmt: skip
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


# What a language may lack for a rule to judge it: blanks between words, marks that end sentences, a list of stop words.
NO_BLANKS = {"bo", "cmn", "dz", "gan", "hak", "ii", "ja", "khb", "km", "lo", "lzh", "my", "nan", "shn", "th", "wuu",
             "yue", "zh"}  # fmt: skip
NO_MARKS = {"lo", "th"}
ON_WORDS = {*(quality.few_words, quality.many_words, quality.short_words, quality.long_words, quality.symbols_per_word),
            *(quality.few_alphabetic_words, repetition.top_ngrams, repetition.duplicate_ngrams)}  # fmt: skip
ON_MARKS = {quality.few_sentences, quality.few_punctuated_lines}
ON_LENGTHS = {quality.short_words, quality.long_words, quality.few_stop_words}  # judged for the languages with a list


def judges(rule: Callable[..., Any], setting: Any, tag: str) -> bool:
    """Whether a rule, as it is set, means something for texts in the language of a BCP 47 tag."""
    name = tag.partition("-")[0]
    if rule is language:
        return name in {"mul", "und", *(each.partition("-")[0] for each in setting)}
    lacks = name in NO_BLANKS and rule in {*ON_WORDS, lines.few_word_lines}
    lacks = lacks or (name in NO_MARKS and rule in {*ON_MARKS, lines.unended_lines})
    return not lacks and (rule not in ON_LENGTHS or name in quality.STOP_WORDS)


def unjudged(settings: Mapping[str, Any], tags: Iterable[str]) -> dict[str, list[str]]:
    """Of each language, the rules that are set and cannot judge its texts, which pass them by."""
    on = {rule: setting for rule in (*LINE_RULES, *PREDICATES) if (setting := settings.get(rule.__name__)) is not None}
    off = {tag: [rule.__name__ for rule, set_to in on.items() if not judges(rule, set_to, tag)] for tag in sorted(tags)}
    return {tag: names for tag, names in off.items() if names}


def described() -> dict[str, str]:
    """Every rule's name and, in a sentence, what it finds; in the order in which they apply."""
    named = (licences, excluded, no_licence, *REDACTORS, *LINE_RULES, *PREDICATES, *COMPARISONS)
    return {rule.__name__: str(rule.__doc__).splitlines()[0] for rule in named}
