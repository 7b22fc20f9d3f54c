"""World: rank and size of a worker, its shard of the work, and what only says how to run, which is handed in."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from train.machine import Machine

T = TypeVar("T")


def not_handed_in(*_: Any) -> Any:
    raise NotImplementedError("this world was made without what the stage needs of it")


class Inputs:
    """Where the artifacts stand that a stage is made from; it has none but these."""

    raw: Path
    documents: Path
    benchmarks: Path
    judged: Path
    duplicates: Path
    selected: Path
    tokenizer: Path
    tokens: Path
    weights: Path
    evaluation: Path

    def __init__(self, **folders: Path) -> None:
        vars(self).update(folders)


@dataclass(frozen=True)
class World:
    """Worker `rank` of `size`. Parts are fixed by config, so any `size` writes the same bytes.

    Nothing of what is handed in enters a key, and none of it is imported by a stage: so a nicer bar, another limit of
    patience or another tracker makes nothing anew. Under `numerics: exact` none of it changes a product.
    """

    rank: int
    size: int
    machine: "Machine"
    obtain: Callable[..., Any] = not_handed_in  # a file of a source: `data.places.obtain`
    log: Callable[..., Any] = not_handed_in  # of a training: `training.log.Log`
    meter: Callable[..., None] = not_handed_in  # of what a training takes: `training.resources.write_operations`

    def share(self, items: Sequence[T]) -> Sequence[T]:
        """This worker's items: every `size`-th, starting at `rank`."""
        return items[self.rank :: self.size]

    def track(self, items: Iterable[T], what: str, total: int | None = None) -> Iterator[T]:
        """Yield `items`, showing how far they are; of several workers the first shows its own share."""
        if self.rank:
            yield from items
            return
        yield from self.machine.track(items, f"{what} by worker 1 of {self.size}" if self.size > 1 else what, total)
