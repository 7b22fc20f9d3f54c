"""Applying the filters to a document: first what changes its text, then the predicates, in the order of `rules`."""

import hashlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, partial
from typing import Any

from train.data.filters import rules
from train.data.filters.lines import without
from train.data.filters.pieces import look
from train.data.schema import Document, Origin

Change = Callable[[str], tuple[str, int]]  # of a text: as it is then, and how often it was found


@dataclass(frozen=True)
class FilterConfig(rules.Thresholds):
    """The rules' settings, and what is left out by name."""

    excluded: dict[str, str]  # a document's id as extracted, a source's purl, or purl#path -> when and why

    def __post_init__(self) -> None:
        super().__post_init__()
        for name, reason in self.excluded.items():
            if not reason.strip():
                raise ValueError(f"excluded: {name}: expected when and why, got nothing")

    def rules_of(self, tag: str) -> tuple[list[tuple[str, Change]], list[tuple[rules.Predicate, Any]]]:
        """What changes a text in a language, and the predicates that judge it with their thresholds."""
        if tag not in self._known:
            judging = [each for each in enabled(self, rules.PREDICATES) if rules.judges(*each, tag)]
            self._known[tag] = list(changes(self, tag)), judging
        return self._known[tag]

    @cached_property
    def _known(self) -> dict[str, tuple[list[tuple[str, Change]], list[tuple[rules.Predicate, Any]]]]:
        return {}


@dataclass
class Judgement:
    """What the filters made of a document."""

    id: str  # as extracted
    bytes: int  # as extracted
    changed: dict[str, tuple[int, int]]  # rule -> finds or lines, and bytes by which the text grew shorter
    dropped: tuple[str, str] | None  # the first reason and what the rule saw


def apply_filters(config: FilterConfig, documents: Sequence[Document]) -> Iterator[tuple[Document, Judgement]]:
    """Each document as it would be kept, its text changed and its id that of this text, and the judgement on it."""
    texts: list[str] = [document.text for document in documents]
    counts = [dict[str, tuple[int, int]]() for _ in documents]
    left: Sequence[int] = range(len(documents))
    while left:  # each is judged as if it were alone; together it is faster
        looked = dict(zip(left, look([texts[place] for place in left]), strict=True))
        for place, seen in looked.items():
            texts[place] = changed(config, documents[place].language, seen, counts[place])
        left = [place for place, seen in looked.items() if texts[place] != seen]
    for document, text, changes in zip(documents, texts, counts, strict=True):
        dropped = next(drop_reasons(config, document, text), None)
        if not dropped and not text.strip():
            dropped = (list(changes)[-1], "no line is left")
        judgement = Judgement(document.id, len(document.text.encode()), changes, dropped)
        if changes:
            document = replace(document, text=str(text), id=hashlib.sha256(text.encode()).hexdigest())
        yield document, judgement


def changed(config: FilterConfig, tag: str, text: str, counts: dict[str, tuple[int, int]]) -> str:
    """The text as each rule once leaves it; what they changed is added to the `counts`."""
    changing, _ = config.rules_of(tag)
    for name, change in changing:
        after, occurrences = change(text)
        if occurrences:
            before, shorter = counts.get(name, (0, 0)), len(text.encode()) - len(after.encode())
            counts[name], text = (before[0] + occurrences, before[1] + shorter), after
    return text


def changes(config: FilterConfig, tag: str) -> Iterator[tuple[str, Change]]:
    """What changes a text in a language, by the names of the rules."""
    for redactor, mark in enabled(config, rules.REDACTORS):
        yield redactor.__name__, partial(redactor, mark=mark)
    for rule, setting in enabled(config, rules.LINE_RULES):
        if rules.judges(rule, setting, tag):
            yield rule.__name__, partial(without, rule=rule, setting=setting)


def drop_reasons(config: FilterConfig, document: Document, text: str) -> Iterator[tuple[str, str]]:
    """Why the rules would drop a document, each reason with what the rule saw; the first one is in the ledger."""
    yield from reasons_beside_text(config, document)
    for predicate, threshold in config.rules_of(document.language)[1]:
        if detail := predicate(text, threshold):
            yield predicate.__name__, detail


def reasons_beside_text(config: FilterConfig, document: Document | Origin) -> Iterator[tuple[str, str]]:
    """Reasons to drop a document that do not lie in its text."""
    if detail := rules.excluded(document, config.excluded):
        yield "excluded", detail
    if detail := rules.no_licence(document.licence):
        yield "no_licence", detail


def enabled(config: FilterConfig, every: Sequence[Callable[..., Any]]) -> Iterator[tuple[Callable[..., Any], Any]]:
    """The rules that are not switched off, each with its setting."""
    settings = ((rule, getattr(config, rule.__name__)) for rule in every)
    return ((rule, setting) for rule, setting in settings if setting is not None)
