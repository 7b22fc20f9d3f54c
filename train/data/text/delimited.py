"""The rows of CSV and TSV: values by the names that the first line gives them.

The dialect is RFC 4180's, for tabs as for commas: a value in quotation marks (") may hold delimiters, line breaks and,
doubled, quotation marks; elsewhere a quotation mark that does not begin a value is a letter. Blank lines are no rows.
A line ends with CR LF, LF or CR.
"""

import csv
import io
from collections.abc import Collection, Iterator
from typing import BinaryIO

from train.data.text.file_types import HEAD, check_type
from train.errors import UserError, did_you_mean

NAMES = 40  # of columns that an error lists
SUFFIX = {",": ".csv", "\t": ".tsv"}


def rows(
    file: BinaryIO, name: str, delimiter: str, wanted: Collection[str], most: int
) -> Iterator[dict[str, str | None]]:
    """Yield each row of the file called `name`; an empty value is None, bytes that are not UTF-8 are lone surrogates.

    Raises UserError, with the number of the row, where one has more or fewer values than the first line has names, ends
    in the middle of a value or has more than `most` bytes; and when a name stands twice, or one of `wanted` nowhere.
    """
    csv.field_size_limit(most)
    held = number = 0
    buffered = io.BufferedReader(file)  # type: ignore[type-var]
    check_type(buffered.peek(HEAD), name, "a table")
    stream = io.TextIOWrapper(buffered, "utf-8-sig", "surrogateescape", newline="")

    def lines() -> Iterator[str]:
        nonlocal held
        while line := stream.readline(most + 1 - held):
            held += len(line.encode(errors="surrogateescape"))
            if held > most:
                raise csv.Error(f"more than {most} bytes; is a quotation mark not closed?")
            yield line

    reader = csv.reader(lines(), delimiter=delimiter, strict=True)
    header: list[str] = []
    try:
        for values in reader:
            held = 0
            if not header:
                header = checked(values, name, delimiter, wanted) if values else []
            elif values:
                number += 1
                if len(values) != len(header):
                    raise csv.Error(f"{len(values)} values, and the first line names {len(header)}")
                yield {column: value or None for column, value in zip(header, values, strict=True)}
    except csv.Error as error:
        raise UserError(f"{name}, row {number + bool(held)}, line {reader.line_num}: {error}; correct it") from None


def checked(header: list[str], name: str, delimiter: str, wanted: Collection[str]) -> list[str]:
    """The names in the first line; UserError when one stands twice, or one of `wanted` is not there."""
    shown = ", ".join(map(repr, header[:NAMES]))
    if twice := sorted({column for column in header if column and header.count(column) > 1}):
        raise UserError(f"{name}: its first line names {twice[0]!r} twice; call one otherwise")
    if missing := sorted(set(wanted) - set(header)):
        parted = next((sign for sign in ";\t|," if sign in header[0] and not header[1:]), "")
        remedy = f"call it {SUFFIX[parted]}" if parted in SUFFIX else "write it anew"
        hint = (
            f"; {parted!r} seems to part the values, and {delimiter!r} should: {remedy}"
            if parted
            else "".join(dict.fromkeys(did_you_mean(column, header) for column in missing))
        )
        raise UserError(
            f"{name}: no column {missing}; its first line, which names the columns, has {shown}{hint}; see `columns`"
        )
    return header
