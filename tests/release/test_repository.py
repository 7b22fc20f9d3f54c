"""What git knows of a folder, and what it does not: repositories around it, of somebody else, without a commit."""

import os
from pathlib import Path

import pytest
from conftest import git

from train.artifact import write_json
from train.commands import release
from train.compose import compose
from train.config import build
from train.keys import ROOT
from train.pipeline import Run
from train.release import bundle, repository
from train.release.verify.code import snapshot
from train.release.verify.result import NotChecked
from train.release.view import Release


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


CASES = {  # each may return another folder to ask about
    "no program": lambda clone, patch: patch.setenv("PATH", str(clone)),
    "of somebody else": lambda clone, patch: patch.setenv("GIT_TEST_ASSUME_DIFFERENT_OWNER", "1"),
    "no commit": lambda clone, patch: git("update-ref", "-d", "HEAD", at=clone) and None,
    "no repository": lambda clone, patch: (clone / ".git").rename(clone.parent / "was") and None,
    "broken": lambda clone, patch: (clone / ".git/HEAD").write_text("nothing\n") and None,
    "a dangling branch": lambda clone, patch: (clone / ".git/HEAD").write_text(f"{'0' * 40}\n") and None,
    "a folder of it": lambda clone, patch: clone / "train",
    "ignored below it": ignored_below_it,
    "a git that runs us": a_git_that_runs_us,
    "held back": lambda clone, patch: patch.setenv("GIT_CEILING_DIRECTORIES", str(clone)) or clone / "train",
}


@pytest.mark.parametrize("case", CASES)
def test_no_commit_where_git_knows_none_of_this_folder(case, clone, monkeypatch):
    commit = repository.commit(clone)
    assert commit == git("rev-parse", "HEAD", at=clone) and repository.tree(clone, commit)
    root = CASES[case](clone, monkeypatch) or clone
    assert repository.commit(root) is None
    if case not in ("no commit", "a dangling branch"):  # there the commit is known, and is not what is checked out
        assert repository.tree(root, commit) is None
    monkeypatch.setattr(bundle, "ROOT", root)
    assert bundle.checkout() == {"commit": None, "uncommitted_changes": None}


@pytest.mark.parametrize(("owner", "trusted", "told"), [(12345, "0", True), (12345, "1", False), (None, "0", False)])
def test_a_checkout_of_somebody_else_is_told_before_a_release_that_can_name_no_commit(
    owner, trusted, told, clone, monkeypatch
):
    monkeypatch.setenv("GIT_TEST_ASSUME_DIFFERENT_OWNER", str(1 - int(trusted)))
    monkeypatch.setattr(os, "geteuid", lambda: owner or clone.stat().st_uid)
    monkeypatch.setattr(release, "ROOT", clone)
    lines = release.doubts(build(Run, compose(["recipe=tiny"])))
    assert sum(f"{clone}: another user owns it; `git" in each and f" {clone}`" in each for each in lines) == told


def test_a_release_that_can_name_no_commit_is_told_before_it_whatever_the_reason(tmp_path, monkeypatch):
    monkeypatch.setattr(release, "ROOT", tmp_path)
    (line,) = release.doubts(build(Run, compose(["recipe=tiny"])))
    assert line == f"release    names no commit: {tmp_path}: no git checkout with a commit, or git is not here"


@pytest.mark.parametrize("name", ["HEAD", "main", "", "--help", "None", "f" * 40, "F" * 40, "0" * 39, "HEAD\n",
                                  "0" * 64])  # fmt: skip
def test_what_is_no_commit_here_has_no_files(name, clone):
    assert repository.tree(clone, name) is None


def test_a_commit_is_known_through_a_link_and_in_another_worktree(clone, tmp_path):
    (tmp_path / "link").symlink_to(clone)
    git("worktree", "add", "--quiet", str(tmp_path / "tree"), at=clone)
    commits = {repository.commit(each) for each in (clone, tmp_path / "link", tmp_path / "tree")}
    assert commits == {git("rev-parse", "HEAD", at=clone)}


@pytest.mark.parametrize("name", ["line\n", "\n", " a b ", "'\"\\", "-x", "\udcff", "日本", "a:b", "$HOME", "\r", "~"])
def test_a_commit_is_known_whatever_the_checkout_is_called(name, clone):
    commit = repository.commit(clone)
    assert commit and repository.commit(clone.rename(clone.parent / name)) == commit


@pytest.mark.parametrize(("path", "text", "changed"), [
    ("train/a.py", "a = 1\n", False), ("train/a.py", "a = 2\n", True), ("train/a.py", "a = 1\r\n", True),
    ("train/a.py", None, True), ("train/b.py", "", True), ("NOTICE", "", True), ("notes", "y\n", False),
    ("more", "", False), ("texts/a.txt", "", False), (".venv", "", False), ("train/__pycache__/a.pyc", "", False),
    ("train/a.py~", "", False), ("runs/x", "", False), ("train/x.ignored", "", True),
])  # fmt: skip
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


@pytest.mark.parametrize(("record", "note"), [
    ({"commit": None, "uncommitted_changes": None}, "it names no commit"),
    ({"commit": "HEAD", "uncommitted_changes": False}, "it names no commit"),
    ({"commit": "here", "uncommitted_changes": True}, "changes on top of it"),
    ({"commit": "here"}, "changes on top of it"),
    ({}, "it names no commit"),
    ({"commit": "f" * 40, "uncommitted_changes": False}, "no clone that knows ffffffffffff"),
    ({"commit": "--output=x", "uncommitted_changes": False}, "it names no commit"),
    ({"commit": "here", "uncommitted_changes": False}, ""),
])  # fmt: skip
@pytest.mark.parametrize("with_git", [True, False])
def test_what_cannot_be_compared_is_not_checked_and_no_failure(record, note, with_git, clone, tmp_path, monkeypatch):
    release = tmp_path / "release"
    for path in bundle.source_tree(clone):
        (release / "code" / path).parent.mkdir(parents=True, exist_ok=True)
        (release / "code" / path).write_bytes((clone / path).read_bytes())
    if record.get("commit") == "here":
        record = {**record, "commit": repository.commit(clone)}
    write_json(release / "logs/release/commit.json", record)
    bundle.write_manifest(release)
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
        said = f"code/train/a.py: not as in {record['commit'][:12]}"
        assert snapshot(Release(release, tmp_path / "scratch")) == [said]
