"""A sandbox for programs that a release brings, by bubblewrap where the system has it and lets it.

Such a program sees the folders of the system, in which it can change nothing, and of all others only those that are
named. It sees no other process and no socket of the system's services. The network stays, for sources are fetched.
"""

import os
import sys
import tempfile
from collections.abc import Iterable
from functools import cache
from pathlib import Path

from train import programs

APART = (
    "--die-with-parent --new-session --unshare-pid --unshare-ipc --unshare-uts --ro-bind / / --dev /dev --proc /proc"
)
SYSTEM = "bin boot dev etc gnu lib lib32 lib64 libx32 nix opt proc sbin sys usr"  # below /: no people's files
NAMES = Path("/etc/resolv.conf")  # by which the network finds others; often a link
GPUS = "nvidia*"  # below /dev


@cache
def missing() -> str:
    """Why there is no sandbox here; empty where there is one."""
    try:
        done = programs.run(["bwrap", *APART.split(), "true"], Path("/"), programs.environment())
    except OSError:
        return "bubblewrap is not installed here"
    words = done.stderr.decode(errors="replace")[:100].strip()
    return f"bubblewrap is not allowed here: {words}" if done.returncode else ""


def confined(line: list[str], readable: Iterable[Path], writable: Iterable[Path]) -> list[str]:
    """The command line that runs `line` in the sandbox, in the same folder; `line` itself where there is none."""
    if missing():
        return line
    top = (path for path in Path("/").iterdir() if path.name not in SYSTEM.split() and not path.is_symlink())
    hidden = {path for path in (*top, Path(os.path.expanduser("~")), Path(tempfile.gettempdir())) if path.is_dir()}
    options = [word for path in sorted(hidden) for word in ("--tmpfs", str(path))]
    for gpu in Path("/dev").glob(GPUS):
        options += ["--dev-bind", str(gpu), str(gpu)]
    interpreter = {each for path in map(Path, (sys.prefix, sys.base_prefix)) for each in (path, path.resolve())}
    needed = {*interpreter, *readable, *([NAMES.resolve()] if NAMES.exists() else [])}
    lost = [path for path in sorted(needed) if any(path.is_relative_to(each) for each in hidden)]
    for option, paths in (("--ro-bind", lost), ("--bind", [*writable])):
        options += [word for path in paths for word in (option, str(path), str(path))]
    return ["bwrap", *APART.split(), *options, *line]
