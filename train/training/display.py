"""How training looks while it runs: a bar on a terminal, plain lines elsewhere, and the same numbers in both."""

import os
import sys
import time
from collections.abc import Mapping
from typing import Any

import torch
from tqdm import tqdm

from train.machine import Machine
from train.training.resources import peaks

SMOOTHING = 0.9  # of the loss: how much of it is of the steps before
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

    def show(self, record: Mapping[str, Any]) -> None:
        """Show a step; without a terminal a line every ten seconds, at each measurement and at the end."""
        done = record["step"] - self.start
        self.smoothed = SMOOTHING * self.smoothed + (1 - SMOOTHING) * record["loss"]
        loss = self.smoothed / (1 - SMOOTHING**done)  # as if there had been as many steps before, all alike
        if "held_out_loss" in record:
            self.held_out = f"held out {record['held_out_loss']:.3f}"
        use = f"MFU {record['mfu']:.0%}" if "mfu" in record else ""
        held = peaks()
        memory = held.get("gpu_peak_bytes", held["peak_bytes"])
        now = time.monotonic()
        left = (now - self.began) / done * (self.steps - record["step"])
        parts = (f"loss {loss:.3f}", self.held_out, f"{record['tokens_per_second']:,.0f} tokens/s", use)
        text = ", ".join(part for part in (*parts, f"{memory / 1e9:.2f} GB", f"{clock(left)} left") if part)
        self.bar.set_description_str(text, refresh=False)
        self.bar.update()
        if self.plain and (now - self.said >= EVERY or "held_out_loss" in record or record["step"] == self.steps):
            self.said = now
            print(f"  weights: step {record['step']} of {self.steps}: {text}", file=sys.stderr, flush=True)

    def note(self, message: str) -> None:
        """Say something beside the progress."""
        tqdm.write(f"  {message}", file=sys.stderr)


def clock(seconds: float) -> str:
    minutes, seconds = divmod(round(seconds), 60)
    return f"{minutes // 60}:{minutes % 60:02d}:{seconds:02d}" if minutes >= 60 else f"{minutes}:{seconds:02d}"


def peak(like: torch.Tensor) -> float:
    """Operations a second that a product of large matrices of the kind of `like` reaches here, at best.

    That is what MFU is a share of. (Chowdhery et al. 2022 take the maker's number; a processor has no single one.)
    """
    size = 8192 if like.is_cuda else 512
    matrix = torch.ones(size, size, dtype=like.dtype, device=like.device)
    best = float("inf")
    for _ in range(8):  # the first one warms up
        began = time.perf_counter()
        (matrix @ matrix)[0, 0].item()  # waits for a GPU
        best = min(best, time.perf_counter() - began)
    return 2 * size**3 / best
