"""Error messages and exit status of a command: what its user can mend is one line and status 1; Ctrl-C is 130.

A command that judges what somebody else made ends with 0 when it holds, 1 when it does not, 2 when it cannot tell.
"""

import errno
import io
import os
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn, TypeVar

from train.errors import UserError
from train.unicode import harmless

T = TypeVar("T")


def guarded(command: Callable[[T], Any], arguments: T, failure: int = 1) -> int:
    """Run a command; returns its status, 0 where it has none. What fails ends the program in a line, with `failure`.

    Only our own mistakes show a traceback, and not of a command that judges (`failure` 2): what it reads is a
    stranger's, and must not crash its checker.
    """
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # what its encoding lacks by its number, in place of failing
    try:
        status = command(arguments)
        sys.stdout.flush()
        return int(status or 0)
    except BrokenPipeError:  # whoever read us has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except UserError as error:
        fail(str(error), failure)
    except OSError as error:
        fail(explain(error), failure)
    except MemoryError:
        fail("more memory than this machine has, or than a release of this size may take (32 times its own)", failure)
    except KeyboardInterrupt:
        print("\ninterrupted: run the same command again to go on from what was whole", file=sys.stderr)
        sys.exit(130)
    except Exception as error:
        if failure == 1:
            raise
        fail(f"{type(error).__name__}: {error}", failure)


def fail(text: str, status: int = 1) -> NoReturn:
    """End the program: each line of `text` on the error stream, as an error."""
    lines = "\n".join(f"error: {line}" for line in harmless(text).split("\n"))
    if status == 1:
        sys.exit(lines)
    print(lines, file=sys.stderr)
    sys.exit(status)


def say(line: str) -> None:
    """Print a line at once, for people or whoever reads the output."""
    print(harmless(line), flush=True)


def note(line: str) -> None:
    """Print a line at once on the error stream, beside the output."""
    print(harmless(line), file=sys.stderr, flush=True)


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
# What may be gone when the same command runs again.
PASSING = (errno.EIO, errno.ESTALE, errno.ETIMEDOUT, errno.EAGAIN, errno.EINTR, errno.EBUSY, errno.ENOMEM,
           errno.ECONNRESET, errno.ECONNABORTED, errno.ECONNREFUSED, errno.ENETUNREACH, errno.EHOSTUNREACH)  # fmt: skip


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
    again = ", run the same command again" * (error.errno in PASSING)
    return f"{where}: {error.strerror or error}; nothing that was whole is lost{again}"
