"""The ledger against config and kept documents: each reason is one that this config leads to, in its rule's words."""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from train.data.filters.apply import enabled, reasons_beside_text
from train.data.filters.rules import LINE_RULES, PREDICATES, REDACTORS
from train.data.schema import LedgerRow, Origin, SelectedDocument
from train.data.selected import SelectedConfig

LEAST, MOST = -1, 10**9  # below and above all that a rule measures, as of this text, in which each n-gram repeats
SAMPLE = "a " * 20
SHARE = r"0\.\d\d|1\.00"
LANGUAGES = re.compile(r"no known language|[\w-]+ \d+ %(, [\w-]+ \d+ %){0,2}")


def ledger_apart(
    config: SelectedConfig, rows: list[LedgerRow], kept: Iterable[SelectedDocument], items: Iterable[str]
) -> Iterator[str]:
    """Rows that this config cannot lead to, by the documents `kept` and the names of the evaluation `items`."""
    dropped = {f"{row.path} of {row.source}" for row in rows if row.action == "dropped"}
    splits = {f"{each.path} of {each.source} ({each.id})": each.split for each in kept}
    titles, names = dropped | {name.rpartition(" ")[0] for name in splits}, frozenset(items)
    rules = {rule.__name__: (rule, set_to) for rule, set_to in enabled(config, (*REDACTORS, *LINE_RULES, *PREDICATES))}

    def follows(row: LedgerRow) -> bool:
        beside = next(reasons_beside_text(config, Origin(row.id, row.source, row.path, row.licence)), None)
        if beside or row.reason in ("excluded", "no_licence"):
            return beside == (row.reason, row.detail)
        if row.reason == "exact_duplicates":
            return row.detail.startswith("same text as ") and row.detail[13:] in titles
        if row.reason == "near_duplicates":
            like = re.fullmatch(rf"(?:{SHARE}) like (.+)", row.detail, re.DOTALL)
            return bool(like) and (like[1] in splits or like[1].rpartition(" ")[0] in dropped)  # type: ignore[index]
        if row.reason == "contaminated":
            return gives_away(row.detail, config.contaminated, splits, names)
        if row.reason not in rules or row.action != "dropped":  # how often a rule changed a text: see `data.judged`
            return row.reason in rules
        rule, setting = rules[row.reason]
        return says(rule, setting, row.detail) if rule in PREDICATES else row.detail == "no line is left"

    for row in rows:
        if not re.fullmatch("[0-9a-f]{64}", row.id) or (row.action == "dropped" and row.became):
            yield f"data/ledger: {row.path}: {row.id[:80]!r}, {row.became[:80]!r}: no digests of a text {row.action}"
        elif not follows(row):
            yield f"data/ledger: {row.path}: {row.reason}: {row.detail[:80]!r} is not what this config leads to"


def gives_away(detail: str, threshold: float, splits: Mapping[str, str], items: frozenset[str]) -> bool:
    """Whether a document can have been dropped for what it has in common with a held-out one or an item."""
    like = re.match(rf"({SHARE}) of held_out (.*? \([0-9a-f]{{64}}\)): .", detail, re.DOTALL)
    if like and splits.get(like[2]) == "held_out":
        return float(like[1]) >= threshold - 0.005
    return any(detail[: colon.start()] in items for colon in re.finditer(": .", detail, re.DOTALL))


def says(rule: Callable[[str, Any], str | None], setting: Any, detail: str) -> bool:
    """Whether a predicate with that setting can have said this of a text: its words, a number beyond the setting."""
    if rule.__name__ == "language":
        return bool(LANGUAGES.fullmatch(detail))
    number, _, unit = detail.partition(" ")
    several = isinstance(setting, tuple)
    for place, limit in enumerate(setting if several else (setting,)):
        words, sign = rule(SAMPLE, (*[MOST] * place, MOST) if several else MOST), -1  # of a rule that wants more
        if not words:
            words, sign = rule(SAMPLE, (*[MOST] * place, LEAST) if several else LEAST), 1
        if words and words.partition(" ")[2] == unit:
            digits, rounding = (r"\d+\.\d{4}", 0.00005) if "." in words else (r"\d+", -0.5)
            beyond = re.fullmatch(digits, number) and sign * float(number) >= sign * limit - rounding
            return bool(beyond) and (float(number) <= 1 or not unit.startswith("of "))
    return False
