"""What a run shows and keeps of itself: JSON lines on disk, a display, and wandb, all from the same records."""

import json
import math
import os
import sys
import time
from collections import deque
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from pathlib import Path
from statistics import harmonic_mean
from typing import Any

from tqdm import tqdm

from train.artifact import naming, write_bytes
from train.humanize import duration
from train.machine import Machine
from train.model import Transformer
from train.training.checkpoint import log_lines
from train.training.meters import Energy, peak, peaks

METERS_EVERY = 60  # seconds
LINE_EVERY = 10  # seconds between plain lines
SMOOTHING = 0.9  # of the loss: how much of it is of the steps before
WINDOW = 20  # steps over which speed is taken
BAR = "  weights {percentage:3.0f} % {bar} {n_fmt}/{total_fmt} {desc}"


class Log:
    """Records of one training run, one a step, in `path`; those after step `start` are of a lost attempt and go.

    On disk for good they are after `sync`, which comes before each checkpoint that builds on them.
    Beside it, `resources.jsonl` gets a line from each process that trained and was not killed: its steps, seconds,
    peaks of memory and energy.
    """

    def __init__(self, path: Path, machine: Machine, start: int, steps: int, settings: dict[str, Any]) -> None:
        write_bytes(path, b"".join(line + b"\n" for line in log_lines(path)[:start]))
        self.path, self.file = path, path.open("a")
        self.start = self.step = start
        self.energy, self.began = Energy(), time.monotonic()
        self.metered = self.began
        self.resources = path.with_name("resources.jsonl")
        self.display = Display(machine, start, steps)
        self.measure: Callable[[], float] | None = None  # tokens a second that the machine can do at best
        self.at_peak, self.peaked = 0.0, -math.inf
        self.wandb: Any = None
        self._track(lambda: self._start_wandb(machine, path.parent, settings))

    def compare_with_peak(self, model: Transformer, ranks: int) -> None:
        """From now on records hold `mfu`: the model's operations as a share of those that all ranks can do."""
        self.measure = lambda: ranks * peak(model) / model.flops_per_token()
        self.at_peak = self.measure()

    def record(self, record: dict[str, Any]) -> None:
        """Keep one step's record and show it."""
        if self.measure and (use := self._use(self.measure, record["tokens_per_second"])) <= 1:
            record["mfu"] = round(use, 4)
        with naming(self.path):
            self.file.write(json.dumps(record) + "\n")
            self.file.flush()
        self.step = record["step"]
        if time.monotonic() - self.metered >= METERS_EVERY:
            self.metered = time.monotonic()
            self.energy.read()
        self.display.show(record)
        self._track(lambda: self.wandb and self.wandb.log(record, step=self.step))

    def _use(self, measure: Callable[[], float], tokens_per_second: float) -> float:
        """The share of the peak, which is taken again when a step beats it: the machine was busy then."""
        if tokens_per_second > self.at_peak and time.monotonic() - self.peaked >= METERS_EVERY:
            self.at_peak, self.peaked = max(self.at_peak, measure()), time.monotonic()
        return tokens_per_second / self.at_peak

    def sync(self) -> None:
        """Make what was recorded so far durable."""
        with naming(self.path):
            os.fsync(self.file.fileno())

    def note(self, message: str) -> None:
        """Say something beside the progress."""
        self.display.note(message)

    def products(self, digests: Mapping[str, str]) -> None:
        """Let wandb know the SHA-256 of what came out, by path."""
        self._track(lambda: self.wandb and self.wandb.summary.update({"products": dict(digests)}))

    def close(self) -> None:
        """End the log and say what it took; if that fails, the rest is ended all the same."""
        with ExitStack() as ending:
            ending.callback(self._track, lambda: self.wandb and self.wandb.finish())
            ending.enter_context(naming(self.path))
            ending.callback(self.file.close)
            ending.callback(self.display.bar.close)
            took = {"from_step": self.start, "to_step": self.step, "seconds": time.monotonic() - self.began}
            took |= {**peaks(), "energy_joules": self.energy.read()}
            before = self.resources.read_bytes() if self.resources.exists() else b""
            write_bytes(self.resources, before + json.dumps(took).encode() + b"\n")  # of which none may be torn
            self.sync()

    def _start_wandb(self, machine: Machine, home: Path, settings: dict[str, Any]) -> None:
        if machine.wandb != "disabled":
            import wandb

            # It neither catches what we print nor waits for somebody to type a password.
            quiet = wandb.Settings(silent=True, console="off", login_timeout=10)
            self.wandb = wandb.init(project="pellucid", mode=machine.wandb, dir=home, config=settings, settings=quiet)

    def _track(self, what: Callable[[], object]) -> None:
        """Do something with wandb. Whatever a tracker's failure is, it is no reason to stop training."""
        try:
            what()
        except Exception as error:
            self.wandb = None
            self.note(f"wandb does not work ({error}); training goes on without it")


class Display:
    """The records of steps `start` + 1 to `steps` on the error stream: a bar on a terminal, plain lines elsewhere."""

    def __init__(self, machine: Machine, start: int, steps: int) -> None:
        self.plain = machine.progress == "plain" or (machine.progress == "auto" and not sys.stderr.isatty())
        self.start, self.steps, self.smoothed = start, steps, 0.0
        self.began = self.said = time.monotonic()
        off = self.plain or machine.progress == "none"
        colour = None if "NO_COLOR" in os.environ else "cyan"
        self.bar = tqdm(
            total=steps, initial=start, disable=off, bar_format=BAR, colour=colour, dynamic_ncols=True, leave=True
        )
        self.held_out = ""
        self.rates: deque[float] = deque(maxlen=WINDOW)

    def show(self, record: Mapping[str, Any]) -> None:
        """Show a step; without a terminal a line every ten seconds, at each measurement and at the end."""
        step = record["step"]
        done = step - self.start
        self.smoothed = SMOOTHING * self.smoothed + (1 - SMOOTHING) * record["loss"]
        loss = self.smoothed / (1 - SMOOTHING**done)  # as if there had been as many steps before, all alike
        if held_out := record.get("held_out_loss"):
            self.held_out = f"held out {held_out:.3f}"
        self.rates.append(record["tokens_per_second"])
        held = peaks()
        memory = held.get("gpu_peak_bytes", held["peak_bytes"])
        now = time.monotonic()
        left = (now - self.began) / done * (self.steps - step)
        parts = (f"loss {loss:.3f}", self.held_out, f"{harmonic_mean(self.rates):,.0f} tokens/s")
        text = ", ".join(part for part in (*parts, f"{memory / 1e9:.2f} GB", f"{duration(left)} left") if part)
        self.bar.set_description_str(text, refresh=False)
        self.bar.update()
        if self.plain and (now - self.said >= LINE_EVERY or "held_out_loss" in record or step == self.steps):
            self.said = now
            print(f"  weights: step {step} of {self.steps}: {text}", file=sys.stderr, flush=True)

    def note(self, message: str) -> None:
        """Say something beside the progress."""
        tqdm.write(f"  {message}", file=sys.stderr)
