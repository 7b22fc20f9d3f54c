"""`pellucid bench`: the benchmarks of `scripts/bench.py`."""

import argparse
import contextlib
import importlib
import sys
from pathlib import Path
from typing import Any

SCRIPTS = Path(__file__).resolve().parents[2] / "scripts"


def run(args: argparse.Namespace) -> Any:
    sys.path.insert(0, str(SCRIPTS))  # where processes that a benchmark starts find it as well
    with contextlib.redirect_stdout(sys.stderr) if args.json else contextlib.nullcontext():
        return importlib.import_module("bench").main(args.words)
