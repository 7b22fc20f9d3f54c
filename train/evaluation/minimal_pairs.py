"""Minimal pairs: does the model find the good sentence more probable than the bad one, which differs by one change?

After BLiMP (Warstadt et al. 2020, arXiv 1912.00582): each sentence stands alone after the end-of-text mark, and what is
compared are the sums of its tokens' log-probabilities. A guess would be right in half of the pairs. Where both
sentences cost the same, the pair is a tie: it is not counted as right, and ties are told.

A set's `average` is what BabyLM calls its score: the mean over groups (BLiMP's paradigms), however large each is.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from train.data.schema import Item
from train.evaluation.items import Row, Scored, by_group, by_set, share

METHOD = "the good sentence has the larger sum of log-probabilities, its end not predicted; exact"


def summary(items: Sequence[Item], rows: Sequence[Row], benchmarks: Path, confidence: float) -> dict[str, Any]:
    """`minimal_pairs.json`: for each set where it is from, and its scores."""
    sets = by_set(items, rows, benchmarks)
    return {name: {**origin, "method": METHOD, **scores(pairs, confidence)} for name, origin, pairs in sets}


def scores(pairs: Sequence[Scored], confidence: float) -> dict[str, Any]:
    """The score of all pairs and of each group, the average over groups, of all and of each field and phenomenon."""
    members = by_group(pairs)
    groups = {name: score([row for _, row in some], confidence) for name, some in members.items()}
    averages = {
        f"{tag}s" if tag == "field" else "phenomena": {
            name: average(groups[group] for group, some in members.items() if getattr(some[0][0], tag) == name)
            for name in sorted({getattr(some[0][0], tag) for some in members.values()} - {""})
        }
        for tag in ("field", "phenomenon")
    }
    return {
        **score([row for _, row in pairs], confidence),
        "groups": groups,
        "average": average(groups.values()),
        **averages,
    }


def score(pairs: Sequence[Row], confidence: float) -> dict[str, Any]:
    """The share of pairs that are right, with its interval; how many there are and how many tie; the baseline's."""
    right, baseline = [r.bits[0] < r.bits[1] for r in pairs], [r.byte_4gram[0] < r.byte_4gram[1] for r in pairs]
    ties = sum(pair.bits[0] == pair.bits[1] for pair in pairs)
    return {**share(right, baseline, confidence), "unit": "share of pairs", "pairs": len(pairs), "ties": ties}


def average(groups: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    """The mean of the scores of groups, with an interval from theirs (Zou and Donner 2008), and the baseline's."""
    scores = list(groups)
    count = len(scores)
    value, baseline = (math.fsum(score[key] for score in scores) / count for key in ("value", "byte_4gram"))
    below, above = (math.sqrt(math.fsum((s[end] - s["value"]) ** 2 for s in scores)) / count for end in ("low", "high"))
    return {
        "value": round(value, 6), "low": round(value - below, 6), "high": round(value + above, 6),
        "confidence": scores[0]["confidence"], "unit": "mean over groups of their shares of pairs",
        "groups": count, "pairs": sum(score["pairs"] for score in scores), "byte_4gram": round(baseline, 6),
    }  # fmt: skip
