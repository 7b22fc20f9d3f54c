"""What a run shows and keeps of itself: JSON lines on disk, a bar or plain lines, and wandb, from the same records."""

import json
import sys
import time
from pathlib import Path
from typing import Any

from tqdm import tqdm

from train.training.resources import Energy, peaks
from train.world import Machine

METERS_EVERY = 60  # seconds


class Log:
    """Records of one training run, one a step, in `path`; those after step `start` are of a lost attempt and go.

    Beside it, `resources.jsonl` gets a line from each process that trained and was not killed: its steps, seconds,
    peaks of memory and energy, and how many values lay near a boundary of rounding (see `numerics`).
    """

    def __init__(self, path: Path, machine: Machine, start: int, steps: int, settings: dict[str, Any]) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        kept = [line for line in _lines(path) if json.loads(line)["step"] <= start]
        path.write_text("".join(f"{line}\n" for line in kept))
        self.file = path.open("a")
        self.steps = steps
        self.started, self.shown = time.monotonic(), time.monotonic()
        self.start = self.step = start
        self.near_boundary = 0
        self.energy, self.metered = Energy(), time.monotonic()
        self.resources = path.with_name("resources.jsonl")
        self.plain = machine.progress == "plain" or (machine.progress == "auto" and not sys.stderr.isatty())
        self.bar = tqdm(
            total=steps, initial=start, desc="  train", unit="step", disable=self.plain or machine.progress == "none"
        )
        self.wandb = _wandb(machine.wandb, path.parent, settings)

    def record(self, record: dict[str, Any]) -> None:
        """Keep one step's record and show it; a line every ten seconds where there is no terminal."""
        self.file.write(json.dumps(record) + "\n")
        self.file.flush()
        self.step = record["step"]
        self.near_boundary += record.get("near_boundary", 0)
        if time.monotonic() - self.metered >= METERS_EVERY:
            self.metered = time.monotonic()
            self.energy.read()
        shown = {"loss": f"{record['loss']:.3f}", "tok/s": f"{record['tokens_per_second']:.0f}"}
        if "held_out_loss" in record:
            shown["held-out"] = f"{record['held_out_loss']:.3f}"
        self.bar.set_postfix(shown, refresh=False)
        self.bar.update()
        last = record["step"] == self.steps
        if self.plain and (last or "held_out_loss" in record or time.monotonic() - self.shown >= 10):
            self.shown = time.monotonic()
            pace = (self.shown - self.started) / (record["step"] - self.start)
            left = round(pace * (self.steps - record["step"]))
            numbers = ", ".join(f"{name} {value}" for name, value in shown.items())
            print(f"  step {record['step']}/{self.steps}: {numbers}, {left} s left", file=sys.stderr, flush=True)
        if self.wandb is not None:
            self.wandb.log(record, step=record["step"])

    def note(self, message: str) -> None:
        """Say something beside the progress."""
        tqdm.write(f"  {message}", file=sys.stderr)

    def close(self) -> None:
        """End the log and say what it took."""
        took = {"from_step": self.start, "to_step": self.step, "seconds": time.monotonic() - self.started}
        took |= {**peaks(), "energy_joules": self.energy.read(), "near_boundary": self.near_boundary}
        with self.resources.open("a") as file:
            file.write(json.dumps(took) + "\n")
        self.bar.close()
        self.file.close()
        if self.wandb is not None:
            self.wandb.finish()


def _lines(path: Path) -> list[str]:
    """The whole lines of a log; a torn last one, of a killed process, is left out."""
    if not path.exists():
        return []
    return [line for line in path.read_text().split("\n")[:-1] if line]


def _wandb(mode: str, directory: Path, settings: dict[str, Any]) -> Any:
    if mode == "disabled":
        return None
    try:
        import wandb

        return wandb.init(project="pellucid", mode=mode, dir=directory, config=settings)  # type: ignore[arg-type]
    except Exception as error:  # whatever a tracker's failure is, it is no reason to stop training
        print(f"  wandb does not work ({error}); training goes on without it", file=sys.stderr)
        return None
