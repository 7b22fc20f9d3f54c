"""Check a release: `python scripts/verify.py RELEASE [--quick] [--only NAME] [--json]`.

Exit status: 0 every check holds, 1 some check fails, 2 not a release, or one that cannot be read. `--quick` checks
integrity and completeness with the standard library alone.
"""

import argparse
import json
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from train.config import UserError
from train.release.verify import verify


def main() -> int:
    parser = argparse.ArgumentParser(description=str(__doc__).split("\n")[0])
    parser.add_argument("release", type=Path, help="the folder that holds MANIFEST.json")
    parser.add_argument("--quick", action="store_true", help="integrity and completeness only, in seconds")
    parser.add_argument("--only", action="append", default=[], metavar="NAME", help="run this check alone; repeatable")
    parser.add_argument("--json", action="store_true", help="print the results as JSON")
    arguments = parser.parse_args()
    try:
        results = verify(arguments.release, "quick" if arguments.quick else "full", arguments.only)
    except (UserError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    failed = sum(not result.ok for result in results)
    if arguments.json:
        print(json.dumps([vars(result) for result in results], indent=2))
    else:
        for result in results:
            print(f"{'holds' if result.ok else 'FAILS'}  {result.name:<18} {result.detail}".rstrip())
        print(f"{len(results) - failed} of {len(results)} checks hold")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
