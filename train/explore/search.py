"""Text search: where a text occurs in the training text, and which spans of a text are copied from it.

The text is that of the training split's documents in the order of their tokens. Bytes, not token ids, are compared: the
same words are cut into other tokens in another context, and no occurrence may be missed for that. There is no index:
looking through some 30 MB takes milliseconds, and a rolling hash (Karp and Rabin 1987) over them about a second.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from train.data.schema import TokenRange
from train.data.selected import kept_documents
from train.errors import UserError

END = b"\xff"  # after every document: stands in no UTF-8 text, so nothing is found across documents
CHUNK = 2**22  # bytes that are hashed at a time
BASE = 0x9E3779B97F4A7C15  # of the hash; any odd number, as whatever has the same hash is compared
BUCKETS = 16  # bits of a hash by which most windows are ruled out


@dataclass(frozen=True)
class Corpus:
    text: bytes  # of all documents, each followed by END
    documents: Sequence[TokenRange]  # of the training split
    starts: NDArray[np.int64]  # (documents + 1,): where each document begins in the text, and where the last one ends


@dataclass(frozen=True)
class Place:
    """One occurrence."""

    document: TokenRange
    byte: int  # in the document's text
    at: int  # in the corpus's text


@dataclass(frozen=True)
class Span:
    """Characters `start` to `end` of a text, which occur verbatim and would not with one more on either side."""

    start: int
    end: int
    text: str
    occurrences: int
    places: Sequence[Place]  # the first of them


def corpus(selected: Path, ranges: Sequence[TokenRange]) -> Corpus:
    """The training split of the documents in `selected`; UserError when the token `ranges` are of others."""
    starts = np.cumsum([0, *(each.bytes + len(END) for each in ranges)], dtype=np.int64)
    return Corpus(b"".join(_texts(selected, ranges)), ranges, starts)


def _texts(selected: Path, ranges: Sequence[TokenRange]) -> Iterator[bytes]:
    """Every document's text and END."""
    count = 0
    for count, document in enumerate(kept_documents(selected, "train"), start=1):
        encoded = document.text.encode()
        if count > len(ranges) or (ranges[count - 1].id, ranges[count - 1].bytes) != (document.id, len(encoded)):
            raise UserError(
                f"document {document.id[:12]}: its range of tokens is not that of its text; make them again"
            )
        yield encoded + END
    if count != len(ranges):
        raise UserError(f"document {ranges[count].id[:12]}: has tokens but no text; make them again")


def find(corpus: Corpus, wanted: bytes) -> list[int]:
    """Where in the corpus's text `wanted` occurs, every place of it, overlapping ones too, in ascending order."""
    occurrences, at = [], corpus.text.find(wanted)
    while at >= 0:
        occurrences.append(at)
        at = corpus.text.find(wanted, at + 1)
    return occurrences


def numbers(corpus: Corpus, occurrences: Sequence[int]) -> NDArray[np.int64]:
    """Of each place that `find` gave, which of `corpus.documents` it is in."""
    return np.searchsorted(corpus.starts, occurrences, side="right") - 1


def places(corpus: Corpus, occurrences: Sequence[int]) -> list[Place]:
    """The document of each place that `find` gave, and where in it that is."""
    within = zip(numbers(corpus, occurrences).tolist(), occurrences, strict=True)
    return [Place(corpus.documents[number], at - int(corpus.starts[number]), at) for number, at in within]


def trace(corpus: Corpus, text: str, least: int = 40, most: int = 5) -> list[Span]:
    """The longest spans of `text`, at least `least` characters, in the training text, with `most` places each."""
    edges = np.cumsum([0, *(len(character.encode()) for character in text)]).tolist()
    data, spans, end = text.encode(), [], 0
    begun = windows_found(corpus.text, data, least)  # a span of `least` characters has as many bytes or more
    for start, byte in enumerate(edges[:-1]):
        reached, end = end, max(end, start)
        so_far = data[byte : edges[end]]
        matches = [at for at in begun.get(data[byte : byte + least], ()) if corpus.text.startswith(so_far, at)]
        while end < len(text) and matches:
            character = data[edges[end] : edges[end + 1]]
            longer = [at for at in matches if corpus.text.startswith(character, at + edges[end] - byte)]
            if not longer:
                break
            matches, end = longer, end + 1
        if matches and end > reached and end - start >= least:
            spans.append(Span(start, end, text[start:end], len(matches), places(corpus, matches[:most])))
    return spans


def windows_found(text: bytes, data: bytes, size: int) -> dict[bytes, list[int]]:
    """The runs of `size` bytes of `data` that occur in `text`, each with all its places there."""
    wanted = np.unique(window_hashes(np.frombuffer(data, np.uint8), size))
    likely = np.zeros(1 << BUCKETS, dtype=bool)
    likely[wanted >> np.uint64(64 - BUCKETS)] = True
    runs, positions = {data[at : at + size] for at in range(len(data) - size + 1)}, dict[bytes, list[int]]()
    for start in range(0, len(text), CHUNK):
        hashes = window_hashes(np.frombuffer(text[start : start + CHUNK + size - 1], np.uint8), size)
        at = np.flatnonzero(likely[hashes >> np.uint64(64 - BUCKETS)])
        for place in (at[np.isin(hashes[at], wanted)] + start).tolist():
            if (run := text[place : place + size]) in runs:
                positions.setdefault(run, []).append(place)
    return positions


def window_hashes(text: NDArray[np.uint8], size: int) -> NDArray[np.uint64]:
    """The polynomial hash, modulo 2^64, of each run of `size` bytes, (bytes - size + 1,): put together of halves."""
    count = max(0, len(text) - size + 1)
    total, part = np.zeros(count, np.uint64), text.astype(np.uint64) + np.uint64(1)
    done, width = 0, 1  # bytes that `total` and `part` are hashes of
    while count and done < size:
        if size & width:
            total += np.uint64(pow(BASE, done, 2**64)) * part[done : done + count]
            done += width
        part = part[:-width] + np.uint64(pow(BASE, width, 2**64)) * part[width:] if done < size else part
        width *= 2
    return total
