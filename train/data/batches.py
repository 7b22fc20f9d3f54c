"""Which tokens a step sees: a pure function of seed and step, so nothing about the order can get lost.

The flat token array is cut into windows of `context` tokens (and the one after, as the last target). Epoch e visits
every window once, in the order of a permutation seeded by (seed, e). The permutation is a Feistel network (Luby and
Rackoff 1988) walked until it falls inside the range, so any element of it is computed alone, at any size.
"""

import hashlib
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

ROUNDS = 6
T = TypeVar("T")


def window_count(tokens: int, context: int) -> int:
    """How many windows of `context` inputs with their targets an array of `tokens` holds."""
    return max(0, (tokens - 1) // context)


def permuted(index: NDArray[np.uint64], count: int, seed: int, epoch: int) -> NDArray[np.uint64]:
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


def windows_at(count: int, batch: int, seed: int, step: int) -> NDArray[np.int64]:
    """The windows that `step` (from 0) reads, [batch]; each of `count` windows once an epoch."""
    positions = np.arange(step * batch, (step + 1) * batch)
    windows = np.empty(batch, dtype=np.int64)
    for epoch in np.unique(positions // count):
        in_epoch = positions // count == epoch
        windows[in_epoch] = permuted((positions[in_epoch] % count).astype(np.uint64), count, seed, int(epoch))
    return windows


def batch_at(tokens: NDArray[np.unsignedinteger], context: int, batch: int, seed: int, step: int) -> NDArray[np.int64]:
    """The batch of `step`, [batch, context + 1]: inputs are all but the last column, targets all but the first."""
    windows = windows_at(window_count(len(tokens), context), batch, seed, step)
    return tokens[windows[:, None] * context + np.arange(context + 1)].astype(np.int64)


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
