"""A sandbox for programs that a release brings, by bubblewrap where the system has it and lets it.

Such a program sees the system's files, none of which it can change, and of people's files only those that are named. It
sees no other process. The network stays, for sources are fetched.
"""

import sys
import tempfile
from collections.abc import Iterable
from functools import cache
from pathlib import Path

from train import programs

APART = (
    "--die-with-parent --new-session --unshare-pid --unshare-ipc --unshare-uts --ro-bind / / --dev /dev --proc /proc"
)
PRIVATE = ("/home", "/root", "/tmp", "/var/tmp", "/run/user", "/mnt", "/media")  # people's, not the system's
GPUS = "nvidia*"  # below /dev


@cache
def missing() -> str:
    """Why there is no sandbox here; empty where there is one."""
    try:
        done = programs.run(["bwrap", *APART.split(), "true"], Path("/"), programs.environment())
    except OSError:
        return "bubblewrap is not installed here"
    return f"bubblewrap is not allowed here: {done.stderr.decode(errors='replace')[:100].strip()}" * bool(
        done.returncode
    )


def confined(line: list[str], readable: Iterable[Path], writable: Iterable[Path]) -> list[str]:
    """The command line that runs `line` in the sandbox, in the same folder; `line` itself where there is none."""
    if missing():
        return line
    hidden = {path for path in (*map(Path, PRIVATE), Path.home(), Path(tempfile.gettempdir())) if path.is_dir()}
    options = [word for path in sorted(hidden) for word in ("--tmpfs", str(path))]
    for gpu in Path("/dev").glob(GPUS):
        options += ["--dev-bind", str(gpu), str(gpu)]
    interpreter = {each for path in map(Path, (sys.prefix, sys.base_prefix)) for each in (path, path.resolve())}
    lost = [path for path in sorted({*interpreter, *readable}) if any(path.is_relative_to(each) for each in hidden)]
    for option, paths in (("--ro-bind", lost), ("--bind", [*writable])):
        options += [word for path in paths for word in (option, str(path), str(path))]
    return ["bwrap", *APART.split(), *options, *line]
