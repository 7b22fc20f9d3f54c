"""`pellucid publish`: a release that passes every check goes to a model repository of the hub, whole or not at all."""

import argparse
from typing import Any

from train.artifact import read_json
from train.errors import UserError
from train.release.publish import upload
from train.release.standards.osaid import ladder, release_files
from train.release.verify.result import against
from train.release.verify.run import verify


def run(asked: argparse.Namespace) -> dict[str, Any]:
    if failures := against(verify(asked.release, "full")):
        raise UserError("\n".join(f"not published: {result.name}: {result.detail}" for result in failures))
    identity = read_json(asked.release / "MANIFEST.json")["identity"]
    files = release_files(asked.release)
    where = upload(asked.release, files, asked.repository, f"Release {identity}", asked.delete)
    return {"published": where, "identity": identity, "repository": asked.repository}


def lines(report: dict[str, Any], asked: argparse.Namespace) -> list[str]:
    download = f"for others hf download {report['repository']} --local-dir FOLDER"
    reached = ladder(str(asked.release), {"intact": "holds", "consistent": "holds"})
    return [f"published  {report['published']}", f"identity   {report['identity']}", download, *reached]
