"""What git knows of a folder that is the top of a repository: its commit, and the files of a commit."""

import hashlib
import os
import re
import shlex
from pathlib import Path

from train import programs

COMMIT = re.compile("[0-9a-f]{40}|[0-9a-f]{64}")
# Of the caller's settings, those that tell whom to trust and where to stop; not those of a git that runs us.
OURS = ("HOME", "XDG_CONFIG_HOME", "GIT_CONFIG_", "GIT_CEILING_", "GIT_TEST_")
AS_STORED = {
    "GIT_NO_REPLACE_OBJECTS": "1", "GIT_NO_LAZY_FETCH": "1", "GIT_OPTIONAL_LOCKS": "0", "GIT_TERMINAL_PROMPT": "0",
}  # fmt: skip
NO_PROGRAMS = ("-c", "core.hooksPath=/dev/null", "-c", "core.fsmonitor=false", "-c", "protocol.allow=never")


def git(root: Path, *arguments: str) -> str | None:
    """What git prints in the folder `root`, whose config names no program to it; None when it fails or is not there."""
    line = ["git", *NO_PROGRAMS, *arguments]
    try:
        done = programs.run(line, root, programs.environment(*OURS, **AS_STORED))
    except OSError:
        return None
    return None if done.returncode else os.fsdecode(done.stdout)


def is_top(root: Path) -> bool:
    """Whether `root` is the top of a repository: what git says in a folder further down is not about its files."""
    top = git(root, "rev-parse", "--show-toplevel")
    return top is not None and Path(top.removesuffix("\n")).resolve() == root.resolve()


def commit(root: Path) -> str | None:
    """The commit that is checked out in the repository whose top is `root`; None where there is none."""
    name = (git(root, "rev-parse", "--verify", "--quiet", "HEAD^{commit}") or "").strip() if is_top(root) else ""
    return name if COMMIT.fullmatch(name) else None


def distrusted(root: Path) -> str | None:
    """What helps where git does not read a repository because another user owns it; None where that is not so."""
    own = root / ".git"
    if not own.exists() or own.stat().st_uid == os.geteuid() or git(root, "rev-parse", "--git-dir") is not None:
        return None
    return f"another user owns it; `git config --global --add safe.directory {shlex.quote(str(root))}` helps"


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
