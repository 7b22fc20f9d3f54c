"""How a command ends: what its user can mend is a line on the error stream and status 1; Ctrl-C is 130.

A command that judges what somebody else made ends with 0 when it holds, 1 when it does not, 2 when it cannot tell.
"""

import argparse
import errno
import io
import json
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from train.errors import UserError
from train.letters import harmless


def guarded(command: Callable[[list[str]], None], arguments: list[str]) -> None:
    """Run a command, and answer every failure that is not our own mistake without a traceback."""
    tolerate()
    try:
        command(arguments)
    except UserError as error:
        sys.exit("\n".join(f"error: {line}" for line in harmless(str(error)).split("\n")))
    except OSError as error:
        sys.exit(f"error: {explain(error)}")
    except MemoryError:
        sys.exit("error: more memory than this machine has, or than a release of this size may take (32 times its own)")
    except KeyboardInterrupt:
        print("\ninterrupted: run the same command again to go on from what was whole", file=sys.stderr)
        sys.exit(130)


def tolerate() -> None:
    """Let the streams show what their encoding lacks by its number, in place of failing."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def reported(
    make: Callable[[argparse.Namespace], Any],
    arguments: argparse.Namespace,
    lines: Callable[[Any], list[str]],
    status: Callable[[Any], int],
) -> int:
    """Print what `make` reports, as `lines` or with --json as JSON; returns its exit status, 2 when there is none."""
    tolerate()
    try:
        report = make(arguments)
    except Exception as error:  # a release may hold anything, and must not crash its checker
        kind = "" if isinstance(error, UserError) else f"{type(error).__name__}: "
        print(f"error: {harmless(kind + str(error))}", file=sys.stderr)
        return 2
    print(json.dumps(report, indent=2) if arguments.json else "\n".join(map(harmless, lines(report))))
    return status(report)


# What the same command would meet again, until somebody does something about it.
REMEDIES = {
    errno.ENOENT: "make sure it is there",
    **dict.fromkeys((errno.EACCES, errno.EPERM), "get the right to it, or name another place"),
    errno.EROFS: "nothing can be written there; name another place, such as machine.runs and machine.releases",
    **dict.fromkeys((errno.ENOTDIR, errno.EEXIST), "a file stands where a folder is wanted; name another place"),
    errno.EISDIR: "a folder stands where a file is wanted; name another place",
    errno.ENAMETOOLONG: "the name is too long; choose a shorter one",
    errno.ELOOP: "links lead in a circle; name another place",
    errno.ENOEXEC: "it is no program for this machine; install the right one",
    errno.EFBIG: "the file system holds no file as large; name another place",
    errno.EDQUOT: "your share of the disk is used up; free some, then run the same command again",
    errno.EMFILE: "too many files are open at once; raise the limit (ulimit -n)",
}


def explain(error: OSError) -> str:
    """A failure of the system in one line, with what to do."""
    where = Path(error.filename or ".")
    if error.errno == errno.ENOSPC:
        folder = next((path for path in (where, *where.parents) if path.is_dir()), Path("."))
        free = shutil.disk_usage(folder).free
        return f"{where}: no space left on the disk ({free} bytes free); free some and run the same command again"
    if error.errno in REMEDIES:
        missing = error.errno == errno.ENOENT and where.name == str(where)
        remedy = "make sure it is there, or, if it is a program, install it" if missing else REMEDIES[error.errno]
        return f"{where}: {error.strerror}; {remedy}"
    return f"{where}: {error.strerror or error}; nothing that was whole is lost, run the same command again"
