"""What git knows of a folder, and what it does not: repositories around it, of somebody else, without a commit."""

import os
import subprocess
from pathlib import Path

import pytest

from train.artifact import write_json
from train.keys import ROOT
from train.release import bundle, repository
from train.release.verify.code import snapshot
from train.release.verify.result import NotChecked
from train.release.view import Release


def git(*line: str, at: Path) -> str:
    identity = ["-c", "user.name=Somebody", "-c", "user.email=somebody@localhost", "-c", "init.defaultBranch=main"]
    return subprocess.run(["git", *identity, *line], cwd=at, capture_output=True, text=True, check=True).stdout.strip()


@pytest.fixture
def clone(tmp_path) -> Path:
    """A repository with one commit of a little source code and of a file that is none."""
    top = tmp_path / "clone"
    for name, text in {"train/a.py": "a = 1\n", "Makefile": "all:\n", ".gitignore": "runs\n", "notes": "x\n"}.items():
        (top / name).parent.mkdir(parents=True, exist_ok=True)
        (top / name).write_text(text)
    git("init", "--quiet", at=top)
    git("add", "--all", at=top)
    git("commit", "--quiet", "-m", "first", at=top)
    return top


def no_program(clone, monkeypatch):
    monkeypatch.setenv("PATH", str(clone))


def of_somebody_else(clone, monkeypatch):
    monkeypatch.setenv("GIT_TEST_ASSUME_DIFFERENT_OWNER", "1")


def no_commit(clone, monkeypatch):
    git("update-ref", "-d", "HEAD", at=clone)


def no_repository(clone, monkeypatch):
    (clone / ".git").rename(clone.parent / "was")


def broken(clone, monkeypatch):
    (clone / ".git/HEAD").write_text("nothing\n")


def a_dangling_branch(clone, monkeypatch):
    (clone / ".git/HEAD").write_text(f"{'0' * 40}\n")


def a_folder_of_it(clone, monkeypatch):
    return clone / "train"


def ignored_below_it(clone, monkeypatch):
    (clone / "runs/code/train").mkdir(parents=True)
    (clone / "runs/code/train/a.py").write_text("a = 2\n")
    return clone / "runs/code"


def a_git_that_runs_us(clone, monkeypatch):
    """As in a hook, where git tells its own repository by the environment."""
    other = clone.parent / "other"
    other.mkdir()
    monkeypatch.setenv("GIT_DIR", str(clone / ".git"))
    monkeypatch.setenv("GIT_WORK_TREE", str(other))
    return other


def held_back(clone, monkeypatch):
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(clone))
    return clone / "train"


@pytest.mark.parametrize(
    "case",
    [no_program, of_somebody_else, no_commit, no_repository, broken, a_dangling_branch, a_folder_of_it,
     ignored_below_it, a_git_that_runs_us, held_back],
)  # fmt: skip
def test_no_commit_where_git_knows_none_of_this_folder(case, clone, monkeypatch):
    commit = repository.commit(clone)
    assert commit == git("rev-parse", "HEAD", at=clone) and repository.tree(clone, commit)
    root = case(clone, monkeypatch) or clone
    assert repository.commit(root) is None
    if case not in (no_commit, a_dangling_branch):  # there the commit is known, and is not what is checked out
        assert repository.tree(root, commit) is None
    monkeypatch.setattr(bundle, "ROOT", root)
    assert bundle.checkout() == {"commit": None, "uncommitted_changes": None}


@pytest.mark.parametrize(
    "name", ["HEAD", "main", "", "--help", "None", "f" * 40, "F" * 40, "0" * 39, "HEAD\n", "0" * 64]
)
def test_what_is_no_commit_here_has_no_files(name, clone):
    assert repository.tree(clone, name) is None


def test_a_commit_is_known_through_a_link_and_in_another_worktree(clone, tmp_path):
    (tmp_path / "link").symlink_to(clone)
    git("worktree", "add", "--quiet", str(tmp_path / "tree"), at=clone)
    assert {repository.commit(each) for each in (clone, tmp_path / "link", tmp_path / "tree")} == {
        git("rev-parse", "HEAD", at=clone)
    }


@pytest.mark.parametrize(
    ("path", "text", "changed"),
    [
        ("train/a.py", "a = 1\n", False), ("train/a.py", "a = 2\n", True), ("train/a.py", "a = 1\r\n", True),
        ("train/a.py", None, True), ("train/b.py", "", True), ("NOTICE", "", True), ("notes", "y\n", False),
        ("more", "", False), ("texts/a.txt", "", False), (".venv", "", False), ("train/__pycache__/a.pyc", "", False),
        ("train/a.py~", "", False), ("runs/x", "", False), ("train/x.ignored", "", True),
    ],
)  # fmt: skip
def test_changes_are_those_of_the_source_code(path, text, changed, clone, monkeypatch):
    (clone / ".git/info/exclude").write_text("*.ignored\n")
    file = clone / path
    file.parent.mkdir(parents=True, exist_ok=True)
    file.unlink() if text is None else file.write_bytes(text.encode())
    monkeypatch.setattr(bundle, "ROOT", clone)
    assert bundle.checkout() == {"commit": repository.commit(clone), "uncommitted_changes": changed}


def test_a_marked_file_is_looked_at_all_the_same(clone, monkeypatch):
    git("update-index", "--assume-unchanged", "train/a.py", at=clone)
    (clone / "train/a.py").write_text("a = 2\n")
    monkeypatch.setattr(bundle, "ROOT", clone)
    assert bundle.checkout()["uncommitted_changes"]


@pytest.mark.parametrize("setting", ["core.autocrlf=true", "core.eol=crlf", "core.autocrlf=input"])
def test_a_clone_has_the_same_bytes_whatever_git_does_elsewhere_about_line_ends(setting, clone, tmp_path):
    (clone / ".gitattributes").write_bytes((ROOT / ".gitattributes").read_bytes())
    git("add", "--all", at=clone)
    git("commit", "--quiet", "-m", "second", at=clone)
    git("clone", "--quiet", "-c", setting, str(clone), str(tmp_path / "other"), at=tmp_path)
    assert bundle.source_tree(clone) == bundle.source_tree(tmp_path / "other")


@pytest.mark.parametrize(
    ("record", "note"),
    [
        ({"commit": None, "uncommitted_changes": None}, "it names no commit"),
        ({"commit": "HEAD", "uncommitted_changes": False}, "it names no commit"),
        ({"commit": "here", "uncommitted_changes": True}, "changes on top of it"),
        ({"commit": "here"}, "changes on top of it"),
        ({}, "it names no commit"),
        ({"commit": "f" * 40, "uncommitted_changes": False}, "no clone that knows ffffffffffff"),
        ({"commit": "--output=x", "uncommitted_changes": False}, "it names no commit"),
        ({"commit": "here", "uncommitted_changes": False}, ""),
    ],
)
@pytest.mark.parametrize("with_git", [True, False])
def test_what_cannot_be_compared_is_not_checked_and_no_failure(record, note, with_git, clone, tmp_path, monkeypatch):
    release = tmp_path / "release"
    for path in bundle.source_tree(clone):
        (release / "code" / path).parent.mkdir(parents=True, exist_ok=True)
        (release / "code" / path).write_bytes((clone / path).read_bytes())
    if record.get("commit") == "here":
        record = {**record, "commit": repository.commit(clone)}
    write_json(release / "logs/release/commit.json", record)
    write_json(release / "MANIFEST.json", bundle.manifest_of(release))
    monkeypatch.setattr(bundle, "ROOT", clone)
    if not with_git:
        monkeypatch.setenv("PATH", os.fspath(tmp_path))
        note = note or "git is not here"
    found = Release(release, tmp_path / "scratch")
    if note:
        with pytest.raises(NotChecked, match=note):
            snapshot(found)
    else:
        assert snapshot(found) == []
        (clone / "train/a.py").write_text("not committed\n")
        (release / "code/train/a.py").write_text("a = 2\n")
        assert snapshot(Release(release, tmp_path / "scratch")) == [
            f"code/train/a.py: not as in {record['commit'][:12]}"
        ]
