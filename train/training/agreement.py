"""Ranks agree on one plan before anything is made: under unlike keys they would wait for each other in vain."""

import itertools
import json
from collections.abc import Mapping
from typing import Any

from train.artifact import canonical_json
from train.errors import UserError
from train.training.checkpoint import unlike
from train.training.distributed import answered, store_for
from train.world import World

RUNS = itertools.count()  # of this process: every rank of a sweep counts alike


def require_agreement(planned: Mapping[str, Any], world: World) -> None:
    """Refuse, with UserError on all ranks at once, to run where a rank would make something else than rank 0.

    `planned` is plain data: what decides the keys. The error names the first field that differs.
    """
    if world.size == 1:
        return
    with answered(world):
        store = store_for(world, f"plan/{next(RUNS)}")
        if world.rank:
            first = json.loads(store.get("0"))
            own = json.loads(canonical_json(planned))
            problems = [f"rank {world.rank} is unlike rank 0: {unlike(first, own)}" if first != own else ""]
            store.set(str(world.rank), problems[0])
        else:
            store.set("0", canonical_json(planned).decode())
            problems = [store.get(str(rank)).decode() for rank in range(1, world.size)]
    for problem in filter(None, problems):
        raise UserError(
            f"{problem}. Each would wait for what the other makes under another key: use like nodes and settings, or "
            "training.numerics.contract=exact, which needs no like nodes"
        )
