"""Checks of the sources: records that follow from the config, texts that lead to them, and what is ours made again."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from itertools import chain
from typing import Any

from train.artifact import digest, file_digest, read_json
from train.config import build, read
from train.data.benchmarks import OWN_SET, SetRecord, gather, read_sets, set_name
from train.data.counts import SourceCounts
from train.data.documents import extract, parts, spans
from train.data.raw import RawConfig, fetch
from train.data.schema import Document, Item, LedgerRow, SelectedDocument, read_records
from train.data.sources import spec
from train.data.text.readers import REASONS, is_one_text
from train.keys import ROOT
from train.release.differences import file_apart, mismatch
from train.release.verify.prepared import SELECTING
from train.release.verify.result import NotChecked
from train.release.view import Release
from train.spdx import NOASSERTION, of_row
from train.world import Inputs


def provenance(release: Release) -> Iterator[str]:
    """Each source has the texts of its licence, and each document leads to a listed source."""
    records = {record.source.purl: record for record in spec.read_sources(release.path / "data/sources.json")}
    extracted = read(dict[str, SourceCounts], release.path / "data/extracted.json")
    yield from (f"{purl}: in data/extracted.json alone" for purl in extracted.keys() - records.keys())
    rows = list(release.ledger())
    yield from (line for row in rows if (line := row_problem(row, records.get(row.source))))
    dropped = [row for row in rows if row.action == "dropped"]
    paths = Counter((each.source, each.path) for each in chain[Any](release.documents(), dropped))
    unlicensed = Counter(row.source for row in dropped if row.licence == NOASSERTION)
    for purl, record in records.items():
        if not record.files:
            yield f"{purl}: no digest of its files"
        if sum(extracted[purl].unlicensed.values()) != unlicensed[purl]:
            yield f"{purl}: data/extracted.json: unlicensed: not as many as the ledger has"
        seen = Counter({path: times for (source, path), times in paths.items() if source == purl})
        yield from (f"{purl}: {line}" for line in extraction_problems(release, record, extracted[purl], seen))
        for name, sha256 in extracted[purl].licences.items():
            text = f"data/licences/{sha256}.txt"
            if text not in release.paths or file_digest(release.path / text) != sha256:
                yield f"{purl}: {text}, its {name}, is missing or changed"
    for document in release.documents():
        if document.source not in records:
            yield f"data/documents: source {document.source} is not listed"
            continue
        text = f"data/licences/{document.evidence}.txt"
        evidence = release.bytes(text).decode(errors="replace") if text in release.paths else None
        texts = set(extracted[document.source].licences.values())
        if problem := origin_problem(document, records[document.source], texts, evidence):
            yield f"document {document.id[:12]}: {problem}"


def row_problem(row: LedgerRow, record: spec.SourceRecord | None) -> str | None:
    """Why a row of the ledger does not follow from the record of its source; None if it does."""
    if record is None:
        return f"data/ledger: {row.path}: source {row.source} is not listed"
    own = record.source.licence_by_row and of_row(row.licence, {}) == row.licence
    same = own or row.licence == record.source.licence
    return None if same else f"data/ledger: {row.path}: licence {row.licence} is not its source's"


def origin_problem(
    document: SelectedDocument, record: spec.SourceRecord, texts: set[str], row: str | None
) -> str | None:
    """Why a document does not follow from its source, by its licence `texts` or its own `row`; None if it does."""
    columns = record.columns  # what rows may tell themselves
    same = {"language"} | (set() if columns and columns.attribution else {"attribution"})
    if document.evidence in texts:
        same.add("licence")
    elif row is None or not columns or not columns.licence:
        return "no such licence text in its source"
    elif of_row(row, columns.licence_names) != document.licence:
        return f"its licence is not what its row said, {row!r}"
    if any(getattr(document, key) != getattr(record.source, key) for key in same):
        return "licence, attribution or language is not its source's"
    return None


def sources(release: Release) -> Iterator[str]:
    """The record of each source, of text and of evaluation sets, is what the config says, field by field."""
    path, sets = "data/sources.json", "evaluation/data/sets.json"
    yield from (f"{path}: {line}" for line in records_apart(release.config.data.raw, release.json(path)))
    own = ("name", "licences", "items", "groups")  # what the record of a set tells beside
    others = [each for each in release.json(sets) if each["name"] != OWN_SET]
    bare = [{key: value for key, value in each.items() if key not in own} for each in others]
    yield from (f"{sets}: {line}" for line in records_apart(release.config.benchmarks.raw, bare))
    recorded = read_sets(release.path / sets)
    for each in recorded:
        yield from set_apart(release, each)
    yield from files_apart(release, "raw", spec.read_sources(release.path / path))
    yield from files_apart(release, "benchmarks", [each.record for each in recorded])


def files_apart(release: Release, artifact: str, records: list[spec.SourceRecord]) -> Iterator[str]:
    """What the manifest of an artifact tells of the files that were fetched otherwise than the records of sources."""
    files = {f"{record.source.slug}/{file.path}": file for record in records for file in record.files}
    listed = {path: vars(each) for path, each in release.provenance[artifact].products.items() if path in files}
    derived = {path: {"sha256": files[path].sha256, "bytes": files[path].bytes} for path in listed}
    yield from mismatch(f"provenance/{artifact}.json: products", listed, derived)


def set_apart(release: Release, recorded: SetRecord) -> Iterator[str]:
    """What the record of an evaluation set of others tells otherwise than its table and its files do."""
    name, source = recorded.name, recorded.record.source
    items = list(read_records(Item, [release.path / "evaluation" / "data" / f"{name}.parquet"]))
    files = {file.path: file.sha256 for file in recorded.record.files}
    derived = {
        "name": set_name(source.purl),
        "licences": {path: sha256 for path, sha256 in files.items() if path in source.licence_files},
        "groups": dict(Counter(item.group for item in items)),
        "items": len(items),
    }
    yield from mismatch(f"evaluation/data/sets.json: {name}", {key: getattr(recorded, key) for key in derived}, derived)
    strangers = [item.id for item in items if item.set != name or item.id.rpartition(":")[0] not in files]
    yield from (f"evaluation/data/{name}.parquet: {id}: of no file of that set" for id in strangers[:1])


def records_apart(raw: RawConfig | None, records: list[dict[str, Any]]) -> Iterator[str]:
    """What the records of sources tell otherwise than the config `raw` does."""
    sources = raw.sources if raw else ()
    if len(records) != len(sources):
        yield f"tells of {len(records)} sources, the config of {len(sources)}"
    for source, entry in zip(sources, records, strict=False):
        record = spec.SourceRecord(source, pinned(source, build(tuple[spec.File, ...], entry["files"])))
        yield from mismatch(source.purl, entry, record.to_json())
        sha256 = {file.path: file.sha256 for file in record.files}
        if isinstance(source, spec.FilesSource) and digest(sha256) != source.sha256:
            yield f"{source.purl}: files: not those of the digest in the config"
        if not isinstance(source, spec.PypiSource):
            missing = (name for name in source.licence_files if name not in sha256)
            yield from (f"{source.purl}: files: no {name}, its licence" for name in missing)


def pinned(source: spec.Source, recorded: tuple[spec.File, ...]) -> tuple[spec.File, ...]:
    """The files that the record of a source has to tell of: those of the config, else what is recorded, in order."""
    if isinstance(source, spec.PypiSource):
        return (spec.File(source.filename, source.sha256, source.bytes),)
    files = source.files if isinstance(source, spec.HubSource) and source.files else recorded
    return tuple(sorted({file.path: file for file in files}.values(), key=lambda file: file.path))


def extraction_problems(
    release: Release, record: spec.SourceRecord, counted: SourceCounts, seen: Counter[str]
) -> Iterator[str]:
    """What is counted of a source's extraction otherwise than its files and what was left out say.

    `seen` are the paths of its documents, kept or dropped: of files that hold one text each, none is missing.
    """
    source, licences = record.source, counted.licences
    if list(licences) != sorted(source.licence_files):
        yield f"data/extracted.json: licences {list(licences)}, the source names {list(source.licence_files)}"
    files = {file.path: file.sha256 for file in record.files}
    if not isinstance(source, spec.PypiSource) and any(files.get(name) != sha256 for name, sha256 in licences.items()):
        yield "data/extracted.json: a licence that is not the source's file"
    config = release.config.data.documents
    names = [part.stem for part in parts(config, record)]
    path = f"data/left_out/{source.slug}"
    lines = [line for name in names for line in release.json(f"data/left_out/{name}.jsonl")]
    if any(line.keys() != {"path", "reason"} for line in lines):
        yield f"{path}: another form"
    reasons = Counter(line.get("reason") for line in lines)
    if reasons != Counter({reason: count for reason in REASONS if (count := getattr(counted, reason))}):
        yield f"{path}: tells of {dict(reasons)}, data/extracted.json does not"
    files_read = [file for file, _, _ in spans(config, record, 0)]
    if files_read and all(is_one_text(file, config.formats) for file in files_read):
        there = seen + Counter(line.get("path") for line in lines)
        yield from mismatch("files that are a document, dropped or left out", {**there}, dict.fromkeys(files_read, 1))


def generated(release: Release) -> Iterator[str]:
    """What this repository writes itself, stories and minimal pairs, made again from the seeds, up to the selection."""
    yield from _pairs(release)
    config = release.config.data.raw
    own = tuple(source for source in config.sources if isinstance(source, spec.StoriesSource))
    if not own:
        return
    if not (ROOT / "pyproject.toml").is_file():
        raise NotChecked("their licence is a file of the source tree, and this is an installed package")
    again = {name: release.scratch / "generated" / name for name in ("raw", "documents", *SELECTING)}
    fetch(replace(config, sources=own), Inputs(), again["raw"], release.world)
    extract(release.config.data.documents, Inputs(**again), again["documents"], release.world)
    if own == config.sources:
        for name, make in SELECTING.items():
            make(release.config.data.selected, release.inputs(**again), again[name], release.world)
        yield from (line for name in again for line in release.made_again(name, again[name]))
    else:
        yield from _among_others(release, Inputs(**again))


def _pairs(release: Release) -> Iterator[str]:
    """What differs of our own evaluation set."""
    config = replace(release.config.benchmarks, raw=None)
    if not config.pairs:
        return
    folder, path = release.scratch / "benchmarks", f"{OWN_SET}.parquet"
    gather(config, Inputs(), folder, release.world)
    records = [each for each in release.json("evaluation/data/sets.json") if each["name"] == OWN_SET]
    yield from mismatch("evaluation/data/sets.json", records, read_json(folder / "sets.json"))
    place = f"evaluation/data/{path}"
    if file_digest(folder / path) != release.products.get(place):
        here = release.path / place
        yield f"{place}: {file_apart(here, folder / path) if here.is_file() else 'missing'}"


def _among_others(release: Release, again: Inputs) -> Iterator[str]:
    """What differs of stories that are one source of several: their records, and which documents there were."""
    recorded = {entry["purl"]: entry for entry in release.json("data/sources.json")}
    extracted, counted = release.json("data/extracted.json"), read_json(again.documents / "counts.json")
    ids_here = {(document.source, document.path): document.id for document in release.documents()}
    ids_here |= {(row.source, row.path): row.id for row in release.ledger()}  # as extracted
    for record in spec.read_sources(again.raw / "sources.json"):
        purl, entry = record.source.purl, record.to_json()
        table = read_records(Document, [again.documents / "documents" / f"{record.source.slug}.parquet"])
        for what, before, now in (
            (f"data/sources.json: {purl}", recorded.get(purl), entry),
            (f"data/extracted.json: {purl}", extracted.get(purl), counted[purl]),
            (f"documents of {purl}", {path: id for (source, path), id in ids_here.items() if source == purl},
             {document.path: document.id for document in table}),
        ):  # fmt: skip
            yield from mismatch(what, before, now)
