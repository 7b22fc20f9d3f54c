"""Worker of `verify`: `... verify_worker RELEASE LEVEL WHERE CHECK...` prints what checks find, a line of JSON each."""

import json
import os
import sys
from pathlib import Path
from typing import Any

from train.compose import overrides_of
from train.release.bounds import limit_memory
from train.release.verify.run import results
from train.terminal import guarded


def main(arguments: list[Any]) -> None:
    """Print the names of all checks, then each result: what `isolated` reads."""
    path, level, how, *only = arguments
    release, where = Path(path), json.loads(how)
    where |= {name: Path(where[name]) for name in ("cache", "folder") if name in where}
    where.setdefault("cache", Path("~/.cache/pellucid"))  # of a home that not every user has
    out = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # whatever a library prints does not come between
    if where.get("device") != "cuda":  # whose driver takes address space as if it were memory
        limit_memory(release)
    announce = lambda names: print(json.dumps(names), file=out, flush=True)  # noqa: E731
    for result in results(release, level, only, announce, overrides_of=overrides_of, **where):
        print(json.dumps(vars(result)), file=out, flush=True)


if __name__ == "__main__":
    guarded(main, sys.argv[1:])
