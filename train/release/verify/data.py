"""Checks of the data: what was counted, held out and selected, and which tokens it gives."""

import dataclasses
import hashlib
import importlib.util
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import pairwise
from typing import Any

from train.artifact import as_json
from train.config import read
from train.data.counts import SelectionCounts
from train.data.dedup.contamination import contaminated, evaluated, items_of
from train.data.dedup.minhash import pairs, signatures
from train.data.dedup.ngrams import words
from train.data.filters.apply import Judgement, apply_filters, enabled, reasons_beside_text
from train.data.filters.rules import LINE_RULES, PREDICATES, REDACTORS, licences
from train.data.judged import canonical_id
from train.data.judged import split as split_of
from train.data.ledger import CHANGED, OCCURRENCES, Judged, count
from train.data.schema import LedgerRow, Origin, SelectedDocument
from train.data.selected import SelectedConfig
from train.data.tokens import read_tokens
from train.errors import UserError
from train.evaluation.overlap import overlap as find_overlap
from train.release.differences import mismatch
from train.release.verify.result import NotChecked
from train.release.view import Release
from train.training.steps import tokens_seen

LEAST, MOST = -1, 10**9  # below and above all that a rule measures, as of this text, in which each n-gram repeats
SAMPLE = "a " * 20
SHARE = r"0\.\d\d|1\.00"
LANGUAGES = re.compile(r"no known language|[\w-]+ \d+ %(, [\w-]+ \d+ %){0,2}")


def counts(release: Release) -> Iterator[str]:
    """Documents and bytes, counted again from texts and ledger: by reason, source, licence and split, without a gap."""
    recorded, extracted, tokens = (release.json(f"data/{name}.json") for name in ("counts", "extracted", "tokens"))
    every = list(judged(release))
    for document in (each.document for each in every if not each.judgement.dropped):
        if (sha256 := hashlib.sha256(document.text.encode()).hexdigest()) != document.id:
            yield f"document {document.id[:12]}: its id is not the digest of its text, {sha256}"
    counted = count(every)
    # By which of several redactions a text grew shorter, and by how much, only its source could tell.
    trees = ([entry for action in OCCURRENCES for entry in tree[action].values()] for tree in (recorded, counted))
    shorter = [sum(entry.pop("bytes") for entry in entries) for entries in trees]
    yield from mismatch("data/counts.json", recorded, counted)
    yield from mismatch("data/counts.json", shorter[0], shorter[1], "bytes taken out")
    nothing = {"documents": 0, "bytes": 0}
    for purl, entry in extracted.items():
        raw = counted["sources"].get(purl, {}).get("raw", nothing)
        yield from mismatch(f"data/extracted.json: {purl}", {unit: entry[unit] for unit in nothing}, raw)
    for name, numbers in recorded["splits"].items():
        yield from mismatch(f"data/tokens.json: {name}", {unit: tokens[name][unit] for unit in nothing}, numbers)


def judged(release: Release) -> Iterator[Judged]:
    """Every document as selection left it, put together from texts and ledger."""
    redactions: dict[tuple[str, str, str], list[LedgerRow]] = {}  # of a kept document, by id, source and path
    for row in release.ledger():
        if row.action == "dropped":
            dropped = SelectedDocument(row.id, "", row.source, row.path, row.licence, "", "", "", "")
            yield Judged(dropped, Judgement(row.id, row.bytes, {}, (row.reason, row.detail)))
        else:
            does = OCCURRENCES.get(row.action)
            if not re.fullmatch(f"[1-9][0-9]* {does}", row.detail) or CHANGED.get(row.reason) != row.action:
                raise UserError(f"data/ledger: {row.action} {row.detail!r}: no entry that is written")
            redactions.setdefault((row.became, row.source, row.path), []).append(row)
    for document in release.documents():
        rows = redactions.pop((document.id, document.source, document.path), [])
        size = len(document.text.encode())
        reasons, same = {row.reason for row in rows}, {(row.id, row.bytes, row.licence) for row in rows}
        if len(reasons) < len(rows) or len(same | {(*each[:2], document.licence) for each in same}) > 1:
            raise UserError(f"data/ledger: {document.path}: entries of one document that contradict each other")
        id, before = (rows[0].id, rows[0].bytes) if rows else (document.id, size)
        shorter = [before - size, *(0 for _ in rows)]  # all of it by the first: see `counts`
        changed = {row.reason: (int(row.detail.split()[0]), by) for row, by in zip(rows, shorter, strict=False)}
        yield Judged(document, Judgement(id, before, changed, None))
    for (id, _, path), _ in redactions.items():
        raise UserError(f"data/ledger: {path} became {id[:12]}, which is not here")


def split(release: Release) -> Iterator[str]:
    """What was held out, decided again from the texts."""
    for document in release.documents():
        if document.split != (drawn := split_of(release.config.data.selected, canonical_id(document.text))):
            yield f"document {document.id[:12]}: is in {document.split}, its hash says {drawn}"


def selection(release: Release) -> list[str]:
    """Every rule of the config that needs no source, applied again to what was kept, finds nothing in it."""
    config = release.config.data.selected
    without_language = config.language is not None and importlib.util.find_spec("pycld2") is None
    config = dataclasses.replace(config, language=None) if without_language else config
    documents = list(release.documents())
    known = sorted({document.licence for document in documents})
    problems = [f"licence {saw}" for licence in known if (saw := licences(licence, config.licences))]
    before = {row.became: row.id for row in release.ledger() if row.became}
    for each in documents:
        problems += [f"document {each.id[:12]}: {reason}" for reason in against(config, each, before.get(each.id))]
    items = items_of(release.inputs().benchmarks)
    problems += ledger_apart(release.config.data.selected, list(release.ledger()), documents, items.names)
    texts = [canonical_id(document.text) for document in documents]
    places = [(int(text[:8], 16) % config.parts, each.id) for text, each in zip(texts, documents, strict=True)]
    problems += [f"document {b[1][:12]}: stands in the place of another, or twice"
                 for a, b in pairwise(places) if not a < b]  # fmt: skip
    problems += [f"text {text[:12]}: stands twice" for text, times in Counter(texts).items() if times > 1]
    numbers = [words(document.text).numbers for document in documents]
    alike = pairs(signatures(numbers), config.near_duplicates)
    problems += [f"document {documents[one].id[:12]}: is nearly the same as {documents[other].id[:12]}"
                 for one, other in alike]  # fmt: skip
    numbered = zip(documents, numbers, strict=True)
    held_out = evaluated((document.id, each) for document, each in numbered if document.split != "train")
    for each in documents:
        training = [words(each.text)] if each.split == "train" else []
        reason = next(contaminated(training, config.contaminated, items, held_out), None)
        problems += [f"document {each.id[:12]}: {reason}"] if reason else []
    if without_language and not problems:
        raise NotChecked(
            "all rules but `language`, which the package pycld2 is needed for: install the extra `language`"
        )
    return problems


def against(config: SelectedConfig, document: SelectedDocument, before: str | None) -> Iterator[str]:
    """What the rules say against a kept document, whose id as extracted was `before`."""
    ((_, judgement),) = apply_filters(config, [document])
    yield from (f"{name} finds something in it" for name in judgement.changed)
    extracted = dataclasses.replace(document, id=before or document.id)
    dropped = judgement.dropped or next(reasons_beside_text(config, extracted), None)
    if dropped:
        yield f"{dropped[0]}: {dropped[1]}"


def tokens(release: Release) -> list[str]:
    """The documents, encoded again, give the recorded tokens."""
    return release.made_again("tokens", release.tokens)


def source_kinds(release: Release) -> Iterator[str]:
    """The texts of each source are here, all that were kept."""
    kept = Counter(document.source for document in release.documents())
    counts = read(SelectionCounts, release.path / "data/counts.json")
    counted = {purl: part.kept.documents for purl, part in counts.sources.items()}
    yield from mismatch("data/counts.json: documents kept", counted, {purl: kept[purl] for purl in counted})


def overlap(release: Release) -> list[str]:
    """The overlap of training text with what is evaluated on, found again."""
    again = find_overlap(release.inputs(tokens=release.tokens), release.world)
    return release.same("data/overlap.json", as_json(again))


def order(release: Release) -> Iterator[str]:
    """What each logged step read, drawn again from seed and step out of the tokens made again; a record for each."""
    config = release.config.fit
    training, train = config.training, read_tokens(release.tokens, "train")
    path = "logs/weights/log.jsonl"
    if [record["step"] for record in release.log] != list(range(1, training.steps + 1)):
        yield f"{path}: tells of {len(release.log)} steps of {training.steps}, or in another order"
        return
    drawn = config.order(release.tokens)
    for step, record in enumerate(release.log, start=1):
        batch = drawn.batch_at(train, step - 1)
        sha256 = hashlib.sha256(batch.astype("<i8").tobytes()).hexdigest()
        drawn_again = {"batch": sha256, "tokens": tokens_seen(step, training.batch, config.model.context)}
        yield from mismatch(f"{path}: step {step}", {name: record.get(name) for name in drawn_again}, drawn_again)


# The ledger ----------------------------------------------------------------------------------------------------------


def ledger_apart(
    config: SelectedConfig, rows: list[LedgerRow], kept: Iterable[SelectedDocument], items: Iterable[str]
) -> Iterator[str]:
    """Rows that this config cannot lead to, by the documents `kept` and the names of the evaluation `items`."""
    dropped = {f"{row.path} of {row.source}" for row in rows if row.action == "dropped"}
    splits = {f"{each.path} of {each.source} ({each.id})": each.split for each in kept}
    titles, names = dropped | {name.rpartition(" ")[0] for name in splits}, frozenset(items)
    known = {rule.__name__: (rule, set_to) for rule, set_to in enabled(config, (*REDACTORS, *LINE_RULES, *PREDICATES))}

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
        if row.reason not in known or row.action != "dropped":  # how often a rule changed a text: see `judged`
            return row.reason in known
        rule, setting = known[row.reason]
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
