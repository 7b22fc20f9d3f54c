"""Bounds for all commands that read what a stranger made: only files are opened, memory and time are limited."""

import os
import resource
import signal
import stat
from itertools import islice
from pathlib import Path
from typing import NoReturn

from train.errors import UserError

SPARE, SHARE = 2**32, 32  # bytes of memory that a command may take: these, and so many for each byte of the release
MOST_ENTRIES = 200_000  # files and folders
MINUTES = 60.0


def confine(*folders: Path, minutes: float | None = MINUTES, memory: bool = True) -> None:
    """Refuse pipes, devices and sockets below `folders`, and limit this process from now on.

    `minutes` None is for what runs until it is stopped, `memory` False for what computes on a GPU, whose driver takes
    address space as if it were memory. Raises UserError; when the time is over, wherever the command is then.
    """
    for folder in folders:
        if strange := irregular(folder):
            raise UserError(f"{strange}: neither a file nor a folder, and so not opened; a release holds nothing else")
    if memory:
        limit_memory(*folders)
    if minutes is not None:
        limit_time(minutes)


def irregular(folder: Path) -> Path | None:
    """The first thing below `folder` that is no file and no folder, nor a link to one; UserError if there is no end."""
    for path in entries(folder):
        try:
            mode = path.stat().st_mode
        except OSError:  # a link to nothing, or to itself: opening it fails as well
            continue
        if not (stat.S_ISREG(mode) or stat.S_ISDIR(mode)):
            return path
    return None


def require_plain(*folders: Path) -> None:
    """Refuse, with UserError, what a stranger's program left there if it holds a link, a pipe, a device or a socket."""
    for path in (path for folder in folders for path in entries(folder)):
        if stat.S_IFMT(path.lstat().st_mode) not in (stat.S_IFREG, stat.S_IFDIR):
            raise UserError(f"{path}: neither a file nor a folder, and so not read; the code that ran left it there")


def entries(folder: Path) -> list[Path]:
    """Everything below `folder`; links are not followed. UserError when it is more than any release holds."""
    every = (Path(top) / name for top, folders, names in os.walk(folder) for name in (*folders, *names))
    listed = list(islice(every, MOST_ENTRIES + 1))
    if len(listed) > MOST_ENTRIES:
        raise UserError(f"{folder}: more than {MOST_ENTRIES} files and folders; give the folder of one release")
    return listed


def limit_memory(*folders: Path) -> None:
    """Let this process have memory in proportion to what `folders` take on the disk, and no more."""
    held = sum(path.lstat().st_blocks * 512 for folder in folders for path in entries(folder))
    most = SPARE + SHARE * held
    _, allowed = resource.getrlimit(resource.RLIMIT_DATA)
    resource.setrlimit(resource.RLIMIT_DATA, (most if allowed < 0 else min(most, allowed), allowed))


def limit_time(minutes: float) -> None:
    """End this process after so many minutes: with UserError, or, where a library does not return, by the system."""

    def late(number: int, frame: object) -> NoReturn:
        raise UserError(f"not done in {minutes:g} minutes, which is more than a release of this kind takes")

    signal.signal(signal.SIGALRM, late)
    signal.setitimer(signal.ITIMER_REAL, minutes * 60)
    _, allowed = resource.getrlimit(resource.RLIMIT_CPU)
    seconds = int(minutes * 60 + 60) * (os.cpu_count() or 1)
    resource.setrlimit(resource.RLIMIT_CPU, (seconds if allowed < 0 else min(seconds, allowed), allowed))
