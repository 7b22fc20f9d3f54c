"""Check a release, a folder or archives of it: `python scripts/verify.py RELEASE [--quick] [--only NAME]`.

Exit status: 0 every check holds, 1 some check fails, 2 not a release, or one that cannot be read. `--quick` checks
integrity and completeness alone. With `--public-key` somebody who holds that key must have signed it.
"""

import argparse
import json
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from train.config import UserError
from train.release.archive import unpacked
from train.release.verify import Result, verify
from train.terminal import harmless


def signed(release: Path, keys: list[Path], results: list[Result]) -> list[Result]:
    """The check `signatures`, if statements are there or demanded; its detail is what they say."""
    if not keys and not (release / "logs/statements").exists():
        return []
    if any(result.name == "integrity" and not result.ok for result in results):
        return [Result("signatures", False, "not run: see integrity")]
    from train.release.statements import signatures

    try:
        problems, lines = signatures(release, keys)
    except Exception as error:  # what a stranger wrote must not crash its checker
        kind = "" if isinstance(error, UserError) else f"could not be checked: {type(error).__name__}: "
        problems, lines = [f"{kind}{error}"], []
    return [Result("signatures", not problems, harmless("; ".join([*problems, *lines]).replace("\n", " ")))]


def main() -> int:
    parser = argparse.ArgumentParser(description=str(__doc__).split("\n")[0])
    parser.add_argument("release", type=Path, nargs="+", help="the folder that holds MANIFEST.json, or its archives")
    parser.add_argument("--quick", action="store_true", help="integrity and completeness only, in seconds")
    parser.add_argument("--only", action="append", default=[], metavar="NAME", help="run this check alone; repeatable")
    parser.add_argument("--json", action="store_true", help="print the results as JSON")
    parser.add_argument("--public-key", action="append", default=[], type=Path, metavar="PEM",
                        help="demand a statement signed with this key; repeatable")  # fmt: skip
    arguments = parser.parse_args()
    try:
        with unpacked(arguments.release) as release:
            results = verify(release, "quick" if arguments.quick else "full", arguments.only)
            results += signed(release, arguments.public_key, results)
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
