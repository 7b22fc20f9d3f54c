"""`pellucid archive`: a release as one file, or one for each role, after its quick verification."""

import argparse
from collections.abc import Iterator
from typing import Any

from train.artifact import file_digest
from train.release.archive import pack
from train.release.standards.osaid import ladder
from train.release.verify.run import require


def run(args: argparse.Namespace) -> list[dict[str, str]]:
    require(args.release, "quick")
    release = args.release.resolve()
    paths = pack(release, args.into or release.parent, args.by_role)
    return [{"archive": str(path), "sha256": file_digest(path)} for path in paths]


def lines(report: list[dict[str, Any]], args: argparse.Namespace) -> Iterator[str]:
    for each in report:
        yield from (f"archive    {each['archive']}", f"sha256     {each['sha256']}")
    yield from ladder(str(args.release), {"intact": "holds"})
