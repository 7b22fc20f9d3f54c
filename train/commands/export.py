"""`pellucid export`: a release as one GGUF file."""

import argparse
from typing import Any

from train.release.bounds import confine
from train.release.gguf import write


def run(args: argparse.Namespace) -> dict[str, Any]:
    confine(args.release)
    return {"file": str(args.file), "tensors": write(args.release, args.file), "bytes": args.file.stat().st_size}
