"""How training looks while it runs: a bar on a terminal, plain lines elsewhere, and the same numbers in both."""

import os
import sys
import time
from collections import deque
from collections.abc import Iterable, Mapping
from typing import Any

from tqdm import tqdm

from train.humanize import duration
from train.machine import Machine
from train.training.meters import peaks

SMOOTHING = 0.9  # of the loss: how much of it is of the steps before
WINDOW = 20  # steps over which speed is taken
EVERY = 10  # seconds between plain lines
BAR = "  weights {percentage:3.0f} % {bar} {n_fmt}/{total_fmt} {desc}"


class Display:
    """Shows the records of steps `start` + 1 to `steps` on the error stream, as the machine's `progress` says."""

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
        self.recent: deque[Mapping[str, Any]] = deque(maxlen=WINDOW)

    def show(self, record: Mapping[str, Any]) -> None:
        """Show a step; without a terminal a line every ten seconds, at each measurement and at the end."""
        step = record["step"]
        done = step - self.start
        self.smoothed = SMOOTHING * self.smoothed + (1 - SMOOTHING) * record["loss"]
        loss = self.smoothed / (1 - SMOOTHING**done)  # as if there had been as many steps before, all alike
        if "held_out_loss" in record:
            self.held_out = f"held out {record['held_out_loss']:.3f}"
        self.recent.append(record)
        speed = over_steps(each.get("tokens_per_second") for each in self.recent)
        held = peaks()
        memory = held.get("gpu_peak_bytes", held["peak_bytes"])
        now = time.monotonic()
        left = (now - self.began) / done * (self.steps - step)
        parts = (f"loss {loss:.3f}", self.held_out, f"{speed:,.0f} tokens/s" if speed else "")
        text = ", ".join(part for part in (*parts, f"{memory / 1e9:.2f} GB", f"{duration(left)} left") if part)
        self.bar.set_description_str(text, refresh=False)
        self.bar.update()
        if self.plain and (now - self.said >= EVERY or "held_out_loss" in record or step == self.steps):
            self.said = now
            print(f"  weights: step {step} of {self.steps}: {text}", file=sys.stderr, flush=True)

    def note(self, message: str) -> None:
        """Say something beside the progress."""
        tqdm.write(f"  {message}", file=sys.stderr)


def over_steps(rates: Iterable[float | None]) -> float | None:
    """The rate of several steps of equal size together, from that of each; None where one has none."""
    known = list(rates)
    return len(known) / sum(1 / rate for rate in known if rate) if all(known) else None
