"""Mixtures: how much of a training each stage lasts, how much of it reads which sources, and in what order these come.

Sources that stand in the same part of every stage are one text. In a stage the texts take turns in a pattern that
repeats: its weights are integers, and after any number n of sequences a text has had within one of n times its share.
The pattern is that of unit jobs by earliest deadline (Liu and Layland 1973), where the j-th turn of a text may come
once it would not be one ahead of its share, and must before it would be one behind (Baruah et al. 1996).
"""

import heapq
import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from fractions import Fraction
from itertools import pairwise
from typing import Annotated

import numpy as np
from annotated_types import Ge, Gt, Le, MinLen
from numpy.typing import NDArray

WHOLE = 10_000  # what the weights of a stage add up to at most, as integers without a common divisor
PERIOD = 100_000  # sequences of a pattern at most


@dataclass(frozen=True)
class Part:
    """Sources that are read together, by their size, and how much of a stage they are."""

    name: str  # of the sources together, in the cards
    sources: Annotated[tuple[str, ...], MinLen(1)]  # Package URLs, or globs over them
    weight: Annotated[float, Ge(0)]  # against those of the stage's other parts

    def holds(self, purl: str) -> bool:
        return any(matches(source, purl) for source in self.sources)


@dataclass(frozen=True)
class MixtureStage:
    """A stretch of the training that reads sources by their weights."""

    share: Annotated[float, Gt(0), Le(1)]  # of the steps
    parts: Annotated[tuple[Part, ...], MinLen(1)]

    def __post_init__(self) -> None:
        total = sum(self.integers)
        if not total or total > WHOLE:
            weights = ", ".join(f"{part.weight:g}" for part in self.parts)
            allowed = f"above 0 and, as integers without a common divisor, at most {WHOLE:,}"
            raise ValueError(f"parts: expected weights that add up to {allowed}; got {weights}")

    @property
    def integers(self) -> list[int]:
        """The weights of the parts as integers without a common divisor; as their decimals say, so 0.1 is a tenth."""
        exact = [Fraction(str(part.weight)) for part in self.parts]
        scale = math.lcm(*(each.denominator for each in exact))
        divisor = math.gcd(*(int(each * scale) for each in exact)) or 1
        return [int(each * scale) // divisor for each in exact]


Mixture = tuple[MixtureStage, ...]  # in the order of the training; none: all text, by its size


@dataclass(frozen=True)
class Leg:
    """A stage as the sequences that it reads, counted from 0 at its beginning."""

    begin: int  # sequences before it
    weights: NDArray[np.int64]  # turns of each text in the pattern
    turns: NDArray[np.int64]  # the text of each sequence of the pattern
    places: NDArray[np.int64]  # how many turns of the same text are before it there
    before: NDArray[np.int64]  # sequences that earlier stages took of each text

    def at(self, numbers: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """The text of each sequence, and how many sequences the training took of that text before."""
        within, texts = numbers % len(self.turns), self.turns[numbers % len(self.turns)]
        return texts, self.before[texts] + numbers // len(self.turns) * self.weights[texts] + self.places[within]

    def taken(self, sequences: int) -> NDArray[np.int64]:
        """How many of its first `sequences` are of each text."""
        rounds, rest = divmod(sequences, len(self.turns))
        return rounds * self.weights + np.bincount(self.turns[:rest], minlength=len(self.weights))


def matches(source: str, purl: str) -> bool:
    return source == purl or fnmatchcase(purl, source)


def require_stages(mixture: Mixture, steps: int) -> None:
    """ValueError unless the stages' shares are the whole training, and each lasts a step at least."""
    total = sum(Fraction(str(stage.share)) for stage in mixture)
    if mixture and total != 1:
        raise ValueError(f"mixture: expected shares of the steps that add up to 1, got {float(total):g}")
    ends = borders(mixture, steps)
    for number, (start, end) in enumerate(pairwise(ends)):
        if start == end:
            raise ValueError(f"mixture[{number}].share: of {steps} steps this is none; make it larger")


def require_sources(mixture: Mixture, purls: Iterable[str]) -> None:
    """ValueError, with the dotted path, for what names none of the sources, and for one in two parts of a stage."""
    known = sorted(set(purls))
    for where, part in parts_of(mixture):
        for number, source in enumerate(part.sources):
            if not any(matches(source, purl) for purl in known):
                raise ValueError(f"{where}.sources[{number}]: '{source}' names no source; there are {', '.join(known)}")
    for number, stage in enumerate(mixture):
        for purl in known:
            if len(names := [part.name for part in stage.parts if part.holds(purl)]) > 1:
                raise ValueError(f"training.mixture[{number}].parts: {' and '.join(map(repr, names))} both hold {purl}")


def parts_of(mixture: Mixture) -> Iterator[tuple[str, Part]]:
    """Each part of each stage, with its dotted path."""
    for number, stage in enumerate(mixture):
        yield from ((f"training.mixture[{number}].parts[{index}]", part) for index, part in enumerate(stage.parts))


def borders(mixture: Mixture, steps: int) -> list[int]:
    """The steps before each stage, and all of them."""
    shares = [Fraction(str(stage.share)) for stage in mixture]
    return [math.floor(steps * sum(shares[:number]) + Fraction(1, 2)) for number in range(len(shares) + 1)]


def groups(mixture: Mixture, purls: Iterable[str]) -> list[tuple[str, ...]]:
    """The sources of each text: those that stand in the same part of every stage. Others are not read."""
    together: dict[tuple[int | None, ...], list[str]] = {}
    for purl in sorted(set(purls)):
        places = tuple(next((i for i, p in enumerate(stage.parts) if p.holds(purl)), None) for stage in mixture)
        if any(place is not None for place in places):
            together.setdefault(places, []).append(purl)
    return [tuple(purls) for purls in together.values()]


def legs(
    mixture: Mixture, steps: int, batch: int, texts: Sequence[tuple[str, ...]], windows: Sequence[int]
) -> list[Leg]:
    """The stages, where texts are of these sources and hold so many windows; without any, one over the one text."""
    stages: list[Leg] = []
    before, ends = np.zeros(len(windows), np.int64), borders(mixture, steps)
    for number, turns in enumerate([turns_of(stage, texts, windows) for stage in mixture] or [[1]]):
        if stages:
            before = before + stages[-1].taken((ends[number] - ends[number - 1]) * batch)
        order = pattern(turns)
        places = np.zeros(len(order), np.int64)
        for text in range(len(turns)):
            places[order == text] = np.arange(turns[text])
        stages.append(Leg(ends[number] * batch, np.array(turns, np.int64), order, places, before))
    return stages


def turns_of(stage: MixtureStage, texts: Sequence[tuple[str, ...]], windows: Sequence[int]) -> list[int]:
    """How many turns each text has in the stage's pattern; those of one part share its weight by their windows."""
    members = [[n for n, purls in enumerate(texts) if part.holds(purls[0])] for part in stage.parts]
    scale = PERIOD // sum(stage.integers) if any(len(each) > 1 for each in members) else 1
    turns: dict[int, int] = {}
    for weight, numbers in zip(stage.integers, members, strict=True):
        turns |= zip(numbers, shared(weight * scale, [windows[n] for n in numbers]), strict=True)
    return [turns.get(number, 0) for number in range(len(texts))]


def shared(total: int, sizes: Sequence[int]) -> list[int]:
    """`total` divided by sizes into integers, what is left over to the largest remainders."""
    whole = sum(sizes) or 1
    parts = [total * size // whole for size in sizes]
    for number in sorted(range(len(sizes)), key=lambda n: -(total * sizes[n] % whole))[: total - sum(parts)]:
        parts[number] += 1
    return parts


def pattern(turns: Sequence[int]) -> NDArray[np.int64]:
    """The texts in turn, each as often as `turns` says, and at every place within one of its share."""
    total = sum(turns)
    jobs = sorted(((j * total // n, -(-(j + 1) * total // n), text) for text, n in enumerate(turns) for j in range(n)),
                  reverse=True)  # fmt: skip
    order, ready = np.empty(total, np.int64), list[tuple[int, int]]()
    for place in range(total):
        while jobs and jobs[-1][0] <= place:
            heapq.heappush(ready, jobs.pop()[1:])
        order[place] = heapq.heappop(ready)[1]
    return order
