"""Stage 2. One row a document: its text, and where it came from, under which licence, by what evidence."""

import hashlib
import json
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Annotated, Any, BinaryIO

from annotated_types import MinLen

from train.artifact import read_json, whole, write_bytes, write_json
from train.data import schema
from train.data.sources.archive import matches, members
from train.data.sources.spec import AnySource, PypiSource, SourceRecord, check_licence_text, read_sources
from train.data.text import readers
from train.data.text.file_types import conversion
from train.errors import UserError
from train.spdx import NOASSERTION, of_row
from train.world import Inputs, World

# Of the files of a source, as far as they can be divided, a part reads a share of PARTS, in bounds.
PARTS, LEAST_BYTES, MOST_BYTES = 64, 2**22, 2**26
COUNTED = ("files", "documents", "bytes", *readers.REASONS)
LICENCE_NAMES = 1000  # different ones in a column, at most; more are no names of licences


@dataclass(frozen=True)
class DocumentsConfig:
    """How files become texts."""

    # File name suffix, without its dot and without .gz or .zst after it -> what the files hold. `rows` is JSON lines;
    # `csv` and `tsv` name their columns in the first line; of a page of `html` the main text is taken.
    formats: Annotated[dict[str, readers.Format], MinLen(1)]


def extract(config: DocumentsConfig, inputs: Inputs, out: Path, world: World) -> None:
    """Write `documents/<part>.parquet` (schema.DOCUMENT) for each part, in the order of its files and their rows.

    Also `licences/<sha256>.txt`, each licence file byte for byte; `left_out/<part>.jsonl`, {path, reason} for each
    text that gave no document (the reasons: `readers`); and, alone, `counts.json`: source -> {files, documents, bytes,
    each reason, licences {path: sha256}, unlicensed {what the row says: documents}}. `bytes` is of the documents' texts
    in UTF-8. All is streamed: no source needs to fit in memory.

    Where rows tell their own licence, the evidence is what the row says, to the letter, kept like a licence file. What
    is neither SPDX nor among the source's `licence_names` makes the document's licence NOASSERTION, without evidence
    and counted under `unlicensed`: selection drops it by name. The source's own licence never stands in for a row's.

    Raises UserError when a source matches no file, lacks a licence file that it names, or holds a damaged file.
    """
    records = read_sources(inputs.raw / "sources.json")
    every = [part for record in records for part in parts(config, record)]
    for part in world.track(world.share(every), "extract"):
        if not (path := out / "counts" / f"{part.stem}.json").exists():
            write_json(path, Extraction(config, part, inputs.raw / part.record.source.slug, out).run())
    if world.size == 1:
        write_json(out / "counts.json", {record.source.purl: total(config, record, out) for record in records})


@dataclass(frozen=True)
class Part:
    """What is extracted together of a source: files, or spans of files that are large."""

    record: SourceRecord
    spans: tuple[tuple[str, readers.Span], ...]  # paths, and what of each file; of an archive, all that is in it
    number: int
    of: int

    @property
    def stem(self) -> str:
        """What its files are called."""
        slug = self.record.source.slug
        return slug if self.of == 1 else f"{slug}-{self.number:05d}-of-{self.of:05d}"


def parts(config: DocumentsConfig, record: SourceRecord) -> list[Part]:
    """The parts of a source, fixed by its files' sizes and kinds; one if rows are limited."""
    limited = getattr(record.source, "limit", None) is not None
    size = 0 if limited else min(MOST_BYTES, max(LEAST_BYTES, sum(file.bytes for file in record.files) // PARTS))
    grouped, held = [list[tuple[str, readers.Span]]()], 0
    for path, span, length in spans(config, record, size):
        if grouped[-1] and held + length > size > 0:
            grouped.append([])
            held = 0
        grouped[-1].append((path, span))
        held += length
    return [Part(record, tuple(some), number, len(grouped)) for number, some in enumerate(grouped)]


def spans(config: DocumentsConfig, record: SourceRecord, step: int) -> Iterator[tuple[str, readers.Span, int]]:
    """Each file's path with its spans of `step` bytes (0: whole) and their sizes; none of an archive."""
    for file in record.files if not isinstance(record.source, PypiSource) else ():
        if of_documents(record.source, file.path):
            divided = 0 < step < file.bytes and readers.divisible(file.path, config.formats)
            starts = range(0, file.bytes, step) if divided else range(1)
            for start, end in zip(starts, [*starts[1:], None], strict=True):
                yield file.path, (start, end), (file.bytes if end is None else end) - start


def total(config: DocumentsConfig, record: SourceRecord, out: Path) -> dict[str, Any]:
    """The counts of a source, from those of its parts; UserError when it gives no document."""
    some = [read_json(out / "counts" / f"{part.stem}.json") for part in parts(config, record)]
    counts = {name: sum(each[name] for each in some) for name in COUNTED}
    unlicensed: Counter[str] = Counter()
    for each in some:
        unlicensed.update(each["unlicensed"])
    examples = {reason: text for each in reversed(some) for reason, text in each["examples"].items()}
    require_documents(record.source, counts, examples)
    return {**counts, "licences": some[0]["licences"], "unlicensed": dict(unlicensed)}


def require_documents(source: AnySource, counts: Mapping[str, int], examples: Mapping[str, str]) -> None:
    """UserError when a source gives no document, with what it gave instead."""
    if not counts["files"]:
        globs = f"{list(source.include)} but not {list(source.exclude)}"
        raise UserError(f"{source.purl}: no file matches {globs}; correct the globs")
    reasons = {reason: counts[reason] for reason in readers.REASONS if counts[reason]}
    if not counts["documents"]:
        why = left_out_summary(reasons, examples)
        raise UserError(f"{source.purl}: none of {sum(reasons.values())} texts is a document: {why}")


class Extraction:
    """The extraction of one source: what it has counted, and the licence texts that it has written."""

    def __init__(self, config: DocumentsConfig, part: Part, folder: Path, out: Path) -> None:
        self.config, self.part, self.folder, self.out = config, part, folder, out
        self.record, self.source = part.record, part.record.source
        self.counts: Counter[str] = Counter(dict.fromkeys(COUNTED, 0))
        self.examples: dict[str, str] = {}  # of each reason, the first text and what is known of it
        self.unlicensed: Counter[str] = Counter()  # what a row says of its licence -> documents
        self.licences = self._licence_files()  # path -> SHA-256
        self.evidence = set(self.licences.values())

    def run(self) -> dict[str, Any]:
        """Write the documents, and what is none; return the counts."""
        name = self.part.stem
        with whole(self.out / "left_out" / f"{name}.jsonl") as left_out:
            schema.write_rows(self.out / "documents" / f"{name}.parquet", self._documents(left_out), schema.DOCUMENT)
        if self.part.of == 1:
            require_documents(self.source, self.counts, self.examples)
        licensing = {"licences": self.licences, "unlicensed": dict(self.unlicensed), "examples": self.examples}
        return {**self.counts, **licensing}

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
        for path, file, span in self._files():
            with file:
                if left == 0:
                    return
                self.counts["files"] += not span[0]
                try:
                    for text in readers.texts(file, path, self.config.formats, self.record.columns, left, span):
                        left = None if left is None else left - 1
                        yield text
                except UserError as error:
                    raise UserError(f"{self.source.purl}: {error}") from None

    def _files(self) -> Iterator[tuple[str, BinaryIO, readers.Span]]:
        if isinstance(self.source, PypiSource):
            files = source_files(self.record, self.folder, lambda path: of_documents(self.source, path))
            yield from ((path, file, readers.WHOLE) for path, file in files)
        else:
            yield from ((path, (self.folder / path).open("rb"), span) for path, span in self.part.spans)

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
        for path, file in source_files(self.record, self.folder, self.source.licence_files.__contains__):
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


def of_documents(source: AnySource, path: str) -> bool:
    """Whether a file of a source is to be read for documents."""
    streamed = getattr(source, "streaming", False)
    return path not in source.licence_files and (streamed or matches(path, source.include, source.exclude))


def source_files(record: SourceRecord, folder: Path, wanted: Callable[[str], bool]) -> Iterator[tuple[str, BinaryIO]]:
    """The files of a source whose paths are `wanted`: (path in the source, open file)."""
    names = [file.path for file in record.files]
    if isinstance(record.source, PypiSource):
        yield from ((name, BytesIO(data)) for name, data in members(folder / names[0], names[0], wanted=wanted))
    else:
        yield from ((name, (folder / name).open("rb")) for name in names if wanted(name))
