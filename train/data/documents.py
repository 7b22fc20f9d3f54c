"""Stage 2. One row a document: its text, and where it came from, under which licence, by what evidence."""

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any, Literal

from train.artifact import read_json, write_bytes, write_json
from train.config import UserError
from train.data import markup, tables
from train.data.archives import matches, members
from train.world import World

READERS: dict[str, Callable[[str], str]] = {
    "restructuredtext": markup.restructuredtext,
    "markdown": markup.markdown,
    "plain": str,
}


@dataclass(frozen=True)
class DocumentsConfig:
    """How files become texts."""

    # File name suffix, without its dot -> what the files hold. `rows` is JSON lines {path, text}, a document each.
    formats: dict[str, Literal["restructuredtext", "markdown", "plain", "rows"]]

    def __post_init__(self) -> None:
        if not self.formats:
            raise ValueError("formats: expected at least one suffix")


def extract(config: DocumentsConfig, inputs: Mapping[str, Path], out: Path, world: World) -> None:
    """Write `documents/<slug>.parquet` (tables.DOCUMENT) for each source, sorted by path.

    Also `licences/<sha256>.txt`, each licence file byte for byte, and `counts.json`: source -> {files, documents,
    bytes, undecodable, empty, licences {path: sha256}}. Files that are not UTF-8 (`undecodable`) or hold nothing
    but markup (`empty`) give no document; `bytes` is of the documents' texts in UTF-8.

    Raises UserError when a source matches no file, or lacks a licence file that it names.
    """
    sources = read_json(inputs["raw"] / "sources.json")
    for source in world.track(world.share(sources), "extract"):
        rows, counts = _extract(config, source, inputs["raw"] / source["slug"], out)
        tables.write_rows(out / "documents" / f"{source['slug']}.parquet", rows, tables.DOCUMENT)
        write_json(out / "counts" / f"{source['slug']}.json", counts)
    # Whichever worker ends last finds the counts of all.
    parts = {source["purl"]: out / "counts" / f"{source['slug']}.json" for source in sources}
    if all(path.exists() for path in parts.values()):
        write_json(out / "counts.json", {purl: read_json(path) for purl, path in parts.items()})


def _extract(
    config: DocumentsConfig, source: Mapping[str, Any], folder: Path, out: Path
) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    purl = source["purl"]
    licences: dict[str, str] = {}
    rows: list[dict[str, Any]] = []
    counts = {"files": 0, "documents": 0, "bytes": 0, "undecodable": 0, "empty": 0}
    for path, data in _files(source, folder):
        if path in source["licence_files"]:
            licences[path] = hashlib.sha256(data).hexdigest()
            write_bytes(out / "licences" / f"{licences[path]}.txt", data)
            continue
        counts["files"] += 1
        for name, text in _texts(config, purl, path, data):
            if text is None or not text.strip():
                counts["undecodable" if text is None else "empty"] += 1
                continue
            encoded = text.encode()
            counts["documents"] += 1
            counts["bytes"] += len(encoded)
            rows.append({"id": hashlib.sha256(encoded).hexdigest(), "text": text, "path": name})
    if missing := [path for path in source["licence_files"] if path not in licences]:
        raise UserError(f"{purl}: no licence file {missing[0]!r} in the source; correct `licence_files`")
    if not counts["files"]:
        raise UserError(f"{purl}: no file matches {source['include']} but not {source['exclude']}; correct the globs")
    same = {"source": purl, **{key: source[key] for key in ("licence", "attribution", "language")}}
    evidence = {"evidence": licences[source["licence_files"][0]]}
    rows = [{**row, **same, **evidence} for row in sorted(rows, key=lambda row: (row["path"], row["id"]))]
    return rows, {**counts, "licences": licences}


def _files(source: Mapping[str, Any], folder: Path) -> Iterator[tuple[str, bytes]]:
    """The files of a source that are documents or licences: (path in the source, bytes)."""

    def wanted(path: str) -> bool:
        return path in source["licence_files"] or matches(path, source["include"], source["exclude"])

    names = [file["path"] for file in source["files"]]
    if source["kind"] == "pypi":
        yield from members(folder / names[0], names[0], wanted=wanted)
    else:
        yield from ((name, (folder / name).read_bytes()) for name in names if wanted(name))


def _texts(config: DocumentsConfig, purl: str, path: str, data: bytes) -> Iterator[tuple[str, str | None]]:
    """The texts in a file, each with its path; None in place of a text that is not UTF-8."""
    suffix = PurePosixPath(path).suffix.removeprefix(".")
    kind = config.formats.get(suffix)
    if kind is None:
        known = ", ".join(config.formats)
        raise UserError(f"{purl}: {path} is none of {known}; exclude it, or add its suffix to documents.formats")
    try:
        text = data.decode("utf-8-sig").replace("\r\n", "\n").replace("\r", "\n")
    except UnicodeDecodeError:
        yield path, None
        return
    if kind != "rows":
        yield path, READERS[kind](text)
        return
    for number, line in enumerate(text.split("\n"), start=1):
        if line:
            try:
                row = json.loads(line)
                name, content = row["path"], row["text"]
                if not isinstance(name, str) or not isinstance(content, str):
                    raise TypeError
            except (ValueError, KeyError, TypeError, RecursionError):
                raise UserError(f"{purl}: {path}, line {number}: expected a JSON object with path and text") from None
            yield name, content if content.isascii() or _encodable(content) else None


def _encodable(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:  # a lone surrogate, which JSON can spell and UTF-8 cannot
        return False
    return True
