"""What changed between two releases: `python scripts/diff.py BEFORE AFTER [--json]`.

Exit status: 0 they have the same identity, 1 they differ, 2 they cannot be compared.
"""

import argparse
import sys
from pathlib import Path
from typing import Any

sys.dont_write_bytecode = True  # in a release, whose code this may be, nothing is written
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from train.terminal import reported

SHOWN, WIDTH = 12, 60  # changes of a kind, letters of a value


def main() -> int:
    parser = argparse.ArgumentParser(description=str(__doc__).split("\n")[0])
    parser.add_argument("before", type=Path, help="a folder that holds MANIFEST.json")
    parser.add_argument("after", type=Path, help="another one")
    parser.add_argument("--all", action="store_true", help=f"show every change, not the first {SHOWN} of a kind")
    parser.add_argument("--json", action="store_true", help="print every change as JSON")
    arguments = parser.parse_args()
    shown = sys.maxsize if arguments.all else SHOWN
    return reported(compared, arguments, lambda found: lines(found, shown), lambda found: 0 if found["same"] else 1)


def compared(arguments: argparse.Namespace) -> dict[str, Any]:
    """The changes; UserError when a release is not what its manifest says, and so not what it would be taken for."""
    from train.errors import UserError
    from train.release.bounds import confine
    from train.release.prove.diff import changes
    from train.release.verify.run import verify

    confine(arguments.before, arguments.after)
    for release in (arguments.before, arguments.after):
        for result in verify(release, "quick", ["integrity"]):
            if not result.ok:
                raise UserError(f"{release}: cannot be compared: {result.name}: {result.detail}")
    return changes(arguments.before, arguments.after)


def lines(found: dict[str, Any], shown: int) -> list[str]:
    """A heading a kind with its number of changes, and a line a change."""
    if found["same"]:
        return [f"the same: identity {found['identities'][0]}"]
    told = ["identity   {} -> {}".format(*(identity[:12] for identity in found["identities"]))]
    for kind, changes in found["changes"].items():
        told.append(f"{kind:<10} {len(changes) or 'no'} change{'' if len(changes) == 1 else 's'}")
        told += [f"           {change['what']}: {short(change['before'])} -> {short(change['after'])}"
                 for change in changes[:shown]]  # fmt: skip
        if len(changes) > shown:
            told.append(f"           and {len(changes) - shown} more: --all shows them")
    return told


def short(value: Any) -> str:
    text = "nothing" if value is None else " ".join(str(value).split())
    return text if len(text) <= WIDTH else f"{text[: WIDTH - 3]}..."


if __name__ == "__main__":
    sys.exit(main())
