"""Baselines in bits per byte of the held-out text that the model is measured on: a byte 4-gram model, and xz.

A byte 4-gram model predicts each byte from the three before it. Its counts are of the training text, smoothed by
interpolation after Witten and Bell (1991): with c the count of a byte after a context, C that of the context, and T
the number of different bytes seen after it,

    P(byte | context) = (c + T P(byte | context without its first byte)) / (C + T)

down to the empty context, below which every byte has 1/256. Documents stand alone: a text is preceded by three NUL
bytes and followed by one, which marks its end and is predicted like any byte.

The general compressor xz needs no training text, but may look back over all it has seen.
"""

import lzma
import math
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from train.exact import LN2, log

ORDER = 4  # bytes: a code of 32 bits
GRAMS_AT_A_TIME = 1 << 22

Grams = NDArray[np.uint32]  # bytes of an n-gram as one big-endian number
Counts = NDArray[np.int64]
BYTE = np.uint32(8)  # bits


@dataclass(frozen=True)
class NGramTable:
    """Counts of all n-grams of one length, and of their contexts: all bytes but the last. Codes are sorted."""

    grams: Grams
    counts: Counts
    contexts: Grams
    totals: Counts  # how often each context was seen
    kinds: Counts  # after how many different bytes


@dataclass(frozen=True)
class ByteModel:
    orders: tuple[NGramTable, ...]  # shortest n-grams first

    def probability(self, codes: Grams) -> NDArray[np.float64]:
        """P(last byte | bytes before it) of each 4-gram of `codes` [n]; sums to 1 over the last byte."""
        p = np.full(len(codes), 1 / 256)
        for length, order in enumerate(self.orders, 1):
            grams = _suffix(codes, length)
            total = _look_up(order.contexts, order.totals, grams >> BYTE)
            kinds = _look_up(order.contexts, order.kinds, grams >> BYTE)
            counted = _look_up(order.grams, order.counts, grams) + kinds * p
            p = np.divide(counted, total + kinds, out=p, where=total > 0)
        return p

    def bits(self, text: bytes, before: bytes = b"") -> float:
        """What `text` and its end cost after what stands `before` it."""
        return -math.fsum(log(torch.from_numpy(self.probability(grams_of(before + text)[len(before) :])))) / LN2


def count_grams(texts: Iterable[bytes]) -> ByteModel:
    """The byte 4-gram model of `texts`."""
    codes, counts = np.empty(0, np.uint32), np.empty(0, np.int64)
    waiting: list[Grams] = []

    def merged() -> tuple[Grams, Counts]:
        more, times = np.unique(np.concatenate([np.empty(0, np.uint32), *waiting]), return_counts=True)
        return _tally(np.concatenate([codes, more]), np.concatenate([counts, times]))

    for text in texts:
        waiting.append(grams_of(text))
        if sum(map(len, waiting)) >= GRAMS_AT_A_TIME:
            codes, counts = merged()
            waiting = []
    codes, counts = merged()
    orders = []
    for length in range(1, ORDER + 1):
        grams, times = _tally(_suffix(codes, length), counts)
        contexts, totals = _tally(grams >> BYTE, times)
        _, kinds = _tally(grams >> BYTE, np.ones_like(times))
        orders.append(NGramTable(grams, times, contexts, totals, kinds))
    return ByteModel(tuple(orders))


def grams_of(text: bytes) -> Grams:
    """The 4-gram that ends in each byte of `text` and in its end mark, [bytes + 1]."""
    padded = np.frombuffer(bytes(ORDER - 1) + text + b"\0", np.uint8).astype(np.uint32)
    codes = np.zeros(len(text) + 1, np.uint32)
    for place in range(ORDER):
        codes = (codes << BYTE) | padded[place : place + len(codes)]
    return codes


def compressed_size(texts: Iterable[bytes]) -> int:
    """Size in bytes of what `xz -9` makes of all texts as one stream."""
    compressor = lzma.LZMACompressor(preset=9)
    return sum(len(compressor.compress(text)) for text in texts) + len(compressor.flush())


def _suffix(codes: Grams, length: int) -> Grams:
    """The last `length` bytes of each code."""
    return codes & np.uint32((1 << 8 * length) - 1)


def _tally(codes: Grams, counts: Counts) -> tuple[Grams, Counts]:
    """The different codes, sorted, and the sum of each one's counts."""
    order = np.argsort(codes, kind="stable")
    codes, counts = codes[order], counts[order]
    first = np.flatnonzero(np.r_[True, codes[1:] != codes[:-1]])
    return codes[first], np.add.reduceat(counts, first)


def _look_up(keys: Grams, values: Counts, wanted: Grams) -> Counts:
    """The value of each wanted key, 0 where it is not among the sorted `keys`."""
    place = np.minimum(np.searchsorted(keys, wanted), len(keys) - 1)
    return np.where(keys[place] == wanted, values[place], 0)
