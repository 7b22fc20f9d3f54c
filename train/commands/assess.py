"""`pellucid assess`: what of the openness table any model's folder holds, by its files alone."""

import argparse
from collections import Counter
from typing import Any

from train.release.assess import assess
from train.release.bounds import MINUTES, limit_memory, limit_time
from train.release.cards import templates


def run(args: argparse.Namespace) -> dict[str, Any]:
    limit_memory()  # it opens nothing but files, and reads little of each
    limit_time(MINUTES)
    return assess(args.folder, args.mof)


def lines(report: dict[str, Any], args: argparse.Namespace) -> list[str]:
    counts = Counter(row["status"] for row in report["items"] if row["class"] == "must")
    return templates.lines("assess.jinja", report=report, counts=counts, repr=repr)


def status(report: dict[str, Any]) -> int:
    return int(bool(report["lacking"]))
