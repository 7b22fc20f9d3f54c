"""Records of documents, ledgers, evaluation items and token ranges, and the Parquet tables that hold them.

A table's columns are the fields of its dataclass, in that order. The only module that knows pyarrow.
"""

import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, fields
from itertools import chain
from pathlib import Path
from typing import Any, BinaryIO, NoReturn, TypeVar

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from train.artifact import whole
from train.data.text.file_types import HEAD, file_type
from train.errors import UserError, did_you_mean

T = TypeVar("T")
ROWS_AT_A_TIME = 1024
CHARACTERS_AT_A_TIME = 2**25
# Of a file that is read: bytes that it may always unpack to, and for each of its own; of a row, whatever it holds; and
# of what is unpacked together.
UNPACKED, RATIO, ROW, TOGETHER = 2**24, 1000, 64, 2**28
LEVEL = 3  # of Zstandard: 9 took most of the time of extraction to make files a seventh smaller
NAMES = 40  # of columns that an error lists
COLUMN_TYPES: dict[Any, pa.DataType] = {str: pa.string(), int: pa.int64(), list[str]: pa.list_(pa.string())}


@dataclass(frozen=True)
class Document:
    """A text, and where it came from under which licence by what evidence."""

    id: str  # SHA-256 of the text's UTF-8 bytes
    text: str
    source: str  # purl
    path: str  # in the source
    licence: str  # SPDX expression
    evidence: str  # SHA-256 of the licence file in the source
    attribution: str
    language: str  # BCP 47 tag


@dataclass(frozen=True)
class Origin:
    """What a document can be left out by, without its text."""

    id: str
    source: str
    path: str
    licence: str


@dataclass(frozen=True)
class SelectedDocument(Document):
    """A document that is kept."""

    split: str  # "train" or "held_out"


@dataclass(frozen=True)
class LedgerRow:
    """Why a document was dropped or changed."""

    id: str  # of the document as extracted
    source: str
    path: str
    licence: str
    action: str  # "dropped", "redacted" or "edited"
    reason: str  # name of the rule
    detail: str  # what the rule saw
    bytes: int  # of the document as extracted
    became: str  # id of the document as kept; empty when dropped


@dataclass(frozen=True)
class Item:
    """One item of an evaluation set: a question with its answers, a minimal pair, or a text."""

    set: str
    group: str  # what the item tests; one score each
    field: str  # of a group, such as "syntax"; empty where nobody says
    phenomenon: str  # which several groups may test; empty where nobody says
    id: str  # of the item in its set
    context: str  # what stands before each choice, with the blank between; empty but for a question
    choices: list[str]  # of a minimal pair, the good sentence and the bad one; of a text, itself
    answer: int  # number of the right choice

    @property
    def text(self) -> str:
        """What may not stand in training text."""
        return self.context + self.choices[self.answer]


@dataclass(frozen=True)
class TokenRange:
    """Where in its split's array the tokens of a kept document lie."""

    id: str  # of the document as kept
    start: int  # first token in the split's array
    end: int  # one past its last token, the end-of-text mark included
    bytes: int  # of the document's text
    source: str
    path: str
    licence: str


def columns_of(record: type) -> pa.Schema:
    """The Parquet columns that hold the fields of a record."""
    return pa.schema([(field.name, COLUMN_TYPES[field.type]) for field in fields(record)])


DOCUMENT, SELECTED, LEDGER, ITEM, RANGES = map(columns_of, (Document, SelectedDocument, LedgerRow, Item, TokenRange))


@contextmanager
def table(path: Path, schema: pa.Schema) -> Iterator[Callable[[Any], None]]:
    """Give what writes a record, or a mapping, to one Parquet file, whole or not at all, and holds few in memory.

    A group ends after `ROWS_AT_A_TIME` rows, or `CHARACTERS_AT_A_TIME` in the column `text`.
    """
    batch: list[Mapping[str, Any]] = []
    held = 0

    def write(row: Any) -> None:
        nonlocal held
        batch.append(row if isinstance(row, Mapping) else vars(row))
        held += len(batch[-1].get("text", ""))
        if len(batch) == ROWS_AT_A_TIME or held > CHARACTERS_AT_A_TIME:
            flush()

    def flush() -> None:
        nonlocal held
        columns = [column([row[field.name] for row in batch], field.type) for field in schema]
        writer.write_table(pa.Table.from_arrays(columns, schema=schema))
        batch.clear()
        held = 0

    with whole(path) as file, pq.ParquetWriter(file, schema, compression="zstd", compression_level=LEVEL) as writer:
        yield write
        if batch:
            flush()


def column(values: Sequence[Any], kind: pa.DataType) -> pa.Array:
    """Values as Arrow holds them. `pyarrow.array` is shorter, and imports pandas: 0.3 seconds of each process."""
    if pa.types.is_integer(kind):
        return pa.Array.from_buffers(kind, len(values), [None, pa.py_buffer(np.array(values, "<i8"))])
    listed = pa.types.is_list(kind)
    parts = values if listed else [value.encode() for value in values]
    ends = pa.py_buffer(np.cumsum([0, *map(len, parts)]).astype("<i4"))
    data = [] if listed else [pa.py_buffer(b"".join(parts))]
    inner = [column([*chain(*values)], kind.value_type)] if listed else None
    return pa.Array.from_buffers(kind, len(values), [None, ends, *data], children=inner)


def write_rows(path: Path, rows: Iterable[Any], schema: pa.Schema) -> None:
    """Write records, or mappings, as one Parquet file: see `table`."""
    with table(path, schema) as write:
        for row in rows:
            write(row)


def read_records(record: type[T], paths: Iterable[Path], beside: int = 1) -> Iterator[T]:
    """Yield the records that Parquet files hold, file by file; UserError where a file lacks a field or its type.

    Of so many files `beside` each other, fewer rows of each stand in memory.
    """
    wanted = columns_of(record)
    for path in paths:
        for row in rows_of(path, str(path), wanted.names, wanted, most=ROWS_AT_A_TIME // beside + 1):
            yield record(**row)


def read_rows(paths: Sequence[Path], columns: Sequence[str] | None = None) -> Iterator[dict[str, Any]]:
    """Yield the rows of Parquet files, file by file in the given order.

    Raises UserError naming the file when it is missing, not Parquet, or lacks one of `columns`.
    """
    for path in paths:
        yield from rows_of(path, str(path), columns)


def rows_of(
    file: Path | BinaryIO,
    name: str,
    columns: Sequence[str] | None,
    types: pa.Schema | None = None,
    span: tuple[int, int | None] | None = None,
    most: int = ROWS_AT_A_TIME,
) -> Iterator[dict[str, Any]]:
    """Yield the rows of one Parquet file, which errors call `name`; of `columns` alone, such as `a.b`, of `types`.

    Of a span of bytes, those of the row groups that begin in it.
    """
    try:
        bound = Bound(file, name)
        with pq.ParquetFile(file) as parquet:
            known = list(dotted(parquet.schema_arrow))
            if missing := sorted(set(columns or ()) - set(known)):
                hint = "".join(dict.fromkeys(did_you_mean(column, known) for column in missing))
                raise UserError(f"{name}: no column {missing}; it has {known[:NAMES]}{hint}; see `columns`")
            for field in types or ():
                if field.type != (kind := parquet.schema_arrow.field(field.name).type):
                    raise UserError(f"{name}: expected {field.type} in the column {field.name!r}, found {kind}")
            size = min(most, bound.rows_at_a_time(parquet.metadata))
            groups = [
                n for n in range(parquet.num_row_groups) if not span or within(span, parquet.metadata.row_group(n))
            ]
            for batch in parquet.iter_batches(size, groups, columns and list(columns)):
                yield from map(bound.counted, values(batch, name))
    except (OSError, pa.ArrowException, UnicodeDecodeError) as error:
        held = None if isinstance(error, OSError) and error.errno else file_type(first_bytes(file))
        why = f"it holds {held}" if held not in (None, "Parquet") else " ".join(str(error).split())
        raise UserError(f"{name}: cannot be read as Parquet ({why})") from None


def within(span: tuple[int, int | None], group: pq.RowGroupMetaData) -> bool:
    """Whether a row group begins in a span of bytes."""
    columns = [group.column(number) for number in range(group.num_columns)]
    start = min(column.dictionary_page_offset or column.data_page_offset for column in columns)
    return bool(span[0] <= start < (start + 1 if span[1] is None else span[1]))


def first_bytes(file: Path | BinaryIO) -> bytes:
    if isinstance(file, Path):
        with file.open("rb") as opened:
            return opened.read(HEAD)
    file.seek(0)
    return file.read(HEAD)


class Bound:
    """How much a Parquet file may unpack to: some kilobytes of it can say what fills any memory.

    Its own account of that is looked at before anything is unpacked, and each row that comes out is counted.
    """

    def __init__(self, file: Path | BinaryIO, name: str) -> None:
        self.size = file.stat().st_size if isinstance(file, Path) else file.seek(0, os.SEEK_END)
        self.name, self.left = name, UNPACKED + RATIO * self.size

    def rows_at_a_time(self, metadata: pq.FileMetaData) -> int:
        """Rows that can be unpacked together, if each were as long as its group: one value may stand in all of them."""
        groups = [metadata.row_group(number) for number in range(metadata.num_row_groups)]
        if max(metadata.num_rows * ROW, sum(group.total_byte_size for group in groups)) > self.left:
            self._refuse()
        return max(1, min(ROWS_AT_A_TIME, TOGETHER // max((group.total_byte_size for group in groups), default=1)))

    def counted(self, row: dict[str, Any]) -> dict[str, Any]:
        self.left -= ROW + sum([len(value) for value in row.values() if isinstance(value, (str, bytes))])
        if self.left < 0:
            self._refuse()
        return row

    def _refuse(self) -> NoReturn:
        raise UserError(
            f"{self.name}: unpacks to more than {UNPACKED + RATIO * self.size} bytes, which is more than a file of "
            f"{self.size} bytes holds of text; write it anew, in smaller files or without what stands in it so often"
        )


def dotted(fields: Iterable[pa.Field], prefix: str = "") -> Iterator[str]:
    """The names of fields and, after a dot, of the fields in them."""
    for field in fields:
        yield prefix + field.name
        if pa.types.is_struct(field.type):
            yield from dotted(field.type, f"{prefix}{field.name}.")


def values(batch: pa.RecordBatch, name: str) -> list[dict[str, Any]]:
    """The rows of a batch as Python holds them; UserError that names a column of which it cannot hold a value."""
    try:
        rows: list[dict[str, Any]] = batch.to_pylist()
    except UnicodeDecodeError:
        raise
    except UNHELD as error:
        for field, column in zip(batch.schema, batch.columns, strict=True):
            try:
                column.to_pylist()
            except UNHELD as reason:
                problem = f"column {field.name!r} holds a {field.type} that Python cannot hold ({reason})"
                raise UserError(f"{name}: {problem}; write it as text, or name another column") from None
        raise UserError(f"{name}: holds what Python cannot hold ({error}); write it as text") from None
    return rows


UNHELD = (OverflowError, ValueError, TypeError, KeyError, pa.ArrowException)  # KeyError: a time zone that nobody knows


def unpack_zstd(file: BinaryIO) -> BinaryIO:
    """The stream that `file` holds, packed by Zstandard; OSError when it is damaged."""
    return pa.CompressedInputStream(pa.PythonFile(file, mode="r"), "zstd")  # type: ignore[no-any-return]
