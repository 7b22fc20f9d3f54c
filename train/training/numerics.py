"""What a number may depend on: `portable` (nothing but the config) or `pinned` (the recorded stack as well).

`portable` means: compute precisely, then round what is kept. Forward and backward run in float64, so machines disagree
about a gradient by some 1e-15 of its size, whatever their thread count, vector width or split into micro-batches.
Each gradient tensor, and each update computed from it, is then rounded to a grid 2^-bits of its own root mean square.
The disagreement is a million million times finer than the grid, so it is rounded away before it can be kept.

A value next to the middle between two grid points can still be rounded apart. Measured on the reference recipe by
`scripts/boundary.py`, one thread and one slice against two threads and four slices, over 40 steps: tensors disagree by
1.4e-15 of their norm at most, which puts 7.6e-7 values a step on unlike sides of a boundary. In the recipe's 640 steps
that makes 4.8e-4: about one pair of runs in two thousand would end apart. A finer grid (`grid_bits`) raises the chance
in proportion.

The idea of rounding to a coarse grid so that sums no longer depend on their order is that of reproducible summation
(Demmel and Nguyen 2013); training in higher precision and rounding what is kept is that of Srivastava et al. 2024
(arXiv 2403.09603), who log the decisions near a boundary instead of making them rare.
"""

import math
import os
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor, nn

from train.config import UserError
from train.world import Machine


@dataclass(frozen=True)
class NumericsConfig:
    contract: Literal["portable", "pinned"]
    grid_bits: int  # the grid is this many powers of two finer than a tensor's root mean square

    def __post_init__(self) -> None:
        if not 4 <= self.grid_bits <= 20:
            raise ValueError(f"grid_bits: expected 4 to 20, got {self.grid_bits}")

    @property
    def compute(self) -> torch.dtype:
        """The precision of forward, backward and the optimizer's quotients."""
        return torch.float64 if self.contract == "portable" else torch.float32

    def keep(self, x: Tensor) -> Tensor:
        """What of a computed tensor may enter the state: float32, in `portable` rounded to its grid."""
        return round_to_grid(x, self.grid_bits).float() if self.contract == "portable" else x


def grid(x: Tensor, bits: int) -> float:
    """The distance of neighbouring grid points for `x`: 2^(floor(log2(rms(x))) - bits); 0 if all of `x` is zero."""
    rms = float(x.square().mean().sqrt())
    # frexp gives rms = m * 2^e with m in [1/2, 1): exact, where a logarithm would round.
    return 2.0 ** (math.frexp(rms)[1] - 1 - bits) if rms else 0.0


def round_to_grid(x: Tensor, bits: int) -> Tensor:
    """Round float64 `x` to multiples of its grid, ties to even; products with powers of two are exact."""
    distance = grid(x, bits)
    return torch.round(x / distance) * distance if distance else x


def prepare(machine: Machine) -> None:
    """Set torch up as the machine's config asks; UserError when it asks for a GPU that is not there."""
    if machine.device == "cuda" and not torch.cuda.is_available():
        raise UserError("machine.device: 'cuda' is asked for, but torch finds no GPU; use machine.device=cpu")
    if machine.threads is not None:
        torch.set_num_threads(machine.threads)


def compile_in_place(layers: Iterable[nn.Module]) -> None:
    """Have torch compile each of `layers` when it is first used; like layers share the work, and no name changes.

    UserError when torch cannot compile on this machine, found out on a trifle.
    """
    try:
        torch.compile(torch.neg)(torch.ones(2))
    except Exception as error:  # whatever the toolchain's failure is
        reason = str(error).strip().split("\n")[0]
        raise UserError(
            f"machine.compile: torch cannot compile here ({reason}); install a C++ compiler and Python's headers, "
            "or use machine.compile=false"
        ) from None
    for layer in layers:
        layer.compile(dynamic=False)


def stack(machine: Machine) -> dict[str, Any]:
    """What `pinned` bits depend on, as it joins the key of the weights."""
    found = {
        "torch": torch.__version__,
        "threads": machine.threads or torch.get_num_threads(),
        "micro_batches": machine.micro_batches,
        "compile": machine.compile,
        "ranks": int(os.environ.get("WORLD_SIZE", 1)),
        "device": machine.device,
        "capability": torch.backends.cpu.get_cpu_capability(),
    }
    if machine.device == "cuda":
        found |= {"gpu": torch.cuda.get_device_name(), "cuda": torch.version.cuda}
    return found
