"""Checks of the data: what was counted, held out and selected, and which tokens it gives."""

import dataclasses
import hashlib
import importlib.util
import re
from collections import Counter
from collections.abc import Iterator
from itertools import pairwise
from typing import Any

import numpy as np

from train.artifact import as_json
from train.config import build
from train.data.batches import batch_at
from train.data.dedup.contamination import contaminated, evaluated, items_of
from train.data.dedup.minhash import clusters, signature
from train.data.dedup.ngrams import words
from train.data.filters.rules import licences
from train.data.selected import SelectedConfig, canonical_id, count, judge, leave_out
from train.data.selected import split as split_of
from train.data.tokens import read_tokens
from train.errors import UserError
from train.evaluation.overlap import overlap as find_overlap
from train.release.differences import first_difference
from train.release.verify.result import NotChecked
from train.release.view import Release

LOGGED = {"step", "batch", "loss", "gradient_norm", "learning_rate", "tokens", "seconds", "tokens_per_second"}
SOMETIMES = {"matrix_learning_rate", "near_boundary", "update_to_weight", "mfu", "held_out_loss"}


def statistics(release: Release) -> list[str]:
    """The statistics, counted again from the documents."""
    return release.written("data/statistics.json")


def counts(release: Release) -> list[str]:
    """Documents and bytes, counted again from texts and ledger: by reason, source, licence and split, without a gap."""
    told, extracted, tokens = (release.json(f"data/{name}.json") for name in ("counts", "extracted", "tokens"))
    problems, rows = [], list(judged(release))
    for row in rows:
        if "text" in row and hashlib.sha256(row["text"].encode()).hexdigest() != row["id"]:
            problems.append(f"document {row['id'][:12]}: its id is not the digest of its text")
    counted = count(rows)
    # By which of several redactions a text grew shorter, and by how much, only its source could tell.
    shorter = [sum(entry.pop("bytes") for entry in tree["redacted"].values()) for tree in (told, counted)]
    if apart := first_difference(told, counted) or first_difference(shorter[0], shorter[1], "redacted.bytes"):
        problems.append(f"data/counts.json: {apart}")
    for purl, entry in extracted.items():
        raw = counted["sources"].get(purl, {}).get("raw", {"documents": 0, "bytes": 0})
        if apart := first_difference({unit: entry[unit] for unit in ("documents", "bytes")}, raw):
            problems.append(f"data/extracted.json: {purl}: {apart}")
    for name, numbers in told["splits"].items():
        if apart := first_difference({unit: tokens[name][unit] for unit in ("documents", "bytes")}, numbers):
            problems.append(f"data/tokens.json: {name}: {apart}")
    return problems


def judged(release: Release) -> Iterator[dict[str, Any]]:
    """Every document as `selected.judge` and what follows it left it, put together from texts and ledger."""
    redactions: dict[tuple[str, str, str], list[dict[str, Any]]] = {}  # of a kept document, by id, source and path
    for entry in release.rows("ledger"):
        if entry["action"] == "dropped":
            judgement = {"bytes": entry["bytes"], "redacted": {}, "dropped": (entry["reason"], entry["detail"])}
            yield {"source": entry["source"], "licence": entry["licence"], "judgement": judgement}
        else:
            if not re.fullmatch("[1-9][0-9]* replaced", entry["detail"]) or entry["action"] != "redacted":
                raise UserError(f"data/ledger: {entry['action']} {entry['detail']!r}: no entry that is written")
            redactions.setdefault((entry["became"], entry["source"], entry["path"]), []).append(entry)
    for row in release.rows("documents"):
        found = redactions.pop((row["id"], row["source"], row["path"]), [])
        size = len(row["text"].encode())
        if len({e["reason"] for e in found}) < len(found) or len({(e["id"], e["bytes"]) for e in found}) > 1:
            raise UserError(f"data/ledger: {row['path']}: entries of one document that contradict each other")
        before = found[0]["bytes"] if found else size
        redacted = {e["reason"]: {"occurrences": int(e["detail"].split()[0]), "bytes": 0} for e in found}
        if found:
            redacted[found[0]["reason"]]["bytes"] = before - size
        yield {**row, "judgement": {"bytes": before, "redacted": redacted, "dropped": None}}
    for (id, _, path), _ in redactions.items():
        raise UserError(f"data/ledger: {path} became {id[:12]}, which is not here")


def split(release: Release) -> list[str]:
    """What was held out, decided again from the texts."""
    config = build(SelectedConfig, release.config["data"]["selected"])
    return [
        f"document {row['id'][:12]}: is in {row['split']}, its hash says {drawn}"
        for row in release.rows("documents")
        if row["split"] != (drawn := split_of(config, canonical_id(row["text"])))
    ]


def selection(release: Release) -> list[str]:
    """Every rule of the config that needs no source, applied again to what was kept: none finds anything.

    No text is dropped or redacted by a rule, excluded, under a licence that is not accepted, in another part or place
    than its hash says, or nearly the same as another; none gives away an evaluation item or a held-out text.
    """
    config = build(SelectedConfig, release.config["data"]["selected"])
    without_language = config.language is not None and importlib.util.find_spec("pycld2") is None
    config = dataclasses.replace(config, language=None) if without_language else config
    rows = list(release.rows("documents"))
    known = sorted({row["licence"] for row in rows})
    problems = [f"licence {saw}" for licence in known if (saw := licences(licence, config.licences))]
    before = {entry["became"]: entry["id"] for entry in release.rows("ledger") if entry["became"]}
    for row in rows:
        problems += [f"document {row['id'][:12]}: {saw}" for saw in against(config, row, before.get(row["id"]))]
    texts = [canonical_id(row["text"]) for row in rows]
    places = [(int(text[:8], 16) % config.parts, row["id"]) for text, row in zip(texts, rows, strict=True)]
    problems += [f"document {b[1][:12]}: stands in the place of another, or twice"
                 for a, b in pairwise(places) if not a < b]  # fmt: skip
    problems += [f"text {text[:12]}: stands twice" for text, times in Counter(texts).items() if times > 1]
    numbers = [words(row["text"]).numbers for row in rows]
    found = clusters(np.array([signature(each) for each in numbers]), config.near_duplicates)
    held_out = evaluated((row["id"], each) for row, each in zip(rows, numbers, strict=True) if row["split"] != "train")
    items = items_of(release.views["benchmarks"])
    for place, (row, first) in enumerate(zip(rows, found, strict=True)):
        if first != place:
            problems.append(f"document {row['id'][:12]}: is nearly the same as {rows[first]['id'][:12]}")
        saw = row["split"] == "train" and contaminated(words(row["text"]), config.contaminated, items, held_out)
        problems += [f"document {row['id'][:12]}: {saw}"] if saw else []
    if without_language and not problems:
        raise NotChecked(
            "all rules but `language`, which the package pycld2 is needed for: install the extra `language`"
        )
    return problems


def against(config: SelectedConfig, row: dict[str, Any], before: str | None) -> Iterator[str]:
    """What the rules say against a kept document, whose id as extracted was `before`."""
    again = judge(config, row)
    yield from (f"{name} finds something in it" for name in again["judgement"]["redacted"])
    dropped = again["judgement"]["dropped"] or next(leave_out(config, {**row, "id": before or row["id"]}), None)
    if dropped:
        yield f"{dropped[0]}: {dropped[1]}"


def tokens(release: Release) -> list[str]:
    """The documents, encoded again, give the recorded tokens."""
    return release.made_again("tokens", release.tokens)


def source_kinds(release: Release) -> list[str]:
    """Each source tells where it can be had, and its texts are here: all of them are open."""
    problems = []
    held = Counter(row["source"] for row in release.rows("documents"))
    told = release.json("data/counts.json")["sources"]
    for source in release.json("data/sources.json"):
        if source["kind"] not in ("pypi", "hub", "files", "stories"):
            problems.append(f"{source['purl']}: unknown kind {source['kind']!r}")
        if source["kind"] == "pypi" and not source.get("filename"):
            problems.append(f"{source['purl']}: which file it is is not said")
        if held[source["purl"]] != told[source["purl"]]["kept"]["documents"]:
            problems.append(f"{source['purl']}: {held[source['purl']]} documents are here, not all that were kept")
    return problems


def overlap(release: Release) -> list[str]:
    """The overlap of training text with what is evaluated on, found again."""
    path = "data/overlap.json"
    made = as_json(find_overlap({**release.views, "tokens": release.tokens}, release.world))
    return [] if made == release.bytes(path) else [f"{path}: not what documents and evaluation sets give"]


def order(release: Release) -> list[str]:
    """What each logged step read, drawn again from seed and step out of the tokens made again; a record for each."""
    config, train = release.config, read_tokens(release.tokens, "train")
    training, context = config["training"], config["model"]["context"]
    path = "logs/weights/log.jsonl"
    if [record["step"] for record in release.log] != list(range(1, training["steps"] + 1)):
        return [f"{path}: tells of {len(release.log)} steps, or in another order"]
    problems = []
    for step, record in enumerate(release.log, start=1):
        batch = batch_at(train, context, training["batch"], training["seed"], step - 1)
        if record.get("batch") != hashlib.sha256(batch.astype("<i8").tobytes()).hexdigest():
            problems.append(f"{path}: step {step} read another batch")
        if record.get("tokens") != step * training["batch"] * context:
            problems.append(f"{path}: step {step}: another number of tokens")
        evaluated = step % training["evaluate_every"] == 0 or step == training["steps"]
        if not LOGGED <= record.keys() <= LOGGED | SOMETIMES or ("held_out_loss" in record) != evaluated:
            problems.append(f"{path}: step {step}: tells more or less than a step does")
    return problems
