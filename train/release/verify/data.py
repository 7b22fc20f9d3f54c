"""Checks of the data: what was counted, held out and selected, and which tokens it gives."""

import dataclasses
import hashlib
import importlib.util
import re
from collections import Counter
from collections.abc import Iterator
from itertools import pairwise

from train.artifact import as_json
from train.data.dedup.contamination import contaminated, evaluated, items_of
from train.data.dedup.minhash import pairs, signatures
from train.data.dedup.ngrams import words
from train.data.filters.apply import Judgement, apply_filters, reasons_beside_text
from train.data.filters.rules import licences
from train.data.judged import canonical_id
from train.data.judged import split as split_of
from train.data.ledger import CHANGED, OCCURRENCES, Judged, count
from train.data.schema import LedgerRow, SelectedDocument
from train.data.selected import SelectedConfig
from train.data.tokens import read_tokens
from train.differences import first_difference
from train.errors import UserError
from train.evaluation.overlap import overlap as find_overlap
from train.release.verify.ledger import ledger_apart
from train.release.verify.result import NotChecked
from train.release.view import Release
from train.training.steps import tokens_seen


def counts(release: Release) -> list[str]:
    """Documents and bytes, counted again from texts and ledger: by reason, source, licence and split, without a gap."""
    recorded, extracted, tokens = (release.json(f"data/{name}.json") for name in ("counts", "extracted", "tokens"))
    problems, every = [], list(judged(release))
    for document in (each.document for each in every if not each.judgement.dropped):
        if (sha256 := hashlib.sha256(document.text.encode()).hexdigest()) != document.id:
            problems.append(f"document {document.id[:12]}: its id is not the digest of its text, {sha256}")
    counted = count(every)
    # By which of several redactions a text grew shorter, and by how much, only its source could tell.
    trees = ([entry for action in OCCURRENCES for entry in tree[action].values()] for tree in (recorded, counted))
    shorter = [sum(entry.pop("bytes") for entry in entries) for entries in trees]
    if difference := first_difference(recorded, counted) or first_difference(shorter[0], shorter[1], "bytes taken out"):
        problems.append(f"data/counts.json: {difference}")
    for purl, entry in extracted.items():
        raw = counted["sources"].get(purl, {}).get("raw", {"documents": 0, "bytes": 0})
        if difference := first_difference({unit: entry[unit] for unit in ("documents", "bytes")}, raw):
            problems.append(f"data/extracted.json: {purl}: {difference}")
    for name, numbers in recorded["splits"].items():
        if difference := first_difference({unit: tokens[name][unit] for unit in ("documents", "bytes")}, numbers):
            problems.append(f"data/tokens.json: {name}: {difference}")
    return problems


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


def split(release: Release) -> list[str]:
    """What was held out, decided again from the texts."""
    config = release.config.data.selected
    return [
        f"document {document.id[:12]}: is in {document.split}, its hash says {drawn}"
        for document in release.documents()
        if document.split != (drawn := split_of(config, canonical_id(document.text)))
    ]


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


def source_kinds(release: Release) -> list[str]:
    """The texts of each source are here, all that were kept."""
    kept = Counter(document.source for document in release.documents())
    counted = {purl: count["kept"]["documents"] for purl, count in release.json("data/counts.json", "/sources").items()}
    difference = first_difference(counted, {purl: kept[purl] for purl in counted})
    return [f"data/counts.json: documents kept: {difference}"] if difference else []


def overlap(release: Release) -> list[str]:
    """The overlap of training text with what is evaluated on, found again."""
    again = find_overlap(release.inputs(tokens=release.tokens), release.world)
    return release.same("data/overlap.json", as_json(again))


def order(release: Release) -> list[str]:
    """What each logged step read, drawn again from seed and step out of the tokens made again; a record for each."""
    config = release.config.fit
    training, train = config.training, read_tokens(release.tokens, "train")
    path = "logs/weights/log.jsonl"
    if [record["step"] for record in release.log] != list(range(1, training.steps + 1)):
        return [f"{path}: tells of {len(release.log)} steps of {training.steps}, or in another order"]
    problems, drawn = [], config.order(release.tokens)
    for step, record in enumerate(release.log, start=1):
        batch = drawn.batch_at(train, step - 1)
        sha256 = hashlib.sha256(batch.astype("<i8").tobytes()).hexdigest()
        drawn_again = {"batch": sha256, "tokens": tokens_seen(step, training.batch, config.model.context)}
        if difference := first_difference({name: record.get(name) for name in drawn_again}, drawn_again):
            problems.append(f"{path}: step {step}: {difference}")
    return problems
