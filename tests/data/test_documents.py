"""Files become documents, each with its licence; nothing is lost without a count."""

import gzip
import hashlib
import io
import json
import re
import tarfile
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from conftest import MACHINE, WORLD, Command, hydra, recorded, refusal, source

from train.artifact import write_json
from train.config import build
from train.data import documents, summaries
from train.data.documents import DocumentsConfig, extract
from train.data.schema import DOCUMENT, read_rows
from train.data.sources import spec
from train.errors import ConfigError, UserError
from train.world import Inputs, World

PLAIN = {"text": "text", "path": "path", "licence": None, "licence_names": {}, "attribution": None}
CONFIG = DocumentsConfig(formats={"rst": "restructuredtext", "md": "plain", "txt": "plain", "jsonl": "rows"})
LICENCE = b"Do as you like.\n"


KINDS = {
    "files": {"sha256": None, "columns": None},
    "pypi": {"filename": "p-1.tar.gz", "sha256": "0" * 64, "bytes": 1},
    "hub": {"config": None, "split": "train", "columns": None, "limit": None, "streaming": False},
}
PURLS = {"files": "pkg:generic/one@1", "pypi": "pkg:pypi/p@1", "hub": f"pkg:huggingface/datasets/a/b@{'0' * 40}"}


def described(raw: Path, kind: str = "files", **changes) -> dict:
    purl, slug = PURLS[kind], spec.slug(PURLS[kind])
    record = {name: value for name, value in recorded(slug, purl=purl, kind=kind).items() if name not in KINDS["files"]}
    files = sorted(path for path in (raw / slug).rglob("*") if path.is_file())
    sizes = {path.relative_to(raw / slug).as_posix(): path.stat().st_size for path in files}
    record["files"] = [{"path": path, "sha256": "0" * 64, "bytes": size} for path, size in sizes.items()]
    return record | KINDS[kind] | changes


def write(folder: Path, files: dict[str, bytes]) -> None:
    for name, data in ({"LICENSE": LICENCE} | files).items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(data)


def run(tmp_path: Path, files: dict[str, bytes], **changes) -> tuple[list[dict], dict]:
    raw, out = tmp_path / "raw", tmp_path / "out"
    slug = spec.slug(PURLS[changes.get("kind", "files")])
    write(raw / slug, files)
    record = described(raw, **changes)
    write_json(raw / "sources.json", [record])
    extract(CONFIG, Inputs(raw=raw), out, WORLD)
    counts = json.loads((out / "counts.json").read_text())
    return list(read_rows([out / "documents" / f"{slug}.parquet"])), counts[record["purl"]]


def test_a_document_carries_where_it_came_from(tmp_path):
    rows, counts = run(tmp_path, {"b.rst": b"*Two*\n", "a/a.md": b"# One\n"})
    evidence = hashlib.sha256(LICENCE).hexdigest()
    assert rows == [
        {
            "id": hashlib.sha256(text.encode()).hexdigest(), "text": text, "source": "pkg:generic/one@1",
            "path": path, "licence": "MIT", "evidence": evidence, "attribution": "Somebody", "language": "en",
        }
        for path, text in [("a/a.md", "# One\n"), ("b.rst", "Two\n")]
    ]  # fmt: skip
    assert list(rows[0]) == DOCUMENT.names
    assert (tmp_path / "out" / "licences" / f"{evidence}.txt").read_bytes() == LICENCE
    assert counts == {
        "files": 2, "documents": 2, "bytes": 10, "undecodable": 0, "binary": 0, "empty": 0, "oversized": 0,
        "licences": {"LICENSE": evidence}, "unlicensed": {},
    }  # fmt: skip


def test_rows_are_a_document_each(tmp_path):
    lines = [{"path": "tale/2", "text": "Two."}, {"path": "tale/1", "text": "One."}, {"path": "bad", "text": "\ud800"}]
    rows, counts = run(tmp_path, {"tales.jsonl": "\n".join(map(json.dumps, lines)).encode()})
    assert [(row["path"], row["text"]) for row in rows] == [("tale/2", "Two."), ("tale/1", "One.")]
    assert (counts["files"], counts["documents"], counts["undecodable"]) == (1, 2, 1)


@pytest.mark.parametrize(("line", "problem"), [
    (b"{", "line 2: expected a JSON object, got '{'"),
    (b"[" * 99999, "line 2: expected a JSON object"),
    (b"[]", "row 2: expected an object with fields, got list"),
    (b'{"path": "x"}', "row 2: no field 'text'; it has 'path'"),
    (b'{"path": "x", "text": 1}', "row 2: expected text in 'text', got int"),
])  # fmt: skip
def test_a_broken_row_is_named(tmp_path, line, problem):
    with pytest.raises(UserError, match=re.escape(f"pkg:generic/one@1: tales.jsonl, {problem}")):
        run(tmp_path, {"tales.jsonl": b'{"path": "x", "text": "y"}\n' + line})


def test_globs_choose_the_files(tmp_path):
    rows, counts = run(tmp_path, {"a.txt": b"a", "b.txt": b"b", "c.bin": b"c"}, include=["*.txt"], exclude=["b.*"])
    assert ([row["path"] for row in rows], counts["files"]) == (["a.txt"], 1)


def test_an_archive_is_read_below_its_one_folder(tmp_path):
    (tmp_path / "raw" / "pypi-p-1").mkdir(parents=True)
    with tarfile.open(tmp_path / "raw" / "pypi-p-1" / "p-1.tar.gz", "w:gz") as tar:
        for name, data in {"p-1/LICENSE": LICENCE, "p-1/docs/a.txt": b"A", "p-1/p.py": b"P"}.items():
            member = tarfile.TarInfo(name)
            member.size = len(data)
            tar.addfile(member, io.BytesIO(data))
    record = described(tmp_path / "raw", kind="pypi", include=["docs/**"])
    write_json(tmp_path / "raw" / "sources.json", [record])
    extract(CONFIG, Inputs(raw=tmp_path / "raw"), tmp_path / "out", WORLD)
    rows = read_rows([tmp_path / "out" / "documents" / "pypi-p-1.parquet"])
    assert [(row["path"], row["text"]) for row in rows] == [("docs/a.txt", "A")]


@pytest.mark.parametrize(("name", "changes", "says"), [
    ("a.txt", {"licence_files": ["LICENSE", "COPYING"]}, "no licence file 'COPYING' in the source"),
    ("a.txt", {"include": ["*.rst"]}, r"no file matches \['\*\.rst'\]"),
    ("c.bin", {}, r"c\.bin is none of rst, md, txt, jsonl"),
])  # fmt: skip
def test_evidence_that_is_missing_globs_that_take_nothing_and_other_suffixes_stop_it(tmp_path, name, changes, says):
    refusal(run, tmp_path, {name: b"a"}, match=says, **changes)


LINES = [{"text": f"line {number} " + "x" * (number % 7) ** 3} for number in range(40)]
LARGE = "\n".join(map(json.dumps, [*LINES[:20], {"text": "y" * 3000}, {"text": " "}, *LINES[20:]])).encode()
SPLIT = {
    "one large file of JSON lines": ({"a.jsonl": LARGE}, 9),
    "its last line without an end, and empty lines": ({"a.jsonl": b"\n\n" + LARGE + b"\n\n" + b'{"text": "z"}'}, 9),
    "Parquet, by groups of rows": ({"a.parquet": LINES}, 3),
    "many small files": ({f"{n:02d}.txt": f"{n} ".encode() * 90 for n in range(20)}, 5),
    "small files beside large ones": ({"a.txt": b"a", "b.jsonl": LARGE, "c.txt": b"c" * 5000, "d.txt": b"d"}, 12),
    "a packed file, which cannot be entered": ({"a.jsonl.gz": gzip.compress(LARGE)}, 1),
}


@pytest.mark.parametrize("name", SPLIT)
@pytest.mark.parametrize("size", [1, 2, 7])
def test_a_source_is_shared_by_files_and_spans_of_files(tmp_path, monkeypatch, name, size):
    files, least = SPLIT[name]
    raw, config = tmp_path / "raw", DocumentsConfig({"jsonl": "rows", "txt": "plain", "parquet": "parquet"})
    columns = {**PLAIN, "path": None}
    write(raw / "generic-one-1", {path: data for path, data in files.items() if isinstance(data, bytes)})
    for path, rows in files.items():
        if isinstance(rows, list):
            table, place = pa.Table.from_pylist(rows), raw / "generic-one-1" / path
            pq.write_table(table, place, row_group_size=7, compression="none")
    write_json(raw / "sources.json", [described(raw, columns=columns)])

    def extracted(out):
        for world in [*(World(rank, size, MACHINE) for rank in reversed(range(size))), WORLD]:
            extract(config, Inputs(raw=raw), tmp_path / out, world)
        rows = read_rows(sorted((tmp_path / out / "documents").glob("*.parquet")))
        return [row["text"] for row in rows], json.loads((tmp_path / out / "counts.json").read_text())

    once = extracted("once")
    monkeypatch.setattr(documents, "LEAST_BYTES", 500)
    assert extracted("parts") == once
    stems = [path.stem for path in sorted((tmp_path / "parts" / "documents").iterdir())]
    assert len(stems) >= least and (least == 1 or stems[1] == f"generic-one-1-00001-of-{len(stems):05d}")
    before = {path: path.stat().st_mtime_ns for path in (tmp_path / "parts" / "documents").iterdir()}
    (tmp_path / "parts" / "counts" / f"{stems[-1]}.json").unlink()
    assert extracted("parts") == once
    kept = [path.stem for path, time in before.items() if path.stat().st_mtime_ns == time]
    assert sorted(kept) == stems[:-1]  # what was whole is not made again


def test_rows_up_to_a_limit_are_one_part(tmp_path, monkeypatch):
    monkeypatch.setattr(documents, "LEAST_BYTES", 100)
    columns = {**PLAIN, "path": None}
    rows, _ = run(tmp_path, {"a.jsonl": LARGE}, kind="hub", limit=9, columns=columns)
    assert [row["text"] for row in rows] == [line["text"] for line in LINES[:9]]


COLUMNS = {
    "text": "text", "path": None, "licence": "terms", "licence_names": {"Apache 2": "Apache-2.0"}, "attribution": "by",
}  # fmt: skip
TOLD = {
    "Apache 2": "Apache-2.0", "MIT": "MIT", "cc-by-4.0": "CC-BY-4.0", "MIT or Apache-2.0": "MIT OR Apache-2.0",
    "Undisclosed": "NOASSERTION", "GPL": "NOASSERTION", "All rights reserved": "NOASSERTION", "((": "NOASSERTION",
    "": "NOASSERTION", "Apache-2.0 WITH": "NOASSERTION",
}  # fmt: skip


def test_no_formats_at_all_are_refused():
    refusal(build, DocumentsConfig, {"formats": {}}, match="a length of at least 1", error=ConfigError)


def test_a_row_without_a_licence_never_passes_silently(tmp_path):
    lines = [{"text": f"Text {number}.", "terms": told, "by": "Ann"} for number, told in enumerate(TOLD)]
    lines += [{"text": "None is told.", "terms": None}, {"text": "Nor here."}, {"text": "A number.", "terms": 7}]
    data = "\n".join(map(json.dumps, lines)).encode()
    rows, counts = run(tmp_path, {"a.jsonl": data}, columns=COLUMNS, licence="MIT")
    assert [row["licence"] for row in rows] == [*TOLD.values(), "NOASSERTION", "NOASSERTION", "NOASSERTION"]
    lost = [told for told, licence in TOLD.items() if licence == "NOASSERTION"]
    assert counts["unlicensed"] == {**dict.fromkeys(lost, 1), "": 3, "7": 1}  # two tell none, and one an empty one
    for row, told in zip(rows, TOLD, strict=False):
        if row["licence"] == "NOASSERTION":
            assert row["evidence"] == ""
        else:
            assert (tmp_path / "out" / "licences" / f"{row['evidence']}.txt").read_text() == told
    assert [row["attribution"] for row in rows[-4:]] == ["Ann", "Somebody", "Somebody", "Somebody"]


def test_a_column_with_too_many_licences_is_none_of_licences(tmp_path, monkeypatch):
    monkeypatch.setattr(documents, "LICENCE_NAMES", 3)
    data = "\n".join(json.dumps({"text": "x", "terms": f"See page {number}"}) for number in range(4)).encode()
    with pytest.raises(UserError, match=r"'terms' holds more than 3 different texts, so no licences"):
        run(tmp_path, {"a.jsonl": data}, columns=COLUMNS)


def test_what_gave_no_document_is_counted_and_named_with_the_reason(tmp_path):
    row = b'{"text": "", "path": "x"}'
    files = {"a.txt": b"\xff", "b.txt": b"a\0b", "c.jsonl": row, "d.txt": b"\xef\xbb\xbfx\r\ny"}
    rows, counts = run(tmp_path, files)
    assert [row["text"] for row in rows] == ["x\ny"] and (counts["files"], counts["documents"]) == (4, 1)
    assert [counts[reason] for reason in ("undecodable", "binary", "empty", "oversized")] == [1, 1, 1, 0]
    left = (tmp_path / "out" / "left_out" / "generic-one-1.jsonl").read_text().splitlines()
    assert [tuple(json.loads(line).values()) for line in left] == [
        ("a.txt", "undecodable"), ("b.txt", "binary"), ("x", "empty"),
    ]  # fmt: skip


@pytest.mark.parametrize(("files", "says"), [
    ({"a.txt": "Größe".encode("utf-16")}, r"undecodable 1 \(a\.txt: UTF-16\); convert it to UTF-8, .*iconv -f UTF-16"),
    ({"a.txt": "x".encode("utf-32")}, "undecodable 1 .*iconv -f UTF-32"),
    ({"a.jsonl": b"\n"}, r"none of 1 texts is a document: empty 1 \(a\.jsonl: no row\)"),
    ({"a.txt": b"caf\xe9", "b.md": b"\xe9"}, r"none of 2 texts is a document: undecodable 2 \(a\.txt: not UTF-8 from"),
    ({"a.txt": "Hello".encode("utf-16-le")}, r"binary 1 \(a\.txt: UTF-16\); convert"),
    ({"a.txt": b" ", "b.txt": b"a\0b"}, r"binary 1 \(b\.txt\), empty 1 \(a\.txt\)$"),
])  # fmt: skip
def test_a_source_without_a_document_is_told_with_the_reasons(files, says, tmp_path):
    refusal(run, tmp_path, files, match=says)


def test_what_came_in_and_what_is_left_out_is_told_in_a_line(tmp_path):
    run(tmp_path, {"a.txt": "Größe".encode("utf-16"), "b.txt": b"b", "c.txt": b"", "d.txt": b" ", "e.txt": b"e"})
    assert summaries.documents(tmp_path / "out", Inputs(raw=tmp_path / "raw"), CONFIG, WORLD) == (
        "2 of 5 texts in 5 files; left out: undecodable 1 (a.txt: UTF-16), empty 2 (c.txt); "
        "convert it to UTF-8, for example by iconv -f UTF-16 -t UTF-8"
    )


def test_a_limit_is_of_rows_over_all_files(tmp_path):
    lines = b'{"text": "a", "path": "1"}\n{"text": "b", "path": "2"}\n'
    files = {"a.jsonl": lines, "b.jsonl": lines, "c.jsonl": b"never read"}
    rows, counts = run(tmp_path, files, kind="hub", limit=3, columns=PLAIN)
    assert [row["text"] for row in rows] == ["a", "b", "a"] and counts["documents"] == 3


def test_nothing_half_written_is_left_when_a_file_is_damaged(tmp_path):
    refusal(run, tmp_path, {"a.txt": b"a", "b.txt.gz": b"not packed"}, match=r"one@1: b\.txt\.gz: is damaged")
    assert not [path for path in (tmp_path / "out").rglob("*") if path.is_file() and path.parent.name != "licences"]


def test_the_command_takes_files_of_many_kinds_and_answers_for_each(tmp_path):
    mine = tmp_path / "mine"
    rows = [{"text": "Row one.", "terms": "MIT"}, {"text": "Row two.", "terms": "Undisclosed"}]
    write(mine, {
        "a.txt": b"Plain.", "b/c.md.gz": gzip.compress(b"# Head\n", mtime=0), "d.rst": b"*Rest*\n", "nul.txt": b"\0",
        "e.txt": b"\xff",
        "f.jsonl": "\n".join(map(json.dumps, rows)).encode(),
    })  # fmt: skip
    named = {"purl": "pkg:generic/mine@1", "path": "mine", "licence": "Apache-2.0"}
    asked = lambda sha256: hydra([source(**named, columns={**PLAIN, "licence": "terms", "path": None}, sha256=sha256)])  # noqa: E731
    formats = "data.documents.formats={jsonl:rows}"
    more = [f"+data.documents.formats.{end}={kind}" for end, kind in CONFIG.formats.items() if end != "jsonl"]
    command = Command(tmp_path)
    said = command(f"data.raw.sources={asked(None)}", formats, *more, "until=documents", status=1)
    assert said.count("error:") == 1 and "expected sha256 null, found" in said
    sha256 = re.search("found ([0-9a-f]{64})", said)[1]
    command(f"data.raw.sources={asked(sha256)}", formats, *more, "until=documents")
    made = command.artifact("documents")
    found = {row["path"]: row["licence"] for row in read_rows([made / "documents" / "generic-mine-1.parquet"])}
    assert found == {
        "a.txt": "Apache-2.0", "b/c.md.gz": "Apache-2.0", "d.rst": "Apache-2.0", "f.jsonl#1": "MIT",
        "f.jsonl#2": "NOASSERTION",
    }  # fmt: skip
    counts = json.loads((made / "counts.json").read_text())["pkg:generic/mine@1"]
    assert (counts["binary"], counts["undecodable"]) == (1, 1)
