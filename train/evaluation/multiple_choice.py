"""Multiple choice: does the model find the right answer to a question the most probable one?

Two scores, called as in lm-eval, to whose figures they are equal: `acc` compares the sums of the answers' tokens'
log-probabilities, `acc_norm` those sums divided by the lengths of the answers in characters, as an answer is not the
worse for being long. Of equal ones the first is taken. A guess is right as often as `chance` says.
"""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from train.data.schema import Item
from train.evaluation.items import Row, Scored, by_group, by_set, share

METHOD = "the right answer has the largest sum of log-probabilities, for acc_norm by its characters; exact"


def summary(items: Sequence[Item], rows: Sequence[Row], benchmarks: Path, confidence: float) -> dict[str, Any]:
    """`multiple_choice.json`: for each set where it is from, its scores and those of its groups."""
    return {
        name: {
            **origin,
            "method": METHOD,
            **scores(members, confidence),
            "groups": {group: scores(some, confidence) for group, some in by_group(members).items()},
        }
        for name, origin, members in by_set(items, rows, benchmarks)
    }


def scores(members: Sequence[Scored], confidence: float) -> dict[str, Any]:
    """`acc`, `acc_norm`, what chance gives, and of how many items."""

    def right(by: str, normalised: bool) -> list[bool]:
        return [chosen(getattr(row, by), item.choices, normalised) == item.answer for item, row in members]

    return {
        **{name: share(right("bits", norm), right("byte_4gram", norm), confidence) for name, norm in MEASURES.items()},
        "chance": round(math.fsum(1 / len(item.choices) for item, _ in members) / len(members), 6),
        "unit": "share of items",
        "items": len(members),
    }


MEASURES: Mapping[str, bool] = {"acc": False, "acc_norm": True}  # whether lengths are evened out


def chosen(bits: Sequence[float], choices: Sequence[str], normalised: bool) -> int:
    """The number of the first choice that costs least."""
    costs = [cost / (len(choice) if normalised else 1) for cost, choice in zip(bits, choices, strict=True)]
    return costs.index(min(costs))
