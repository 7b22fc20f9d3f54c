"""What a file holds, by its first bytes: names and suffixes are only what somebody called it."""

from collections.abc import Iterator

from train.errors import UserError

HEAD = 512  # bytes that are looked at

SIGNATURES = (
    (b"\x1f\x8b", "gzip"),
    (b"\x28\xb5\x2f\xfd", "Zstandard"),
    (b"PK\x03\x04", "a zip archive"),
    (b"PK\x05\x06", "a zip archive"),
    (b"BZh", "bzip2"),
    (b"\xfd7zXZ\x00", "xz"),
    (b"\x04\x22\x4d\x18", "LZ4"),
    (b"7z\xbc\xaf\x27\x1c", "a 7z archive"),
    (b"Rar!\x1a\x07", "a RAR archive"),
    (b"PAR1", "Parquet"),
    (b"ARROW1", "Arrow"),
    (b"%PDF-", "PDF"),
    (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "an old Office document"),
    (b"{\\rtf", "RTF"),
    (b"SQLite format 3\x00", "SQLite"),
    (b"\x89PNG\r\n", "a picture"),
    (b"\xff\xd8\xff", "a picture"),
    (b"GIF8", "a picture"),
    (b"version https://git-lfs", "a Git LFS pointer: `git lfs pull` brings the file"),
    (b"<!doctype html", "HTML"),
    (b"<html", "HTML"),
    (b"\xff\xfe\x00\x00", "UTF-32"),
    (b"\x00\x00\xfe\xff", "UTF-32"),
    (b"\xff\xfe", "UTF-16"),
    (b"\xfe\xff", "UTF-16"),
)
PANDOC, OFFICE = "pandoc --to=plain", "soffice --headless --convert-to"
CONVERTERS = {  # what makes text of the files that we do not read, by their suffix
    "pdf": "pdftotext -enc UTF-8",
    "djvu": "djvutxt",
    **dict.fromkeys(("docx", "odt", "epub", "rtf", "tex", "ipynb", "org", "xml"), PANDOC),
    **dict.fromkeys(("doc", "ppt", "pptx", "odp"), f"{OFFICE} pdf, then pdftotext"),
    **dict.fromkeys(("xls", "xlsx", "ods"), f"{OFFICE} csv"),
}

ARCHIVES = ("zip", "tar", "tgz", "7z", "rar", "bz2", "xz", "lzma", "lz4", "br")


def file_type(head: bytes) -> str | None:
    """What a file that begins with `head` holds; None where nothing tells."""
    return next(_types(head[:HEAD]), None)


def _types(head: bytes) -> Iterator[str]:
    start = head.lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    for signature, name in SIGNATURES:
        if head.startswith(signature) or (name == "HTML" and start.startswith(signature)):
            yield name
    if head[257:262] == b"ustar":
        yield "a tar archive"
    if len(head) >= 4:
        even, odd = (head[start::2].count(0) / len(head[start::2]) for start in (0, 1))
        if max(even, odd) > 0.4 and min(even, odd) < 0.1:  # letters of Latin, every other byte of which is 0
            yield "UTF-16"


def check_type(head: bytes, name: str, expected: str) -> None:
    """UserError when what begins with `head`, in the file called `name`, is not `expected` in UTF-8."""
    if held := file_type(head[:HEAD]):
        raise UserError(f"{name}: holds {held}, not {expected} in UTF-8{conversion(held)}")


def conversion(name: str) -> str:
    """What to do with a file that holds `name`, if it is text in another form; else empty."""
    if name.startswith("UTF-"):
        return f"; convert it to UTF-8, for example by iconv -f {name} -t UTF-8"
    suffix = {"PDF": "pdf", "RTF": "rtf", "an old Office document": "doc"}.get(name, "")
    return f"; {converter(suffix)}" if suffix else ""


def converter(suffix: str) -> str:
    """How files with a suffix that are not read become text; empty where nothing is known of them."""
    if suffix.lower() in ARCHIVES:
        return f"unpack .{suffix.lower()} files"
    program = CONVERTERS.get(suffix.lower())
    return f"convert .{suffix.lower()} to text, for example by {program}" if program else ""
