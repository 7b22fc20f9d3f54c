"""Which tokens a step sees: a pure function of seed and step, so nothing about the order can get lost.

The flat token array is cut into windows of `context` tokens (and the one after, as the last target). Epoch e visits
every window once, in the order of a permutation seeded by (seed, e). The permutation is a Feistel network (Luby and
Rackoff 1988) walked until it falls inside the range, so any element of it is computed alone, at any size. Under a
mixture each text, the documents of some sources end to end, has windows and epochs of its own.
"""

import hashlib
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from train.data.mixture import Leg, Mixture, borders, groups, legs, parts_of, require_sources
from train.errors import UserError

ROUNDS = 6
EPOCHS = 4  # of a source under a mixture, unless more are asked for (Muennighoff et al. 2023, arXiv 2305.16264)
Integers = NDArray[np.int64]
T = TypeVar("T")


def window_count(tokens: int, context: int) -> int:
    """How many windows of `context` inputs with their targets an array of `tokens` holds."""
    return max(0, (tokens - 1) // context)


def permuted(index: NDArray[np.uint64], count: int, seed: int | str, epoch: int) -> NDArray[np.uint64]:
    """Where a seeded permutation of range(count) sends each `index`."""
    half = max(1, (max(count - 1, 1).bit_length() + 1) // 2)
    bits, mask = np.uint64(half), np.uint64((1 << half) - 1)
    # Python integers throughout the key, so neither the platform nor the version can change it.
    keys = [
        np.uint64(int.from_bytes(hashlib.sha256(f"{seed}/{epoch}/{r}".encode()).digest()[:8], "big"))
        for r in range(ROUNDS)
    ]
    value = index.astype(np.uint64)
    outside = np.ones(len(value), dtype=bool)
    while outside.any():
        left, right = value[outside] >> bits, value[outside] & mask
        for key in keys:
            left, right = right, left ^ (_mix(right ^ key) & mask)
        value[outside] = (left << bits) | right
        outside = value >= np.uint64(count)
    return value


def visited(positions: Integers, count: int, seed: int | str) -> tuple[Integers, Integers]:
    """Which of `count` windows stand at these positions of an endless order, and in which epoch from 0."""
    windows, epochs = np.empty_like(positions), positions // count
    for epoch in np.unique(epochs):
        here = epochs == epoch
        windows[here] = permuted((positions[here] % count).astype(np.uint64), count, seed, int(epoch))
    return windows, epochs


def windows_at(count: int, batch: int, seed: int, step: int) -> Integers:
    """The windows that `step` (from 0) reads, [batch]; each of `count` windows once an epoch."""
    return visited(np.arange(step * batch, (step + 1) * batch), count, seed)[0]


def batch_at(tokens: NDArray[np.unsignedinteger], context: int, batch: int, seed: int, step: int) -> Integers:
    """The batch of `step`, [batch, context + 1]: inputs are all but the last column, targets all but the first."""
    windows = windows_at(window_count(len(tokens), context), batch, seed, step)
    return tokens[windows[:, None] * context + np.arange(context + 1)].astype(np.int64)  # type: ignore[no-any-return]


@dataclass(frozen=True)
class Text:
    """Documents that are read end to end, as runs of tokens in the flat array."""

    sources: tuple[str, ...]  # their Package URLs; none: all of them
    starts: Integers  # of each run, in the array
    before: Integers  # tokens of the text before each run
    tokens: int

    def places(self, positions: Integers) -> Integers:
        """Where in the array the text's tokens at these positions stand."""
        run = np.searchsorted(self.before, positions, "right") - 1
        return self.starts[run] + positions - self.before[run]


@dataclass(frozen=True)
class Order:
    """What each step of a training reads: which texts, which windows of them, in which epoch of each."""

    mixture: Mixture
    steps: int
    batch: int
    context: int
    seed: int
    texts: tuple[Text, ...]

    @cached_property
    def windows(self) -> list[int]:
        """How many windows each text holds."""
        return [window_count(text.tokens, self.context) for text in self.texts]

    @cached_property
    def legs(self) -> list[Leg]:
        return legs(self.mixture, self.steps, self.batch, [text.sources for text in self.texts], self.windows)

    def sequences(self, first: int, count: int) -> tuple[Integers, Integers, Integers]:
        """Text, window of it, and epoch from 0 of `count` sequences of the training from `first` on."""
        numbers = np.arange(first, first + count)
        texts, windows, epochs = (np.empty_like(numbers) for _ in range(3))
        within = np.searchsorted([leg.begin for leg in self.legs], numbers, "right") - 1
        for number in np.unique(within):
            leg, here = self.legs[number], within == number
            texts[here], windows[here] = leg.at(numbers[here] - leg.begin)
        for text in np.unique(texts):
            here, seed = texts == text, f"{self.seed}/{text}" if text else self.seed
            windows[here], epochs[here] = visited(windows[here], self.windows[text], seed)
        return texts, windows, epochs

    def batch_at(self, tokens: NDArray[np.unsignedinteger], step: int) -> Integers:
        """The batch of `step` (from 0), [batch, context + 1]; what it is made of, by `places_at`."""
        return tokens[self.places_at(step)].astype(np.int64)

    def places_at(self, step: int) -> Integers:
        """Where in the array the tokens of `step` stand, [batch, context + 1]."""
        texts, windows, _ = self.sequences(step * self.batch, self.batch)
        positions = windows[:, None] * self.context + np.arange(self.context + 1)
        for text in np.unique(texts):
            positions[texts == text] = self.texts[text].places(positions[texts == text])
        return positions

    def table(self) -> list[dict[str, Any]]:
        """Under a mixture, what each stage reads of each text, and how many times over."""
        ends, rows = borders(self.mixture, self.steps), []
        for number, (stage, leg) in enumerate(zip(self.mixture, self.legs, strict=False)):
            taken = leg.taken((ends[number + 1] - ends[number]) * self.batch).tolist()
            for text, windows, sequences in zip(self.texts, self.windows, taken, strict=True):
                for index, part in enumerate(stage.parts):
                    if part.holds(text.sources[0]):
                        rows.append({
                            "stage": number + 1, "steps": [ends[number] + 1, ends[number + 1]],
                            "setting": f"training.mixture[{number}].parts[{index}]", "part": part.name,
                            "sources": list(text.sources), "weight": part.weight,
                            "tokens": sequences * self.context, "epochs": round(sequences / max(1, windows), 4),
                        })  # fmt: skip
        return rows


def ordered(
    mixture: Mixture,
    repeats: str | None,
    spans: Iterable[tuple[str, int, int]],
    tokens: int,
    *,
    steps: int,
    batch: int,
    context: int,
    seed: int,
) -> Order:
    """The order of a training on an array of `tokens`, where `spans` are source, start and end of its documents.

    UserError, with the dotted path, where the mixture names what is not there or is read more often than `repeats`
    lets it. Without a mixture nothing of `spans` is asked for.
    """
    if not mixture:
        whole = Text((), np.zeros(1, np.int64), np.zeros(1, np.int64), tokens)
        return Order(mixture, steps, batch, context, seed, (whole,))
    order = Order(mixture, steps, batch, context, seed, texts_of(mixture, spans))
    for where, part in parts_of(mixture):
        held = [n for text, n in zip(order.texts, order.windows, strict=True) if part.holds(text.sources[0])]
        if part.weight and not any(held):
            raise UserError(f"{where}.sources: {part.name!r} has no window of {context + 1} tokens; take it out")
    read = Counter[tuple[str, ...]]()
    for row in order.table():
        read[text := tuple(row["sources"])] += row["epochs"]
        if repeats is None and read[text] > EPOCHS:
            raise UserError(
                f"{row['setting']}.weight: {row['part']!r} would be read {read[text]:g} times over by step "
                f"{row['steps'][1]}, more than {EPOCHS}; lower it, add text, or allow it by training.repeats=many"
            )
    return order


def texts_of(mixture: Mixture, spans: Iterable[tuple[str, int, int]]) -> tuple[Text, ...]:
    """The texts of a mixture; what are neighbours in the array are one run."""
    numbers: dict[str, int] = {}
    numbered = ((numbers.setdefault(source, len(numbers)), start, end) for source, start, end in spans)
    rows = np.fromiter(numbered, np.dtype((np.int64, 3)))
    try:
        require_sources(mixture, numbers)
    except ValueError as error:
        raise UserError(f"{error}, of which text was kept") from None
    texts = []
    for sources in groups(mixture, numbers):
        starts, ends = rows[np.isin(rows[:, 0], [numbers[source] for source in sources]), 1:].T
        first = np.append(True, starts[1:] != ends[:-1])
        before = np.cumsum(ends - starts) - (ends - starts)
        texts.append(Text(sources, starts[first], before[first], int((ends - starts).sum())))
    return tuple(texts)


def prefetch(make: Callable[[int], T], numbers: Iterable[int]) -> Iterator[tuple[int, T]]:
    """Prefetch: each of `numbers` with what `make` gives for it, the next one by a thread while the last is used."""
    with ThreadPoolExecutor(1) as pool:
        waiting: tuple[int, Future[T]] | None = None
        for number in numbers:
            following = (number, pool.submit(make, number))
            if waiting:
                yield waiting[0], waiting[1].result()
            waiting = following
        if waiting:
            yield waiting[0], waiting[1].result()


def _mix(value: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """The finaliser of splitmix64 (Steele, Lea and Flood 2014); multiplication wraps by intent."""
    value = (value ^ (value >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    value = (value ^ (value >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return value ^ (value >> np.uint64(31))
