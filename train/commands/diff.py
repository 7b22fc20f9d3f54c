"""`pellucid diff`: what changed between two releases."""

import argparse
import sys
from typing import Any

from train.release.bounds import confine
from train.release.cards import templates
from train.release.prove import diff
from train.release.verify.run import require

SHOWN, WIDTH = 12, 60  # changes of a kind, letters of a value


def run(args: argparse.Namespace) -> dict[str, Any]:
    """The changes; UserError when a release is not what its manifest says, and so not what it would be taken for."""
    confine(args.before, args.after)
    for release in (args.before, args.after):
        require(release, "quick", ["integrity"], f"{release}: cannot be compared: ")
    return diff.changes(args.before, args.after)


def lines(report: dict[str, Any], args: argparse.Namespace) -> list[str]:
    """A heading a kind with its number of changes, and a line a change."""
    return templates.lines("diff.jinja", report=report, shown=sys.maxsize if args.all else SHOWN, short=short)


def status(report: dict[str, Any]) -> int:
    return int(not report["same"])


def short(value: Any) -> str:
    text = "nothing" if value is None else " ".join(str(value).split())
    return text if len(text) <= WIDTH else f"{text[: WIDTH - 3]}..."
