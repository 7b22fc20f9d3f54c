"""A stage whose parts are shared: the same function for each worker, in processes of this machine or on a Ray cluster.

Workers do not speak to each other. Each writes its parts as whole files and passes over those that are there. When all
have ended, the function runs once more, alone: it finds the parts of all and writes what sums them up. So a worker that
died has only to be run again, alone or with the others, in any order.
"""

import logging
import multiprocessing
import os
import signal
import threading
import traceback
from collections.abc import Callable, Iterator
from multiprocessing import resource_tracker
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

from train.errors import UserError
from train.machine import Machine
from train.programs import uninterrupted
from train.world import Inputs, World

Make = Callable[[Any, Inputs, Path, World], None]
RETRIES = 5  # of a part whose node or process was lost


def work(make: Make, config: Any, inputs: Inputs, out: Path, machine: Machine) -> None:
    """Run `make` once for each worker, then alone; all have ended when this returns or raises the first failure."""
    if machine.engine == "ray":
        on_ray(make, config, inputs, out, machine)
    elif (size := machine.workers or os.cpu_count() or 1) > 1:
        in_processes(make, config, inputs, out, machine, size)
    make(config, inputs, out, World(0, 1, machine))


def in_processes(make: Make, config: Any, inputs: Inputs, out: Path, machine: Machine, size: int) -> None:
    """One process for each worker. Ctrl-C is this process's to answer: it ends the others."""
    context = multiprocessing.get_context("spawn")
    workers: dict[Any, BaseProcess] = {}
    resource_tracker.ensure_running()  # now: it lifts the block below
    try:
        with uninterrupted(signal.SIGINT):
            for rank in range(size):
                receiver, tell = context.Pipe(duplex=False)
                worker = context.Process(target=one, args=(make, config, inputs, out, World(rank, size, machine), tell))
                worker.start()
                tell.close()
                workers[receiver] = worker
        running = list(workers)
        while running:
            for ready in wait(running):
                running.remove(ready)
                if failure := last_word(ready, out):
                    raise failure
    finally:
        for process in workers.values():
            process.terminate()
            process.join()


def last_word(receiver: Any, out: Path) -> Exception | None:
    """The exception of the worker at the other end, UserError if it was killed; None when it did its work."""
    try:
        return receiver.recv()  # type: ignore[no-any-return]
    except EOFError:
        return UserError(
            f"{out.name}: a worker was killed (by hand, or for want of memory: see machine.workers); "
            "nothing that was whole is lost, run the same command again"
        )


def one(make: Make, config: Any, inputs: Inputs, out: Path, world: World, tell: Connection) -> None:
    """The life of one process: its share, and a last word."""
    threading.Thread(target=end_with_parent, daemon=True).start()
    try:
        make(config, inputs, out, world)
    except Exception as error:
        if not isinstance(error, UserError | OSError):  # our own mistake: say where
            error.add_note(traceback.format_exc())
        tell.send(error)
    else:
        tell.send(None)


def end_with_parent() -> None:
    """End this process as soon as its parent has ended, however: the next to come must find nobody at its files."""
    parent = multiprocessing.parent_process()
    assert parent is not None
    parent.join()
    os._exit(1)


def on_ray(make: Make, config: Any, inputs: Inputs, out: Path, machine: Machine) -> None:
    """One task for each worker on the Ray cluster that RAY_ADDRESS names, or on one of this machine alone.

    The nodes share the file system that holds this checkout and `machine.runs`. A task whose node is lost runs again
    elsewhere; a task that fails is not repeated, since it would fail again. Raises UserError without Ray or cluster.
    """
    try:
        import ray
    except ImportError:
        raise UserError(
            "machine.engine: ray is not installed; install the extra `cluster`, or choose processes"
        ) from None
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"  # a local cluster would report to its makers
    checkout = str(Path(__file__).resolve().parents[1])
    try:
        ray.init(log_to_driver=False, logging_level=logging.ERROR, runtime_env={"env_vars": {"PYTHONPATH": checkout}})
    except (OSError, RuntimeError, ValueError, ray.exceptions.RayError) as error:
        raise UserError(f"machine.engine: no Ray cluster answers ({' '.join(str(error).split())})") from None
    try:
        size = machine.workers or max(1, int(ray.cluster_resources().get("CPU", 1)))
        task = ray.remote(max_retries=RETRIES, retry_exceptions=False, scheduling_strategy="SPREAD")(make)
        where = Inputs(**{name: path.resolve() for name, path in vars(inputs).items()})
        worlds = [World(rank, size, machine) for rank in range(size)]
        tasks = [task.remote(config, where, out.resolve(), world) for world in worlds]
        for done in World(0, 1, machine).track(ended(ray, tasks), "workers ended", size):
            ray.get(done)
    except ray.exceptions.RayTaskError as error:
        raise error.cause from None
    except ray.exceptions.RayError as error:
        raise UserError(f"{out.name}: {' '.join(str(error).split())}; run the same command again") from None
    finally:
        ray.shutdown()


def ended(ray: Any, tasks: list[Any]) -> Iterator[Any]:
    """Each task as soon as it has ended."""
    while tasks:
        done, tasks = ray.wait(tasks)
        yield from done
