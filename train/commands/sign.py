"""`pellucid sign`: a signed statement of how a release was made, or those of others, among its witnesses."""

import argparse

from train.artifact import read_bytes
from train.errors import UserError
from train.release.attest import dsse, statements
from train.release.verify.run import require


def run(args: argparse.Namespace) -> list[str]:
    """Where each statement is now."""
    if not args.key and not args.collect:
        raise UserError("give --key, or --collect")
    require(args.release, "quick")
    key = dsse.private_key(args.key) if args.key else None
    placed = [statements.collect(args.release, read_bytes(path, dsse.MOST)) for path in args.collect]
    if key:  # last, so that it covers what was collected
        provenance = statements.statement(args.release, dsse.PROVENANCE, statements.provenance(args.release))
        placed.append(statements.collect(args.release, dsse.sign(provenance, key)))
    return [str(path) for path in placed]
