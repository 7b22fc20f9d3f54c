"""Machine options (device, threads, workers, folders) and progress bars. No stage imports this: `world` hands it in."""

import sys
import time
from collections.abc import Iterable, Iterator, Sized
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal, TypeVar

from annotated_types import Ge, Le
from tqdm import tqdm

from train.config import Count

T = TypeVar("T")
Few = Annotated[int, Ge(1), Le(1024)]  # more than any machine has processors, and fewer than it can begin


@dataclass(frozen=True)
class Machine:
    """How to run. Nothing here enters a key, and under `numerics: exact` nothing here changes a product."""

    device: Literal["cpu", "cuda"]  # where the model lies
    threads: Few | None  # of the processor, for matrix products; null: as many as torch finds
    micro_batches: Count  # slices of the batch that go through the model one after another
    compile: bool  # fuse what stands between the matrix products; pays off in long runs
    sharded: bool  # each of several ranks holds only a share of the weights and moments
    patience: Count  # seconds that one rank of several waits for another
    save_every: Count | None  # steps between saves that only serve to go on; null: none beside the checkpoints
    keep_saves: Count  # of those, the newest
    init_from: Path | None  # folder of the release whose identity training.init_from is; a path given there is put here
    cache: Path  # downloads, by digest
    runs: Path  # the folder of the artifacts
    releases: Path  # the folder of the releases
    progress: Literal["auto", "plain", "none"]  # auto: a bar on a terminal, plain lines elsewhere
    wandb: Literal["disabled", "offline", "online"]  # whether a training is logged to Weights & Biases as well
    workers: Few | None  # of a stage whose parts are shared; null: as many as processors
    engine: Literal["processes", "ray"]  # what runs the workers

    def track(self, items: Iterable[T], what: str, total: int | None) -> Iterator[T]:
        """Yield `items`, showing how far they are: a bar on a terminal, a plain line every ten seconds elsewhere."""
        if self.progress == "auto" and sys.stderr.isatty():
            yield from tqdm(items, desc=f"  {what}", total=total, leave=False)
            return
        total = total if total is not None else len(items) if isinstance(items, Sized) else None
        shown = time.monotonic()
        for done, item in enumerate(items):
            if self.progress != "none" and time.monotonic() - shown >= 10:
                shown = time.monotonic()
                print(f"  {what}: {done}{f' of {total}' if total else ''}", file=sys.stderr, flush=True)
            yield item
