"""The texts in a file, whatever its format, one after another and in bounded memory.

The rules, for files and rows alike. Text is UTF-8 (a byte order mark is passed over); line ends become line feeds, as
do vertical tabs and form feeds. Other control characters but the tab are taken out; a text with a NUL is `binary` and
no document. Nor is one that is not UTF-8 (`undecodable`), holds nothing (`empty`) or is larger than TEXT_BYTES
(`oversized`). What is no document is yielded too, with that reason, so that it can be counted.
"""

import gzip
import json
import re
import tempfile
import zlib
from collections.abc import Callable, Iterator, Mapping
from io import BufferedReader
from pathlib import PurePosixPath
from typing import Any, BinaryIO, Literal, NamedTuple

from train.config import UserError
from train.data import markup, tables
from train.data.archives import LIMITS, Bounded

Format = Literal["restructuredtext", "markdown", "plain", "rows", "parquet"]
PACKED: dict[str, Callable[[BinaryIO], Any]] = {
    "gz": lambda file: gzip.GzipFile(fileobj=file),
    "zst": tables.unpack_zstd,
}
MARKUP: dict[str, Callable[[str], str]] = {
    "restructuredtext": markup.restructuredtext,
    "markdown": markup.markdown,
    "plain": str,
}
TEXT_BYTES = LIMITS.member_bytes
CONTROL = re.compile(r"[\x01-\x08\x0e-\x1f\x7f-\x9f]")
REASONS = ("undecodable", "binary", "empty", "oversized")


class Found(NamedTuple):
    """A text in a file, or why there is none."""

    path: str
    text: str
    reason: str  # empty where there is a text
    licence: str | None  # as the row tells it, "" when it should and does not; None: it is not for the row to tell
    attribution: str | None


def texts(
    file: BinaryIO, name: str, formats: Mapping[str, Format], columns: Mapping[str, Any] | None
) -> Iterator[Found]:
    """Yield what the file called `name` holds. Its suffix tells the format, after one of packing: `.md`, `.md.gz`.

    `columns` says which field of a row holds what, as `sources.Columns` does; None: `text` and `path`. Raises
    UserError when the format is not known, the file is damaged or unpacks to too much, or a row has no such text.
    """
    stem, packed = name, name.rpartition(".")[2]
    if packed in PACKED:
        stem = name.removesuffix(f".{packed}")
    kind = formats.get(PurePosixPath(stem).suffix.removeprefix("."))
    if kind is None:
        known = ", ".join(formats)
        raise UserError(f"{name} is none of {known}; exclude it, or add its suffix to documents.formats")
    try:
        opened = _unpacked(file, name, packed) if packed in PACKED else file
        if kind in MARKUP:
            yield _whole(opened.read(TEXT_BYTES + 1), name, MARKUP[kind])
        else:
            rows = _json_lines(opened, name) if kind == "rows" else _parquet(opened, name, columns)
            for number, row in enumerate(rows, start=1):
                yield row if isinstance(row, Found) else _of_row(row, name, number, columns)
    except (OSError, EOFError, zlib.error) as error:
        raise UserError(f"{name}: is damaged ({type(error).__name__}: {error}); fetch or write it anew") from None


def _unpacked(file: BinaryIO, name: str, packing: str) -> BinaryIO:
    size = file.seek(0, 2)
    file.seek(0)
    allowed = max(LIMITS.total_bytes, LIMITS.ratio * size)
    return BufferedReader(Bounded(PACKED[packing](file), name, allowed))


def _whole(data: bytes, path: str, reader: Callable[[str], str]) -> Found:
    if len(data) > TEXT_BYTES:
        return _none(path, "oversized")
    try:
        text, reason = _clean(data.decode("utf-8-sig"))
    except UnicodeDecodeError:
        return _none(path, "undecodable")
    return _found(path, reader(text), reason, None, None)


def _none(path: str, reason: str) -> Found:
    return Found(path, "", reason, None, None)


def _found(path: str, text: str, reason: str, licence: str | None, attribution: str | None) -> Found:
    return Found(path, text, reason or ("" if text.strip() else "empty"), licence, attribution)


def _clean(text: str) -> tuple[str, str]:
    """`text` by the rules above, or "" and the reason why it is none."""
    if "\0" in text:
        return "", "binary"
    for end in ("\r\n", "\r", "\v", "\f"):
        text = text.replace(end, "\n")
    return CONTROL.sub("", text), ""


def _json_lines(file: BinaryIO, name: str) -> Iterator[Any]:
    """Each line's value; a `Found` with the reason in place of a line that is too long or not UTF-8."""
    number = 0
    while line := file.readline(TEXT_BYTES + 1):
        number += 1
        if len(line) > TEXT_BYTES:
            while line and not line.endswith(b"\n"):
                line = file.readline(2**20)
            yield _none(f"{name}#{number}", "oversized")
            continue
        try:
            text = line.decode("utf-8-sig" if number == 1 else "utf-8")
        except UnicodeDecodeError:
            yield _none(f"{name}#{number}", "undecodable")
            continue
        if not text.strip():
            continue
        try:
            yield json.loads(text)
        except (ValueError, RecursionError):
            raise UserError(f"{name}, line {number}: expected a JSON object, got {text[:40].strip()!r}") from None


def _parquet(file: BinaryIO, name: str, columns: Mapping[str, Any] | None) -> Iterator[Any]:
    named = [columns[key] for key in ("text", "path", "licence", "attribution")] if columns else ["text", "path"]
    with tempfile.TemporaryFile() as seekable:
        if not file.seekable():  # the index of the columns stands at the end
            while chunk := file.read(2**20):
                seekable.write(chunk)
            file = seekable
        yield from tables.rows_of(file, name, sorted({column for column in named if column}))


def _of_row(row: Any, name: str, number: int, columns: Mapping[str, Any] | None) -> Found:
    named = columns or {"text": "text", "path": "path", "licence": None, "attribution": None}
    where = f"{name}, row {number}"
    if not isinstance(row, dict):
        raise UserError(f"{where}: expected an object with fields, got {type(row).__name__}")
    if named["text"].split(".")[0] not in row:
        raise UserError(f"{where}: no field {named['text']!r}; it has {', '.join(map(repr, row))}; see `columns`")
    text = _field(row, named["text"])
    if not isinstance(text, str | None):
        raise UserError(f"{where}: expected text in {named['text']!r}, got {type(text).__name__}")
    path, licence, attribution = (_field(row, named[key]) for key in ("path", "licence", "attribution"))
    shown = f"{name}#{number}" if path is None else str(path)
    told = [None if value is None else str(value) for value in (licence, attribution)]
    if named["licence"]:
        told[0] = told[0] or ""
    try:
        size = len((text or "").encode())
        "".join((shown, *filter(None, told))).encode()
    except UnicodeEncodeError:  # a lone surrogate, which JSON can spell and UTF-8 cannot
        return _none(f"{name}#{number}", "undecodable")
    if size > TEXT_BYTES:
        return _none(shown, "oversized")
    return _found(shown, *_clean(text or ""), *told)


def _field(row: Mapping[str, Any], column: str | None) -> Any:
    """What stands in a field; None where it is missing or empty."""
    value: Any = row
    for part in column.split(".") if column else ():
        value = value.get(part) if isinstance(value, dict) else None
    return value if column else None
