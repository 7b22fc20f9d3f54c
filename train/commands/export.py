"""`pellucid export`: a release as one GGUF file."""

import argparse
from typing import Any

from train.release.bounds import confine
from train.release.gguf import write


def run(args: argparse.Namespace) -> dict[str, Any]:
    confine(args.release)
    return {"file": str(args.file), "tensors": write(args.release, args.file), "bytes": args.file.stat().st_size}


def lines(report: dict[str, Any], args: argparse.Namespace) -> list[str]:
    return [
        f"{report['file']}: {report['tensors']} tensors, {report['bytes']:,} bytes, all float32; so that llama.cpp",
        "computes in it too, tell it --cache-type-k f32 --cache-type-v f32 --flash-attn off",
    ]
