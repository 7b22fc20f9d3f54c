"""What git knows of a folder: its commit and the files of a commit, if the folder is the top of a repository.

Where there is no git, no repository, one of somebody else, or one around the folder, there is no commit to speak of.
"""

import hashlib
import os
import re
import subprocess
from pathlib import Path

COMMIT = re.compile("[0-9a-f]{40}|[0-9a-f]{64}")
# Settings by which a git that runs us tells its own repository.
ELSEWHERE = """
    GIT_DIR GIT_WORK_TREE GIT_INDEX_FILE GIT_COMMON_DIR GIT_OBJECT_DIRECTORY GIT_ALTERNATE_OBJECT_DIRECTORIES GIT_PREFIX
    GIT_NAMESPACE
"""
AS_STORED = {"GIT_NO_REPLACE_OBJECTS": "1", "GIT_NO_LAZY_FETCH": "1", "GIT_OPTIONAL_LOCKS": "0"}


def git(root: Path, *arguments: str) -> str | None:
    """What git prints in the folder `root`; None when it fails or is not there."""
    env = {name: value for name, value in os.environ.items() if name not in ELSEWHERE.split()} | AS_STORED
    try:
        done = subprocess.run(["git", "-C", str(root), *arguments], env=env, capture_output=True, check=False)
    except OSError:
        return None
    return None if done.returncode else os.fsdecode(done.stdout)


def is_top(root: Path) -> bool:
    """Whether `root` is the top of a repository: what git says in a folder further down is not about its files."""
    top = git(root, "rev-parse", "--show-toplevel")
    return top is not None and Path(top.rstrip("\n")).resolve() == root.resolve()


def commit(root: Path) -> str | None:
    """The commit that is checked out in the repository whose top is `root`; None where there is none."""
    found = (git(root, "rev-parse", "--verify", "--quiet", "HEAD^{commit}") or "").strip() if is_top(root) else ""
    return found if COMMIT.fullmatch(found) else None


def tree(root: Path, commit: str) -> dict[str, str] | None:
    """Path -> the name that git gives the bytes, of each file of a commit; None if `root` has no such commit."""
    if not COMMIT.fullmatch(commit) or not is_top(root):
        return None
    listed = git(root, "ls-tree", "-r", "-z", "--full-tree", commit)
    entries = (entry.split("\t", 1) for entry in (listed or "").split("\0") if entry)
    return None if listed is None else {path: head.split()[2] for head, path in entries}


def blob(data: bytes, commit: str) -> str:
    """The name that git gives bytes, in a repository with such commits."""
    kind = "sha1" if len(commit) == 40 else "sha256"
    return hashlib.new(kind, b"blob %d\0" % len(data) + data, usedforsecurity=False).hexdigest()
