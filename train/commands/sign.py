"""`pellucid sign`: a signed statement of how a release was made, or those of others, among its witnesses."""

import argparse
from collections.abc import Iterator

from train.errors import UserError
from train.release.attest import dsse, statements
from train.release.prove.reproduce import require_whole


def run(args: argparse.Namespace) -> list[str]:
    """Where each statement is now."""
    if not args.key and not args.collect:
        raise UserError("give --key, or --collect")
    require_whole(args.release)
    key = dsse.private_key(args.key) if args.key else None
    found = [statements.collect(args.release, path.read_bytes()) for path in args.collect]
    if key:  # last, so that it covers what was collected
        said = statements.statement(args.release, dsse.PROVENANCE, statements.provenance(args.release))
        found.append(statements.collect(args.release, statements.sign(said, key)))
    return [str(each) for each in found]


def lines(report: list[str], args: argparse.Namespace) -> Iterator[str]:
    return (f"statement  {each}" for each in report)
