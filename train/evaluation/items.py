"""Log-probabilities, in bits, of the choices of evaluation items: sentences of a minimal pair, answers to a question.

Each choice is predicted after what stands before it in its item, and that after the end-of-text mark: so does lm-eval
(Gao et al. 2021), down to where the tokens of a text are parted and what is cut off where they are too many. Blanks at
the end of a context belong to the choice. A text's end is not predicted, and its length evened out by nobody here.

Bits are rounded, so that every score is a product: to thousandths, as those of documents are; and to millionths those
of answers, of which more than two compete.
"""

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np

from train.artifact import digest, read_json
from train.data.schema import Item, read_records
from train.data.tokenizer import Tokenizer
from train.evaluation.baselines import ByteModel
from train.evaluation.prediction import predict
from train.exact import LN2, normal_quantile
from train.model import Transformer
from train.world import World

ANSWERS, SENTENCES = 6, 3  # decimals of bits


@dataclass(frozen=True)
class Row:
    """What each choice of an item costs in bits: a row of `pairs.json` or `choices.json`."""

    set: str
    group: str
    id: str
    bits: list[float]  # by the model
    byte_4gram: list[float]  # by the baseline


Scored = tuple[Item, Row]


def scored_items(benchmarks: Path) -> list[Item]:
    """The items of all evaluation sets that offer a choice, minimal pairs first."""
    items = read_records(Item, sorted(benchmarks.glob("*.parquet")))
    return sorted((item for item in items if len(item.choices) > 1), key=is_question)


def is_question(item: Item) -> bool:
    """Whether an item is a question with answers, and no minimal pair."""
    return item.context != ""


def score_items(
    model: Transformer, tokenizer: Tokenizer, grams: ByteModel, items: Sequence[Item], *, batch: int, world: World
) -> list[Row]:
    """The row of each item."""
    texts = [(item.context, choice) for item in items for choice in item.choices]
    bits = iter(choice_bits(model, tokenizer, texts, batch=batch, world=world))
    return [replace(baseline_row(item, grams), bits=[round(next(bits), decimals(item)) for _ in item.choices])
            for item in items]  # fmt: skip


def baseline_row(item: Item, grams: ByteModel) -> Row:
    """The row of an item without the model's bits: what the byte 4-gram model says."""
    costs = [round(grams.bits(choice.encode(), item.context.encode()), decimals(item)) for choice in item.choices]
    return Row(item.set, item.group, item.id, [], costs)


def decimals(item: Item) -> int:
    return ANSWERS if is_question(item) else SENTENCES


def choice_bits(
    model: Transformer, tokenizer: Tokenizer, texts: Sequence[tuple[str, str]], *, batch: int, world: World
) -> list[float]:
    """The bits of each second text after its first, however many go through the model together."""
    flat: list[int] = []
    spans, sizes = [], []
    for before, choice in parted(tokenizer, texts):
        room = max(1, model.config.context + 1 - len(choice))
        start = len(flat) + 1
        flat += [*[tokenizer.end_of_text, *before][-room:], *choice]
        spans.append((start, len(flat)))
        sizes.append(len(choice))
    if not any(sizes):
        return [0.0] * len(texts)
    nats, _ = predict(model, np.array(flat), spans, end_of_text=tokenizer.end_of_text, batch=batch, world=world)
    return [math.fsum(nats[end - size : end]) / LN2 for (_, end), size in zip(spans, sizes, strict=True)]


def parted(tokenizer: Tokenizer, texts: Sequence[tuple[str, str]]) -> Iterator[tuple[list[int], list[int]]]:
    """The tokens of each two texts as one, parted where those of the first alone end, without blanks at its end."""
    befores = tokenizer.encode([before.rstrip() for before, _ in texts])
    for before, whole in zip(befores, tokenizer.encode(["".join(both) for both in texts]), strict=True):
        yield whole[: len(before)], whole[len(before) :]


def by_set(items: Sequence[Item], rows: Sequence[Row], benchmarks: Path) -> Iterator[tuple[str, Any, list[Scored]]]:
    """Each set's name, where it is from, and its items with their rows; `rows` are those of `items`, in order."""
    for name, scored in groupby(zip(items, rows, strict=True), lambda each: each[0].set):
        members = list(scored)
        yield name, origin(benchmarks, name, [item for item, _ in members]), members


def by_group(members: Iterable[Scored]) -> dict[str, list[Scored]]:
    """The items of each group, with their rows."""
    groups: dict[str, list[Scored]] = {}
    for each in members:
        groups.setdefault(each[0].group, []).append(each)
    return groups


def origin(benchmarks: Path, name: str, items: Sequence[Item]) -> dict[str, Any]:
    """Where a set is from: its source, the digests of its files, and that of its items, as they stand in order."""
    record = next(record for record in read_json(benchmarks / "sets.json") if record["name"] == name)
    rows = [[i.id, *i.choices] if not is_question(i) else [i.id, i.context, i.answer, *i.choices] for i in items]
    files = {file["path"]: file["sha256"] for file in record.get("files", []) if file["path"] not in record["licences"]}
    return {**{key: record[key] for key in ("purl", "licence")}, "files": files, "sha256": digest(rows)}


def share(right: Sequence[bool], baseline: Sequence[bool], confidence: float) -> dict[str, float]:
    """The share of items that are right, with its interval, and the baseline's."""
    value, byte_4gram = (round(sum(each) / len(each), 6) for each in (right, baseline))
    low, high = wilson(sum(right), len(right), confidence)
    return {"value": value, "low": low, "high": high, "confidence": confidence, "byte_4gram": byte_4gram}


def wilson(right: int, count: int, confidence: float) -> tuple[float, float]:
    """The interval of Wilson (1927) for a share, which is no point where all or none are right, as a bootstrap's is."""
    z, value = normal_quantile((1 + confidence) / 2), right / count
    middle = (value + z * z / (2 * count)) / (1 + z * z / count)
    half = z / (1 + z * z / count) * math.sqrt(value * (1 - value) / count + z * z / (4 * count * count))
    return round(max(0.0, middle - half), 6), round(min(1.0, middle + half), 6)
