"""Datasets at a commit: the real clients and the real command, against a hub on this machine's own loopback."""

import hashlib
import io
import json
import re
from pathlib import Path
from urllib.parse import unquote, urlsplit

import loopback
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import warm
from conftest import SMALL, artifact, hydra, refusal

from train.config import build
from train.data.raw import RawConfig
from train.data.schema import read_rows
from train.errors import ConfigError

COMMIT = "0123456789abcdef0123456789abcdef01234567"
CARD = b"""---
license: cc-by-4.0
configs:
- config_name: long
  data_files:
  - split: train
    path: long/*.parquet
  - split: test
    path: test.parquet
- config_name: short
  data_files: short.jsonl
---
# Tales
"""


def parquet(rows: list[dict]) -> bytes:
    file = io.BytesIO()
    pq.write_table(pa.Table.from_pylist(rows), file, row_group_size=100, compression="none")
    return file.getvalue()


def tale(number: int) -> dict:
    licence = ["CC-BY-4.0", "Apache 2", "Undisclosed", None][number % 4]
    return {"body": f"Tale {number}. " + "It was long. " * number, "meta": {"terms": licence, "by": f"A{number}"}}


FILES = {
    "README.md": CARD,
    "long/a.parquet": parquet([tale(number) for number in range(300)]),
    "long/b.parquet": parquet([tale(number) for number in range(300, 305)]),
    "test.parquet": parquet([tale(999)]),
    "short.jsonl": b'{"body": "Short."}\n',
}


class Hub(loopback.Server):
    """A hub with one dataset, `owner/tales`, at one commit. Its Parquet files are large, and lie elsewhere."""

    def __init__(self) -> None:
        super().__init__(Handler)
        self.files, self.listed = dict(FILES), dict(FILES)
        self.faults: list[str] = []  # one for each time a Parquet file is asked for
        self.requests: list[tuple[str, str, str | None]] = []

    def entry(self, path: str) -> dict:
        data = self.listed[path]
        entry = {"type": "file", "path": path, "size": len(data), "oid": git_id(data)}
        if path.endswith(".parquet"):
            entry["lfs"] = {"oid": sha256(data), "size": len(data), "pointerSize": 130}
        return entry


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def git_id(data: bytes) -> str:
    return hashlib.sha1(b"blob %d\0" % len(data) + data).hexdigest()


class Handler(loopback.Handler):
    server: Hub

    def do_HEAD(self) -> None:
        self.do_GET()

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"])).decode()
        self.server.requests.append(("POST", self.path, None))
        try:
            wanted = json.loads(body)["paths"]
        except ValueError:
            wanted = [unquote(part.partition("=")[2]) for part in body.split("&") if part.startswith("paths=")]
        self.json([self.server.entry(path) for path in wanted if path in self.server.listed])

    def do_GET(self) -> None:
        path = unquote(urlsplit(self.path).path)
        self.server.requests.append((self.command, path, self.headers["Range"]))
        if path in ("/api/datasets/owner/tales", f"/api/datasets/owner/tales/revision/{COMMIT}"):
            siblings = [{"rfilename": name} for name in self.server.listed]
            self.json({"id": "owner/tales", "sha": COMMIT, "siblings": siblings, "private": False, "gated": False})
        elif path.startswith(f"/api/datasets/owner/tales/tree/{COMMIT}"):
            self.tree(path.removeprefix(f"/api/datasets/owner/tales/tree/{COMMIT}").strip("/"))
        elif path.startswith(f"/datasets/owner/tales/resolve/{COMMIT}/"):
            name = path.removeprefix(f"/datasets/owner/tales/resolve/{COMMIT}/")
            if name.endswith(".parquet") and name in self.server.files:
                self.json({}, 302, {"Location": f"{self.server.url}/large/{name}", **self.linked(name)})
            else:
                self.file(name)
        elif path.startswith("/large/"):
            self.file(path.removeprefix("/large/"))
        else:
            code = "RevisionNotFound" if "owner/tales" in path else "RepoNotFound"
            self.json({"error": "not found"}, 404, {"X-Error-Code": code})

    def tree(self, folder: str) -> None:
        below = [name for name in self.server.listed if not folder or name.startswith(folder + "/")]
        entries = [self.server.entry(name) for name in below]
        folders = {name.rpartition("/")[0] for name in below} - {"", folder}
        entries += [{"type": "directory", "path": name, "oid": git_id(name.encode()), "size": 0} for name in folders]
        if "recursive=true" not in self.path.lower():
            entries = [e for e in entries if "/" not in e["path"].removeprefix(folder).strip("/")]
        if entries:
            self.json(sorted(entries, key=lambda entry: entry["path"]))
        else:
            self.json({"error": "not found"}, 404, {"X-Error-Code": "EntryNotFound"})

    def linked(self, name: str) -> dict[str, str]:
        entry = self.server.entry(name)
        return {"X-Repo-Commit": COMMIT, "X-Linked-Size": str(entry["size"]), "X-Linked-ETag": f'"{entry["oid"]}"'}

    def file(self, name: str) -> None:
        if name not in self.server.files:
            return self.json({"error": "not found"}, 404, {"X-Error-Code": "EntryNotFound", "X-Repo-Commit": COMMIT})
        data = self.server.files[name]
        counted = self.command == "GET" and name.endswith(".parquet")
        fault = self.server.faults.pop(0) if counted and self.server.faults else ""
        start, _, end = (self.headers["Range"] or "bytes=0-").removeprefix("bytes=").partition("-")
        part = data[int(start) : int(end) + 1 if end else None]
        where = {"Content-Range": f"bytes {start}-{int(start) + len(part) - 1}/{len(data)}", "Accept-Ranges": "bytes"}
        about = {"ETag": f'"{git_id(data)}"', "X-Repo-Commit": COMMIT, "Content-Length": len(part), **where}
        self.answer(part[:70_000] if fault else part, 206 if self.headers["Range"] else 200, about)
        if fault == "stall":
            self.server.over.wait(60)
        return None


@pytest.fixture
def hub():
    with Hub().running() as server:
        yield server


COLUMNS = {
    "text": "body", "path": None, "licence": "meta.terms", "licence_names": {"Apache 2": "Apache-2.0"},
    "attribution": "meta.by",
}  # fmt: skip
SOURCE = {
    "kind": "hub", "purl": f"pkg:huggingface/datasets/owner/tales@{COMMIT}", "licence": "CC-BY-4.0",
    "licence_files": ["README.md"], "attribution": "Owner", "language": "en", "include": ["**"], "exclude": [],
    "config": "long", "split": "train", "columns": COLUMNS, "limit": None, "streaming": False, "files": [],
    "mirrors": [],
}  # fmt: skip


# The two stages alone, of many sources, and with little patience.
FETCH = r"""
import json, sys
from pathlib import Path
from types import SimpleNamespace
from train.config import build
from train.errors import UserError
from train.data import documents, raw
from train.data.sources import download
from train.data.sources.places import obtain
from train.terminal import guarded
from train.world import Inputs, World

def main(arguments):
    download.BACKOFF = 0.01
    world = World(0, 1, SimpleNamespace(cache=Path("cache"), track=lambda items, *_: items), obtain)
    formats = build(documents.DocumentsConfig, {"formats": {"parquet": "parquet", "jsonl": "rows"}})
    problems = []
    for source in arguments:
        try:
            raw.fetch(build(raw.RawConfig, {"sources": [json.loads(source)]}), {}, Path("out"), world)
            documents.extract(formats, Inputs(raw=Path("out")), Path("extracted"), world)
        except UserError as problem:
            problems.append(str(problem))
    if problems:
        raise UserError("\n".join(problems))

guarded(main, sys.argv[1:])
"""


class Home:
    """The command in a folder of its own, with the clients' caches there too; SOURCE, changed, is its only source."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __call__(self, status: int = 0, **changes: object) -> str:
        """`pellucid release` up to the documents."""
        words = [*SMALL, "machine.cache=cache", "until=documents", "+data.documents.formats.parquet=parquet"]
        source = f"data.raw.sources={hydra([SOURCE | changes])}"
        return warm.command("release", *words, source, cwd=self.folder, status=status)

    def fetch(self, *many: dict, status: int = 0, **changes: object) -> str:
        """The stages `raw` and `documents` alone, in one process for each of `many` changes."""
        (self.folder / "fetch.py").write_text(FETCH)
        sources = [json.dumps(SOURCE | each | changes) for each in many or ({},)]
        done = warm.run([str(self.folder / "fetch.py"), *sources], self.folder)
        assert done.returncode == status and "Traceback" not in done.stderr, done.stderr
        return done.stdout + done.stderr

    def read(self, folder: Path | None = None) -> list[dict]:
        return list(read_rows(sorted(((folder or self.folder / "extracted") / "documents").glob("*.parquet"))))


@pytest.fixture
def home(tmp_path, hub, monkeypatch) -> Home:
    """With variables that the clients read in each process of its own."""
    for name, value in {"HF_ENDPOINT": hub.url, "HF_HOME": "hf", "HF_HUB_DOWNLOAD_TIMEOUT": "1"}.items():
        monkeypatch.setenv(name, value)
    return Home(tmp_path)


def test_a_split_arrives_byte_for_byte_and_each_row_has_its_own_licence(home, hub):
    hub.faults = ["break", "break"]
    home()
    raw = artifact(home.folder, "raw") / f"huggingface-datasets-owner-tales-{COMMIT}"
    names = ["README.md", "long/a.parquet", "long/b.parquet"]
    assert {name: (raw / name).read_bytes() for name in names} == {name: FILES[name] for name in names}
    ranges = [r for method, path, r in hub.requests if method == "GET" and path.endswith("large/long/a.parquet") and r]
    assert ranges[-2:] == ["bytes=70000-", "bytes=140000-"]  # what broke off was taken up again
    [record] = json.loads((artifact(home.folder, "raw") / "sources.json").read_text())
    assert {file["path"]: file["sha256"] for file in record["files"]} == {name: sha256(FILES[name]) for name in names}
    rows = home.read(artifact(home.folder, "documents"))
    assert [row["text"] for row in rows] == [tale(number)["body"] for number in range(305)]
    assert [row["licence"] for row in rows[:4]] == ["CC-BY-4.0", "Apache-2.0", "NOASSERTION", "NOASSERTION"]
    assert [row["path"] for row in (rows[0], rows[304])] == ["long/a.parquet#1", "long/b.parquet#5"]
    assert rows[7]["attribution"] == "A7"
    evidence = artifact(home.folder, "documents") / "licences" / f"{rows[1]['evidence']}.txt"
    assert evidence.read_text() == "Apache 2"
    [counts] = json.loads((artifact(home.folder, "documents") / "counts.json").read_text()).values()
    assert counts["unlicensed"] == {"": 76, "Undisclosed": 76}


def test_a_server_that_stalls_is_one_clear_line_and_the_same_command_goes_on(home, hub):
    hub.faults = ["stall"] * 5
    said = home.fetch(status=1)
    assert "long/a.parquet cannot be fetched" in said and "ReadTimeout" in said and said.count("error:") == 1
    assert not list((home.folder / "out").rglob("*.json"))
    hub.requests.clear()
    home.fetch()
    [first] = [r for method, path, r in hub.requests if method == "GET" and path.endswith("large/long/a.parquet")]
    assert first == f"bytes={5 * 65536}-"  # of what arrived before a stall, whole chunks are kept


def test_a_changed_file_is_named_with_what_was_expected_and_found(home, hub):
    hub.files["long/b.parquet"] = FILES["long/b.parquet"][::-1]
    expected, found = (sha256(files["long/b.parquet"]) for files in (FILES, hub.files))
    reason = f"{hub.url}: has changed: expected sha256 {expected}, found {found}"
    assert f"long/b.parquet cannot be fetched ({reason}" in home.fetch(status=1)
    small, other = FILES["short.jsonl"], FILES["short.jsonl"].swapcase()
    hub.files["short.jsonl"] = other
    said = home.fetch(status=1, config="short")
    assert f"expected git object id {git_id(small)}, found {git_id(other)}" in said


def test_pinned_files_need_no_listing_and_have_mirrors(home, hub):
    names = ("README.md", "long/a.parquet")
    pins = [{"path": path, "sha256": sha256(FILES[path]), "bytes": len(FILES[path])} for path in names]
    home.fetch(files=pins)
    assert {method for method, path, _ in hub.requests if path.startswith("/api/datasets")} == set()
    del hub.files["long/a.parquet"]
    (home.folder / "cache").rename(home.folder / "away")
    (home.folder / "copy/long").mkdir(parents=True)
    (home.folder / "copy/long/a.parquet").write_bytes(FILES["long/a.parquet"][::-1])
    said = home.fetch(status=1, files=pins, mirrors=["copy", f"{hub.url}/elsewhere/"])
    assert f"{hub.url}: status 404" in said and "copy/long/a.parquet: has changed" in said
    assert f"{hub.url}/elsewhere/: status 404" in said
    (home.folder / "copy/long/a.parquet").write_bytes(FILES["long/a.parquet"])
    home.fetch(files=pins, mirrors=["copy"])
    assert [row["text"] for row in home.read()] == [tale(number)["body"] for number in range(300)]


def test_streaming_keeps_the_same_rows_and_a_limit_holds_for_both(home):
    home.fetch(limit=302)
    whole = home.read()
    home.fetch(limit=302, streaming=True)
    rows = home.read()
    assert [row["text"] for row in rows] == [tale(number)["body"] for number in range(302)]
    assert [row | {"path": ""} for row in rows] == [row | {"path": ""} for row in whole]


UNFIT = [
    ({"purl": "pkg:huggingface/datasets/owner/tales"}, "names no commit, so nothing is pinned. The history of"),
    ({"config": "other"}, "BuilderConfig 'other' not found. Available: ['long', 'short']"),
    ({"split": "validation"}, "no split 'validation'; it has test, train"),
    ({"include": ["*.csv"]}, "no file of 'train' matches ['*.csv']"),
    ({"licence_files": ["LICENSE"]}, "LICENSE is not in the dataset at its commit"),
    ({"columns": COLUMNS | {"text": "story"}}, "a.parquet: no column ['story']; it has ['body', 'meta', "),
]


def test_what_does_not_fit_the_dataset_is_one_clear_line(home):
    said = home.fetch(*(changes for changes, _ in UNFIT), status=1).splitlines()
    assert len(said) == len(UNFIT) and all(line.startswith("error: ") for line in said)
    for line, (_, problem) in zip(said, UNFIT, strict=True):
        assert problem in line


def test_a_vanished_source_is_named_with_what_the_data_card_says(home, hub):
    del hub.files["long/b.parquet"]
    said = home(status=1)
    assert "long/b.parquet has vanished" in said
    assert "data_cards/stories.md says of availability: The text is made by this repository" in said
    other = f"pkg:huggingface/datasets/owner/other@{COMMIT}"
    assert re.search(f"{other}: .*doesn't exist.*\n.*says of availability", home(status=1, purl=other))


@pytest.mark.parametrize(("changes", "problem"), [
    ({"purl": "pkg:huggingface/datasets/owner/tales@main"}, "full commit of 40 hexadecimal digits after @, got 'main'"),
    ({"purl": f"pkg:huggingface/datasets/owner/tales@{COMMIT[:7]}"}, "full commit of 40 hexadecimal digits"),
    ({"purl": f"pkg:huggingface/owner/tales@{COMMIT}"}, "expected 'pkg:huggingface/datasets/<owner>/<name>@<commit>'"),
    ({"limit": 0}, "limit: expected null or at least 1"), ({"mirrors": ["copy"]}, "mirrors: need `files`"),
    ({"streaming": True, "files": [{"path": "a", "sha256": "0" * 64, "bytes": 1}]}, "streaming: "),
    ({"files": [{"path": "../a", "sha256": "0" * 64, "bytes": 1}]}, "leads out of its folder"),
    ({"columns": COLUMNS | {"licence_names": {"Apache": "Apache 2"}}}, "expected an SPDX expression, got 'Apache 2'"),
    ({"columns": COLUMNS | {"licence": None}}, "licence_names: of no use"),
    ({"columns": COLUMNS | {"licence": None, "licence_names": {}}, "licence": "NOASSERTION"}, "columns.licence"),
])  # fmt: skip
def test_config_says_what_is_wrong_with_a_dataset(changes, problem):
    build(RawConfig, {"sources": [SOURCE]})
    said = refusal(build, RawConfig, {"sources": [SOURCE | changes]}, error=ConfigError)
    assert problem in said
