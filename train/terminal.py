"""Error messages and exit status of a command: what its user can mend is one line and status 1; Ctrl-C is 130.

A command that judges what somebody else made ends with 0 when it holds, 1 when it does not, 2 when it cannot tell.
"""

import contextlib
import errno
import io
import os
import re
import shutil
import signal
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NoReturn, TypeVar

from train.errors import FULL, UserError
from train.unicode import harmless

T = TypeVar("T")
UNREAD = 141  # as the shell tells of a program that nobody reads any more: 128 + SIGPIPE


class Unread(SystemExit):
    """Raised when nobody reads the output any more."""


class Stopped(SystemExit):
    """Raised when a signal asks the program to end, so that whatever it began is ended and cleared away first."""


def guarded(command: Callable[[T], Any], arguments: T, failure: int = 1) -> int:
    """Run a command; returns its status, 0 where it has none. What fails ends the program in a line, with `failure`.

    Only our own mistakes show a traceback, and not of a command that judges (`failure` 2): what it reads is a
    stranger's, and must not crash its checker.
    """
    open_streams()
    try:
        with stoppable():
            return int(command(arguments) or 0)
    except UserError as error:
        fail(str(error), failure)
    except OSError as error:
        fail(explain(error), failure)
    except MemoryError:
        fail("more memory than this machine has, or than a release of this size may take (32 times its own)", failure)
    except KeyboardInterrupt:
        note("\ninterrupted: run the same command again to go on from what was whole")
        sys.exit(130)
    except ModuleNotFoundError as error:
        remedy = f"`make setup` makes .venv with all that is locked; else {sys.executable} -m pip install {error.name}"
        fail(f"{error.name} is not installed; {remedy}", failure)
    except Exception as error:
        if failure == 1:
            raise
        fail(f"{type(error).__name__}: {error}", failure)


@contextlib.contextmanager
def stoppable() -> Iterator[None]:
    """What runs meanwhile can put things in order when SIGTERM or SIGHUP comes, by which the program then ends.

    A second one ends it at once; one that is ignored, as by nohup, stays so. SIGINT raises KeyboardInterrupt.
    """

    def stop(number: int, _frame: object) -> NoReturn:
        signal.signal(number, signal.SIG_DFL)
        raise Stopped(number)

    handlers = {signal.SIGTERM: stop, signal.SIGHUP: stop, signal.SIGINT: signal.default_int_handler}
    signals = [each for each in handlers if signal.getsignal(each) is signal.SIG_DFL]
    for number in signals:
        signal.signal(number, handlers[number])
    try:
        yield
    except Stopped as stopped:
        signal.raise_signal(stopped.args[0])
    finally:
        for number in signals:
            signal.signal(number, signal.SIG_DFL)


def open_streams() -> None:
    """See that the standard streams are there, and show what their encoding lacks by its number.

    One that was closed (`>&-`) leads nowhere from now on: else the next file that is opened would take its place.
    """
    while (number := os.open(os.devnull, os.O_RDWR)) <= 2:
        name, mode = (("stdin", "r"), ("stdout", "w"), ("stderr", "w"))[number]
        setattr(sys, name, os.fdopen(number, mode, encoding="utf-8", closefd=False))
    os.close(number)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def fail(text: str, status: int = 1) -> NoReturn:
    """End the program: each line of `text` on the error stream, as an error."""
    lines = "\n".join(f"error: {line}" for line in harmless(text).split("\n"))
    if status == 1:
        sys.exit(lines)
    note(lines)
    sys.exit(status)


def say(line: str) -> None:
    """Print a line at once, for people or whoever reads the output."""
    write(f"{line}\n")


def write(text: str) -> None:
    """Write a text at once on the standard output; ends the program where nobody reads it or it takes no more."""
    try:
        sys.stdout.write(harmless(text))
        sys.stdout.flush()
    except OSError as error:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # what is left of it is no error at the end
        if isinstance(error, BrokenPipeError):
            raise Unread(UNREAD) from None
        raise UserError(f"the output cannot be written ({error.strerror})") from None


def note(line: str) -> None:
    """Print a line at once on the error stream, beside the output; a stream that takes no more stops no work."""
    with contextlib.suppress(OSError):
        print(harmless(line), file=sys.stderr, flush=True)


# Of the reader's machine, and so nothing against the release: no right, no room, too many open files, a failing disk.
LACKS = (errno.EACCES, errno.EPERM, errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EMFILE, errno.ENFILE, errno.EIO)
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
    errno.EFBIG: "the file system, or `ulimit -f`, holds no file as large; name another place",
    errno.EDQUOT: "your share of the disk is used up; free some, then run the same command again",
    errno.EMFILE: "too many files are open at once; raise the limit (ulimit -n)",
}
# What may be gone when the same command runs again.
PASSING = (errno.EIO, errno.ESTALE, errno.ETIMEDOUT, errno.EAGAIN, errno.EINTR, errno.EBUSY, errno.ENOMEM, errno.EPIPE,
           errno.ECONNRESET, errno.ECONNABORTED, errno.ECONNREFUSED, errno.ENETUNREACH, errno.EHOSTUNREACH)  # fmt: skip


def of_the_machine(error: BaseException | None) -> str:
    """What the reader's machine lacks, as an error or what led to it tells; empty where none tells of that."""
    while error and getattr(error, "errno", None) not in LACKS:
        error = error.__context__
    return explain(error) if isinstance(error, OSError) else ""


def explain(error: OSError) -> str:
    """A failure of the system in one line, with what to do."""
    if isinstance(error, shutil.Error):  # of each file of a folder that could not be copied
        source, target, why = error.args[0][0]
        number, said = (re.findall(r"^\[Errno (\d+)\] ([^:]*)", why) or [(0, why)])[0]
        return f"{explain(OSError(int(number), said, source, None, target))} ({len(error.args[0]) - 1} more)"
    where = Path((error.errno in FULL and error.filename2) or error.filename or ".")  # of a copy, what is written
    if error.errno == errno.ENOSPC:
        folder = next((path for path in (where, *where.parents) if path.is_dir()), Path("."))
        free = shutil.disk_usage(folder).free
        full = (
            f"{where}: no space left on the disk ({free} bytes free)" if error.filename else "no space left on a disk"
        )
        return f"{full}; free some and run the same command again"
    if error.errno in REMEDIES:
        missing = error.errno == errno.ENOENT and where.name == str(where)
        remedy = "make sure it is there, or, if it is a program, install it" if missing else REMEDIES[error.errno]
        return f"{where}: {error.strerror}; {remedy}"
    again = ", run the same command again" * (error.errno in PASSING)
    return f"{where}: {error.strerror or error}; nothing that was whole is lost{again}"
