"""Check a release: `python scripts/verify.py RELEASE [--quick | --deep] [--only NAME] [--json]`.

Exit status: 0 every check holds, 1 some check fails, 2 not a release, or one that cannot be read. `--quick` checks
integrity and completeness with the standard library alone. `--deep` also installs what the release's lock names.
"""

import argparse
import json
import os
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from train.config import UserError
from train.release.verify import Level, Result, apart, confine, results, verify


def main() -> int:
    parser = argparse.ArgumentParser(description=str(__doc__).split("\n")[0])
    parser.add_argument("release", type=Path, help="the folder that holds MANIFEST.json")
    parser.add_argument("--quick", action="store_true", help="integrity and completeness only, in seconds")
    parser.add_argument("--deep", action="store_true", help="also what needs network and time")
    parser.add_argument("--only", action="append", default=[], metavar="NAME", help="run this check alone; repeatable")
    parser.add_argument("--json", action="store_true", help="print the results as JSON")
    parser.add_argument("--minutes", type=float, default=60, help="stop after so many minutes")
    parser.add_argument("--lines", action="store_true", help=argparse.SUPPRESS)  # of the process that checks
    asked = parser.parse_args()
    level: Level = "quick" if asked.quick else "deep" if asked.deep else "full"
    say = (lambda result: None) if asked.json else show
    try:
        if asked.lines:
            return lines(asked.release, level, asked.only)
        if level == "quick":
            found = verify(asked.release, level, asked.only)
            for result in found:
                say(result)
        else:
            command = [sys.executable, __file__, *sys.argv[1:], "--lines"]
            found = apart(command, asked.minutes, say)
    except (UserError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    failed = sum(not result.ok for result in found)
    if asked.json:
        print(json.dumps([vars(result) for result in found], indent=2))
    else:
        print(f"{len(found) - failed} of {len(found)} checks hold")
    return 1 if failed else 0


def show(result: Result) -> None:
    print(f"{'holds' if result.ok else 'FAILS'}  {result.name:<18} {result.detail}".rstrip(), flush=True)


def lines(release: Path, level: Level, only: list[str]) -> int:
    """Print the names of all checks, then each result, a line of JSON each: what `apart` reads."""
    told = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # whatever a library prints does not come between
    confine(release)
    for result in results(release, level, only, lambda names: print(json.dumps(names), file=told, flush=True)):
        print(json.dumps(vars(result)), file=told, flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
