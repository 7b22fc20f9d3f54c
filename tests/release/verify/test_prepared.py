"""Sources prepared again give what a release holds; whatever was left out, let in or told otherwise has its name."""

from pathlib import Path

import pytest

from train.artifact import file_digest, read_json, write_json
from train.data import schema
from train.data.sources.pinned import Wanted
from train.release.verify.prepared import obtainer
from train.release.verify.run import verify


def parts(release: Path, table: str) -> list[Path]:
    return sorted((release / "data" / table).glob("*.parquet"))


def change(path: Path, columns, altered) -> None:
    schema.write_rows(path, altered(list(schema.read_rows([path]))), columns)


def left_out(release: Path) -> str:
    (path, *_) = parts(release, "documents")
    row = next(schema.read_rows([path]))
    change(path, schema.SELECTED, lambda rows: rows[1:])
    return f"document {row['id']} ({row['path']} of {row['source']}) was made and is not recorded"


def let_in(release: Path) -> str:
    (path, *_) = parts(release, "documents")
    row = next(schema.read_rows([path]))
    change(path, schema.SELECTED, lambda rows: [{**row, "id": "0" * 64, "text": "Buy this."}, *rows])
    return f"document {'0' * 64} ({row['path']} of {row['source']}) is recorded and was not made"


def another_text(release: Path) -> str:
    (path, *_) = parts(release, "documents")
    change(path, schema.SELECTED, lambda rows: [{**rows[0], "text": "Changed."}, *rows[1:]])
    return "row 0: text: Changed. is recorded"


def another_reason(release: Path) -> str:
    path = next(path for path in parts(release, "ledger") if list(schema.read_rows([path])))
    change(path, schema.LEDGER, lambda rows: [{**rows[0], "reason": "personal_data"}, *rows[1:]])
    return "dropped personal_data document "


def another_source(release: Path) -> str:
    told = read_json(release / "data/sources.json")
    write_json(release / "data/sources.json", [{**told[0], "attribution": "Somebody"}, *told[1:]])
    return "[0].attribution: Somebody is recorded"


def fewer_items(release: Path) -> str:
    (path,) = (release / "evaluation/data").glob("*.parquet")
    change(path, schema.ITEM, lambda rows: rows[1:])
    return "pairs.parquet: "


FORGED = (left_out, let_in, another_text, another_reason, another_source, fewer_items)


def test_sources_of_an_honest_release_give_it_again(release):
    (result,) = verify(release, "sources", {"prepared"})
    assert (result.status, result.detail) == ("holds", "")


@pytest.mark.parametrize("forge", FORGED)
def test_a_forgery_is_named_by_the_first_document_that_differs(copy, reseal, forge):
    expected = forge(copy)
    reseal(copy)
    (result,) = verify(copy, "sources", {"prepared"})
    assert result.status == "fails" and expected in result.detail, result.detail


@pytest.mark.parametrize(
    ("source", "words"),
    [
        ({"path": "texts"}, "give the folder that holds them by --from"),
        ({"path": "../texts", "folder": True}, "lie outside of the folder that is given"),
        ({"path": "texts", "folder": True}, "the sources cannot be had here: pkg:generic/texts: texts is not there"),
    ],
)
def test_a_source_that_cannot_be_had_is_not_checked(copy, reseal, tmp_path, source, words):
    config = read_json(copy / "code/config.json")
    stories = config["data"]["raw"]["sources"][0]
    kept = {key: stories[key] for key in ("licence", "licence_files", "attribution", "language", "include", "exclude")}
    told = {"kind": "files", "purl": "pkg:generic/texts", "sha256": "0" * 64, "columns": None, "mirrors": []}
    config["data"]["raw"]["sources"] = [{**kept, **told, "path": source["path"]}]
    write_json(copy / "code/config.json", config)
    reseal(copy)
    (result,) = verify(copy, "sources", {"prepared"}, folder=tmp_path if source.get("folder") else None)
    assert result.status == "not checked" and words in result.detail


def test_a_file_is_found_by_its_digest_whatever_it_is_called(tmp_path):
    (tmp_path / "deep").mkdir()
    (tmp_path / "deep/any name").write_bytes(b"bytes")
    (tmp_path / "other").write_bytes(b"other")
    wanted = Wanted("pkg:generic/a", "a.tar.gz", file_digest(tmp_path / "deep/any name"), 5)
    assert obtainer(tmp_path)(None, wanted, tmp_path / "cache") == (tmp_path / "deep/any name", "folder")
