"""Only a release that holds goes up, all in one commit: the real command and client, against a hub on loopback."""

import base64
import json
import os
import re
import subprocess
import sys
import threading
from argparse import Namespace
from hashlib import sha1
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from conftest import ROOT, refusal

from train.commands import publish
from train.layout import regular_files
from train.release.bundle import write_manifest
from train.release.publish import require_name, upload
from train.release.verify.run import verify

DOWNLOAD = """
import sys
from huggingface_hub import snapshot_download
print(snapshot_download("owner/name", local_dir=sys.argv[1] if len(sys.argv) > 1 else None))
"""


class Handler(BaseHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        pass

    def do_HEAD(self) -> None:
        self.send(self.server.files[self.path.partition("/resolve/")[2].partition("/")[2]], "text/plain")

    def do_GET(self) -> None:
        if "/resolve/" in self.path:
            self.do_HEAD()
            return
        files = self.server.files or {".gitattributes": b"x", "older.txt": b"x"}
        tree = [{"type": "file", "path": f, "size": len(data), "oid": self.git(data)} for f, data in files.items()]
        about = {"id": "owner/name", "sha": "1" * 40, "siblings": [{"rfilename": path} for path in files]}
        self.answer(tree if "/tree/" in self.path else about)

    def git(self, data: bytes) -> str:
        return sha1(b"blob %d\0" % len(data) + data, usedforsecurity=False).hexdigest()

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.asked.append((self.path, self.headers["Authorization"]))
        if self.server.refuses:
            self.answer({"error": "no"}, self.server.refuses)
        elif self.path.endswith("/preupload/main"):
            files = json.loads(body)["files"]
            modes = [{"path": file["path"], "uploadMode": "regular", "shouldIgnore": False} for file in files]
            self.answer({"files": modes})
        elif self.path.endswith("/commit/main"):
            self.server.commits.append([json.loads(line) for line in body.splitlines()])
            self.answer({"commitUrl": f"{self.server.url}/owner/name/commit/1", "commitOid": "1"})
        else:
            self.answer({"url": f"{self.server.url}/owner/name"})

    def answer(self, value: object, status: int = 200) -> None:
        self.send(json.dumps(value).encode(), "application/json", status)

    def send(self, data: bytes, kind: str, status: int = 200) -> None:
        self.send_response(status)
        headers = {"Content-Type": kind, "Content-Length": len(data), "X-Repo-Commit": "1" * 40}
        for name, value in {**headers, "ETag": f'"{self.git(data)}"'}.items():
            self.send_header(name, str(value))
        self.end_headers()
        self.wfile.write(data if self.command != "HEAD" else b"")


@pytest.fixture
def hub():
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.asked, server.commits, server.refuses, server.files = [], [], 0, {}
    server.url = f"http://127.0.0.1:{server.server_address[1]}"
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server
    server.shutdown()
    server.server_close()


def run(hub, home: Path, *line: object, status: int) -> str:
    settings = {"HF_ENDPOINT": hub.url, "HF_TOKEN": "hf_mine", "HF_HOME": str(home), "HF_HUB_OFFLINE": "0"}
    line, env = [sys.executable, *map(str, line)], {**os.environ, **settings}
    done = subprocess.run(line, capture_output=True, text=True, timeout=600, env=env)
    assert done.returncode == status, done.stdout + done.stderr
    return done.stdout + done.stderr


@pytest.fixture
def uploaded(hub, tmp_path, monkeypatch):
    """A function that uploads `a.txt` from this process, whose client is set up as `run` sets one up."""
    monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", hub.url)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", False)
    monkeypatch.setenv("HF_TOKEN", "hf_mine")
    (tmp_path / "a.txt").write_text("a")
    return lambda **options: upload(tmp_path, ["a.txt"], "owner/name", "Release x", **options)


def added(commit: list[dict]) -> dict[str, bytes]:
    files = (line["value"] for line in commit if line["key"] == "file")
    return {file["path"]: base64.b64decode(file["content"]) for file in files}


@pytest.mark.slow
def test_a_release_that_holds_goes_up_whole(hub, release, tmp_path):
    said = run(hub, tmp_path, ROOT / "scripts/pellucid.py", "publish", release, "owner/name", "--delete", status=0)
    assert "/owner/name/commit/1\nidentity " in said
    (commit,) = hub.commits
    assert added(commit) == {path: (release / path).read_bytes() for path in regular_files(release)}
    assert [line["value"]["path"] for line in commit if line["key"] == "deletedFile"] == ["older.txt"]
    assert {token for _, token in hub.asked} == {"Bearer hf_mine"}


@pytest.mark.slow
def test_one_that_does_not_hold_is_not_sent(hub, copy, tmp_path):
    (copy / "NOTICE").write_text("changed")
    said = run(hub, tmp_path, ROOT / "scripts/pellucid.py", "publish", copy, "owner/name", status=1)
    assert "error: not published: integrity: NOTICE: changed" in said and "Traceback" not in said and hub.asked == []


@pytest.mark.parametrize(("name", "good"), [
    ("owner/name", True), ("o-n.er/n_a.m-e1", True), ("name", True), ("", False), ("/name", False), ("owner/", False),
    ("a/b/c", False), ("owner/na me", False), ("owner/-x", False), ("owner/x.", False), ("owner/a--b", False),
    ("owner/a..b", False), ("https://hub/owner/name", False), (f"owner/{'n' * 91}", False), ("owner/name\n", False),
])  # fmt: skip
def test_a_name_that_no_repository_can_have_is_refused_before_the_checks(name, good, tmp_path):
    assert good or refusal(publish.run, Namespace(release=tmp_path, repository=name), match="OWNER/NAME: expected")
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


def integrity(folder: Path) -> tuple[bool, str]:
    (result,) = verify(folder, "quick", {"integrity"})
    return result.ok, result.detail


def test_what_the_hub_and_its_client_add_is_named_and_once_deleted_the_release_holds(hub, tmp_path):
    (tmp_path / "kept").mkdir()
    (tmp_path / "kept/README.md").write_text("a card")
    write_manifest(tmp_path / "kept")
    hub.files = {path: (tmp_path / "kept" / path).read_bytes() for path in ("README.md", "MANIFEST.json")}
    hub.files[".gitattributes"] = b"*.safetensors filter=lfs diff=lfs merge=lfs -text\n"
    run(hub, tmp_path, "-c", DOWNLOAD, tmp_path / "got", status=0)
    holds, detail = integrity(tmp_path / "got")
    assert holds and re.fullmatch(r"beside \d+ files of the hub and its client, which nothing reads", detail)
    for name in ("more.txt", ".cache/more", ".gitattributes.txt", ".cache/huggingface.txt"):
        (tmp_path / "got" / name).write_text("x")
        assert integrity(tmp_path / "got") == (False, f"{name}: not in MANIFEST.json")
        (tmp_path / "got" / name).unlink()
    (tmp_path / "got/.cache/huggingface/link").symlink_to("/etc")
    assert integrity(tmp_path / "got") == (False, ".cache/huggingface/link: neither a file nor a folder")
    cached = run(hub, tmp_path, "-c", DOWNLOAD, status=0).splitlines()[0]
    refusal(verify, Path(cached), "quick", match=r"its files are links, .* download with --local-dir")
