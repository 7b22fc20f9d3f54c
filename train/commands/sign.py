"""`pellucid sign`: a signed statement of how a release was made, or those of others, among its witnesses."""

import argparse
from collections.abc import Iterator

from train.errors import UserError
from train.release.attest import dsse, statements
from train.release.prove.reproduce import require_whole


def run(asked: argparse.Namespace) -> list[str]:
    """Where each statement is now."""
    if not asked.key and not asked.collect:
        raise UserError("give --key, or --collect")
    require_whole(asked.release)
    key = dsse.private_key(asked.key) if asked.key else None
    found = [statements.collect(asked.release, path.read_bytes()) for path in asked.collect]
    if key:  # last, so that it covers what was collected
        said = statements.statement(asked.release, dsse.PROVENANCE, statements.provenance(asked.release))
        found.append(statements.collect(asked.release, statements.sign(said, key)))
    return [str(each) for each in found]


def lines(report: list[str], asked: argparse.Namespace) -> Iterator[str]:
    return (f"statement  {each}" for each in report)
