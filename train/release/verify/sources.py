"""Checks of the sources: records that follow from the config, texts that lead to them, and what is ours made again."""

import re
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

from packageurl import PackageURL

from train.artifact import digest, file_digest, parse_json, read_json
from train.config import build
from train.data.benchmarks import OURS, BenchmarksConfig, gather, set_name
from train.data.documents import DocumentsConfig, extract
from train.data.ledger import SPLITS
from train.data.raw import RawConfig, fetch
from train.data.schema import Document, Item, SelectedDocument, TokenRange, read_records
from train.data.selected import SelectedConfig, select
from train.data.text.readers import REASONS
from train.differences import first_difference
from train.keys import ROOT
from train.release.verify.result import NotChecked
from train.release.view import Release
from train.spdx import of_row

OF_A_MACHINE = ("path", "mirrors")  # settings of a source that its record does not hold


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
        problems += [f"{purl}: {line}" for line in extraction_problems(release, source, extracted[purl])]
        for name, sha256 in extracted[purl]["licences"].items():
            text = f"data/licences/{sha256}.txt"
            if text not in release.paths or file_digest(release.path / text) != sha256:
                problems.append(f"{purl}: {text}, its {name}, is missing or changed")
    named = {"documents": {document.source for document in release.documents()},
             "ranges": {tokens.source for tokens in release.records(TokenRange, "ranges")}}  # fmt: skip
    for table, purls in named.items():
        strangers = purls - sources.keys()
        problems += [f"data/{table}: source {purl} is not listed" for purl in sorted(strangers)]
    for document in release.documents():
        source = sources.get(document.source, {})
        text = f"data/licences/{document.evidence}.txt"
        told = release.bytes(text).decode(errors="replace") if text in release.paths else None
        texts = set(extracted.get(document.source, {}).get("licences", {}).values())
        if problem := origin_problem(document, source, texts, told):
            problems.append(f"document {document.id[:12]}: {problem}")
    for name in SPLITS:
        end = 0
        for tokens in read_records(TokenRange, [release.path / "data" / "ranges" / f"{name}.parquet"]):
            if tokens.start != end:
                problems.append(f"data/ranges/{name}.parquet: a gap before document {tokens.id[:12]}")
            end = tokens.end
        if end != release.json("data/tokens.json")[name]["tokens"]:
            problems.append(f"data/ranges/{name}.parquet: the ranges end at {end}, which is not the count of tokens")
    return problems


def origin_problem(document: SelectedDocument, source: dict[str, Any], texts: set[str], told: str | None) -> str | None:
    """Why a document does not follow from its source; None if it does.

    `texts` are the digests of the source's licence texts, `told` is what stands in the document's evidence.
    """
    columns = source.get("columns") or {}  # what rows may tell themselves
    same = {"language"} | ({"attribution"} if not columns.get("attribution") else set())
    if document.evidence in texts:
        same.add("licence")
    elif told is None or not columns.get("licence"):
        return "no such licence text in its source"
    elif of_row(told, columns["licence_names"]) != document.licence:
        return f"its licence is not what its row said, {told!r}"
    if any(getattr(document, key) != source.get(key) for key in same):
        return "licence, attribution or language is not its source's"
    return None


def sources(release: Release) -> list[str]:
    """The record of each source, of text and of evaluation sets, is what the config says, field by field."""
    sets = [each for each in release.json("evaluation/data/sets.json") if each["name"] != OURS["name"]]
    own = ("name", "licences", "items", "groups")  # what the record of a set tells beside
    found = {
        "data/sources.json": (release.config["data"]["raw"], release.json("data/sources.json")),
        "evaluation/data/sets.json": (
            release.config["benchmarks"]["raw"] or {"sources": []},
            [{key: value for key, value in each.items() if key not in own} for each in sets],
        ),
    }
    problems = [f"{path}: {line}" for path, (raw, told) in found.items() for line in records_apart(raw, told)]
    return problems + [line for each in sets for line in set_apart(release, each)]


def set_apart(release: Release, record: Mapping[str, Any]) -> Iterator[str]:
    """What the record of an evaluation set of others tells otherwise than its table and its files do."""
    name = record["name"]
    items = list(read_records(Item, [release.path / "evaluation" / "data" / f"{name}.parquet"]))
    files = {file["path"]: file["sha256"] for file in record["files"]}
    derived = {
        "name": set_name(record["purl"]),
        "licences": {path: sha256 for path, sha256 in files.items() if path in record["licence_files"]},
        "groups": dict(Counter(item.group for item in items)),
        "items": len(items),
    }
    if apart := first_difference({key: record.get(key) for key in derived}, derived):
        yield f"evaluation/data/sets.json: {name}: {apart}"
    strangers = [item.id for item in items if item.set != name or item.id.rpartition(":")[0] not in files]
    yield from (f"evaluation/data/{name}.parquet: {id}: of no file of that set" for id in strangers[:1])


def records_apart(raw: Mapping[str, Any], told: list[dict[str, Any]]) -> Iterator[str]:
    """What the records of sources tell otherwise than the config `raw` does."""
    settled = build(RawConfig, raw).sources if raw["sources"] else ()
    if len(told) != len(settled):
        yield f"tells of {len(told)} sources, the config of {len(settled)}"
    for source, entry, record in zip(settled, raw["sources"], told, strict=False):
        bare = {key: value for key, value in entry.items() if key not in (*OF_A_MACHINE, "files")}
        files = record.get("files", [])
        rest = {key: value for key, value in record.items() if key != "files"}
        if apart := first_difference(rest, {**bare, "slug": source.slug}):
            yield f"{source.purl}: {apart}"
        names = [file["path"] for file in files]
        if names != sorted(set(names)) or any(file.keys() != {"path", "sha256", "bytes"} for file in files):
            yield f"{source.purl}: files in another order or form"
        yield from (f"{source.purl}: {line}" for line in files_apart(entry, files))


def files_apart(entry: Mapping[str, Any], files: list[dict[str, Any]]) -> Iterator[str]:
    """What the record of a source's files tells otherwise than the config pins them."""
    sha256 = {file["path"]: file["sha256"] for file in files}
    pinned: list[dict[str, Any]] = sorted(entry.get("files") or [], key=lambda file: file["path"])
    if entry["kind"] == "pypi":
        pinned = [{"path": entry["filename"], "sha256": entry["sha256"], "bytes": entry["bytes"]}]
    elif entry["kind"] == "files" and digest(sha256) != entry["sha256"]:
        yield "files: not those of the digest in the config"
    if pinned and (apart := first_difference(files, pinned)):
        yield f"files: {apart}"
    if entry["kind"] != "pypi":
        yield from (f"files: no {name}, its licence" for name in entry["licence_files"] if name not in sha256)


def extraction_problems(release: Release, source: Mapping[str, Any], told: Mapping[str, Any]) -> Iterator[str]:
    """What is told of a source's extraction otherwise than its files, the ledger and what was left out say."""
    if told.keys() != {"files", "documents", "bytes", *REASONS, "licences", "unlicensed"}:
        yield "data/extracted.json: another form"
        return
    if list(told["licences"]) != sorted(source["licence_files"]):
        yield f"data/extracted.json: licences {list(told['licences'])}, the source names {source['licence_files']}"
    sha256 = {file["path"]: file["sha256"] for file in source["files"]}
    if source["kind"] != "pypi" and any(sha256.get(name) != found for name, found in told["licences"].items()):
        yield "data/extracted.json: a licence that is not the source's file"
    path = f"data/left_out/{source['slug']}.jsonl"
    lines = [parse_json(line) for line in release.bytes(path).splitlines()]
    if any(line.keys() != {"path", "reason"} for line in lines):
        yield f"{path}: another form"
    reasons = Counter(line.get("reason") for line in lines)
    if reasons != Counter({reason: told[reason] for reason in REASONS if told[reason]}):
        yield f"{path}: tells of {dict(reasons)}, data/extracted.json does not"
    rows = (row for row in release.ledger() if row.source == source["purl"] and row.action == "dropped")
    if sum(told["unlicensed"].values()) != sum(row.licence == "NOASSERTION" for row in rows):
        yield "data/extracted.json: unlicensed: not as many as the ledger has"


def generated(release: Release) -> list[str]:
    """What this repository writes itself, stories and minimal pairs, made again from the seeds in the config.

    Where it is the whole corpus, so are the documents, and what is kept of them and left out.
    """
    problems = _pairs(release)
    raw, documents = release.config["data"]["raw"], build(DocumentsConfig, release.config["data"]["documents"])
    own = [source for source in raw["sources"] if source["kind"] == "stories"]
    if not own:
        return problems
    if not (ROOT / "pyproject.toml").is_file():
        raise NotChecked("their licence is a file of the source tree, and this is an installed package")
    made = {name: release.scratch / "generated" / name for name in ("raw", "documents", "selected")}
    fetch(build(RawConfig, {**raw, "sources": own}), {}, made["raw"], release.world)
    extract(documents, made, made["documents"], release.world)
    if own == raw["sources"]:
        settled = build(SelectedConfig, release.config["data"]["selected"])
        select(settled, {**release.folders, **made}, made["selected"], release.world)
        return problems + [line for name in made for line in release.made_again(name, made[name])]
    return problems + list(_among_others(release, read_json(made["raw"] / "sources.json"), made["documents"]))


def _pairs(release: Release) -> list[str]:
    """What differs of our own evaluation set."""
    config = build(BenchmarksConfig, {**release.config["benchmarks"], "raw": None})
    if not config.pairs:
        return []
    made, path = release.scratch / "benchmarks", f"{OURS['name']}.parquet"
    gather(config, {}, made, release.world)
    told = [each for each in release.json("evaluation/data/sets.json") if each["name"] == OURS["name"]]
    apart = first_difference(told, read_json(made / "sets.json"))
    problems = [f"evaluation/data/sets.json: {apart}"] if apart else []
    if file_digest(made / path) != release.products.get(f"evaluation/data/{OURS['name']}.parquet"):
        problems.append(f"evaluation/data/{OURS['name']}.parquet: not what the seed gives")
    return problems


def _among_others(release: Release, records: list[dict[str, Any]], made: Any) -> Iterator[str]:
    """What differs of stories that are one source of several: their records, and which documents there were."""
    told = {record["purl"]: record for record in release.json("data/sources.json")}
    extracted, again = release.json("data/extracted.json"), read_json(made / "counts.json")
    here = [(document.source, document.path, document.id) for document in release.documents()]
    changed = {(row.source, row.path): row.id for row in release.ledger()}
    for record in records:
        purl = record["purl"]
        for path, pair in {
            "sources": (told.get(purl), record),
            "extracted": (extracted.get(purl), again[purl]),
        }.items():
            if apart := first_difference(*pair):
                yield f"data/{path}.json: {purl}: {apart}"
        documents = read_records(Document, [made / "documents" / f"{record['slug']}.parquet"])
        ids = {path: id for source, path, id in here if source == purl}
        ids |= {path: id for (source, path), id in changed.items() if source == purl}
        if apart := first_difference(ids, {document.path: document.id for document in documents}):
            yield f"documents of {purl}: {apart}"
