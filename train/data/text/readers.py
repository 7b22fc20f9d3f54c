"""The texts in a file, whatever its format, one after another and in bounded memory.

The rules, for files and rows alike. Text is UTF-8 (byte order marks are passed over); line ends, NEL among them, become
line feeds, as do vertical tabs and form feeds. Other control characters but the tab are taken out; a text with a NUL is
`binary` and no document. Nor is one that is not UTF-8 (`undecodable`), holds nothing (`empty`) or is larger than
TEXT_BYTES, or a page of HTML that is larger than html.LARGEST or not read to its end (`oversized`). What is no document
is yielded too, with that reason, so that it can be counted; so is a table without a row.
"""

import gzip
import json
import re
import tempfile
import zlib
from collections.abc import Callable, Iterator, Mapping
from io import BufferedReader
from itertools import islice
from pathlib import PurePosixPath
from typing import Any, BinaryIO, Literal, NamedTuple

from train.data import schema
from train.data.sources.archive import LIMITS, Bounded
from train.data.sources.spec import Columns
from train.data.text import delimited, html
from train.data.text.file_types import HEAD, check_type, converter, file_type
from train.data.text.rst import restructuredtext
from train.errors import UserError, did_you_mean

Format = Literal["restructuredtext", "plain", "html", "rows", "csv", "tsv", "parquet"]
PACKED: dict[str, Callable[[BinaryIO], Any]] = {
    "gz": lambda file: gzip.GzipFile(fileobj=file),
    "zst": schema.unpack_zstd,
}
MARKUP: dict[str, Callable[[str], str]] = {
    "restructuredtext": restructuredtext,
    "plain": str,
    "html": lambda text: _clean(html.main_text(text))[0],  # which may spell control characters by their numbers
}
LARGEST = {"html": html.LARGEST}
DELIMITERS = {"csv": ",", "tsv": "\t"}
TEXT_BYTES = LIMITS.member_bytes
NEL, BYTE_ORDER_MARK = "\x85", "\ufeff"
CONTROL = re.compile(r"[\x01-\x08\x0e-\x1f\x7f-\x9f]")
TEXT_AND_PATH = Columns("text", "path", None, {}, None)
NAMES, DEPTH = 40, 3  # of fields that an error lists, and of fields in fields
MISSING = object()
Span = tuple[int, int | None]  # bytes of a file: first, and one past the last; None: to the end
WHOLE: Span = (0, None)
REASONS = ("undecodable", "binary", "empty", "oversized")


class ExtractedText(NamedTuple):
    """A text in a file, or why there is none."""

    path: str
    text: str
    reason: str  # empty where there is a text
    licence: str | None  # as the row tells it, "" when it should and does not; None: it is not for the row to tell
    attribution: str | None
    detail: str = ""  # to the reason, where more is known: another encoding


def texts(
    file: BinaryIO,
    name: str,
    formats: Mapping[str, Format],
    columns: Columns | None,
    most: int | None = None,
    span: Span | None = None,
) -> Iterator[ExtractedText]:
    """Yield what the file called `name` holds, of rows the first `most`. Its suffix, small or large, tells the format,
    after one of packing: `.md`, `.md.gz`.

    `columns` says which field of a row holds what, None: `text` and `path`. `span` is of a file that is `divisible`:
    the rows that begin there, named by its first byte and their number in it where no field names them. Raises
    UserError when the format is not known, the file is damaged or unpacks to too much, a row has no such text, or no
    row has one of the other fields.
    """
    kind, suffix, packed = _kind(name, formats)
    first = not span or not span[0]  # of a file's spans
    name = name if first or not span else f"{name}@{span[0]}"
    if kind is None:
        known, remedy = ", ".join(formats), converter(suffix) or "add its suffix to documents.formats"
        raise UserError(f"{name} is none of {known}; exclude it, or {remedy}")
    try:
        opened = _unpacked(file, name, packed) if packed in PACKED else file
        if kind in MARKUP:
            rows = iter([_whole(opened, name, kind)])
        elif kind in DELIMITERS:
            wanted = columns_named(columns) if columns else {TEXT_AND_PATH.text}
            lines = delimited.rows(opened, name, DELIMITERS[kind], wanted, TEXT_BYTES)
            rows = _rows(lines, name, columns, most)
        elif kind == "rows":
            rows = _rows(_json_lines(opened, name, span or WHOLE), name, columns, most, first)
        else:
            table = islice(_parquet(opened, name, columns, span), most)
            rows = (_of_row(row, name, number, columns) for number, row in enumerate(table, start=1))
        text = None
        for text in rows:
            yield text
        if not text and (span or WHOLE) == WHOLE:
            yield _skipped(name, "empty", "no row")
    except (OSError, EOFError, zlib.error) as error:
        if isinstance(error, OSError) and error.errno:  # of the system, not of the file
            raise
        raise UserError(f"{name}: {_damage(error, file, packed)}") from None


def divisible(name: str, formats: Mapping[str, Format]) -> bool:
    """Whether a file can be read from any byte on: JSON lines from the next, Parquet from the next group of rows."""
    kind, _, packed = _kind(name, formats)
    return packed not in PACKED and kind in ("rows", "parquet")


def is_one_text(name: str, formats: Mapping[str, Format]) -> bool:
    """Whether a file holds one text, and not rows."""
    return _kind(name, formats)[0] in MARKUP


def _kind(name: str, formats: Mapping[str, Format]) -> tuple[Format | None, str, str]:
    """A file's format, the suffix that tells it, and the last one in lower case, which may tell its packing."""
    stem, dot, packed = name.rpartition(".")
    packed = packed.lower() if dot else ""
    suffix = PurePosixPath(stem if packed in PACKED else name).suffix.removeprefix(".")
    return formats.get(suffix) or formats.get(suffix.lower()), suffix, packed


def _damage(error: Exception, file: BinaryIO, packed: str) -> str:
    """Why a packed file cannot be read, and what helps."""
    file.seek(0)
    held = file_type(file.read(HEAD))
    if held and held != {"gz": "gzip", "zst": "Zstandard"}.get(packed):
        return f"is called .{packed} and holds {held}; call it by what it holds, unpack it, or exclude it"
    if "too much memory" in str(error):
        return "is packed with a window of more than 128 MiB; unpack it, or pack it anew without --long"
    return f"is damaged ({type(error).__name__}: {error}); fetch or write it anew"


def _unpacked(file: BinaryIO, name: str, packing: str) -> BinaryIO:
    size = file.seek(0, 2)
    file.seek(0)
    allowed = max(LIMITS.total_bytes, LIMITS.ratio * size)
    return BufferedReader(Bounded(PACKED[packing](file), name, allowed))


def _whole(file: BinaryIO, path: str, kind: Format) -> ExtractedText:
    if len(data := file.read((most := LARGEST.get(kind, TEXT_BYTES)) + 1)) > most:
        return _skipped(path, "oversized")
    try:
        text, reason = _clean(data.decode())
    except UnicodeDecodeError as error:
        return _skipped(path, "undecodable", file_type(data[:HEAD]) or f"not UTF-8 from byte {error.start + 1} on")
    if reason:
        return _skipped(path, reason, file_type(data[:HEAD]) or "")
    content = MARKUP[kind](text)
    if kind == "html" and (why := html.unread(text)):
        return _skipped(path, "oversized" if content.strip() else "empty", why)
    return _text(path, content, reason, None, None)


def _skipped(path: str, reason: str, detail: str = "") -> ExtractedText:
    return ExtractedText(path, "", reason, None, None, detail)


def _text(path: str, text: str, reason: str, licence: str | None, attribution: str | None) -> ExtractedText:
    return ExtractedText(path, text, reason or ("" if text.strip() else "empty"), licence, attribution)


def _clean(text: str) -> tuple[str, str]:
    """`text` by the rules above, or "" and the reason why it is none."""
    if "\0" in text:
        return "", "binary"
    for end in ("\r\n", "\r", "\v", "\f", NEL):
        text = text.replace(end, "\n")
    return CONTROL.sub("", text.replace(BYTE_ORDER_MARK, "")), ""


def _json_lines(file: BinaryIO, name: str, span: Span) -> Iterator[Any]:
    """Each line's value; an `ExtractedText` with the reason in place of a line that is too long or not UTF-8."""
    number, (start, end) = 0, span
    if start:
        file.seek(start - 1)
        _skip_line(file)
    while (end is None or file.tell() < end) and (line := file.readline(TEXT_BYTES + 1)):
        number += 1
        if number == 1 and not start:
            check_type(line, name, "JSON lines")
        if len(line) > TEXT_BYTES:
            if not line.endswith(b"\n"):
                _skip_line(file)
            yield _skipped(f"{name}#{number}", "oversized")
            continue
        try:
            text = line.decode().lstrip(BYTE_ORDER_MARK)
        except UnicodeDecodeError as error:
            yield _skipped(f"{name}#{number}", "undecodable", f"not UTF-8 from byte {error.start + 1} on")
            continue
        if not text.strip():
            continue
        try:
            yield json.loads(text)
        except (ValueError, RecursionError) as error:
            why = str(getattr(error, "msg", error)).partition(";")[0]
            ends = "; the file ends in the middle of it: fetch or write it anew"
            cut = "" if line.endswith(b"\n") or why == "Extra data" else ends
            got = f"got {text[:40].strip()!r} ({why}); one object fills one line"
            raise UserError(f"{name}, line {number}: expected a JSON object, {got}{cut}") from None


def _skip_line(file: BinaryIO) -> None:
    while (line := file.readline(2**20)) and not line.endswith(b"\n"):
        pass


def _parquet(file: BinaryIO, name: str, columns: Columns | None, span: Span | None) -> Iterator[Any]:
    named = columns_named(columns or TEXT_AND_PATH)
    with tempfile.TemporaryFile() as seekable:
        if not file.seekable():  # the index of the columns stands at the end
            while chunk := file.read(2**20):
                seekable.write(chunk)
            file = seekable
        yield from schema.rows_of(file, name, sorted(named), span=span)


def _rows(
    rows: Iterator[Any], name: str, columns: Columns | None, most: int | None, first: bool = True
) -> Iterator[ExtractedText]:
    """What rows hold; UserError when a field that `columns` names is in none of a file's `first` ones."""
    unseen = columns_named(columns) if columns and first else set()
    fields: dict[str, None] = {}
    for number, row in enumerate(islice(rows, most), start=1):
        if isinstance(row, ExtractedText):
            yield row
            continue
        yield _of_row(row, name, number, columns)
        unseen -= {column for column in unseen if _field(row, column) is not MISSING}
        if unseen and len(fields) < NAMES:
            fields |= dict.fromkeys(_fields(row))
    if unseen and fields:
        missing, known = sorted(unseen), list(fields)
        hint = "".join(dict.fromkeys(did_you_mean(column, known) for column in missing))
        names = ", ".join(map(repr, known[:NAMES]))
        raise UserError(
            f"{name}: no row has a field {', '.join(map(repr, missing))}; they have {names}{hint}; see `columns`"
        )


def columns_named(columns: Columns) -> set[str]:
    return {name for name in (columns.text, columns.path, columns.licence, columns.attribution) if name}


def _fields(row: Mapping[str, Any], prefix: str = "") -> Iterator[str]:
    """The names of a row's fields and, after a dot, of the fields in them."""
    for key, value in row.items():
        yield prefix + key
        if isinstance(value, dict) and prefix.count(".") < DEPTH:
            yield from _fields(value, f"{prefix}{key}.")


def _of_row(row: Any, name: str, number: int, columns: Columns | None) -> ExtractedText:
    columns = columns or TEXT_AND_PATH
    where = f"{name}, row {number}"
    if not isinstance(row, dict):
        raise UserError(f"{where}: expected an object with fields, got {type(row).__name__}")
    if _field(row, columns.text) is MISSING and columns.text.split(".")[0] not in row:
        names, hint = ", ".join(map(repr, list(row)[:NAMES])), did_you_mean(columns.text, list(row))
        raise UserError(f"{where}: no field {columns.text!r}; it has {names}{hint}; see `columns`")
    text, path, licence, attribution = (
        None if not name or (value := _field(row, name)) is MISSING else value
        for name in (columns.text, columns.path, columns.licence, columns.attribution)
    )
    if not isinstance(text, str | None):
        raise UserError(f"{where}: expected text in {columns.text!r}, got {type(text).__name__}")
    shown = f"{name}#{number}" if path is None or not str(path).strip() else str(path)
    row_tells = [None if licence is None else str(licence), _credit(attribution, f"{where}, {columns.attribution}")]
    if columns.licence:
        row_tells[0] = row_tells[0] or ""
    try:
        size = len((text or "").encode())
        "".join((shown, *filter(None, row_tells))).encode()
    except UnicodeEncodeError:  # a lone surrogate: JSON can spell it, and CSV has it for what is not UTF-8
        return _skipped(f"{name}#{number}", "undecodable", "not UTF-8, or half a character")
    if size > TEXT_BYTES:
        return _skipped(shown, "oversized")
    return _text(shown, *_clean(text or ""), *row_tells)


def _credit(value: Any, where: str) -> str | None:
    """Whom a field credits, in a line, the texts of a list after commas; None for nobody, UserError for no text."""
    names = [name for name in (value if isinstance(value, list) else [value]) if name is not None]
    for name in names:
        if not isinstance(name, str | int | float) or isinstance(name, bool):
            raise UserError(f"{where}: expected text, or a list of texts, got {type(name).__name__}")
    return " ".join(CONTROL.sub("", ", ".join(map(str, names)).replace("\0", "")).split()) or None


def _field(row: Any, column: str) -> Any:
    """What stands in a field, MISSING where there is none; a field of exactly that name goes before a field in one."""
    if not isinstance(row, dict):
        return MISSING
    if column in row:
        return row[column]
    parts = column.split(".")
    inner = (_field(row.get(".".join(parts[:n])), ".".join(parts[n:])) for n in range(len(parts) - 1, 0, -1))
    return next((value for value in inner if value is not MISSING), MISSING)
