"""`pellucid config`: each key of a configuration, its meaning, allowed values and value."""

import argparse
from collections.abc import Iterator
from typing import Any

from train.compose import built, compose
from train.errors import UserError, did_you_mean
from train.settings import described


def run(args: argparse.Namespace) -> list[dict[str, Any]]:
    """A row a key: its dotted path, as overrides have it, what it means, may be, and is."""
    groups = [word for word in args.words if "=" not in word and not word.startswith("~")]
    composed = compose([word for word in args.words if word not in groups])
    from train.pipeline import Run  # only now: a wrong word is answered at once

    rows = [
        row._asdict()
        for row in described(built(Run, composed))
        if row.key.split(".")[0] not in ("overrides", "settings")
    ]
    for group in groups:
        if not any(within(row["key"], group) for row in rows):
            known = sorted({".".join(row["key"].split(".")[:count]) for row in rows for count in range(1, 9)})
            raise UserError(f"{group}: no such group or key{did_you_mean(group, known)}")
    return [row for row in rows if not groups or any(within(row["key"], group) for group in groups)]


def lines(report: list[dict[str, Any]], args: argparse.Namespace) -> Iterator[str]:
    for row in report:
        yield f"{row['key']} = {row['value']!r}"
        yield "    " + "; ".join(filter(None, [row["allowed"], row["meaning"]]))


def within(key: str, group: str) -> bool:
    return key == group or key.startswith(f"{group}.")
