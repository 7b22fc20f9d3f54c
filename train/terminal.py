"""How a command ends: what its user can mend is a line on the error stream and status 1; Ctrl-C is 130."""

import errno
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

from train.config import UserError


def guarded(command: Callable[[list[str]], None], arguments: list[str]) -> None:
    """Run a command, and answer every failure that is not our own mistake without a traceback."""
    try:
        command(arguments)
    except UserError as error:
        sys.exit("\n".join(f"error: {line}" for line in str(error).split("\n")))
    except OSError as error:
        sys.exit(f"error: {explain(error)}")
    except KeyboardInterrupt:
        print("\ninterrupted: run the same command again to go on from what was whole", file=sys.stderr)
        sys.exit(130)


def explain(error: OSError) -> str:
    """A failure of the system in one line, with what to do."""
    where = Path(error.filename or ".")
    if error.errno == errno.ENOSPC:
        folder = next((path for path in (where, *where.parents) if path.is_dir()), Path("."))
        free = shutil.disk_usage(folder).free
        return f"{where}: no space left on the disk ({free} bytes free); free some and run the same command again"
    return f"{where}: {error.strerror or error}; nothing that was whole is lost, run the same command again"


def printable(text: str) -> str:
    """`text` without what could move the cursor or change colours: somebody else may have written it."""
    return "".join(c if c.isprintable() else f"\\u{ord(c):04x}" for c in text)
