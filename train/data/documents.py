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
from train.data.sources.spec import PypiSource, SourceRecord, check_licence_text, read_sources
from train.data.text import readers
from train.data.text.file_types import conversion
from train.errors import UserError
from train.spdx import NOASSERTION, of_row
from train.world import World

LICENCE_NAMES = 1000  # different ones in a column, at most; more are no names of licences


@dataclass(frozen=True)
class DocumentsConfig:
    """How files become texts."""

    # File name suffix, without its dot and without .gz or .zst after it -> what the files hold. `rows` is JSON lines;
    # `csv` and `tsv` name their columns in the first line; of a page of `html` the main text is taken.
    formats: Annotated[dict[str, readers.Format], MinLen(1)]


def extract(config: DocumentsConfig, inputs: Mapping[str, Path], out: Path, world: World) -> None:
    """Write `documents/<slug>.parquet` (schema.DOCUMENT) for each source, in the order of its files and their rows.

    Also `licences/<sha256>.txt`, each licence file byte for byte; `left_out/<slug>.jsonl`, {path, reason} for each
    text that gave no document (the reasons: `readers`); and `counts.json`: source -> {files, documents, bytes, each
    reason, licences {path: sha256}, unlicensed {what the row says: documents}}. `bytes` is of the documents' texts in
    UTF-8. All is streamed: no source needs to fit in memory.

    Where rows tell their own licence, the evidence is what the row says, to the letter, kept like a licence file. What
    is neither SPDX nor among the source's `licence_names` makes the document's licence NOASSERTION, without evidence
    and counted under `unlicensed`: selection drops it by name. The source's own licence never stands in for a row's.

    Raises UserError when a source matches no file, lacks a licence file that it names, or holds a damaged file.
    """
    records = read_sources(inputs["raw"] / "sources.json")
    counts = {record.source.purl: out / "counts" / f"{record.source.slug}.json" for record in records}
    for record in world.track(world.share(records), "extract"):
        if not (path := counts[record.source.purl]).exists():
            write_json(path, Extraction(config, record, inputs["raw"] / record.source.slug, out).run())
    if world.size == 1:  # alone, before or after others
        write_json(out / "counts.json", {purl: read_json(path) for purl, path in counts.items()})


class Extraction:
    """The extraction of one source: what it has counted, and the licence texts that it has written."""

    def __init__(self, config: DocumentsConfig, record: SourceRecord, folder: Path, out: Path) -> None:
        self.config, self.record, self.source, self.folder, self.out = config, record, record.source, folder, out
        self.counts: Counter[str] = Counter(dict.fromkeys(("files", "documents", "bytes", *readers.REASONS), 0))
        self.examples: dict[str, str] = {}  # of each reason, the first text and what is known of it
        self.unlicensed: Counter[str] = Counter()  # what a row says of its licence -> documents
        self.licences = self._licence_files()  # path -> SHA-256
        self.evidence = set(self.licences.values())

    def run(self) -> dict[str, Any]:
        """Write the documents, and what is none; return the counts."""
        name, counts = self.source.slug, self.counts
        with whole(self.out / "left_out" / f"{name}.jsonl") as left_out:
            schema.write_rows(self.out / "documents" / f"{name}.parquet", self._documents(left_out), schema.DOCUMENT)
        if not counts["files"]:
            globs = f"{list(self.source.include)} but not {list(self.source.exclude)}"
            raise UserError(f"{self.source.purl}: no file matches {globs}; correct the globs")
        reasons = {reason: counts[reason] for reason in readers.REASONS if counts[reason]}
        if reasons and not counts["documents"]:
            why = left_out_summary(reasons, self.examples)
            raise UserError(f"{self.source.purl}: none of {sum(reasons.values())} texts is a document: {why}")
        return {**counts, "licences": self.licences, "unlicensed": dict(self.unlicensed)}

    def _documents(self, left_out: BinaryIO) -> Iterator[schema.Document]:
        for text in self._texts():
            if text.reason:
                self.counts[text.reason] += 1
                self.examples.setdefault(text.reason, f"{text.path}{text.detail and f': {text.detail}'}")
                line = {"path": text.path, "reason": text.reason}
                left_out.write(json.dumps(line, ensure_ascii=False).encode() + b"\n")
            else:
                document = self._document(text)
                self.counts.update(documents=1, bytes=len(document.text.encode()))
                yield document

    def _texts(self) -> Iterator[readers.ExtractedText]:
        """What the source's files hold, up to its limit of rows."""
        left = getattr(self.source, "limit", None)
        for path, file in source_files(self.record, self.folder, licences=False):
            with file:
                if left == 0:
                    return
                self.counts["files"] += 1
                try:
                    for text in readers.texts(file, path, self.config.formats, self.record.columns, left):
                        left = None if left is None else left - 1
                        yield text
                except UserError as error:
                    raise UserError(f"{self.source.purl}: {error}") from None

    def _document(self, text: readers.ExtractedText) -> schema.Document:
        licence, evidence = self.source.licence, self.licences[self.source.licence_files[0]]
        if text.licence is not None:
            licence, evidence = self._licence_of_row(text.licence)
        return schema.Document(
            hashlib.sha256(text.text.encode()).hexdigest(), text.text, self.source.purl, text.path, licence, evidence,
            text.attribution or self.source.attribution, self.source.language,
        )  # fmt: skip

    def _licence_of_row(self, name: str) -> tuple[str, str]:
        """The licence that a row tells, and its evidence, which is written; none for a licence that nobody knows."""
        columns = self.record.columns
        assert columns
        licence = of_row(name, columns.licence_names)
        evidence = hashlib.sha256(name.encode()).hexdigest() if licence != NOASSERTION else ""
        if not evidence:
            self.unlicensed[name] += 1
        elif evidence not in self.evidence:
            self.evidence.add(evidence)
            write_bytes(self.out / "licences" / f"{evidence}.txt", name.encode())
        if len(self.evidence) + len(self.unlicensed) > LICENCE_NAMES:
            most = f"more than {LICENCE_NAMES} different texts"
            raise UserError(f"{self.source.purl}: {columns.licence!r} holds {most}, so no licences")
        return licence, evidence

    def _licence_files(self) -> dict[str, str]:
        """Write the source's licence files; return their digests. UserError when one is missing."""
        licences: dict[str, str] = {}
        for path, file in source_files(self.record, self.folder, licences=True):
            with file:
                data = file.read()
            check_licence_text(self.source.purl, path, data)
            licences[path] = hashlib.sha256(data).hexdigest()
            write_bytes(self.out / "licences" / f"{licences[path]}.txt", data)
            if len(licences) == len(self.source.licence_files):  # the rest of an archive need not be unpacked
                break
        if missing := [path for path in self.source.licence_files if path not in licences]:
            raise UserError(
                f"{self.source.purl}: no licence file {missing[0]!r} in the source; correct `licence_files`"
            )
        return licences


def left_out_summary(reasons: Mapping[str, int], examples: Mapping[str, str]) -> str:
    """How many texts each reason left out, with an example, and what helps."""
    summary = ", ".join(f"{reason} {count} ({examples.get(reason, '')})" for reason, count in reasons.items())
    encoding = next((name for name in ("UTF-16", "UTF-32") if name in summary), "")
    return summary + (conversion(encoding) or ("; convert them to UTF-8" if "undecodable" in reasons else ""))


def source_files(record: SourceRecord, folder: Path, *, licences: bool) -> Iterator[tuple[str, BinaryIO]]:
    """The licence files of a source, or the files that hold its documents: (path in the source, open file)."""
    source = record.source

    def wanted(path: str) -> bool:
        if licences or path in source.licence_files:
            return licences and path in source.licence_files
        return getattr(source, "streaming", False) or matches(path, source.include, source.exclude)

    names = [file.path for file in record.files]
    if isinstance(source, PypiSource):
        yield from ((name, BytesIO(data)) for name, data in members(folder / names[0], names[0], wanted=wanted))
    else:
        yield from ((name, (folder / name).open("rb")) for name in names if wanted(name))
