"""Files become documents, each with its licence; nothing is lost without a count."""

import hashlib
import io
import json
import re
import tarfile
from pathlib import Path
from types import SimpleNamespace

import pytest

from train.artifact import inventory, write_json
from train.config import ConfigError, UserError, build
from train.data.documents import DocumentsConfig, extract
from train.data.tables import DOCUMENT, read_rows
from train.world import World

CONFIG = DocumentsConfig(formats={"rst": "restructuredtext", "md": "markdown", "txt": "plain", "jsonl": "rows"})
LICENCE = b"Do as you like.\n"


def world(rank: int = 0, size: int = 1) -> World:
    return World(rank, size, SimpleNamespace(progress="none"))


def source(raw: Path, slug: str = "files-one", kind: str = "files", **changes) -> dict:
    record = {
        "kind": kind, "purl": f"pkg:generic/{slug}@1", "slug": slug, "licence": "MIT", "licence_files": ["LICENSE"],
        "attribution": "Somebody", "language": "en", "include": ["**"], "exclude": [],
    }  # fmt: skip
    files = sorted(path for path in (raw / slug).rglob("*") if path.is_file())
    record["files"] = [{"path": path.relative_to(raw / slug).as_posix()} for path in files]
    return record | changes


def write(folder: Path, files: dict[str, bytes]) -> None:
    for name, data in ({"LICENSE": LICENCE} | files).items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(data)


def run(tmp_path: Path, files: dict[str, bytes], **changes) -> tuple[list[dict], dict]:
    raw, out = tmp_path / "raw", tmp_path / "out"
    write(raw / "files-one", files)
    record = source(raw, **changes)
    write_json(raw / "sources.json", [record])
    extract(CONFIG, {"raw": raw}, out, world())
    counts = json.loads((out / "counts.json").read_text())
    return list(read_rows([out / "documents" / "files-one.parquet"])), counts[record["purl"]]


def test_a_document_carries_where_it_came_from(tmp_path):
    rows, counts = run(tmp_path, {"b.rst": b"*Two*\n", "a/a.md": b"# One\n"})
    evidence = hashlib.sha256(LICENCE).hexdigest()
    assert rows == [
        {
            "id": hashlib.sha256(text.encode()).hexdigest(), "text": text, "source": "pkg:generic/files-one@1",
            "path": path, "licence": "MIT", "evidence": evidence, "attribution": "Somebody", "language": "en",
        }
        for path, text in [("a/a.md", "One\n"), ("b.rst", "Two\n")]
    ]  # fmt: skip
    assert list(rows[0]) == DOCUMENT.names
    assert (tmp_path / "out" / "licences" / f"{evidence}.txt").read_bytes() == LICENCE
    assert counts == {
        "files": 2, "documents": 2, "bytes": 8, "undecodable": 0, "binary": 0, "empty": 0, "oversized": 0,
        "licences": {"LICENSE": evidence}, "unlicensed": {},
    }  # fmt: skip


def test_what_gives_no_document_is_counted(tmp_path):
    rows, counts = run(tmp_path, {"a.txt": b"\xff\xfe", "b.rst": b".. comment\n", "c.txt": b"\xef\xbb\xbfx\r\ny\rz"})
    assert [row["text"] for row in rows] == ["x\ny\nz"]
    assert (counts["files"], counts["documents"], counts["undecodable"], counts["empty"]) == (3, 1, 1, 1)


def test_rows_are_a_document_each(tmp_path):
    lines = [{"path": "tale/2", "text": "Two."}, {"path": "tale/1", "text": "One."}, {"path": "bad", "text": "\ud800"}]
    rows, counts = run(tmp_path, {"tales.jsonl": "\n".join(map(json.dumps, lines)).encode()})
    assert [(row["path"], row["text"]) for row in rows] == [("tale/2", "Two."), ("tale/1", "One.")]
    assert (counts["files"], counts["documents"], counts["undecodable"]) == (1, 2, 1)


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        (b"{", "line 2: expected a JSON object, got '{'"),
        (b"[" * 99999, "line 2: expected a JSON object"),
        (b"[]", "row 2: expected an object with fields, got list"),
        (b'{"path": "x"}', "row 2: no field 'text'; it has 'path'"),
        (b'{"path": "x", "text": 1}', "row 2: expected text in 'text', got int"),
    ],
)
def test_a_broken_row_is_named(tmp_path, line, problem):
    with pytest.raises(UserError, match=re.escape(f"pkg:generic/files-one@1: tales.jsonl, {problem}")):
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
    record = source(tmp_path / "raw", "pypi-p-1", "pypi", include=["docs/**"])
    write_json(tmp_path / "raw" / "sources.json", [record])
    extract(CONFIG, {"raw": tmp_path / "raw"}, tmp_path / "out", world())
    rows = read_rows([tmp_path / "out" / "documents" / "pypi-p-1.parquet"])
    assert [(row["path"], row["text"]) for row in rows] == [("docs/a.txt", "A")]


def test_missing_evidence_stops_the_build(tmp_path):
    with pytest.raises(UserError, match="no licence file 'COPYING' in the source"):
        run(tmp_path, {"a.txt": b"a"}, licence_files=["LICENSE", "COPYING"])


def test_a_source_without_files_stops_the_build(tmp_path):
    with pytest.raises(UserError, match=r"no file matches \['\*\.rst'\]"):
        run(tmp_path, {"a.txt": b"a"}, include=["*.rst"])


def test_an_unknown_suffix_stops_the_build(tmp_path):
    with pytest.raises(UserError, match=r"c\.bin is none of rst, md, txt, jsonl"):
        run(tmp_path, {"c.bin": b"c"})


def test_any_number_of_workers_writes_the_same(tmp_path):
    raw = tmp_path / "raw"
    for slug in ("files-one", "files-two", "files-three"):
        write(raw / slug, {"a.txt": slug.encode()})
    write_json(raw / "sources.json", [source(raw, slug) for slug in ("files-one", "files-two", "files-three")])
    extract(CONFIG, {"raw": raw}, tmp_path / "alone", world())
    extract(CONFIG, {"raw": raw}, tmp_path / "both", world(1, 2))
    assert not (tmp_path / "both" / "counts.json").exists()
    extract(CONFIG, {"raw": raw}, tmp_path / "both", world(0, 2))
    assert inventory(tmp_path / "alone") == inventory(tmp_path / "both")


def test_config_names_the_formats_there_are():
    with pytest.raises(ConfigError, match=r"formats\.rst: expected one of .*'restructuredtext'"):
        build(DocumentsConfig, {"formats": {"rst": "restructured"}})
    with pytest.raises(ConfigError, match="at least one suffix"):
        build(DocumentsConfig, {"formats": {}})
