"""Sources arrive byte for byte or not at all: against a package index on this machine's own loopback."""

import contextlib
import hashlib
import json
import os
import shutil
from dataclasses import replace
from pathlib import Path

import loopback
import pytest
from conftest import MACHINE, WORLD, refusal, source

from train.artifact import digest, inventory
from train.config import build
from train.data import raw as raw_module
from train.data import summaries
from train.data.raw import RawConfig, check_files, fetch
from train.data.sources import download, pypi
from train.data.sources.pinned import FileSpec
from train.data.sources.pinned import VanishedError as Gone
from train.data.sources.places import obtain
from train.data.sources.spec import FilesSource, PypiSource, StoriesSource
from train.errors import ConfigError, UserError
from train.world import World

DATA = bytes(range(256)) * 1000
SHA256 = hashlib.sha256(DATA).hexdigest()
COMMON = {
    "licence": "MIT", "licence_files": ("LICENSE",), "attribution": "Somebody", "language": "en",
    "include": ("**",), "exclude": (),
}  # fmt: skip


class Index(loopback.Server):
    """A package index that holds `demo` 1.0, and misbehaves as told."""

    def __init__(self) -> None:
        super().__init__(Handler)
        self.url += "/simple/"
        self.data, self.options = DATA, {"index-url": self.url}
        self.faults: list[str] = []  # one for each request of the file, the last one for all others
        self.requests: list[tuple[str, str | None, str | None]] = []


class Handler(loopback.Handler):
    server: Index

    def do_GET(self) -> None:
        self.server.requests.append((self.path, self.headers["Range"], self.headers["Authorization"]))
        if self.path == "/simple/demo/":
            page = b'<a href="/files/demo-1.0.tar.gz">demo-1.0.tar.gz</a>'
            return self.answer(page, headers={"Content-Type": "text/html"})
        if self.path != "/files/demo-1.0.tar.gz":
            return self.answer(status=404)
        faults = self.server.faults
        fault = faults.pop(0) if len(faults) > 1 else faults[0] if faults else ""
        data = self.server.data
        if fault in ("vanished", "busy"):
            return self.answer(status=404 if fault == "vanished" else 503)
        start = 0
        if (wanted := self.headers["Range"]) and fault != "no ranges":
            start = int(wanted.removeprefix("bytes=").removesuffix("-"))
            if start >= len(data):
                return self.answer(status=416)
        self.send_response(206 if start else 200)
        self.send_header("Content-Length", str(len(data) - start))
        self.end_headers()
        with contextlib.suppress(OSError):  # who waits no longer is gone
            if fault == "stall":
                self.wfile.write(data[start : start + 1000])
                start += 1000 * (not self.server.over.wait(60))
            self.wfile.write(data[start : start + 100_000] if fault == "truncate" else data[start:])


@pytest.fixture
def index(monkeypatch):
    """The index, with pip set up to use it."""
    monkeypatch.setattr(download, "BACKOFF", 0.001)
    with Index().running() as server:
        monkeypatch.setattr(pypi, "pip_options", lambda: server.options)
        yield server


def pypi_source(**changes) -> PypiSource:
    pinned = {"filename": "demo-1.0.tar.gz", "sha256": SHA256, "bytes": len(DATA), "mirrors": ()}
    return PypiSource(**{"kind": "pypi", "purl": "pkg:pypi/demo@1.0", **COMMON, **pinned, **changes})


def run(tmp_path: Path, *sources: PypiSource | FilesSource | StoriesSource, out: str = "out") -> Path:
    machine = replace(MACHINE, cache=tmp_path / "cache")
    fetch(RawConfig(sources), {}, tmp_path / out, World(0, 1, machine, obtain))
    return tmp_path / out


def cached(tmp_path: Path) -> list[str]:
    return sorted(path.name for path in (tmp_path / "cache").iterdir())


def test_a_distribution_arrives_byte_for_byte_with_its_record_and_a_second_run_needs_no_network(tmp_path, index):
    out = run(tmp_path, pypi_source())
    assert (out / "pypi-demo-1.0" / "demo-1.0.tar.gz").read_bytes() == DATA
    [record] = json.loads((out / "sources.json").read_text())
    assert record["files"] == [{"path": "demo-1.0.tar.gz", "sha256": SHA256, "bytes": len(DATA)}]
    assert (record["slug"], record["purl"], record["licence"]) == ("pypi-demo-1.0", "pkg:pypi/demo@1.0", "MIT")
    [witness] = json.loads((out / "witness" / "retrieved.json").read_text()).values()
    assert witness["from"] == "index" and cached(tmp_path) == [SHA256]
    before = len(index.requests)
    assert inventory(run(tmp_path, pypi_source(), out="again")) == inventory(out) and len(index.requests) == before
    (tmp_path / "cache" / SHA256).write_bytes(DATA[:-1] + b"x")  # which is mended
    assert inventory(run(tmp_path, pypi_source(), out="mended")) == inventory(out) and len(index.requests) > before


def test_a_connection_that_is_cut_often_is_taken_up_as_long_as_it_brings_something(tmp_path, index, monkeypatch):
    monkeypatch.setattr(download, "ATTEMPTS", 1)
    index.faults = ["truncate"]
    refusal(run, tmp_path, pypi_source(), match="go on from what there is")
    mirror = index.url.replace("simple/", "files/demo-1.0.tar.gz")
    index.faults = ["truncate", "truncate", ""]
    run(tmp_path, pypi_source(mirrors=(mirror,)))  # which goes on where the index broke off
    assert ranges(index) == [None, "bytes=100000-", "bytes=200000-"]
    (tmp_path / "cache" / SHA256).unlink()
    index.requests, index.faults = [], ["truncate"]
    monkeypatch.setattr(download, "PROGRESS", 50_000)
    run(tmp_path, pypi_source())
    assert ranges(index) == [None, "bytes=100000-", "bytes=200000-"]


def ranges(index: Index) -> list[str | None]:
    """What was asked for of the file, one request after the other."""
    return [wanted for path, wanted, _ in index.requests if "files" in path]


@pytest.mark.parametrize(("faults", "begun", "asked"), [
    (["truncate", "truncate", ""], None, [None, "bytes=100000-", "bytes=200000-"]),
    ([""], DATA[:5000], ["bytes=5000-"]),  # of an interrupted run
    ([""], b"wrong", ["bytes=5-", None]),  # of another place: not held against this one
    (["truncate", "no ranges"], None, [None, "bytes=100000-"]),
    (["busy", "busy", ""], None, [None, None, None]),
])  # fmt: skip
def test_a_download_goes_on_where_it_stopped_and_a_busy_server_is_asked_again(tmp_path, index, faults, begun, asked):
    index.faults = faults
    (tmp_path / "cache").mkdir()
    if begun:
        (tmp_path / "cache" / f"{SHA256}.part").write_bytes(begun)
    run(tmp_path, pypi_source())
    assert ranges(index) == asked and cached(tmp_path) == [SHA256]


@pytest.mark.parametrize(("data", "says"), [
    (DATA[::-1], f"expected sha256 {SHA256}, found {hashlib.sha256(DATA[::-1]).hexdigest()}"),
    (DATA * 20, f"larger than the {len(DATA)} bytes"),
    (DATA[:1000], f"ends after 1000 of {len(DATA)} bytes; check `bytes`"),
])  # fmt: skip
def test_other_bytes_are_named_and_deleted(tmp_path, index, data, says):
    index.data = data
    refusal(run, tmp_path, pypi_source(), match=says)
    assert cached(tmp_path) == [f"{SHA256}.part"] * (len(data) < len(DATA)) and not (tmp_path / "out").exists()


OTHER = {"purl": "pkg:pypi/other@1.0", "filename": "other-1.0.zip"}


@pytest.mark.parametrize(("fault", "options", "changes", "says"), [
    ("vanished", {}, {}, r"pkg:pypi/demo@1\.0: .*has vanished .* into the cache"),
    ("", {}, {"filename": "demo-1.0.zip"}, r"no longer lists demo-1\.0\.zip"),
    ("", {}, OTHER, r"pkg:pypi/other@1\.0: .*the package index has no project 'other'"),
    ("", {"index-url": "file:///nowhere"}, {}, r"\(there is no place to ask\); .* into the cache folder"),
    ("", {"index-url": "http://someone:secret@127.0.0.1:9/simple/"}, {},
     r"demo@1\.0: .*cannot be fetched .*check the network"),
    ("stall", {"timeout": "0.1"}, {}, r"demo-1\.0\.tar\.gz cannot be fetched .* go on from what there is"),
])  # fmt: skip
def test_what_cannot_be_had_is_one_clear_line(tmp_path, index, monkeypatch, fault, options, changes, says):
    monkeypatch.setattr(download, "ATTEMPTS", 2)
    index.faults = [fault]
    index.options |= options
    assert "secret" not in refusal(run, tmp_path, pypi_source(**changes), match=says)
    assert cached(tmp_path) == [f"{SHA256}.part"] * bool(fault)


def test_a_mirror_takes_the_place_of_a_vanished_file_and_the_digest_decides(tmp_path, index):
    index.faults = ["vanished"]
    (tmp_path / "wrong").write_bytes(DATA[::-1])
    (tmp_path / "right").write_bytes(DATA)
    wrong, right = (os.path.relpath(tmp_path / name) for name in ("wrong", "right"))
    out = run(tmp_path, pypi_source(mirrors=(wrong, index.url + "nowhere.tar.gz", right)))
    assert (out / "pypi-demo-1.0" / "demo-1.0.tar.gz").read_bytes() == DATA
    assert json.loads((out / "witness" / "retrieved.json").read_text())["pypi-demo-1.0"]["from"] == "mirror"
    assert right not in (out / "sources.json").read_text()  # where it came from is true of one machine only


def test_a_full_cache_is_told_and_is_no_fault_of_the_place_that_is_read(tmp_path):
    wanted = FileSpec("pkg:generic/a@1", "a", SHA256, len(DATA))
    (tmp_path / "a").write_bytes(DATA)
    part = tmp_path / f"{SHA256}.part"
    part.symlink_to("/dev/full")
    with pytest.raises(OSError, match="No space left") as caught:
        download.obtain(wanted, [download.from_path(tmp_path / "a", wanted)], tmp_path)
    assert caught.value.filename == str(part)


def test_every_place_that_was_tried_is_named_with_what_was_the_matter(tmp_path, index):
    index.faults = ["vanished"]
    (tmp_path / "wrong").write_bytes(DATA[::-1])
    wrong, gone = (os.path.relpath(tmp_path / name) for name in ("wrong", "gone"))
    with pytest.raises(UserError) as caught:
        run(tmp_path, pypi_source(mirrors=(wrong, gone)))
    said = f"{index.url}: status 404", f"{gone}: no such file", f"{wrong}: has changed: expected sha256 {SHA256}, found"
    assert all(each in str(caught.value) for each in said) and not isinstance(caught.value, Gone)
    refusal(run, tmp_path, pypi_source(mirrors=(gone,)), match="has vanished", error=Gone)


def test_pips_settings_are_read(tmp_path, monkeypatch):
    for name in [name for name in os.environ if name.startswith("PIP_")]:
        monkeypatch.delenv(name)
    text = "[global]\nindex-url = http://one/\ntimeout = 7\n[download]\nindex-url = http://two/\n[install]\nproxy = http://no"
    (tmp_path / "pip.conf").write_text(text)
    monkeypatch.setenv("PIP_CONFIG_FILE", str(tmp_path / "pip.conf"))
    monkeypatch.setenv("PIP_CERT", "/a/file.pem")
    read = pypi.pip_options.__wrapped__()
    assert read == {**read, "index-url": "http://two/", "timeout": "7", "cert": "/a/file.pem"} and "proxy" not in read
    monkeypatch.setenv("PIP_INDEX_URL", "http://three/")
    assert pypi.pip_options.__wrapped__()["index-url"] == "http://three/"


def test_credentials_reach_the_index_and_no_record_and_an_extra_index_is_asked_too(tmp_path, index):
    index.options["index-url"] = index.url.replace("simple", "empty")
    index.options["extra-index-url"] = f"file:///nowhere {index.url.replace('//', '//someone:secret@')}"
    out = run(tmp_path, pypi_source())
    assert len(index.requests) == 3 and all(authorization for _, _, authorization in index.requests[1:])
    assert not any(b"secret" in path.read_bytes() for path in out.rglob("*") if path.is_file())


def test_a_cache_that_cannot_be_used(tmp_path, index):
    (tmp_path / "cache").write_text("a file")
    refusal(run, tmp_path, pypi_source(), match=r"cannot be used as the cache folder .*machine\.cache")


PLAIN = {**COMMON, "columns": None, "mirrors": ()}


def files(path: Path, sha256: str | None = "0" * 64, **changes) -> FilesSource:
    relative = path if path.parts[0] == "~" else Path(os.path.relpath(path))
    return FilesSource(kind="files", purl="pkg:generic/mine@1", path=relative, sha256=sha256, **{**PLAIN, **changes})


def kept(tmp_path: Path, source: FilesSource) -> None:
    """Hold `raw`, as it was made, against what is there now."""
    machine = replace(MACHINE, runs=tmp_path, cache=tmp_path / "cache")
    check_files(RawConfig((source,)), World(0, 1, machine, obtain))


def lay(folder: Path, **texts: str) -> str:
    """Write texts, each `name` as name.txt, and a licence; the digest over them."""
    folder.mkdir(parents=True, exist_ok=True)
    written = {"LICENSE": "L"} | {f"{name}.txt": text for name, text in texts.items()}
    for name, text in written.items():
        (folder / name).write_text(text)
    return digest({name: hashlib.sha256(text.encode()).hexdigest() for name, text in written.items()})


def test_files_at_an_absolute_path_are_refused_because_configs_are_released(tmp_path):
    absolute = {"kind": "files", "purl": "pkg:generic/mine@1", "path": tmp_path, "sha256": "0" * 64, **PLAIN}
    refusal(FilesSource, **absolute, match="path: expected one relative to the folder you work in", error=ValueError)


def test_files_are_pinned_by_one_digest_that_the_error_tells_and_one_file_is_a_source_too(tmp_path):
    folder, pinned = tmp_path / "mine", lay(tmp_path / "mine", a="A")
    (folder / "b.bin").write_text("B")
    refusal(run, tmp_path, files(folder, include=("**/*.txt",)), match=f"found {pinned} over 2 files")
    for place in (folder, folder / "a.txt"):
        out = run(tmp_path, files(place, pinned, include=("**/*.txt",)), out=f"of-{place.name}")
        assert sorted(inventory(out)) == ["generic-mine-1/LICENSE", "generic-mine-1/a.txt", "sources.json"]
        assert not any(str(tmp_path).encode() in path.read_bytes() for path in out.rglob("*") if path.is_file())


def test_files_that_change_while_they_are_copied_are_refused(tmp_path, monkeypatch):
    sha256 = lay(tmp_path, a="A")
    monkeypatch.setattr(raw_module.shutil, "copyfile", lambda _, target: Path(target).write_text("B"))
    said = "mine@1: its files changed while they were copied; run the same command"
    refusal(run, tmp_path, files(tmp_path / "a.txt", sha256), match=said)


def test_missing_files_are_named(tmp_path):
    refusal(run, tmp_path, files(tmp_path / "nowhere" / "x"), match="nowhere/x is not there")
    (tmp_path / "a.txt").write_text("A")
    refusal(run, tmp_path, files(tmp_path / "a.txt"), match="LICENSE cannot be read")


def test_files_have_mirrors_too(tmp_path):
    _, expected = (lay(tmp_path / folder, a=text) for folder, text in (("changed", "B"), ("same", "A")))
    gone, changed, same = (os.path.relpath(tmp_path / name) for name in ("gone", "changed", "same"))
    out = run(tmp_path, files(tmp_path / "gone", expected, mirrors=(changed, same)))
    assert (out / "generic-mine-1" / "a.txt").read_text() == "A"
    said = refusal(run, tmp_path, files(tmp_path / "gone", expected, mirrors=(changed,)), out="again")
    assert f"{gone} is not there" in said and f"{changed}: expected sha256" in said
    refusal(run, tmp_path, files(tmp_path / "gone", expected), out="again", error=Gone)


def test_what_is_new_changed_and_gone_since_the_pin_is_named(tmp_path):
    pinned = lay(tmp_path / "in", a="a", b="b", c="c")
    source = files(tmp_path / "in", pinned, include=("*.txt",))
    run(tmp_path, source, out="raw-12345678")
    (tmp_path / "in" / "a.txt").write_text("A")
    (tmp_path / "in" / "b.txt").rename(tmp_path / "in" / "d.txt")
    says = r"since it was pinned 1 new \(d.txt\), 1 gone \(b.txt\), 1 changed \(a.txt\)"
    refusal(kept, tmp_path, source, match=says)


EDITS = {
    "a text edited": lambda folder: (folder / "a.txt").write_text("B"),
    "a text renamed": lambda folder: (folder / "a.txt").rename(folder / "b.txt"),
    "a text more": lambda folder: (folder / "b.txt").write_text("B"),
    "a text less": lambda folder: (folder / "c.txt").unlink(),
    "the licence edited": lambda folder: (folder / "LICENSE").write_text("M"),
    "the licence gone": lambda folder: (folder / "LICENSE").unlink(),
    "a link in its place": lambda folder: (folder / "a.txt").symlink_to((folder / "a.txt").rename(folder / "x")),
    "the folder gone": shutil.rmtree,
}


@pytest.mark.parametrize("edit", EDITS)
def test_what_changed_since_raw_was_made_is_told_as_if_it_were_made_now(edit, tmp_path):
    folder = tmp_path / "mine"
    source = files(folder, lay(folder, a="A", c="C"))
    run(tmp_path, source)
    kept(tmp_path, source)
    EDITS[edit](folder)
    error = Gone if edit == "the folder gone" else UserError
    said = refusal(kept, tmp_path, source, error=error)
    assert said == refusal(run, tmp_path, source, out="again", error=error) and "\n" not in said


def test_what_is_passed_over_is_told_with_the_digest_and_when_it_is_made(tmp_path):
    folder, pinned = tmp_path / "mine", lay(tmp_path / "mine", a="a.txt")
    (folder / "b.html").write_text("b")
    (folder / "more").symlink_to("..")
    told = "no `include` matches 1 (1 .html); links are not followed: 1 (more -> ..)"
    said = refusal(run, tmp_path, files(folder, None, include=("*.txt",)))
    assert f"found {pinned}" in said and said.endswith(f"set sha256 to the latter; passed over: {told}")
    refusal(run, tmp_path, files(folder, include=("*.txt",)), match="and raise the version in purl; passed over")
    source = files(folder, pinned, include=("*.txt",))
    out = run(tmp_path, source)
    line = summaries.raw(out, {}, RawConfig((source,)), WORLD)
    assert line == f"2 files, 6 bytes; passed over: {told}" and "more" not in (out / "sources.json").read_text()


def test_nothing_to_pin_is_no_digest_to_pin(tmp_path):
    lay(tmp_path)
    (tmp_path / "a.html").write_text("A")
    says = r"no file matches \['\*\.txt'\]; passed over: no `include` matches 1 \(1 \.html\)"
    refusal(run, tmp_path, files(tmp_path, None, include=("*.txt",)), match=says)
    refusal(run, tmp_path, files(Path("~/texts"), None), match="~ means no home here", error=Gone)


def test_stories_are_the_same_each_time_and_bring_the_repositorys_licence(tmp_path):
    source = StoriesSource(kind="stories", purl="pkg:generic/stories@1", seed=5, count=3, **COMMON)
    first, second = run(tmp_path, source), run(tmp_path, source, out="again")
    assert inventory(first) == inventory(second)
    lines = (first / "generic-stories-1" / "stories.jsonl").read_text().splitlines()
    assert [sorted(json.loads(line)) for line in lines] == [["path", "text"]] * 3
    assert (first / "generic-stories-1" / "LICENSE").read_bytes() == Path("LICENSE").read_bytes()


@pytest.mark.parametrize(("changes", "problem"), [
    ({"purl": "pkg:pypi/Demo@1.0"}, "expected the canonical 'pkg:pypi/demo@1.0'"), ({"purl": "demo"}, "purl:"),
    ({"purl": "pkg:pypi/demo@2.0"}, "expected 'pkg:pypi/demo@1.0' for demo-1.0.tar.gz"),
    ({"filename": "../demo-1.0.tar.gz"}, "demo-1.0.tar.gz"), ({"filename": "demo-1.0.exe"}, "demo-1.0.exe"),
    ({"sha256": "abc"}, "64 lower-case hexadecimal digits"), ({"bytes": 0}, "at least 1"),
    ({"licence": "My Licence"}, "licence: expected an SPDX expression"),
    ({"licence": "mit or APACHE-2.0"}, "expected the spelling 'MIT OR Apache-2.0'"),
    ({"licence_files": []}, "licence_files"), ({"include": []}, "include"),
    ({"licence": "Apache 2"}, "licence: expected an SPDX expression, got 'Apache 2'"),
    ({"licence": "NOASSERTION"}, "for sources whose rows tell theirs"),
    ({"mirrors": ["/an/absolute/path"]}, "mirrors: expected http(s) URLs or relative paths"),
    ({"mirrors": ["ftp://host/file"]}, "mirrors: expected http(s) URLs or relative paths"),
])  # fmt: skip
def test_config_says_what_is_wrong_with_a_source(changes, problem):
    good = {"kind": "pypi", "purl": "pkg:pypi/demo@1.0", "filename": "demo-1.0.tar.gz", "sha256": SHA256, "bytes": 1}
    good |= {**COMMON, "licence_files": ["LICENSE"], "include": ["**"], "exclude": [], "mirrors": []}
    assert build(RawConfig, {"sources": [good]}).sources[0].slug == "pypi-demo-1.0"
    said = refusal(build, RawConfig, {"sources": [good | changes]}, error=ConfigError)
    assert problem in said
    refusal(build, RawConfig, {"sources": [good, good]}, match=r"'pypi-demo-1\.0' is listed twice", error=ConfigError)
    refusal(build, RawConfig, {"sources": []}, match="a length of at least 1", error=ConfigError)


@pytest.mark.parametrize("purl", ["pkg:pypi/demo@1.0", f"pkg:huggingface/datasets/a/b@{'0' * 40}"])
def test_files_of_ones_own_are_not_taken_for_those_of_an_index(purl):
    stories = {"kind": "stories", "purl": purl, "seed": 1, "count": 1, **COMMON}
    for one in (source(purl=purl), stories):
        refusal(build, RawConfig, {"sources": [one]}, match="is what a source of kind", error=ConfigError)
