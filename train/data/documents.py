"""Stage 2. One row a document: its text, and where it came from, under which licence, by what evidence."""

import hashlib
import json
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Annotated, Any, BinaryIO

from annotated_types import MinLen

from train.artifact import read_json, whole, write_bytes, write_json
from train.data import schema
from train.data.sources.archive import matches, members
from train.data.sources.spec import check_licence_text
from train.data.text import readers
from train.data.text.file_types import conversion
from train.errors import UserError
from train.spdx import NOASSERTION, of_row
from train.world import World

LICENCE_NAMES = 1000  # different ones in a column, at most; more are no names of licences


@dataclass(frozen=True)
class DocumentsConfig:
    """How files become texts."""

    # File name suffix, without its dot and without .gz or .zst after it -> what the files hold. `rows` is JSON lines.
    formats: Annotated[dict[str, readers.Format], MinLen(1)]


def extract(config: DocumentsConfig, inputs: Mapping[str, Path], out: Path, world: World) -> None:
    """Write `documents/<slug>.parquet` (tables.DOCUMENT) for each source, in the order of its files and their rows.

    Also `licences/<sha256>.txt`, each licence file byte for byte; `left_out/<slug>.jsonl`, {path, reason} for each
    text that gave no document (the reasons: `formats`); and `extracted.json`: source -> {files, documents, bytes, each
    reason, licences {path: sha256}, unlicensed {what the row says: documents}}. `bytes` is of the documents' texts in
    UTF-8. All is streamed: no source needs to fit in memory.

    Where rows tell their own licence, the evidence is what the row says, to the letter, kept like a licence file. What
    is neither SPDX nor among the source's `licence_names` makes the document's licence NOASSERTION, without evidence
    and counted under `unlicensed`: selection drops it by name. The source's own licence never stands in for a row's.

    Raises UserError when a source matches no file, lacks a licence file that it names, or holds a damaged file.
    """
    sources = read_json(inputs["raw"] / "sources.json")
    for source in world.track(world.share(sources), "extract"):
        counts = _extract(config, source, inputs["raw"] / source["slug"], out)
        write_json(out / "counts" / f"{source['slug']}.json", counts)
    # Whichever worker ends last finds the counts of all.
    parts = {source["purl"]: out / "counts" / f"{source['slug']}.json" for source in sources}
    if all(path.exists() for path in parts.values()):
        write_json(out / "extracted.json", {purl: read_json(path) for purl, path in parts.items()})


def _extract(config: DocumentsConfig, source: Mapping[str, Any], folder: Path, out: Path) -> dict[str, Any]:
    licences = _licences(source, folder, out)
    counts: Counter[str] = Counter(dict.fromkeys(("files", "documents", "bytes", *readers.REASONS), 0))
    examples: dict[str, str] = {}  # of each reason, the first text and what is known of it
    unlicensed: Counter[str] = Counter()
    kept = set(licences.values())
    evidence = licences[source["licence_files"][0]]
    with whole(out / "left_out" / f"{source['slug']}.jsonl") as left_out:

        def rows() -> Iterator[dict[str, Any]]:
            for found in _found(config, source, folder, counts):
                if found.reason:
                    counts[found.reason] += 1
                    examples.setdefault(found.reason, f"{found.path}{found.detail and f': {found.detail}'}")
                    left = {"path": found.path, "reason": found.reason}
                    left_out.write(json.dumps(left, ensure_ascii=False).encode() + b"\n")
                    continue
                row = _row(source, found, evidence)
                counts.update(documents=1, bytes=len(row["text"].encode()))
                told = found.licence or ""
                if row["licence"] == NOASSERTION:
                    unlicensed[told] += 1
                elif row["evidence"] not in kept:
                    kept.add(row["evidence"])
                    write_bytes(out / "licences" / f"{row['evidence']}.txt", told.encode())
                if len(kept) + len(unlicensed) > LICENCE_NAMES:
                    column, most = source["columns"]["licence"], f"more than {LICENCE_NAMES} different texts"
                    raise UserError(f"{source['purl']}: {column!r} holds {most}, so no licences")
                yield row

        schema.write_rows(out / "documents" / f"{source['slug']}.parquet", rows(), schema.DOCUMENT)
    if not counts["files"]:
        raise UserError(
            f"{source['purl']}: no file matches {source['include']} but not {source['exclude']}; correct the globs"
        )
    reasons = {reason: counts[reason] for reason in readers.REASONS if counts[reason]}
    if reasons and not counts["documents"]:
        told = left_out_summary(reasons, examples)
        raise UserError(f"{source['purl']}: none of {sum(reasons.values())} texts is a document: {told}")
    return {**counts, "licences": licences, "unlicensed": dict(unlicensed)}


def left_out_summary(reasons: Mapping[str, int], examples: Mapping[str, str]) -> str:
    """How many texts each reason left out, with an example, and what helps."""
    told = ", ".join(f"{reason} {count} ({examples.get(reason, '')})" for reason, count in reasons.items())
    encoding = next((name for name in ("UTF-16", "UTF-32") if name in told), "")
    return told + (conversion(encoding) or ("; convert them to UTF-8" if "undecodable" in reasons else ""))


def _found(
    config: DocumentsConfig, source: Mapping[str, Any], folder: Path, counts: Counter[str]
) -> Iterator[readers.Found]:
    """What the source's files hold, up to its limit of rows."""
    limit = source.get("limit")
    seen = 0
    for path, file in _files(source, folder, licences=False):
        with file:
            if limit is not None and seen >= limit:
                return
            counts["files"] += 1
            try:
                most = None if limit is None else limit - seen
                for found in readers.texts(file, path, config.formats, source.get("columns"), most):
                    seen += 1
                    yield found
            except UserError as error:
                raise UserError(f"{source['purl']}: {error}") from None


def _row(source: Mapping[str, Any], found: readers.Found, evidence: str) -> dict[str, Any]:
    licence = source["licence"]
    if found.licence is not None:
        licence = of_row(found.licence, source["columns"]["licence_names"])
        evidence = hashlib.sha256(found.licence.encode()).hexdigest() if licence != NOASSERTION else ""
    return {
        "id": hashlib.sha256(found.text.encode()).hexdigest(),
        "text": found.text,
        "source": source["purl"],
        "path": found.path,
        "licence": licence,
        "evidence": evidence,
        "attribution": found.attribution or source["attribution"],
        "language": source["language"],
    }


def _licences(source: Mapping[str, Any], folder: Path, out: Path) -> dict[str, str]:
    """Write the source's licence files; return their digests. UserError when one is missing."""
    licences: dict[str, str] = {}
    for path, file in _files(source, folder, licences=True):
        with file:
            data = file.read()
        check_licence_text(source["purl"], path, data)
        licences[path] = hashlib.sha256(data).hexdigest()
        write_bytes(out / "licences" / f"{licences[path]}.txt", data)
        if len(licences) == len(source["licence_files"]):  # the rest of an archive need not be unpacked for them
            break
    if missing := [path for path in source["licence_files"] if path not in licences]:
        raise UserError(f"{source['purl']}: no licence file {missing[0]!r} in the source; correct `licence_files`")
    return licences


def _files(source: Mapping[str, Any], folder: Path, *, licences: bool) -> Iterator[tuple[str, BinaryIO]]:
    """The licence files of a source, or the files that hold its documents: (path in the source, open file)."""

    def wanted(path: str) -> bool:
        if licences or path in source["licence_files"]:
            return licences and path in source["licence_files"]
        return source.get("streaming", False) or matches(path, source["include"], source["exclude"])

    names = [file["path"] for file in source["files"]]
    if source["kind"] == "pypi":
        yield from ((name, BytesIO(data)) for name, data in members(folder / names[0], names[0], wanted=wanted))
    else:
        yield from ((name, (folder / name).open("rb")) for name in names if wanted(name))
