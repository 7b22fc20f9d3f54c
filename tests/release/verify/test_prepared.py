"""Sources prepared again give what a release holds; whatever was left out, let in or told otherwise has its name."""

import io
import json
import tarfile
from dataclasses import asdict, fields
from pathlib import Path

import pytest
from conftest import edit, failure, source

from train.artifact import Manifest, copy_file, digest, file_digest, inventory, write_json
from train.compose import compose
from train.data import schema
from train.data.generated.stories import stories
from train.data.sources.pinned import FileSpec
from train.errors import UserError
from train.layout import placed
from train.release.resolved import Resolved
from train.release.verify import prepared
from train.release.verify.prepared import obtainer
from train.release.verify.result import NotChecked
from train.release.verify.run import verify
from train.release.view import Release


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
    row = {**next(schema.read_rows([path])), "id": "0" * 64, "text": "Buy this."}
    change(path, schema.SELECTED, lambda rows: [row, *rows])
    return f"document {row['id']} ({row['path']} of {row['source']}) is recorded and was not made"


def another_text(release: Path) -> str:
    (path, *_) = parts(release, "documents")
    change(path, schema.SELECTED, lambda rows: [{**rows[0], "text": "Changed."}, *rows[1:]])
    return "row 0: text: Changed. is recorded"


def another_reason(release: Path) -> str:
    path = next(path for path in parts(release, "ledger") if list(schema.read_rows([path])))
    change(path, schema.LEDGER, lambda rows: [{**rows[0], "reason": "personal_data"}, *rows[1:]])
    return "dropped personal_data document "


def another_source(release: Path) -> str:
    edit(release / "data/sources.json", 0, "attribution", to="Somebody")
    return "[0].attribution: Somebody is recorded"


def fewer_items(release: Path) -> str:
    path = release / "evaluation/data/pairs.parquet"
    change(path, schema.ITEM, lambda rows: rows[1:])
    return "pairs.parquet: "


FORGED = (left_out, let_in, another_text, another_reason, another_source, fewer_items)


def test_sources_of_an_honest_release_give_it_again(release, home):
    (result,) = verify(release, "sources", {"prepared"}, folder=home)
    assert (result.status, result.detail) == ("holds", "")


@pytest.mark.parametrize("forge", FORGED)
def test_a_forgery_is_named_by_the_first_document_that_differs(copy, home, reseal, forge):
    expected = forge(copy)
    reseal(copy)
    assert expected in failure(copy, "prepared", "sources", folder=home)


@pytest.mark.parametrize(("path", "given", "words"), [
    ("texts", False, "give the folder that holds them by --from"),
    ("../texts", True, "the sources cannot be had here: pkg:generic/texts: generic-texts is"),
    ("texts", True, "the sources cannot be had here: pkg:generic/texts: generic-texts is not"),
])  # fmt: skip
def test_a_source_that_cannot_be_had_is_not_checked(copy, reseal, tmp_path, path, given, words):
    other = source(purl="pkg:generic/texts", path=path, sha256="0" * 64, licence="Apache-2.0")
    edit(copy / "code/config.json", "data", "raw", "sources", to=[other])
    reseal(copy)
    (result,) = verify(copy, "sources", {"prepared"}, folder=tmp_path if given else None)
    assert result.status == "not checked" and words in result.detail


TEXTS = {f"{number}.txt": text for number, (_, text) in enumerate(stories(3, 12))} | {"LICENSE": "MIT License"}


def files(folder: Path) -> dict:
    for name, text in TEXTS.items():
        (folder / name).write_text(text)
    pinned = digest({name: file_digest(folder / name) for name in TEXTS})
    return {"kind": "files", "purl": "pkg:generic/demo@1.0", "columns": None, "path": "no such", "sha256": pinned}


def one_file(folder: Path) -> dict:
    rows = [json.dumps({"text": text, "path": name}) for name, text in TEXTS.items()]
    (folder / "rows.jsonl").write_text("\n".join(rows))
    (folder / "LICENSE").write_text(TEXTS["LICENSE"])
    pinned = digest({name: file_digest(folder / name) for name in ("rows.jsonl", "LICENSE")})
    told = {"kind": "files", "purl": "pkg:generic/demo@1.0", "columns": None}
    return told | {"path": "rows.jsonl", "sha256": pinned}


def pypi(folder: Path) -> dict:
    with tarfile.open(folder / "under another name", "w:gz") as packed:
        for name, text in TEXTS.items():
            member = tarfile.TarInfo(f"demo-1.0/{name}")
            member.size = len(text.encode())
            packed.addfile(member, io.BytesIO(text.encode()))
    path = folder / "under another name"
    pinned = {"sha256": file_digest(path), "bytes": path.stat().st_size, "mirrors": []}
    return {"kind": "pypi", "purl": "pkg:pypi/demo@1.0", "filename": "demo-1.0.tar.gz", **pinned}


def hub(folder: Path) -> dict:
    for name, text in TEXTS.items():
        (folder / f"my {name}").write_text(json.dumps({"text": text}) if name != "LICENSE" else text)
    listed = [{"path": name if name == "LICENSE" else f"{name}.jsonl", "sha256": file_digest(folder / f"my {name}"),
               "bytes": (folder / f"my {name}").stat().st_size} for name in TEXTS]  # fmt: skip
    columns = {"text": "text", "path": None, "licence": None, "licence_names": {}, "attribution": None}
    more = {"config": None, "split": "train", "columns": columns, "limit": None, "streaming": False}
    return {"kind": "hub", "purl": f"pkg:huggingface/datasets/a/demo@{'0' * 40}", "files": listed, **more}


@pytest.fixture(params=[files, one_file, pypi, hub])
def made(request, tmp_path) -> tuple[Path, Path]:
    """What a release holds of its data, made from a source of some kind, and the folder with the source's files."""
    folder, release, scratch = (tmp_path / name for name in ("mine", "release", "made"))
    folder.mkdir()
    config = compose(["recipe=tiny", "data.selected.few_words=null", "data.selected.held_out=0.1"])
    common = {"licence": "MIT", "licence_files": ["LICENSE"], "attribution": "A", "language": "en", "mirrors": []}
    globs = {"include": ["**/*.txt", "*.jsonl"], "exclude": []}
    config["data"]["raw"]["sources"] = [{**common, **globs, **request.param(folder)}]
    config["data"]["documents"]["formats"] = {"txt": "plain", "jsonl": "rows"}
    config["data"]["selected"] |= {"licences": ["MIT"], "excluded": {}}
    write_json(release / "code/config.json", {each.name: config[each.name] for each in fields(Resolved)})
    made = prepared.remake(Release(release, scratch, folder=folder))
    for name, path in made:
        write_json(release / f"provenance/{name}.json", asdict(Manifest(name, "", None, {}, {}, inventory(path))))
        for product in inventory(path):
            if place := placed(name, product):
                copy_file(path / product, release / place)
    return release, folder


def test_each_kind_of_source_gives_its_documents_again_or_the_first_that_differs(made, tmp_path):
    release, folder = made
    assert len(list(schema.read_rows(parts(release, "documents")))) > 3
    assert list(prepared.prepared(Release(release, tmp_path / "again", folder=folder))) == []
    expected = let_in(release)
    (first, *_) = prepared.prepared(Release(release, tmp_path / "forged", folder=folder))
    assert first.startswith("selected: ") and expected in first


def test_a_source_of_which_a_file_is_gone_or_another_is_not_checked(made, tmp_path, monkeypatch):
    release, folder = made
    monkeypatch.setattr(prepared, "obtain", lambda source, *_: (_ for _ in ()).throw(UserError("no network")))
    victim = next(path for path in sorted(folder.iterdir()) if path.name != "LICENSE")
    for change in (lambda: victim.write_bytes(b"another"), victim.unlink):
        change()
        with pytest.raises(NotChecked, match="the sources cannot be had here"):
            list(prepared.prepared(Release(release, tmp_path / change.__name__, folder=folder)))


def test_a_file_is_found_by_its_digest_whatever_it_is_called(tmp_path):
    (tmp_path / "deep").mkdir()
    (tmp_path / "deep/any name").write_bytes(b"bytes")
    (tmp_path / "other").write_bytes(b"other")
    wanted = FileSpec("pkg:generic/a", "a.tar.gz", file_digest(tmp_path / "deep/any name"), 5)
    assert obtainer(tmp_path)(None, wanted, tmp_path / "cache") == (tmp_path / "deep/any name", "folder")
