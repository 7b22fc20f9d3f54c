"""`pellucid assess`: what of the openness table any model's folder holds, by its files alone."""

import argparse
from typing import Any

from train.release.assess import assess
from train.release.bounds import MINUTES, limit_memory, limit_time


def run(args: argparse.Namespace) -> dict[str, Any]:
    limit_memory()  # it opens nothing but files, and reads little of each
    limit_time(MINUTES)
    return assess(args.folder, args.mof)


def status(report: dict[str, Any]) -> int:
    return int(bool(report["lacking"]))
