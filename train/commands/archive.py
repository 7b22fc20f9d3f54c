"""`pellucid archive`: a release as one file, or one for each role, after its quick verification."""

import argparse

from train.artifact import file_digest
from train.release.archive import pack
from train.release.verify.run import require


def run(args: argparse.Namespace) -> list[dict[str, str]]:
    require(args.release, "quick")
    release = args.release.resolve()
    paths = pack(release, args.into or release.parent, args.by_role)
    return [{"archive": str(path), "sha256": file_digest(path)} for path in paths]
