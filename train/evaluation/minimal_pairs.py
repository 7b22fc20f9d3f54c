"""Minimal pairs: does the model find the good sentence more probable than the bad one, which differs by one change?

After BLiMP (Warstadt et al. 2020, arXiv 1912.00582): each sentence stands alone after the end-of-text mark, and what is
compared are the sums of its tokens' log-probabilities, whose length nobody evens out. The end of a sentence is not
predicted. A guess would be right in half of the pairs.

Bits are rounded to thousandths, as those of documents are, so that every score is a product. Where both sentences then
cost the same, the pair is a tie: it is not counted as right, and ties are told.
"""

import math
from collections.abc import Mapping, Sequence
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np

from train.artifact import digest, read_json
from train.data.schema import read_rows
from train.data.tokenizer import Tokenizer
from train.evaluation.baselines import ByteModel
from train.evaluation.prediction import predict
from train.exact import LN2, normal_quantile
from train.model import Transformer
from train.world import World

Pair = Mapping[str, Any]


def pairs_of(benchmarks: Path) -> list[dict[str, str]]:
    """The items that are pairs, of all evaluation sets: rows of tables.ITEM."""
    return [row for row in read_rows(sorted(benchmarks.glob("*.parquet"))) if row["contrast"]]


def score_pairs(
    model: Transformer, tokenizer: Tokenizer, grams: ByteModel, benchmarks: Path, *, batch: int, world: World
) -> list[dict[str, Any]]:
    """For each pair its set, group and id, and the bits that both sentences cost: the model, and the baseline.

    `bits` and `byte_4gram` are [of the good sentence, of the bad one].
    """
    rows = pairs_of(benchmarks)
    texts = [row[side] for row in rows for side in ("text", "contrast")]
    bits = sentence_bits(model, tokenizer, texts, batch=batch, world=world)
    baseline = [round(grams.bits(text.encode()), 3) for text in texts]
    return [
        {
            **{name: row[name] for name in ("set", "group", "id")},
            "bits": bits[2 * number : 2 * number + 2],
            "byte_4gram": baseline[2 * number : 2 * number + 2],
        }
        for number, row in enumerate(rows)
    ]


def sentence_bits(
    model: Transformer, tokenizer: Tokenizer, texts: Sequence[str], *, batch: int, world: World
) -> list[float]:
    """What each text costs without its end, alone, however many go through the model together."""
    encoded = tokenizer.encode(texts)
    ends = np.cumsum([len(tokens) + 1 for tokens in encoded], dtype=np.int64) - 1  # a mark follows each
    ranges = [{"start": int(end) - len(tokens), "end": int(end)} for end, tokens in zip(ends, encoded, strict=True)]
    if not any(encoded):
        return [0.0] * len(texts)
    flat = np.array([token for tokens in encoded for token in (*tokens, tokenizer.end_of_text)], np.int64)
    nats, _ = predict(model, flat, ranges, end_of_text=tokenizer.end_of_text, batch=batch, world=world)
    return [round(math.fsum(nats[row["start"] : row["end"]]) / LN2, 3) for row in ranges]


def summary(pairs: Sequence[Pair], benchmarks: Path, confidence: float) -> dict[str, Any]:
    """`minimal_pairs.json`: for each set where it is from, the digest of its pairs, its score and those of its groups.

    The digest is over id, good and bad sentence of every pair, in order.
    """
    sets = {record["name"]: record for record in read_json(benchmarks / "sets.json")} if pairs else {}
    rows = pairs_of(benchmarks)
    records = {}
    for name, some in groupby(pairs, lambda pair: pair["set"]):
        pairs_of_set = list(some)
        groups: dict[str, list[Pair]] = {}
        for pair in pairs_of_set:
            groups.setdefault(pair["group"], []).append(pair)
        records[name] = {
            "purl": sets[name]["purl"],
            "licence": sets[name]["licence"],
            "sha256": digest([[row["id"], row["text"], row["contrast"]] for row in rows if row["set"] == name]),
            "method": "the good sentence has the larger sum of log-probabilities, its end not predicted; exact",
            **score(pairs_of_set, confidence),
            "groups": {group: score(members, confidence) for group, members in groups.items()},
        }
    return records


def score(pairs: Sequence[Pair], confidence: float) -> dict[str, Any]:
    """The share of pairs that are right, with its interval; how many there are and how many tie; the baseline's."""
    right = sum(pair["bits"][0] < pair["bits"][1] for pair in pairs)
    low, high = wilson(right, len(pairs), confidence)
    return {
        "value": round(right / len(pairs), 6),
        "low": low,
        "high": high,
        "confidence": confidence,
        "unit": "share of pairs",
        "pairs": len(pairs),
        "ties": sum(pair["bits"][0] == pair["bits"][1] for pair in pairs),
        "byte_4gram": round(sum(p["byte_4gram"][0] < p["byte_4gram"][1] for p in pairs) / len(pairs), 6),
    }


def wilson(right: int, count: int, confidence: float) -> tuple[float, float]:
    """The interval of Wilson (1927) for a share, which is no point where all or none are right, as a bootstrap's is."""
    z, share = normal_quantile((1 + confidence) / 2), right / count
    middle = (share + z * z / (2 * count)) / (1 + z * z / count)
    half = z / (1 + z * z / count) * math.sqrt(share * (1 - share) / count + z * z / (4 * count * count))
    return round(max(0.0, middle - half), 6), round(min(1.0, middle + half), 6)
