"""Stage 5: which texts are nearly the same, by the bands of their signatures: workers share the bands.

A band's file holds pairs of numbers of nodes, 64 bits each, that join what is alike; where a text stands in several
documents and is like another text, they are joined too. Clusters follow from the pairs of all bands, so what they take
of memory grows with the number of near duplicates, not of documents.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from itertools import chain
from pathlib import Path

import numpy as np

from train.artifact import whole
from train.config import Share
from train.data.candidates import Candidate, Candidates
from train.data.dedup.minhash import BANDS, COMPARED, ROWS, components, equal, joined, similarity
from train.data.dedup.ngrams import NO_NUMBERS, Numbers, groups
from train.data.filters import rules
from train.world import Inputs, World


@dataclass(frozen=True)
class DuplicatesConfig:
    near_duplicates: Share  # least similarity, as MinHash estimates it


def compare(config: DuplicatesConfig, inputs: Inputs, out: Path, world: World) -> None:
    """Write `pairs/band-<number>.u64` for each band."""
    candidates = Candidates(inputs.judged)
    for band in world.track(world.share(range(BANDS)), "bands compared"):
        path = out / "pairs" / f"{name(band)}.u64"
        if not path.exists():
            with whole(path) as file:
                for pairs in pairs_of(candidates, band, config.near_duplicates):
                    file.write(pairs.astype("<u8").tobytes())


def name(band: int) -> str:
    """The stem of a band's file."""
    return f"band-{band:02d}"


def pairs_of(candidates: Candidates, band: int, threshold: float) -> Iterator[Numbers]:
    """Pairs of nodes, end to end, that join what is alike and equal in a band, and not in an earlier one."""
    for keys, numbers in candidates.band(band):
        for nodes in unjoined(candidates, [np.sort(numbers[group]) for group in equal(keys)], band):
            _, first, which = np.unique(candidates.nodes(nodes, "text"), return_index=True, return_inverse=True)
            edges = joined(nodes[first], lambda some: candidates.nodes(some, "signature"), threshold, band)
            yield (ends := np.fromiter(chain.from_iterable(edges), np.uint64))
            alike = np.flatnonzero(np.isin(which, which[np.searchsorted(nodes, ends)]))
            order = alike[np.argsort(which[alike], kind="stable")]
            for several in groups(which[order], least=2):
                others = nodes[order[several]][1:]
                yield np.stack([np.full_like(others, nodes[order[several.start]]), others], 1).ravel()


def unjoined(candidates: Candidates, alike: list[Numbers], band: int) -> Iterator[Numbers]:
    """Those groups of nodes that are not all equal in an earlier band, and large ones, whose signatures are many."""
    small = [nodes for nodes in alike if len(nodes) <= COMPARED]
    sizes = np.array([*map(len, small)], np.intp)
    starts = np.cumsum(sizes) - sizes
    marks = candidates.nodes(np.concatenate([NO_NUMBERS, *small]), "signature")[:, : ROWS * band]
    same = (marks == np.repeat(marks[starts], sizes, 0)).reshape(len(marks), band, ROWS).all(-1)
    known = iter(np.any(np.logical_and.reduceat(same, starts, axis=0), axis=1).tolist())
    yield from (nodes for nodes in alike if len(nodes) > COMPARED or not next(known))


class Clusters:
    """Near duplicates; of each cluster the longest text is kept, of equally long ones that of the least hash."""

    def __init__(self, candidates: Candidates, folder: Path) -> None:
        self.candidates = candidates
        pairs = np.concatenate([np.fromfile(path, "<u8") for path in sorted((folder / "pairs").glob("*.u64"))])
        self.numbers, places = np.unique(pairs, return_inverse=True)
        clusters = components(len(self.numbers), zip(places[::2].tolist(), places[1::2].tolist(), strict=True))
        self.texts = candidates.nodes(self.numbers, "text")
        shorter = -candidates.nodes(self.numbers, "characters").astype(np.int64)
        order = np.lexsort((self.texts, shorter, clusters))
        self.kept = [self.numbers[:0]] * len(order)  # of each node the nodes of the text that is kept of its cluster
        for cluster in groups(clusters[order]):
            members = order[cluster]
            kept = self.numbers[members[self.texts[members] == self.texts[members[0]]]]
            for member in members:
                self.kept[member] = kept
        self.title = lru_cache(1024)(self._title)

    def better(self, number: int, candidate: Candidate) -> str | None:
        """Why a candidate, whose node has a number, is dropped as a near duplicate, and of what; None if it is not."""
        place = int(np.searchsorted(self.numbers, np.uint64(number)))
        if place == len(self.numbers) or self.numbers[place] != number or number in self.kept[place]:
            return None
        pair = self.candidates.nodes(np.array([number, self.kept[place][0]], np.uint64), "signature")
        return rules.near_duplicates(named(candidate), self.title(*self.kept[place].tolist()), float(similarity(*pair)))

    def _title(self, *nodes: int) -> str:
        """How the ledger names the document that is kept of those with one text."""
        return named(min(map(self.candidates.of_node, nodes), key=lambda each: each.order))


def named(candidate: Candidate) -> str:
    """How the ledger names a document among those that are nearly the same."""
    return f"{candidate.title} ({candidate.document.id})"
