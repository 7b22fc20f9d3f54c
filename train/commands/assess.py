"""`pellucid assess`: what of the openness table any model's folder holds, by its files alone."""

import argparse
from collections import Counter
from collections.abc import Iterator
from typing import Any

from train.release.assess import assess
from train.release.bounds import MINUTES, limit_memory, limit_time


def run(args: argparse.Namespace) -> dict[str, Any]:
    limit_memory()  # it opens nothing but files, and reads little of each
    limit_time(MINUTES)
    return assess(args.folder, args.mof)


def lines(report: dict[str, Any], args: argparse.Namespace) -> Iterator[str]:
    """A line an item, must before should, a line a licence, and how many items have which status."""
    for row in report["items"]:
        yield f"{row['status']:<11}  {row['class']:<6} {row['requirement']}{': ' if row['why'] else ''}{row['why']}"
    for each in report["licences"]:
        held = f", reserves uses: {each['restriction']!r}" if each["restriction"] else ""
        yield f"licence      {each['where']}: {each['licence'] or 'not known'}, {each['standing']}{held}"
    yield from (f"note         {each}" for each in report["notes"])
    counts = Counter(row["status"] for row in report["items"] if row["class"] == "must")
    each = ", ".join(f"{counts[status]} {status}" for status in ("found", "not found", "cannot tell"))
    yield f"{counts.total()} must-items by files alone: {each}"


def status(report: dict[str, Any]) -> int:
    return int(bool(report["lacking"]))
