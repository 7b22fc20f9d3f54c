"""Whatever lies in a file becomes texts, or is named with the reason why not; nothing gets lost, nothing gets large."""

import gzip
import io
import json
import re
import tomllib
import tracemalloc
from dataclasses import replace

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from conftest import ROOT, is_linear, refusal

from train.data.sources.archive import Limits
from train.data.sources.spec import Columns
from train.data.text import html, readers
from train.data.text.language_tag import check_tag, language
from train.data.text.rst import restructuredtext, role
from train.errors import UserError

# Whatever lies in a file becomes texts, or is named with the reason why not; nothing gets lost, nothing gets large


FORMATS = {
    "rst": "restructuredtext", "md": "plain", "txt": "plain", "jsonl": "rows", "parquet": "parquet", "csv": "csv",
    "tsv": "tsv", "html": "html",
}  # fmt: skip
COLUMNS = Columns("body", "id", "meta.terms", {}, "meta.by")
BODY = Columns("body", None, None, {}, None)
BOTH = [{"text": {"en": "inner", "fr": None}, "text.en": "exact", "a.b": {"c": "one"},
         "a": {"b.c": "two", "d": {"e": "x"}}}]  # fmt: skip
ROWS = [
    {"id": 7, "body": "One.\r\n", "meta": {"terms": "MIT", "by": "Ann"}},
    {"id": 8, "body": None, "meta": {"terms": None, "by": None}},
]


def zstd(data: bytes) -> bytes:
    sink = pa.BufferOutputStream()
    with pa.CompressedOutputStream(sink, "zstd") as packed:
        packed.write(data)
    return sink.getvalue().to_pybytes()


def parquet(rows: list[dict]) -> bytes:
    sink = io.BytesIO()
    pq.write_table(pa.Table.from_pylist(rows), sink)
    return sink.getvalue()


def rows_of(kind: str, rows: list[dict]) -> bytes:
    return parquet(rows) if kind == "a.parquet" else b"".join(json.dumps(row).encode() + b"\n" for row in rows)


def read(name: str, data: bytes, columns: Columns | None = None) -> list[readers.ExtractedText]:
    return list(readers.texts(io.BytesIO(data), name, FORMATS, columns))


def kept(name: str, data: bytes, columns: Columns | None = None) -> list[str]:
    return [found.text for found in read(name, data, columns) if not found.reason]


PACK = {"": bytes, ".gz": gzip.compress, ".zst": zstd}


MARKED = '\ufeff{"body": "a"}\n\ufeff{"body": "b"}\n\ufeff\ufeff{"body": "c"}\n\ufeff\n'  # by byte order marks


@pytest.mark.parametrize("packed", PACK)
@pytest.mark.parametrize(("name", "data", "texts"), [
    ("a.txt", b"*One*\n", ["*One*\n"]), ("a.md", b"# *One*\n", ["# *One*\n"]), ("a.rst", b"*One*\n", ["One\n"]),
    *((name, rows_of(name, ROWS), ["One.\n"]) for name in ("a.jsonl", "a.parquet")),
    ("a.csv", b"id,body,meta.terms,meta.by\n7,One.,MIT,Ann\n8,,,\n", ["One."]),
    ("a.tsv", b"id\tbody\tmeta.terms\tmeta.by\n7\tOne.\tMIT\tAnn\n8\t\t\t\n", ["One."]),
    ("A.Txt", b"One", ["One"]), ("a.Zst.TXT", b"One", ["One"]),
])  # fmt: skip
def test_every_format_is_read_as_it_is_and_packed(name, data, texts, packed):
    assert kept(name + packed, PACK[packed](data), COLUMNS) == kept(name + packed.upper(), PACK[packed](data), COLUMNS)
    assert kept(name + packed, PACK[packed](data), COLUMNS) == texts


def test_packed_streams_in_a_row_are_one_file_and_marks_within_json_lines_are_passed_over():
    assert kept("a.txt.gz", gzip.compress(b"One ", mtime=0) + gzip.compress(b"two", mtime=0)) == ["One two"]
    assert kept("a.txt.zst", zstd(b"One ") + zstd(b"two")) == ["One two"]
    assert kept("a.jsonl", MARKED.encode(), BODY) == ["a", "b", "c"]


@pytest.mark.parametrize("name", ["a.jsonl", "a.parquet"])
def test_fields_of_rows_are_found_by_their_columns(name):
    data = rows_of(name, ROWS)
    assert read(name, data, COLUMNS) == [("7", "One.\n", "", "MIT", "Ann", ""), ("8", "", "empty", "", None, "")]
    unnamed = replace(COLUMNS, path=None, licence=None, attribution=None)
    assert [found.path for found in read(name, data, unnamed)] == [f"{name}#1", f"{name}#2"]
    for column, text in (("text.en", "exact"), ("a.b.c", "one"), ("a.d.e", "x")):  # the exact name before a field's
        assert kept(name, rows_of(name, BOTH), replace(BODY, text=column)) == [text]


ONE = {"body": "x", "author": "Ann", "doc": {"by": "Ann"}}


@pytest.mark.parametrize("name", ["a.jsonl", "a.parquet"])
@pytest.mark.parametrize(("columns", "missing"), [
    ({"attribution": "authors"}, "authors"), ({"path": "id"}, "id"), ({"licence": "license"}, "license"),
    ({"text": "bodi"}, "bodi"), ({"attribution": "doc.author"}, "doc.author"), ({"path": "doc.by.name"}, "doc.by.name"),
    ({"text": "doc.text"}, "doc.text"), ({"licence": "meta.licence"}, "meta.licence"),
])  # fmt: skip
@pytest.mark.parametrize("most", [None, 1])
def test_a_column_that_no_row_has_is_one_line(name, columns, missing, most):
    named = replace(Columns("body", None, None, {}, None), **columns)
    rows = readers.texts(io.BytesIO(rows_of(name, [ONE, ONE])), name, FORMATS, named, most)
    refusal(list, rows, match=rf"^{name}.* no (row has a )?(field|column) .*{missing}.*'body'.*see `columns`")


def test_a_column_that_some_row_has_is_no_fault():
    named = Columns("body", None, None, {}, "by.name")
    rows = rows_of("a.jsonl", [{"body": "x"}, {"body": "y", "by": {"name": None}}, {"body": "z", "by": None}])
    assert kept("a.jsonl", rows, named) == ["x", "y", "z"] and kept("a.jsonl", b"\n", named) == []


CREDITS = {
    "Ann": "Ann", " Ann\n(of\x1b[31m Bath)\0": "Ann (of[31m Bath)", "": None, " \t": None, 7: "7",
    ("Ann", "Bo", None): "Ann, Bo", (): None, (None,): None,
}  # fmt: skip


@pytest.mark.parametrize("value", CREDITS)
@pytest.mark.parametrize("name", ["a.jsonl", "a.parquet"])
def test_whom_a_row_credits_is_a_line_of_text_or_nobody(name, value):
    rows = [{"body": "x", "by": list(value) if isinstance(value, tuple) else value}]
    assert read(name, rows_of(name, rows), replace(BODY, attribution="by"))[0].attribution == CREDITS[value]


@pytest.mark.parametrize("value", [{"name": "Ann"}, True, [["Ann"]], b"Ann"])
def test_a_credit_that_is_no_text_is_refused(value):
    name, says = "a.parquet" if isinstance(value, bytes) else "a.jsonl", "expected text, or a list of texts, got"
    data = rows_of(name, [{"body": "x", "by": value}])
    refusal(read, name, data, replace(BODY, attribution="by"), match=f"{name}, row 1, by: {says}")


@pytest.mark.parametrize(("data", "texts"), [
    (b"id,body\n1,a\n2,b\n", ["a", "b"]),
    (b"\xef\xbb\xbfbody,id\r\na,1\r\n", ["a"]),
    (b'\xef\xbb\xbf"body",id\na,1', ["a"]),
    (b'body,id\n"a\r\n\r\nb, ""c""",1\n\nd,2\n', ['a\n\nb, "c"', "d"]),
    (b'body,id\n5" pipe,1\n', ['5" pipe']),
    ("body,id\nGr\u00f6\u00dfe \u65e5\u672c,1\n".encode(), ["Gr\u00f6\u00dfe \u65e5\u672c"]),
    (b"body\n" + b"x" * 200_000 + b"\n", ["x" * 200_000]),
    (b",body,\n0,a,\n", ["a"]),  # names that are empty, as of an index
    (b'id,body\r1,"a\rb"\r2,c', ["a\nb", "c"]),  # line ends of an old Macintosh
    (b"\n\r\nid,body\n1,a\n", ["a"]),
    *((data, [("empty", "no row")]) for data in (b"id,body\n", b"body", b"body\r\n\r\n", b"")),
    (b"body,id\none,1\ncaf\xe9,2\na\0b,3\n,4\nfive,caf\xe9\n",
     ["one", ("undecodable", "not UTF-8, or half a character"), ("binary", ""), ("empty", ""), "five"]),
])  # fmt: skip
@pytest.mark.parametrize("kind", ["csv", "tsv"])
def test_tables_are_read_by_the_names_in_their_first_line(kind, data, texts):
    if kind == "tsv":
        data = data.replace(b",", b"\t")
        texts = [each.replace(",", "\t") if isinstance(each, str) else each for each in texts]
    for end, pack in PACK.items():
        found = read(f"a.{kind}{end}", pack(data), BODY)
        assert [(each.reason, each.detail) if each.reason else each.text for each in found] == texts


@pytest.mark.parametrize(("name", "data", "path"), [
    ("a.jsonl", b"\n", "a.jsonl"), ("a.csv", b"id,text\n", "a.csv"), ("a.csv", b"text,path\na,\n", "a.csv#1"),
    *(("a.jsonl", rows_of("a.jsonl", [{"text": "x", "path": value}]), "a.jsonl#1") for value in ("", " ", None)),
])  # fmt: skip
def test_a_row_whose_path_is_blank_is_called_by_its_number_and_no_row_by_its_file(name, data, path):
    (found,) = read(name, data)
    assert found.path == path and ("#" in path or (found.reason, found.detail) == ("empty", "no row"))


@pytest.mark.parametrize("row", [b'"' + b"never closed\n" * 99, b"x" * 1000, b"x," * 600])
def test_a_row_of_a_table_is_bounded(row, monkeypatch):
    monkeypatch.setattr(readers, "TEXT_BYTES", 500)
    with pytest.raises(UserError, match=r"a.csv, row 2, line [0-9]+: more than 500 bytes; is a quotation mark not clo"):
        read("a.csv", b"id,body\n1,a\n" + row, BODY)


PAGE = """<!doctype html><html><head><title>T</title><script>var x = 1</script></head><body>
<nav><a href="/">Home</a></nav><article><h1>Of mills</h1><p>The miller &amp; the <b>river</b> met in the
valley below, where no one had ever been.</p>
<ul><li>One</li></ul><pre>def f(x):\n    return x</pre></article>
<aside>Buy now</aside><footer>Cookies</footer></body>"""


def test_of_a_page_the_main_text_is_taken():
    pytest.importorskip("trafilatura", reason="needs the extra `html`")
    [text] = kept("a.html", PAGE.encode())
    for part in ("Of mills\n", "The miller & the river met in", "One\n", "    return x"):
        assert part in text
    assert not any(part in text for part in ("Home", "Buy", "Cookies", "var", "<"))
    assert kept("a.html", PAGE.encode()) == [text] == kept("a.html.gz", gzip.compress(PAGE.encode()))
    extra = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]["html"]
    assert f"trafilatura=={html.RELEASE}" in extra
    for number in ("0", "7", "031", "127", "128", "xb", "x1F", "x85", "xD800", "x110000", "9", "10"):
        [spelt] = kept("a.html", PAGE.replace("One", f"One&#{number};").encode())
        assert "One" in spelt and not readers.CONTROL.search(spelt)
    for page in (PAGE[PAGE.index("<article>") : PAGE.index("<aside>")], PAGE[15:].replace("<html>", "")):
        assert kept("a.html", page.encode()) == [text]  # whose tags are left out, as they may be
    for page in ("", "<html></html>", "<nav></nav>", "<div>" * 9999):
        assert read("a.html", page.encode())[0].reason == "empty"
    for levels, start, reason in ((100, 0, ""), (300, 0, "oversized"), (300, PAGE.index("<article>"), "empty")):
        deep = PAGE[start:].replace("<article>", "<div>" * levels).replace("</article>", "</div>" * levels)
        [page] = read("a.html", deep[: deep.index("<aside>")].encode())
        assert (page.reason, "255 deep" in page.detail) == (reason, levels > 255)
    assert read("a.html", b"<p>caf\xe9")[0].reason == "undecodable"
    assert read("a.html", b"<p>" + b"x" * readers.LARGEST["html"])[0].reason == "oversized"


@pytest.mark.parametrize("release", [None, "2.0.0"])
def test_another_extractor_is_refused_and_the_one_that_is_wanted_named(release, monkeypatch):
    def version(name):
        if release is None:
            raise html.PackageNotFoundError(name)
        return release

    monkeypatch.setattr(html, "version", version)
    html.extractor.cache_clear()
    told = f"{release} is" if release else "it is not"
    refusal(read, "a.html", PAGE.encode(), match=rf"trafilatura {html.RELEASE}, and {told} installed: .* trafilatura==")
    html.extractor.cache_clear()


def test_a_fault_of_the_system_is_not_called_damage():
    class Failing(io.BytesIO):
        def read(self, *_: int) -> bytes:
            raise OSError(5, "Input/output error")

    refusal(list, readers.texts(Failing(), "a.txt", FORMATS, None), match="Input/output error", error=OSError)


@pytest.mark.parametrize(("data", "text", "reason", "detail"), [
    (b"a\x00b", "", "binary", ""), (b"\xff\xfea\x00", "", "undecodable", "UTF-16"),
    (b"caf\xe9", "", "undecodable", "not UTF-8 from byte 4 on"),
    ("Größe".encode("utf-16"), "", "undecodable", "UTF-16"), ("Hello".encode("utf-32"), "", "undecodable", "UTF-32"),
    *(("Hello world".encode(f"utf-16-{end}"), "", "binary", "UTF-16") for end in ("le", "be")),
    (b"%PDF-1.7 \xff", "", "undecodable", "PDF"),
    (b"\xed\xa0\x80", "", "undecodable", "not UTF-8 from byte 1 on"), (b" \t\x0c\n", "", "empty", ""),
    (b"\x07\x1b", "", "empty", ""), (b"a\x0cb\x0bc\r\nd\re", "a\nb\nc\nd\ne", "", ""),
    (b"\x1b[1mbold\x1b[0m\x7f \xc2\x85tab\there", "[1mbold[0m \ntab\there", "", ""), (b"\xef\xbb\xbfa", "a", "", ""),
    (b"\xef\xbb\xbf\xef\xbb\xbfa\n\xef\xbb\xbfb", "a\nb", "", ""), (b"one\xc2\x85two", "one\ntwo", "", ""),
])  # fmt: skip
def test_control_characters_and_what_is_no_text(data, text, reason, detail):
    [found] = read("a.txt", data)
    assert (found.text.strip(" \t\n") if reason else found.text, found.reason, found.detail) == (text, reason, detail)
    if reason != "undecodable" and not data.startswith(b"\xef"):
        row = json.dumps({"text": data.decode(), "path": "x"}).encode()
        assert read("a.jsonl", row)[0].reason == reason
        assert read("a.parquet", parquet([{"text": data.decode(), "path": "x"}]))[0].reason == reason
    lines = b'{"text": "One."}\n{"text": "%s"}\n{"text": "\\ud800"}\n{"text": "Two."}' % data
    if detail.startswith("not UTF-8"):  # costs no other line
        assert [each.reason for each in read("a.jsonl", lines)] == ["", "undecodable", "undecodable", ""]


def test_a_text_of_100_megabytes_in_one_line_is_named_and_its_neighbour_kept():
    big = b"word " * 20_000_000
    tracemalloc.start()
    [found] = read("a.txt", big)
    found_rows = read("a.jsonl", b'{"text": "' + big + b'"}\n{"text": "Small."}\n')
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert found.reason == "oversized"
    assert [(each.path, each.reason) for each in found_rows] == [("a.jsonl#1", "oversized"), ("a.jsonl#2", "")]
    assert peak < 4 * readers.TEXT_BYTES


def test_empty_documents_are_a_stream_not_a_list():
    class Endless(io.RawIOBase):
        """Many empty rows that nobody has written down."""

        left = 5_000

        def readable(self) -> bool:
            return True

        def readinto(self, buffer) -> int:
            line = b'{"text": ""}\n' if self.left else b""
            self.left -= bool(line)
            buffer[: len(line)] = line
            return len(line)

    tracemalloc.start()
    texts = readers.texts(io.BufferedReader(Endless()), "a.jsonl", FORMATS, None)
    count = sum(each.reason == "empty" for each in texts)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert count == 5_000 and peak < 2**20


LONG_WINDOW = b"\x28\xb5\x2f\xfd\x00" + bytes([(28 - 10) << 3]) + b"\x11\x00\x00x\n"  # a frame of one block, unpacked
LATIN = pa.Array.from_buffers(pa.string(), 1, [None, pa.py_buffer(b"\0\0\0\0\4\0\0\0"), pa.py_buffer(b"caf\xe9")])
ENDS = "; one object fills one line"
TABLES = [  # that are none, called a.csv
    (b"id,body\n1,a\n2,b,c\n", "a.csv, row 2, line 3: 3 values, and the first line names 2; correct it"),
    (b"id,body\n1\n", "a.csv, row 1, line 2: 1 values, and the first line names 2"),
    (b'id,body\n1,a\n2,"b\n3,c\n', "a.csv, row 2, line 4: unexpected end of data"),
    (b'id,body\n1,"a"b\n', "a.csv, row 1, line 2: ',' expected after '\"'"),
    (b"id;body\n1;a\n", "';' seems to part the values, and ',' should: write it anew; see `columns`"),
    (b"id\tbody\n1\ta\n", "'\\t' seems to part the values, and ',' should: call it .tsv; see `columns`"),
    (b"sep=;\nid;body\n1;a\n", "';' seems to part the values, and ',' should"),
    (b"id,body,body\n1,a,b\n", "a.csv: its first line names 'body' twice"),
    (b"1,It was late.\n", "no column ['body']; its first line, which names the columns, has '1', 'It was late.'"),
    (b"id,Body\n1,a\n", "has 'id', 'Body'; did you mean 'Body'?; see `columns`"),
    ("id,body\n1,a\n".encode("utf-16"), "a.csv: holds UTF-16, not a table in UTF-8; convert it"),
    (b"PK\x03\x04 and more\n", "a.csv: holds a zip archive, not a table in UTF-8"),
]
LINES = [  # that are no object, in a.jsonl
    (b'{\n  "text": "x"\n}\n', f"got '{{' (Expecting property name enclosed in double quotes){ENDS}"),
    (b'{"text": "x"},\n', f"""got '{{"text": "x"}},' (Extra data){ENDS}"""),
    (b'{"text": "x"}\r{"text": "y"}\r', f"(Extra data){ENDS}"),
    (b'{"text": "x", "n": ' + b"9" * 5000 + b"}\n", "(Exceeds the limit (4300 digits) for integer string conversion"),
    (b'{"text": "x', f"(Unterminated string starting at){ENDS}; the file ends in the middle of"),
    (b'{"id": 1, "story": "x"}', "a.jsonl, row 1: no field 'body'; it has 'id', 'story'"),
    *(('{"text": "x"}\n'.encode(kind), "holds UTF-16, not JSON lines in UTF-8") for kind in ("utf-16", "utf-16-be")),
    ('{"text": "x"}\n'.encode("utf-32"), "iconv -f UTF-32 -t UTF-8"),
    (b"\x1f\x8b and more\n", "holds gzip, not JSON lines"),
    (b"%PDF-1.7\n", "holds PDF, not JSON lines in UTF-8; convert .pdf to text, for example by pdftotext"),
]
OTHERS = [
    ("a.jsonl.zst", LONG_WINDOW, "a window of more than 128 MiB; unpack it, or pack it anew without --long"),
    ("a.txt.gz", zstd(b"x"), "is called .gz and holds Zstandard"),
    ("a.txt.zst", gzip.compress(b"x", mtime=0), "is called .zst and holds gzip"),
    ("a.txt.gz", b"PK\x03\x04 and more", "is called .gz and holds a zip archive"),
    ("a.txt.gz", b"BZh9 and more", "is called .gz and holds bzip2"),
    ("a.jsonl.gz", b"<!DOCTYPE html><p>Not found", "is called .gz and holds HTML"),
    ("a.parquet", b"PK\x03\x04 and more", "cannot be read as Parquet (it holds a zip archive)"),
    ("a.parquet", b"version https://git-lfs.github.com/spec/v1\n", "(it holds a Git LFS pointer"),
    ("a.txt.gz", gzip.compress(b"word " * 9999, mtime=0)[:-20], "a.txt.gz: is damaged (EOFError"),
    ("a.txt.gz", b"not packed", "a.txt.gz: is damaged (BadGzipFile"),
    ("a.jsonl.gz", gzip.compress(b'{"text": "x"}\n', mtime=0)[:-8] + b"\0" * 8, "a.jsonl.gz: is damaged"),
    ("a.txt.zst", b"not packed", "a.txt.zst: is damaged"),
    ("a.txt.zst", zstd(bytes(range(256)) * 99)[:-50], "a.txt.zst: is damaged"),
    ("a.parquet", b"not a table", "a.parquet: cannot be read as Parquet"),
    ("a.parquet", parquet(ROWS)[:-100] + bytes(100), "a.parquet: cannot be read as Parquet"),
    ("a.parquet.gz", gzip.compress(b"not a table", mtime=0), "a.parquet.gz: cannot be read as Parquet"),
    ("a.parquet", parquet([{"body": LATIN[0]}]), "a.parquet: cannot be read as Parquet"),
    ("a.parquet", parquet([{"id": 1, "text": "x"}]), "a.parquet: no column ['body']; it has ['id', 'text']"),
    ("a.parquet", parquet([{"body": 2}] * 2), "row 1: expected text in 'body', got int"),
    ("a.tar.gz", gzip.compress(b"x", mtime=0), f"a.tar.gz is none of {', '.join(FORMATS)}; exclude it"),
    ("a", b"x", "a is none of rst, md"),
    *((f"a.{end}", b"x", f"exclude it, or convert .{end.lower()} to text, for example by {program}") for end, program in
      {"pdf": "pdftotext", "DOCX": "pandoc", "epub": "pandoc", "odt": "pandoc", "xlsx": "soffice"}.items()),
]  # fmt: skip
REFUSED = [*(("a.csv", *row) for row in TABLES), *(("a.jsonl", *row) for row in LINES), *OTHERS]


@pytest.mark.parametrize(("name", "data", "says"), REFUSED, ids=range(len(REFUSED)))
def test_what_cannot_be_read_is_one_line_that_says_why(name, data, says):
    said = refusal(read, name, data, BODY, match=re.escape(says))
    assert ("damaged" in said) == ("damaged" in says) and ("the middle" in said) == ("the middle" in says)


CUT = [{"body": f"{number} {'word ' * 40}"} for number in range(400)]


@pytest.mark.parametrize("share", [0.01, 0.5, 0.9, 0.999])
@pytest.mark.parametrize("packed", PACK)
@pytest.mark.parametrize("name", ["a.jsonl", "a.csv", "a.parquet"])
def test_a_file_that_ends_in_mid_stream_is_refused_whole(name, packed, share):
    table = "body\n" + "".join(f'"{row["body"]}\n"\n' for row in CUT)
    data = PACK[packed](table.encode() if name == "a.csv" else rows_of(name, CUT))
    assert len(read(name + packed, data, BODY)) == len(CUT)
    with pytest.raises(UserError, match=rf"^{name}.*(the file ends in|unexpected end|is damaged|read as Parquet)"):
        read(name + packed, data[: int(share * len(data))], BODY)


FAR = pa.array([1_700_000_000_000_000_000])  # microseconds, where nanoseconds were meant
UNHELD = {  # by Python
    "timestamp": FAR.cast(pa.timestamp("us")),
    "timestamp with a zone": FAR.cast(pa.timestamp("us", tz="UTC")),
    "unknown zone": pa.array([1], pa.timestamp("us", tz="Mars/Olympus")),
    "date": pa.array([3_000_000], pa.int32()).cast(pa.date32()),
    "date before the first year": pa.array([-800_000], pa.int32()).cast(pa.date32()),
    "duration": pa.array([10**15]).cast(pa.duration("s")),
    "list": pa.ListArray.from_arrays([0, 1], FAR.cast(pa.timestamp("us"))),
    "doubled field": pa.StructArray.from_arrays([FAR, FAR], names=["x", "x"]),
}


@pytest.mark.parametrize("kind", UNHELD)
def test_what_python_cannot_hold_stops_only_who_asks_for_it(kind):
    sink = io.BytesIO()
    meta = pa.StructArray.from_arrays([pa.array(["MIT"]), UNHELD[kind]], names=["terms", "when"])
    pq.write_table(pa.table({"body": pa.array(["One."]), "when": UNHELD[kind], "meta": meta}), sink)
    asked = replace(COLUMNS, path=None, attribution=None)
    assert read("a.parquet", sink.getvalue(), asked) == [("a.parquet#1", "One.", "", "MIT", None, "")]
    for column, holder in (("when", "when"), ("meta.when", "meta")):
        says = rf"^a\.parquet: column '{holder}' holds .* that Python cannot hold"
        refusal(read, "a.parquet", sink.getvalue(), replace(asked, path=column), match=says)


@pytest.mark.parametrize("packed", [".gz", ".zst"])
@pytest.mark.parametrize("name", ["a.txt", "a.jsonl", "a.parquet"])
def test_a_bomb_is_refused_before_it_goes_off(name, packed, monkeypatch):
    limits = Limits(members=1, member_bytes=2**26, total_bytes=10**5, ratio=10, name_bytes=60)
    monkeypatch.setattr(readers, "LIMITS", limits)
    data = b'{"text": ""}\n' * 10**5 if name == "a.jsonl" else bytes(10**6)
    refusal(read, name + packed, PACK[packed](data), match=f"{name}{packed}: unpacks to more than")


# Known markup becomes known prose ------------------------------------------------------------------------------------


RST = {
    "heading": ("=====\nTitle\n=====\n\nGo\n--\n\nText.\n", "Title\n\nGo\n\nText.\n"),
    "roles": ("See :class:`~foo.Bar`, :ref:`the guide <guide>` and :pep:`8`.\n", "See Bar, the guide and PEP 8.\n"),
    "links": ("A `link <https://x.org>`_, a `phrase`_ and a word_.\n", "A link, a phrase and a word.\n"),
    "emphasis": ("*One* and **two**, but 2 * 3 * 4.\n", "One and two, but 2 * 3 * 4.\n"),
    "literals": ("Call ``f(*args, **kwargs)`` or ``coef_`` now.\n", "Call `f(*args, **kwargs)` or `coef_` now.\n"),
    "escapes": (r"Two\ words and \*stars\*." + "\n", "Twowords and *stars*.\n"),
    "targets and comments": (".. _label:\n\n.. A comment\n   over lines\n\n.. _x: https://x.org\n\nText.\n", "Text.\n"),
    "table of contents": (".. toctree::\n   :maxdepth: 2\n\n   one\n   two\n\nText.\n", "Text.\n"),
    "note": (".. note:: Mind\n   the *gap*.\n\nText.\n", "Mind\nthe gap.\n\nText.\n"),
    "nested": (
        ".. tip::\n\n   Try:\n\n   .. code-block:: sh\n      :caption: no\n\n      ls *\n",
        "Try:\n\n    ls *\n",
    ),
    "version": (".. versionadded:: 3.2\n   The *key*.\n", "Added in version 3.2\nThe key.\n"),
    "object": (".. function:: f(*args)\n   :async:\n\n   Does **it**.\n", "f(*args)\n\nDoes it.\n"),
    "fields": (":orphan:\n\n:param int size: Bytes.\n:returns: A file.\n", "size: Bytes.\nreturns: A file.\n"),
    "literal block": ("Like so::\n\n  a = *b*\n\n  c\n\nEnd.\n", "Like so:\n\n    a = *b*\n\n    c\n\nEnd.\n"),
    "literal block in a list": ("- Item::\n\n    *x*\n\n  More *text*.\n", "- Item:\n\n    *x*\n\n  More text.\n"),
    "doctest": ("Try:\n\n>>> f(**x)\n*y*\n\nEnd.\n", "Try:\n\n    >>> f(**x)\n    *y*\n\nEnd.\n"),
    "substitution": ("A |new| day.\n\n.. |new| replace:: *fresh*\n", "A fresh day.\n"),
    "grid table": ("+---+---+\n| a | b |\n+===+===+\n| 1 | 2 |\n+---+---+\n", "a  b\n1  2\n"),
    "simple table": ("===  ===\na    b\n===  ===\n1    2\n===  ===\n", "a    b\n1    2\n"),
    "footnote": ("Text [#a]_ and [1]_.\n\n.. [1] A *book*.\n", "Text and [1].\n\n[1] A book.\n"),
    "raw and image": (".. raw:: html\n\n   <b>x</b>\n\n.. image:: x.png\n   :alt: y\n\nText.\n", "Text.\n"),
    "figure": (".. figure:: x.png\n   :width: 3\n\n   The caption.\n", "The caption.\n"),
    "unknown directive": (".. curious:: arg\n\n   Its text.\n", "Its text.\n"),
    "only markup": (".. toctree::\n\n   a\n", ""),
}


@pytest.mark.parametrize(("source", "expected"), RST.values(), ids=RST.keys())
def test_restructuredtext(source, expected):
    assert restructuredtext(source) == expected


@pytest.mark.parametrize(("name", "target", "expected"), [
    ("class", "~foo.Bar", "Bar"), ("class", "foo.Bar", "foo.Bar"), ("class", "_orm.Session", "Session"),
    ("meth", "!x.y", "x.y"), ("doc", "/topics/db", "db"), ("ref", "A title <label>", "A title"),
    ("rfc", "4180", "RFC 4180"),
])  # fmt: skip
def test_roles(name, target, expected):
    assert role(name, target) == expected


PIECES = ["`", "*a ", "[", ":a", "<", "| ", "|=", ">>> a\n\n"]
LONG = [
    *(lambda size, piece=piece: piece * size for piece in PIECES),
    *(lambda size, start=start: start + " " * size for start in ("`", ":a", ":param")),
    lambda size: "".join(" " * i + ".. note::\n" for i in range(int(size**0.5))),
    lambda size: "".join("`" * i + "{note}\n" for i in range(3, int(size**0.5))),
]


@pytest.mark.parametrize("text", LONG, ids=range(len(LONG)))
def test_a_text_twice_as_long_takes_about_twice_as_long(text):
    assert is_linear(restructuredtext, text, 80_000)


# Language tags, and the language of ISO 639 in them ------------------------------------------------------------------


@pytest.mark.parametrize(("tag", "by_iso"), [
    ("en", "en"), ("pt-BR", "pt"), ("zh-Hant-TW", "zh"), ("sr-Latn", "sr"), ("es-419", "es"), ("gsw", "gsw"),
    ("de-CH-1996", "de"), ("sl-rozaj-biske", "sl"), ("zh-cmn-Hans-CN", "zh"), ("en-a-bbb-x-a-ccc", "en"),
    ("mul", "mul"), ("und", "und"), ("haw-US", "haw"),
])  # fmt: skip
def test_a_tag_has_its_language(tag, by_iso):
    check_tag(tag)
    assert language(tag) == by_iso


@pytest.mark.parametrize(("tag", "hint"), [
    ("English", ""), ("german", ""), ("xx", ""), ("jp", ""), ("", ""), ("-", ""), ("en-", ""), ("en--US", ""),
    ("x-klingon", ""), ("en, de", ""), ("de/en", ""), ("en_US", "'en-US'"), ("EN", "'en'"), ("pt-br", "'pt-BR'"),
    ("zh-hant-tw", "'zh-Hant-TW'"), ("multilingual", ""), ("pt\n", ""), ("\uff45\uff4e", ""),
])  # fmt: skip
def test_a_word_that_is_no_tag_is_refused(tag, hint):
    with pytest.raises(ValueError, match=r"language: expected a tag of BCP 47") as refused:
        check_tag(tag)
    assert (f"did you mean {hint}?" in str(refused.value)) == bool(hint)
