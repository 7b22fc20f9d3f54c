"""The artifact `judged` as later stages read it: the rows of a part, a split or a band of all its files together.

Whatever the size of the corpus, few rows stand in memory at a time: those whose ids, hashes or keys begin alike.
"""

import json
import os
import resource
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from itertools import groupby
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from train.data.dedup.minhash import BANDS, SIZE
from train.data.dedup.ngrams import Numbers
from train.data.filters.apply import Judgement
from train.data.ledger import Judged
from train.data.schema import SelectedDocument

T = TypeVar("T")
Rows = NDArray[np.void]
FORMS = {"texts": "jsonl", "index": "rows", "nodes": "rows", "bands": "rows"}  # folder -> suffix
DROPPED = 255  # in the place of a split, of a document that a rule drops
AT_A_TIME = 2**17  # characters of documents that are judged or compared together
RUN = 2**13  # rows that are sorted together
PIECE = 2**16  # rows, or keys, that stand in memory together, about: each piece takes a look at every file
# Where a document's line stands; SHA-256 of the text in NFC.
LINE = [("start", "<u8"), ("size", "<u8"), ("text", "S32")]
INDEX = np.dtype([*LINE, ("node", "<i8"), ("run", "<u4"), ("part", "<u2"), ("split", "<u2"), ("id", "S32")], align=True)
NODE = np.dtype([*LINE, ("characters", "<u8"), ("signature", "<u4", SIZE)], align=True)
FILE = 32  # a node's number is its place in its file, and above so many bits the number of the file


@dataclass
class Candidate(Judged):
    """A judged document on its way to its part; without its text if a rule drops it."""

    @property
    def title(self) -> str:
        """How the ledger names the document."""
        return f"{self.document.path} of {self.document.source}"

    @property
    def order(self) -> tuple[str, ...]:
        """What documents with one text are ordered by."""
        return self.document.source, self.document.path, self.document.id, self.judgement.id

    def to_json(self) -> bytes:
        document = vars(self.document) | ({"text": ""} if self.judgement.dropped else {})
        fields = {"document": document, "judgement": vars(self.judgement)}
        return json.dumps(fields, ensure_ascii=False).encode() + b"\n"

    @classmethod
    def from_json(cls, line: bytes) -> "Candidate":
        fields = json.loads(line)
        return cls(SelectedDocument(**fields["document"]), Judgement(**fields["judgement"]))


class Candidates:
    """The candidates in a folder, the artifact `judged`."""

    none = np.empty(0, INDEX)

    def __init__(self, folder: Path) -> None:
        names = sorted((folder / "index").rglob("*.rows"))
        self.stems = [path.relative_to(folder / "index").with_suffix("") for path in names]
        self.folder = folder
        sizes = [path.stat().st_size // INDEX.itemsize for path in names]
        self.files = [file for file, size in enumerate(sizes) for _ in range(0, size, RUN)]  # of each run
        most = max(64, resource.getrlimit(resource.RLIMIT_NOFILE)[0] // 2)  # files open at a time: rows lie anywhere
        self.opened = lru_cache(most)(lambda form, file: self.path(form, file).open("rb", buffering=0))

    def path(self, form: str, file: int) -> Path:
        return files_of(self.folder, self.stems[file])[form]

    def rows(self, within: Callable[[Rows], Any]) -> Iterator[Rows]:
        """The INDEX rows `within`, a slice or a mask of a run, run by run."""
        runs = ((file, start) for file, run in groupby(self.files) for start, _ in enumerate(run))
        for number, (file, run) in enumerate(runs):
            every = mapped(self.path("index", file), INDEX)[run * RUN : (run + 1) * RUN]
            some = np.array(every[within(every)])
            some["run"] = number
            yield some

    def part(self, part: int, key: str) -> Iterator[Rows]:
        """The rows of a part in the order of `key` ("id" or "text"), some at a time, those with equal keys together."""

        def sections() -> Iterator[Rows]:
            return self.rows(lambda run: slice(*np.searchsorted(run["part"], np.array([part, part + 1], np.uint16))))

        pieces = sum(map(len, sections())) // PIECE + 1
        for piece in range(pieces):
            rows = np.concatenate([self.none, *(some[_piece(some[key], pieces) == piece] for some in sections())])
            yield rows[np.argsort(rows[key], kind="stable")]

    def band(self, band: int) -> Iterator[tuple[Numbers, Numbers]]:
        """All keys of a band in their order, with the numbers of the nodes, some at a time, equal keys together."""

        def tables() -> Iterator[tuple[int, Numbers]]:
            for file in range(len(self.stems)):
                yield file, mapped(self.path("bands", file), np.dtype("<u8")).reshape(BANDS, 2, -1)[band]

        pieces = sum(keys.shape[1] for _, keys in tables()) // PIECE + 1
        for piece in range(pieces):
            keys, nodes = [np.empty(0, np.uint64)], [np.empty(0, np.uint64)]
            for file, (every, places) in tables():
                bounds = np.array([(2**64 * each - 1) // pieces for each in (piece, piece + 1)][not piece :], np.uint64)
                some = slice(*[0, *np.searchsorted(every, bounds, "right")][-2:])
                keys.append(every[some].copy())  # or the file would stay open
                nodes.append(places[some] | np.uint64(file << FILE))
            yield np.concatenate(keys), np.concatenate(nodes)

    def nodes(self, numbers: Numbers, field: str) -> NDArray[Any]:
        """A field of the NODE rows of some nodes."""
        kind, offset = NODE.fields[field][:2]  # type: ignore[index]
        places = ((number >> FILE, (number & (1 << FILE) - 1) * NODE.itemsize) for number in numbers.tolist())
        values = [os.pread(self.opened("nodes", file).fileno(), kind.itemsize, at + offset) for file, at in places]
        return np.frombuffer(b"".join(values), kind.base).reshape(-1, *kind.shape)

    def candidate(self, file: int, start: int, size: int) -> Candidate:
        """The candidate whose line stands there in a file of texts."""
        return Candidate.from_json(os.pread(self.opened("texts", file).fileno(), size, start))

    def of_row(self, row: Any) -> Candidate:
        """The candidate of an INDEX row."""
        return self.candidate(self.files[row["run"]], int(row["start"]), int(row["size"]))

    def of_node(self, number: int) -> Candidate:
        """The candidate of a node."""
        of = np.array([number], np.uint64)
        return self.candidate(number >> FILE, int(self.nodes(of, "start")[0]), int(self.nodes(of, "size")[0]))


def files_of(folder: Path, stem: Path) -> dict[str, Path]:
    """The files that a file of documents gives, by their forms."""
    return {form: folder / form / f"{stem}.{suffix}" for form, suffix in FORMS.items()}


def together(items: Iterable[T], size: Callable[[T], int]) -> Iterator[list[T]]:
    """Items in their order, as many at a time as numpy is fast with: of AT_A_TIME characters, or a larger one alone."""
    held, characters = list[T](), 0
    for item in items:
        held.append(item)
        if (characters := characters + size(item)) >= AT_A_TIME:
            yield held
            held, characters = [], 0
    yield held


def _piece(keys: NDArray[np.bytes_], pieces: int) -> Numbers:
    """In which of some equal ranges each digest lies."""
    leading = np.ascontiguousarray(keys).view(">u4").reshape(-1, 8)[:, 0].astype(np.uint64)
    return leading * np.uint64(pieces) >> np.uint64(32)


def mapped(path: Path, kind: np.dtype[Any]) -> NDArray[Any]:
    """The rows of a file, which stay on the disk until they are looked at."""
    return np.memmap(path, kind, "r") if path.stat().st_size else np.empty(0, kind)
