"""`pellucid publish`: a release that passes every check goes to a model repository of the hub, whole or not at all."""

import argparse
from typing import Any

from train.initial import identity_of
from train.layout import release_files
from train.release.publish import require_name, upload
from train.release.verify.run import require


def run(args: argparse.Namespace) -> dict[str, Any]:
    require_name(args.repository)  # before the minutes of the checks
    require(args.release, "full", why="not published: ")
    identity = identity_of(args.release)
    files = release_files(args.release)
    where = upload(args.release, files, args.repository, f"Release {identity}", args.delete)
    return {"published": where, "identity": identity, "repository": args.repository}
