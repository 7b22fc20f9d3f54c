"""Only a release that holds goes up, all in one commit: the real command and client, against a hub on loopback."""

import base64
import json
import re
from argparse import Namespace
from hashlib import sha1
from pathlib import Path

import loopback
import pytest
import warm
from conftest import failure, refusal

from train.commands import publish
from train.layout import regular_files
from train.release.bundle import write_manifest
from train.release.publish import require_name, upload
from train.release.verify.run import verify

DOWNLOAD = """
import sys
from huggingface_hub import snapshot_download
snapshot_download("owner/name", local_dir=sys.argv[1])
print(snapshot_download("owner/name"))
"""


class Handler(loopback.Handler):
    def do_HEAD(self) -> None:
        data = self.server.files[self.path.partition("/resolve/")[2].partition("/")[2]]
        self.answer(data, headers={"X-Repo-Commit": "1" * 40, "ETag": f'"{self.git(data)}"'})

    def do_GET(self) -> None:
        if "/resolve/" in self.path:
            self.do_HEAD()
            return
        files = self.server.files or {".gitattributes": b"x", "older.txt": b"x"}
        tree = [{"type": "file", "path": f, "size": len(data), "oid": self.git(data)} for f, data in files.items()]
        about = {"id": "owner/name", "sha": "1" * 40, "siblings": [{"rfilename": path} for path in files]}
        self.json(tree if "/tree/" in self.path else about)

    def git(self, data: bytes) -> str:
        return sha1(b"blob %d\0" % len(data) + data, usedforsecurity=False).hexdigest()

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.asked.append((self.path, self.headers["Authorization"]))
        if self.server.refuses:
            self.json({"error": "no"}, self.server.refuses)
        elif self.path.endswith("/preupload/main"):
            files = json.loads(body)["files"]
            modes = [{"path": file["path"], "uploadMode": "regular", "shouldIgnore": False} for file in files]
            self.json({"files": modes})
        elif self.path.endswith("/commit/main"):
            self.server.commits.append([json.loads(line) for line in body.splitlines()])
            self.json({"commitUrl": f"{self.server.url}/owner/name/commit/1", "commitOid": "1"})
        else:
            self.json({"url": f"{self.server.url}/owner/name"})


@pytest.fixture
def hub(monkeypatch, tmp_path):
    """A hub, for which the clients of processes of their own are set up."""
    with loopback.Server(Handler).running() as server:
        server.asked, server.commits, server.refuses, server.files = [], [], 0, {}
        own = {"HF_ENDPOINT": server.url, "HF_HOME": f"{tmp_path}/hf", "HF_TOKEN": "hf_mine", "HF_HUB_OFFLINE": "0"}
        for name, value in own.items():
            monkeypatch.setenv(name, value)
        yield server


@pytest.fixture
def uploaded(hub, tmp_path, monkeypatch):
    """A function that uploads `a.txt` from this process, whose client is set up for the hub as well."""
    monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", hub.url)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", False)
    (tmp_path / "a.txt").write_text("a")
    return lambda **options: upload(tmp_path, ["a.txt"], "owner/name", "Release x", **options)


def added(commit: list[dict]) -> dict[str, bytes]:
    files = (line["value"] for line in commit if line["key"] == "file")
    return {file["path"]: base64.b64decode(file["content"]) for file in files}


@pytest.mark.slow
def test_a_release_that_holds_goes_up_whole(hub, release, tmp_path):
    said = warm.command("publish", release, "owner/name", "--delete")
    assert "/owner/name/commit/1\nidentity " in said
    (commit,) = hub.commits
    assert added(commit) == {path: (release / path).read_bytes() for path in regular_files(release)}
    assert [line["value"]["path"] for line in commit if line["key"] == "deletedFile"] == ["older.txt"]
    assert {token for _, token in hub.asked} == {"Bearer hf_mine"}


@pytest.mark.slow
def test_one_that_does_not_hold_is_not_sent(hub, copy, tmp_path):
    (copy / "NOTICE").write_text("changed")
    said = warm.command("publish", copy, "owner/name", status=1)
    assert "error: not published: integrity: NOTICE: changed" in said and hub.asked == []


@pytest.mark.parametrize(("name", "good"), [
    ("owner/name", True), ("o-n.er/n_a.m-e1", True), ("name", True), ("", False), ("/name", False), ("owner/", False),
    ("a/b/c", False), ("owner/na me", False), ("owner/-x", False), ("owner/x.", False), ("owner/a--b", False),
    ("owner/a..b", False), ("https://hub/owner/name", False), (f"owner/{'n' * 91}", False), ("owner/name\n", False),
])  # fmt: skip
def test_a_name_that_no_repository_can_have_is_refused_before_the_checks(name, good, tmp_path):
    assert good or refusal(
        publish.run, Namespace(release=tmp_path, repository=name), match="OWNER/NAME: expected .*TO=owner/name"
    )
    assert not good or require_name(name) is None


@pytest.mark.parametrize("status", [401, 403, 400, 404, 409, 413])
def test_a_hub_that_refuses_is_one_line_and_gets_nothing(status, hub, uploaded):
    hub.refuses, hub.files = status, {"a.txt": b"x"}
    said = refusal(uploaded, match="^owner/name: not published: ")
    assert ("is HF_TOKEN set" in said) == (status in (401, 403)) and hub.commits == []


def test_a_hub_that_is_not_there_is_no_question_of_a_token(hub, uploaded):
    hub.shutdown()
    hub.server_close()
    assert "HF_TOKEN" not in refusal(uploaded, match="^owner/name: not published: ")


@pytest.mark.parametrize(("standing", "shown"), [
    ([".gitattributes"], None), ([".gitattributes", "a.txt"], None), (["older.txt"], "older.txt;"),
    (["b/c", "a.txt", "a b", ".gitattributes"], "a b, b/c;"),
    ([f"{number:02}" for number in range(23)], "18, 19 and 3 more;"),
    (["logs/statements/somebody.json"], "logs/statements/somebody.json;"),
])  # fmt: skip
def test_what_else_stands_there_is_shown_and_deleted_by_a_word_alone(standing, shown, hub, uploaded):
    hub.files = dict.fromkeys(standing, b"x")
    if shown:
        assert shown in refusal(uploaded, match="say --delete") and hub.commits == []
    uploaded(delete=bool(shown))
    (commit,) = hub.commits
    deleted = [line["value"]["path"] for line in commit if line["key"] == "deletedFile"]
    assert deleted == sorted(set(standing) - {".gitattributes", "a.txt"})


def test_what_the_hub_and_its_client_add_is_named_and_once_deleted_the_release_holds(hub, tmp_path):
    kept, got = tmp_path / "kept", tmp_path / "got"
    kept.mkdir()
    (kept / "README.md").write_text("a card")
    write_manifest(kept)
    hub.files = {path: (kept / path).read_bytes() for path in ("README.md", "MANIFEST.json")}
    hub.files[".gitattributes"] = b"*.safetensors filter=lfs diff=lfs merge=lfs -text\n"
    (tmp_path / "download.py").write_text(DOWNLOAD)
    done = warm.run([str(tmp_path / "download.py"), str(got)])
    (result,) = verify(got, "quick", {"integrity"})
    beside = r"beside \d+ files of the hub and its client, which nothing reads"
    assert result.ok and re.fullmatch(beside, result.detail)
    for name in ("more.txt", ".cache/more", ".gitattributes.txt", ".cache/huggingface.txt"):
        (got / name).write_text("x")
        assert failure(got, "integrity", "quick") == f"{name}: not in MANIFEST.json"
        (got / name).unlink()
    (got / ".cache/huggingface/link").symlink_to("/etc")
    assert failure(got, "integrity", "quick") == ".cache/huggingface/link: neither a file nor a folder"
    refusal(verify, Path(done.stdout.strip()), "quick", match=r"its files are links, .* download with --local-dir")
