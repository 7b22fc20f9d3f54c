"""`pellucid diff`: what changed between two releases."""

import argparse
from typing import Any

from train.release.bounds import confine
from train.release.prove import diff
from train.release.verify.run import require


def run(args: argparse.Namespace) -> dict[str, Any]:
    """The changes; UserError when a release is not what its manifest says, and so not what it would be taken for."""
    confine(args.before, args.after)
    for release in (args.before, args.after):
        require(release, "quick", ["integrity"], f"{release}: cannot be compared: ")
    return diff.changes(args.before, args.after)


def status(report: dict[str, Any]) -> int:
    return int(not report["same"])
