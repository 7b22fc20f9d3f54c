"""The ledger and the counts of a selection: every document that came in is kept, or dropped for a reason."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from train.data.filters import rules
from train.data.filters.apply import Judgement
from train.data.schema import LedgerRow, SelectedDocument
from train.errors import UserError

SPLITS = ("train", "held_out")
OCCURRENCES = {"redacted": "replaced", "edited": "lines taken out"}  # what changes a text -> what it does
CHANGED = {rule.__name__: "redacted" for rule in rules.REDACTORS} | {
    rule.__name__: "edited" for rule in rules.LINE_RULES
}


@dataclass
class Judged:
    """A document as it would be kept, and what all rules found."""

    document: SelectedDocument
    judgement: Judgement


def ledger_rows(judged: Judged) -> Iterator[LedgerRow]:
    """The ledger's rows for one document: one if it is dropped, else one for each rule that changed it."""
    document, judgement = judged.document, judged.judgement

    def row(action: str, reason: str, detail: str, became: str) -> LedgerRow:
        about = (judgement.id, document.source, document.path, document.licence)
        return LedgerRow(*about, action, reason, detail, judgement.bytes, became)

    if judgement.dropped:
        yield row("dropped", *judgement.dropped, "")
    else:
        for reason, (occurrences, _) in judgement.changed.items():
            yield row(CHANGED[reason], reason, f"{occurrences} {OCCURRENCES[CHANGED[reason]]}", document.id)


def count(judged: Iterable[Judged]) -> dict[str, Any]:
    """Documents and bytes: as extracted (`raw`, `dropped`), as kept, and what rules took out of those."""
    counts: Counter[tuple[str, ...]] = Counter()
    named = (rules.excluded, rules.no_licence, *rules.PREDICATES, *rules.COMPARISONS)
    names = [("dropped", rule.__name__) for rule in named] + [(action, name) for name, action in CHANGED.items()]
    add_to(counts, names, 0, 0)  # a rule that finds nothing counts 0
    counts.update({(action, name, "occurrences"): 0 for name, action in CHANGED.items()})
    for each in judged:
        document, judgement = each.document, each.judgement
        groups = [("sources", document.source), ("licences", document.licence)]
        add_to(counts, [(*group, "kept") for group in groups], 0, 0)
        add_to(counts, [("raw",), *((*group, "raw") for group in groups)], judgement.bytes)
        if judgement.dropped:
            add_to(counts, [("dropped", judgement.dropped[0])], judgement.bytes)
            continue
        kept = [("kept",), ("splits", document.split), *((*group, "kept") for group in groups)]
        add_to(counts, kept, len(document.text.encode()))
        for reason, (occurrences, size) in judgement.changed.items():
            counts[CHANGED[reason], reason, "occurrences"] += occurrences
            add_to(counts, [(CHANGED[reason], reason)], size)
    return nested(counts)


def add_to(counts: Counter[tuple[str, ...]], groups: Iterable[tuple[str, ...]], size: int, documents: int = 1) -> None:
    """Count a document of `size` bytes in each of some groups."""
    for group in groups:
        counts[(*group, "documents")] += documents
        counts[(*group, "bytes")] += size


def nested(counts: Mapping[tuple[str, ...], int]) -> dict[str, Any]:
    """{("a", "b"): 1} as {"a": {"b": 1}}."""
    tree: dict[str, Any] = {}
    for path, number in counts.items():
        branch = tree
        for step in path[:-1]:
            branch = branch.setdefault(step, {})
        branch[path[-1]] = number
    return tree


def add(*trees: Mapping[str, Any]) -> dict[str, Any]:
    """The sum of nested counts, leaf by leaf."""
    total: dict[str, Any] = {}
    for tree in trees:
        for key, value in tree.items():
            total[key] = add(total.get(key, {}), value) if isinstance(value, Mapping) else total.get(key, 0) + value
    return total


def check_counts(held_out: float, counts: Mapping[str, Any]) -> None:
    """The chain closes: what came in is what is kept, what is dropped and what rules took out. No split is empty."""
    raw, kept, splits, dropped = (counts.get(key, {}) for key in ("raw", "kept", "splits", "dropped"))
    for unit, away in (("documents", [dropped]), ("bytes", [dropped, *(counts.get(key, {}) for key in OCCURRENCES)])):
        gone = sum(entry[unit] for table in away for entry in table.values())
        assert raw.get(unit, 0) == kept.get(unit, 0) + gone, f"{unit}: {counts}"
        assert kept.get(unit, 0) == sum(entry[unit] for entry in splits.values()), f"{unit}: {counts}"
    if not raw:
        raise UserError("selected: there are no documents to select from; see data.raw and data.documents")
    if not kept:
        reasons = Counter({reason: entry["documents"] for reason, entry in dropped.items()})
        why = ", ".join(f"{reason} {number}" for reason, number in reasons.most_common(3) if number)
        raise UserError(f"selected: none of {raw['documents']} documents is kept ({why}); ease data.selected")
    for missing in (split for split in SPLITS if split not in splits):
        raise UserError(
            f"selected: the split {missing} is empty: {kept['documents']} documents are kept and held_out is "
            f"{held_out}; give more documents or change data.selected.held_out"
        )
