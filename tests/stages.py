"""Stages that fail or do not end, in a module so light that workers begin at once."""

import os
import signal
import time
from pathlib import Path

from train.artifact import write_json
from train.errors import UserError
from train.world import World


def fail(config: str, inputs: object, out: Path, world: World) -> None:
    """A stage whose second worker fails, each in its own way, while the first would take long."""
    write_json(out / f"{world.rank}.json", os.getpid())
    if world.rank == 0:
        time.sleep(300)
    while not (out / "0.json").exists():
        time.sleep(0.01)
    if config == "killed":
        os.kill(os.getpid(), signal.SIGKILL)
    raise {"mendable": UserError("part 1: is empty"), "full": OSError(28, "No space left", "part-1")}[config]


def wait(config: str, inputs: object, out: Path, world: World) -> None:
    """A stage that does not end by itself."""
    write_json(out / f"{world.rank}.json", os.getpid())
    time.sleep(300)
