"""`pellucid diff`: what changed between two releases."""

import argparse
import sys
from collections.abc import Iterator
from typing import Any

from train.release.bounds import confine
from train.release.prove import diff
from train.release.verify.run import require

SHOWN, WIDTH = 12, 60  # changes of a kind, letters of a value


def run(args: argparse.Namespace) -> dict[str, Any]:
    """The changes; UserError when a release is not what its manifest says, and so not what it would be taken for."""
    confine(args.before, args.after)
    for release in (args.before, args.after):
        require(release, "quick", ["integrity"], f"{release}: cannot be compared: ")
    return diff.changes(args.before, args.after)


def lines(report: dict[str, Any], args: argparse.Namespace) -> Iterator[str]:
    """A heading a kind with its number of changes, and a line a change."""
    shown = sys.maxsize if args.all else SHOWN
    if report["same"]:
        yield f"the same: identity {report['identities'][0]}"
        return
    yield "identity   {} -> {}".format(*(identity[:12] for identity in report["identities"]))
    for kind, changes in report["changes"].items():
        yield f"{kind:<10} {len(changes) or 'no'} change{'' if len(changes) == 1 else 's'}"
        for change in changes[:shown]:
            yield f"           {change['what']}: {short(change['before'])} -> {short(change['after'])}"
        if len(changes) > shown:
            yield f"           and {len(changes) - shown} more: --all shows them"


def status(report: dict[str, Any]) -> int:
    return int(not report["same"])


def short(value: Any) -> str:
    text = "nothing" if value is None else " ".join(str(value).split())
    return text if len(text) <= WIDTH else f"{text[: WIDTH - 3]}..."
