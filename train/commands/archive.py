"""`pellucid archive`: a release as one file, after its quick verification."""

import argparse

from train.artifact import file_digest
from train.release.archive import pack
from train.release.verify.run import require


def run(args: argparse.Namespace) -> list[dict[str, str]]:
    require(args.release, "quick")
    release = args.release.resolve()
    path = pack(release, args.into or release.parent)
    return [{"archive": str(path), "sha256": file_digest(path)}]
