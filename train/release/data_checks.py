"""Checks of the data: where each text is from, what was counted, held out and selected, and which tokens it gives."""

import hashlib
import re
from collections import Counter
from typing import Any

import numpy as np
from packageurl import PackageURL

from train.artifact import as_json, file_digest
from train.config import build
from train.data.batches import batch_at
from train.data.contamination import contaminated, evaluated, items_of
from train.data.near_duplicates import clusters, signature
from train.data.ngrams import words
from train.data.selected import SPLITS, SelectedConfig, canonical_id
from train.data.selected import split as split_of
from train.data.tables import read_rows
from train.data.tokens import read_tokens
from train.evaluation.overlap import overlap as find_overlap
from train.release.contents import Release
from train.release.differences import read_records
from train.spdx import of_row


def provenance(release: Release) -> list[str]:
    """Each source has purl, licence, digest and retrieval; each document and token range leads to a listed source."""
    sources = {source["purl"]: source for source in release.json("data/sources.json")}
    extracted, retrieved = release.json("data/extracted.json"), release.json("logs/raw/retrieved.json")
    problems = [f"{purl}: in data/extracted.json alone" for purl in extracted.keys() - sources.keys()]
    for purl, source in sources.items():
        PackageURL.from_string(purl)
        if not source["licence"] or not source["attribution"]:
            problems.append(f"{purl}: no licence or no attribution")
        if not source["files"] or not all(re.fullmatch("[0-9a-f]{64}", file["sha256"]) for file in source["files"]):
            problems.append(f"{purl}: no digest of its files")
        if source["kind"] in ("pypi", "hub") and not retrieved.get(source["slug"], {}).get("retrieved"):
            problems.append(f"{purl}: when it was retrieved is not recorded")
        for name, sha256 in extracted[purl]["licences"].items():
            text = f"data/licences/{sha256}.txt"
            if text not in release.paths or file_digest(release.path / text) != sha256:
                problems.append(f"{purl}: {text}, its {name}, is missing or changed")
    for table in ("documents", "ranges"):
        strangers = {row["source"] for row in release.rows(table)} - sources.keys()
        problems += [f"data/{table}: source {purl} is not listed" for purl in sorted(strangers)]
    for row in release.rows("documents"):
        source = sources.get(row["source"], {})
        text = f"data/licences/{row['evidence']}.txt"
        told = release.bytes(text).decode(errors="replace") if text in release.paths else None
        texts = set(extracted.get(row["source"], {}).get("licences", {}).values())
        if problem := origin_problem(row, source, texts, told):
            problems.append(f"document {row['id'][:12]}: {problem}")
    for name in SPLITS:
        end = 0
        for row in read_rows([release.path / "data" / "ranges" / f"{name}.parquet"]):
            if row["start"] != end:
                problems.append(f"data/ranges/{name}: a gap before document {row['id'][:12]}")
            end = row["end"]
        if end != release.json("data/tokens.json")[name]["tokens"]:
            problems.append(f"data/ranges/{name}: the ranges end at {end}, which is not the count of tokens")
    return problems


def origin_problem(row: dict[str, Any], source: dict[str, Any], texts: set[str], told: str | None) -> str | None:
    """Why the row of a document does not follow from its source; None if it does.

    `texts` are the digests of the source's licence texts, `told` is what stands in the document's evidence.
    """
    columns = source.get("columns") or {}  # what rows may tell themselves
    same = {"language"} | ({"attribution"} if not columns.get("attribution") else set())
    if row["evidence"] in texts:
        same.add("licence")
    elif told is None or not columns.get("licence"):
        return "no such licence text in its source"
    elif of_row(told, columns["licence_names"]) != row["licence"]:
        return f"its licence is not what its row said, {told!r}"
    if any(row[key] != source.get(key) for key in same):
        return "licence, attribution or language is not its source's"
    return None


def statistics(release: Release) -> list[str]:
    """The statistics, counted again from the documents."""
    return release.written("data/statistics.json")


def counts(release: Release) -> list[str]:
    """Documents and bytes chain without a gap from extraction to tokens, reason by reason."""
    told, extracted, tokens = (release.json(f"data/{name}.json") for name in ("counts", "extracted", "tokens"))
    kept: Counter[tuple[str, str]] = Counter()  # of (split, unit)
    found: dict[tuple[str, str], Counter[str]] = {}  # (action, reason) -> unit -> number
    problems = []

    def same(what: str, counted: int, recorded: int) -> None:
        if counted != recorded:
            problems.append(f"{what}: counted {counted}, recorded {recorded}")

    for row in release.rows("documents"):
        encoded = row["text"].encode()
        if hashlib.sha256(encoded).hexdigest() != row["id"]:
            problems.append(f"document {row['id'][:12]}: its id is not the digest of its text")
        kept[row["split"], "documents"] += 1
        kept[row["split"], "bytes"] += len(encoded)
    for row in release.rows("ledger"):
        here = found.setdefault((row["action"], row["reason"]), Counter())
        here["documents"] += 1
        if row["action"] == "dropped":
            here["bytes"] += row["bytes"]
        else:
            here["occurrences"] += int(row["detail"].split()[0])
    for action, units in (("dropped", ("documents", "bytes")), ("redacted", ("documents", "occurrences"))):
        for reason, numbers in told[action].items():
            counter = found.pop((action, reason), Counter())
            for unit in units:
                same(f"{reason}, {unit}", counter[unit], numbers[unit])
    problems += [f"{' '.join(key)}: in the ledger and not in data/counts.json" for key in found]
    taken = {"documents": 0, "bytes": sum(entry["bytes"] for entry in told["redacted"].values())}
    for unit in ("documents", "bytes"):
        dropped = sum(entry[unit] for entry in told["dropped"].values())
        total = sum(number for (_, of), number in kept.items() if of == unit)
        same(f"kept {unit}", total, told["kept"][unit])
        same(f"extracted {unit}", total + dropped + taken[unit], told["raw"][unit])
        same(f"{unit} of all sources", sum(entry[unit] for entry in extracted.values()), told["raw"][unit])
        for name, numbers in told["splits"].items():
            same(f"{name} {unit}", kept[name, unit], numbers[unit])
            same(f"{name} {unit} with tokens", tokens[name][unit], numbers[unit])
    return problems


def split(release: Release) -> list[str]:
    """What was held out, decided again from the texts."""
    config = build(SelectedConfig, release.config["data"]["selected"])
    return [
        f"document {row['id'][:12]}: is in {row['split']}, its hash says {drawn}"
        for row in release.rows("documents")
        if row["split"] != (drawn := split_of(config, canonical_id(row["text"])))
    ]


def selection(release: Release) -> list[str]:
    """No two texts are near duplicates, and no training text gives away an evaluation item or a held-out text."""
    config = build(SelectedConfig, release.config["data"]["selected"])
    rows = list(release.rows("documents"))
    numbers = [words(row["text"]).numbers for row in rows]
    found = clusters(np.array([signature(each) for each in numbers]), config.near_duplicates)
    held_out = evaluated((row["id"], each) for row, each in zip(rows, numbers, strict=True) if row["split"] != "train")
    items = items_of(release.views["benchmarks"])
    problems = []
    for place, (row, first) in enumerate(zip(rows, found, strict=True)):
        if first != place:
            problems.append(f"document {row['id'][:12]}: is nearly the same as {rows[first]['id'][:12]}")
        saw = row["split"] == "train" and contaminated(words(row["text"]), config.contaminated, items, held_out)
        problems += [f"document {row['id'][:12]}: {saw}"] if saw else []
    return problems


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
    """What each logged step read, drawn again from seed and step out of the tokens made again."""
    config, train = release.config, read_tokens(release.tokens, "train")
    told = read_records(release.path / "logs" / "weights" / "log.jsonl", 0, config["training"]["steps"])
    problems = (
        [f"logs/weights/log.jsonl: tells of {len(told)} steps"] if len(told) != config["training"]["steps"] else []
    )
    size = config["model"]["context"], config["training"]["batch"], config["training"]["seed"]
    for step, entry in told.items():
        read = hashlib.sha256(batch_at(train, *size, step - 1).astype("<i8").tobytes()).hexdigest()
        problems += [f"logs/weights/log.jsonl: step {step} read another batch"] if entry["batch"] != read else []
    return problems
