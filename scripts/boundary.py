"""How probable it is that one `portable` run meets a rounding boundary: measured, on the recipe itself.

`python scripts/boundary.py [OVERRIDES]` makes everything up to the tokens, then trains two copies of the model side by
side in unlike settings (one thread and one slice a batch; two threads and four slices). They are rounded to equal
states after every step. Before they are, element i of a tensor differs by d_i where the grid is g apart; a boundary
lies in between with probability |d_i| / g. The sum over all elements of all gradients and updates is the number of
values to expect, a step, that the two settings round apart. The part of the sum from those d_i that are larger than
`numerics.DISAGREEMENT` (of their tensor's root mean square) is what the count of values near a boundary can miss.
"""

import dataclasses
import sys
from pathlib import Path

sys.dont_write_bytecode = True  # in a release, whose code this may be, nothing is written
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import torch
from run import compose  # type: ignore[import-not-found]
from torch import Tensor

from train import pipeline
from train.config import build
from train.data import tokenizer
from train.data.batches import batch_at
from train.data.tokens import read_tokens
from train.model import Transformer
from train.terminal import guarded
from train.training.loop import gradients
from train.training.numerics import DISAGREEMENT, NumericsConfig, grid
from train.training.optimizer import Optimizer

STEPS = 40
SETTINGS = ((1, 1), (2, 4))  # threads, slices of the batch


@dataclasses.dataclass(frozen=True)
class Seen(NumericsConfig):
    """Numerics that remember what they were asked to keep."""

    values: list[Tensor]

    def keep(self, x: Tensor) -> tuple[Tensor, int]:
        self.values.append(x)
        return super().keep(x)


def main(overrides: list[str]) -> None:
    config = build(pipeline.Run, compose([*overrides, "until=tokens"]))
    made = pipeline.run(config)
    tokens = read_tokens(made["tokens"], "train")
    vocabulary = tokenizer.load(made["tokenizer"]).vocabulary
    training = config.training
    models = [Transformer(config.model, vocabulary, training.seed).double() for _ in SETTINGS]
    seen = [Seen("portable", "same", training.numerics.grid_bits, 256, []) for _ in SETTINGS]
    optimizers = [Optimizer(m, training.optimizer, n) for m, n in zip(models, seen, strict=True)]
    expected, missed, relative, largest, apart, near = 0.0, 0.0, 0.0, 0.0, 0, 0
    for step in range(STEPS):
        batch = batch_at(tokens, config.model.context, training.batch, training.seed, step)
        for (threads, slices), model, optimizer in zip(SETTINGS, models, optimizers, strict=True):
            torch.set_num_threads(threads)
            gradients(model, batch, slices)
            told = optimizer.step(step, training.steps, optimizer.gradient_norm())
        near += told["near_boundary"]
        for a, b in zip(*(numerics.values for numerics in seen), strict=True):
            distance = grid(a, training.numerics.grid_bits)
            if distance:
                expected += float((a - b).abs().sum()) / distance
                relative = max(relative, float((a - b).norm() / a.norm()))
                off = (a - b).abs() / a.square().mean().sqrt()
                largest = max(largest, float(off.max()))
                missed += float((a - b).abs()[off > DISAGREEMENT].sum()) / distance
        apart += sum(not torch.equal(p, q) for p, q in zip(*(m.parameters() for m in models), strict=True))
        for numerics in seen:
            numerics.values.clear()
    run, unseen = (each / STEPS * training.steps for each in (expected, missed))
    print(f"steps {STEPS}, tensors rounded apart {apart}, largest relative disagreement of a tensor {relative:.1e}")
    print(f"largest disagreement of a value {largest:.1e} (bound {DISAGREEMENT:.1e}); {near} values were within it")
    print(f"values to expect on unlike sides of a boundary: {expected / STEPS:.1e} a step; "
          f"{run:.1e} in {training.steps}, of which the count could miss {unseen:.1e}")  # fmt: skip


if __name__ == "__main__":
    guarded(main, sys.argv[1:])
