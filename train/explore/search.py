"""Where a text occurs in the training text: a suffix array over the bytes that the tokens stand for.

The text is that of the training split's documents in the order of their tokens. Bytes, not token ids, are sorted: the
same words are cut into other tokens in another context, and no occurrence may be missed for that. The index is a
witness, kept in a cache; it can be made again from the documents at any time. Suffix arrays: Manber and Myers 1993;
they are sorted by prefix doubling of what is not yet settled (Larsson and Sadakane 2007).
"""

import functools
import mmap
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from train.artifact import digest, file_digest, whole
from train.data.schema import SelectedDocument
from train.data.selected import kept_documents
from train.errors import UserError

END = b"\xff"  # after every document: stands in no UTF-8 text, so nothing is found across documents
SHARD = 2**23  # bytes of text that are sorted at a time; sorting takes about 60 times as much memory
FORMAT = 1  # of the files; a number that changes with what they hold

Track = Callable[[Sequence[tuple[int, int]], str], Iterable[tuple[int, int]]]  # shows how far the work is


@dataclass(frozen=True)
class Index:
    text: mmap.mmap | bytes  # of all documents, each followed by END
    suffixes: NDArray[np.uint32]  # (bytes,): for each shard, places in it in the order of the text from there on
    documents: Sequence[dict[str, Any]]  # rows of tables.RANGES of the training split
    starts: NDArray[np.int64]  # (documents + 1,): where each document begins in the text, and where the last one ends
    shards: Sequence[tuple[int, int]]  # from and to, in the text


@dataclass(frozen=True)
class Place:
    """One occurrence."""

    document: dict[str, Any]  # its row of tables.RANGES
    byte: int  # in the document's text
    at: int  # in the index's text


@dataclass(frozen=True)
class Span:
    """Characters `start` to `end` of a text, which occur verbatim and would not with one more on either side."""

    start: int
    end: int
    text: str
    occurrences: int
    places: Sequence[Place]  # the first of them


def index(selected: Path, ranges: Sequence[dict[str, Any]], cache: Path, track: Track, shard: int = SHARD) -> Index:
    """The index of the training split whose documents lie in `selected`, made in `cache` if it is not there yet.

    `ranges` are the split's rows of tables.RANGES. Raises UserError when they are not those of the documents.
    """
    parts = sorted((selected / "documents").glob("*.parquet"))
    documents = [[row["id"], row["bytes"]] for row in ranges]
    key = digest([FORMAT, shard, documents, [file_digest(part) for part in parts]])
    folder = cache / f"index-{key[:16]}"
    starts = np.cumsum([0, *(row["bytes"] + len(END) for row in ranges)], dtype=np.int64)
    shards = cut(starts, shard)
    if not (folder / "suffixes.npy").is_file():  # written last
        with whole(folder / "text") as file:
            write_text(kept_documents(selected, "train"), ranges, file)
        with (folder / "text").open("rb") as text, whole(folder / "suffixes.npy") as file:
            write_suffixes(text, track(shards, "index of the training text, made once"), int(starts[-1]), file)
    with (folder / "text").open("rb") as text:
        mapped = mmap.mmap(text.fileno(), 0, access=mmap.ACCESS_READ)
    suffixes = np.load(folder / "suffixes.npy", mmap_mode="r", allow_pickle=False)
    if not len(mapped) == len(suffixes) == starts[-1]:
        raise UserError(f"{folder}: damaged; remove it and run the same command again")
    return Index(mapped, suffixes, ranges, starts, shards)


def cut(starts: NDArray[np.int64], shard: int) -> list[tuple[int, int]]:
    """Shards of whole documents, each of about `shard` bytes."""
    wanted = np.arange(0, starts[-1], shard)[1:]
    edges = np.unique([0, *starts[np.searchsorted(starts, wanted)], starts[-1]]).tolist()
    return list(pairwise(edges))


def write_text(documents: Iterator[SelectedDocument], ranges: Sequence[dict[str, Any]], file: BinaryIO) -> None:
    """Write every document's text and END."""
    count = 0
    for count, document in enumerate(documents, start=1):
        encoded = document.text.encode()
        if count > len(ranges) or (ranges[count - 1]["id"], ranges[count - 1]["bytes"]) != (document.id, len(encoded)):
            raise UserError(
                f"document {document.id[:12]}: its range of tokens is not that of its text; make them again"
            )
        file.write(encoded + END)
    if count != len(ranges):
        raise UserError(f"document {ranges[count]['id'][:12]}: has tokens but no text; make them again")


def write_suffixes(text: BinaryIO, shards: Iterable[tuple[int, int]], total: int, file: BinaryIO) -> None:
    """Write the suffix array of each shard, one after the other, as one .npy array."""
    np.lib.format.write_array_header_1_0(file, {"descr": "<u4", "fortran_order": False, "shape": (total,)})
    for start, end in shards:
        text.seek(start)
        file.write(suffix_array(np.frombuffer(text.read(end - start), np.uint8)).astype("<u4").tobytes())


def suffix_array(text: NDArray[np.uint8]) -> NDArray[np.uint32]:
    """The places in `text`, which ends in END, in the order of what follows from there, (bytes,)."""
    count, width = len(text), 8
    padded = np.concatenate([text, np.zeros(width, np.uint8)])
    key = np.zeros(count, np.uint64)  # of each place: its first `width` bytes as one number
    for ahead in range(width):
        key = (key << np.uint64(8)) | padded[ahead : ahead + count]
    order = np.arange(count, dtype=np.uint32)
    rank = np.empty(count, np.uint32)  # of each place: the first slot of all places that look alike so far
    slots = order.copy()  # of `order` that are not settled
    while len(slots):
        by = np.argsort(key)
        key, places = key[by], order[slots][by]
        first = np.append(True, key[1:] != key[:-1])
        order[slots] = places
        rank[places] = slots[np.maximum.accumulate(np.where(first, np.arange(len(slots)), 0))]
        slots = slots[~(first & np.append(first[1:], True))]
        following = order[slots].astype(np.int64) + width
        there = following < count
        key = rank[order[slots]].astype(np.uint64) << np.uint64(32)
        key[there] |= rank[following[there]] + np.uint64(1)
        width *= 2
    return order


def find(index: Index, wanted: bytes) -> NDArray[np.int64]:
    """Where in the index's text `wanted` occurs, every place of it, in ascending order."""
    found = []
    for start, end in index.shards:
        low = _first(index, start, end, wanted)
        slots = index.suffixes[start:end]
        high = bisect_right(slots, wanted, lo=low, key=lambda place: _at(index, start, place, len(wanted)))
        found.append(np.sort(slots[low:high].astype(np.int64) + start))
    return np.concatenate(found)


def occurs(index: Index, wanted: bytes) -> bool:
    """Whether `wanted` occurs at all."""
    for start, end in index.shards:
        slot = start + _first(index, start, end, wanted)
        if slot < end and _at(index, start, index.suffixes[slot], len(wanted)) == wanted:
            return True
    return False


def numbers(index: Index, found: NDArray[np.int64]) -> NDArray[np.int64]:
    """Of each place that `find` gave, which of `index.documents` it is in."""
    return np.searchsorted(index.starts, found, side="right") - 1


def places(index: Index, found: NDArray[np.int64]) -> list[Place]:
    """The document of each place that `find` gave, and where in it that is."""
    within = zip(numbers(index, found).tolist(), found.tolist(), strict=True)
    return [Place(index.documents[number], at - int(index.starts[number]), at) for number, at in within]


def trace(index: Index, text: str, least: int = 40, most: int = 5) -> list[Span]:
    """Every span of `text` of at least `least` characters that is in the training text and cannot be made longer.

    Spans may overlap; none lies within another. Each names its first `most` places. Two ends move forward only, so the
    searches are at most twice as many as the characters.
    """
    edges = np.cumsum([0, *(len(character.encode()) for character in text)]).tolist()
    data, spans, end = text.encode(), [], 0
    look = functools.cache(functools.partial(find, index))  # a text that repeats itself is looked up once
    for start in range(len(text)):
        reached, end = end, max(end, start)
        while end < len(text) and occurs(index, data[edges[start] : edges[end + 1]]):
            end += 1
        if end > reached and end - start >= least:
            found = look(data[edges[start] : edges[end]])
            spans.append(Span(start, end, text[start:end], len(found), places(index, found[:most])))
    return spans


def _first(index: Index, start: int, end: int, wanted: bytes) -> int:
    """The first slot of a shard whose text is not before `wanted`."""
    slots = index.suffixes[start:end]
    return bisect_left(slots, wanted, key=lambda place: _at(index, start, place, len(wanted)))


def _at(index: Index, start: int, place: np.uint32, size: int) -> bytes:
    at = start + int(place)  # a sum of 32 bits would not do
    return index.text[at : at + size]
