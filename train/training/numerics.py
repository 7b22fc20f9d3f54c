"""What a number may depend on: the config alone (`portable`), the recorded stack (`pinned`), or speed (`fast`).

`portable` means: compute precisely, then round what is kept. Forward and backward run in float64, so machines disagree
about a gradient by some 1e-15 of its size, whatever their thread count, vector width or split into micro-batches.
Each gradient tensor, and each update computed from it, is then rounded to a grid 2^-bits of its own root mean square.
The disagreement is a million million times finer than the grid, so it is rounded away before it can be kept.

A value next to the middle between two grid points can still be rounded apart. Measured on the reference recipe by
`scripts/boundary.py`, one thread and one slice against two threads and four slices, over 40 steps: tensors disagree by
1.4e-15 of their norm at most, which puts 7.6e-7 values a step on unlike sides of a boundary. In the recipe's 640 steps
that makes 4.8e-4: about one pair of runs in two thousand would end apart. A finer grid (`grid_bits`) raises the chance
in proportion. Whether a certain run is one of them need not be left to chance: each step records how many values lay
within DISAGREEMENT of a boundary. While that is none, machines that disagree by less have made the same bits. Now and
then a value is off by more, 1.2e-13 at most where the script looked; that leaves 1.0e-5 of the 4.8e-4 uncounted.

The idea of rounding to a coarse grid so that sums no longer depend on their order is that of reproducible summation by
pre-rounding (Demmel and Nguyen 2013); training in higher precision and rounding what is kept is that of Srivastava et
al. 2024 (arXiv 2403.09603), who log the decisions near a boundary instead of making them rare.

`pinned` and `fast` compute in float32 and keep what they compute. `fast` takes the matrix products in bfloat16 where
the device has instructions for them, and on a GPU those that are left in TF32; `pinned` has neither, and on a GPU torch
is told to use deterministic algorithms. For both, the stack is part of the key of the weights.
"""

import math
import os
import platform
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import torch
from annotated_types import Ge, Le
from torch import Tensor, nn

from train import premises
from train.artifact import read_json, write_json
from train.config import Count
from train.errors import UserError
from train.kernels import Exact
from train.model import Transformer
from train.training.checkpoint import newest

if TYPE_CHECKING:
    from train.machine import Machine

# How far machines are taken to disagree about a value, in units of its tensor's root mean square. `scripts/boundary.py`
# measures it. Whole grids could be chosen apart too, where that mean lies next to a power of two: far less probable.
DISAGREEMENT = 2.0**-46
SWITCHES = ("ATEN_CPU_CAPABILITY", "ONEDNN_MAX_CPU_ISA", "MKL_CBWR", "MKL_ENABLE_INSTRUCTIONS")  # of libraries


@dataclass(frozen=True)
class NumericsConfig:
    """How training is computed, and on how many machines it gives the same bytes."""

    # Where it gives the same bytes: exact and portable on any machine, pinned on one stack, fast nowhere.
    contract: Literal["exact", "portable", "pinned", "fast"]
    stack: Literal["same", "any"]  # outside exact and portable: whether a run may go on, on another than it began on
    grid_bits: Annotated[int, Ge(4), Le(20)]  # in portable: by how many powers of two the grid is finer than an RMS
    group: Count  # in exact: tokens that share a grid, whole sequences; slices and ranks leave groups whole

    @property
    def compute(self) -> torch.dtype:
        """The precision of weights and gradients; in `portable` also of all that is computed from them."""
        return torch.float64 if self.any_stack else torch.float32

    def cut(self, batch: int, context: int) -> Exact | None:
        """How `exact` groups the sequences of a step."""
        return Exact.of(batch, context, self.group) if self.contract == "exact" else None

    def require(self, device: str) -> None:
        """Refuse, with UserError, a machine that breaks a premise of `exact`."""
        if self.contract == "exact":
            premises.require(device)

    @property
    def any_stack(self) -> bool:
        """Whether the same bytes are promised wherever a run takes place."""
        return self.contract in ("exact", "portable")

    def place(self, model: Transformer, device: str, batch: int = 1) -> Transformer:
        """The model on its device in the contract's precision, with torch's switches set accordingly.

        `batch` is that of a training step, of which `exact` takes groups.
        """
        fast, gpu = self.contract == "fast", device == "cuda"
        torch.set_float32_matmul_precision("high" if fast and gpu else "highest")  # high: TF32
        if gpu:
            os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # without it cuBLAS is not deterministic
            torch.use_deterministic_algorithms(self.contract == "pinned")
        model.low_precision = self.products(device) == torch.bfloat16
        self.require(device)
        model.compute_by(self.cut(batch, model.config.context))
        return model.to(device, self.compute)

    def products(self, device: str) -> torch.dtype:
        """The precision of matrix products."""
        if self.contract == "fast" and has_bfloat16(device):
            return torch.bfloat16
        return torch.float32 if self.contract == "exact" else self.compute

    def keep(self, x: Tensor) -> tuple[Tensor, int]:
        """What of a computed tensor may enter the state, and how many of its values lay near a boundary.

        It is float32, and in `portable` rounded to its grid.
        """
        if self.contract != "portable":
            return x.float(), 0
        rounded, near = round_to_grid(x, self.grid_bits)
        return rounded.float(), near


def has_bfloat16(device: str) -> bool:
    """Whether the device has instructions for products of bfloat16; without them they are slower than float32."""
    if device == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    return torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported()


def grid(x: Tensor, bits: int) -> float:
    """The distance of neighbouring grid points for `x`: 2^(floor(log2(rms(x))) - bits); 0 if all of `x` is zero."""
    rms = float(x.square().mean().sqrt())
    # frexp gives rms = m * 2^e with m in [1/2, 1): exact, where a logarithm would round.
    return 2.0 ** (math.frexp(rms)[1] - 1 - bits) if rms else 0.0


def round_to_grid(x: Tensor, bits: int) -> tuple[Tensor, int]:
    """Float64 `x` rounded to multiples of its grid, ties to even, and how many values lay within DISAGREEMENT of a tie.

    Products with powers of two are exact.
    """
    distance = grid(x, bits)
    if not distance:
        return x, 0
    scaled = x * (1 / distance)
    rounded = scaled.round()
    low, high = (float(extreme) for extreme in scaled.sub_(rounded).aminmax())
    edge = 0.5 - DISAGREEMENT * 2.0 ** (bits + 1)  # rms is less than 2^(bits + 1) grid distances
    near = int((scaled.abs() >= edge).sum()) if max(-low, high) >= edge else 0  # one pass more, once in many steps
    return rounded.mul_(distance), near


def require_device(machine: "Machine") -> None:
    """Refuse, with UserError, a GPU that is not there."""
    if machine.device == "cuda" and not torch.cuda.is_available():
        raise UserError("machine.device: 'cuda' is asked for, but torch finds no GPU; use machine.device=cpu")


def prepare(machine: "Machine") -> None:
    """Set torch up as the machine's config asks; UserError when it asks for a GPU that is not there."""
    require_device(machine)
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


def stack(machine: "Machine") -> dict[str, Any]:
    """What the bits depend on outside `portable`, as it joins the key of the weights."""
    found = {
        "torch": torch.__version__,
        "threads": machine.threads or torch.get_num_threads(),
        "micro_batches": machine.micro_batches,
        "compile": machine.compile,
        "ranks": int(os.environ.get("WORLD_SIZE", 1)),
        "sharded": machine.sharded,
        "device": machine.device,
        "capability": torch.backends.cpu.get_cpu_capability(),
        "architecture": platform.machine(),
        "processor": processor(),
        "bfloat16": machine.device == "cpu" and has_bfloat16("cpu"),
        "switches": {name: os.environ[name] for name in SWITCHES if name in os.environ},
    }
    if machine.device == "cuda" and torch.cuda.is_available():
        found |= {
            "gpu": torch.cuda.get_device_name(),
            "cuda": torch.version.cuda,
            "cudnn": torch.backends.cudnn.version(),
            "driver": getattr(torch._C, "_cuda_getDriverVersion", int)(),
            "bfloat16": has_bfloat16("cuda"),
        }
    return found


def processor() -> str:
    """The processor's name, by which libraries choose among their kernels; under emulation, that of the emulator."""
    if emulated := emulator():
        return emulated
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        lines = []
    named = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(named, platform.processor() or platform.machine())


def emulator(thread: Path = Path("/proc/thread-self")) -> str | None:
    """What emulates this process, and as which processor, where Linux tells; None where nothing is known to.

    An emulator of processes (QEMU, box64, Rosetta) shows /proc/cpuinfo as the host has it. It answers for
    /proc/self/exe itself, but the host's kernel knows which program each thread runs.
    """
    try:
        name = (thread / "exe").readlink().name
        words = (thread / "cmdline").read_bytes().decode(errors="replace").split("\0")
    except OSError:
        return None
    if not re.match("qemu|box64|rosetta|FEX", name):
        return None
    model = words[words.index("-cpu") + 1 :][:1] if "-cpu" in words else []
    return " ".join([name, *model])


def record_stack(out: Path, numerics: NumericsConfig, machine: "Machine", belongs_to: dict[str, Any]) -> None:
    """Write `witness/stack.json` in `out`: the stack, and under `earlier` those that the run was on before.

    Raises UserError naming what differs where another stack than this one began the run, be it in a folder beside `out`
    (the key holds the stack), and the contract does not let it change.
    """
    here = stack(machine)
    if not numerics.any_stack and numerics.stack == "same":
        for path in sorted(out.parent.glob("*.part/witness/stack.json")):
            begun, there = path.parents[1], read_json(path)
            apart = [name for name in here if there.get(name) != here[name]]
            if apart and newest(begun, belongs_to)[0]:
                told = ", ".join(f"{name} was {there.get(name)!r} and is {here[name]!r}" for name in apart)
                raise UserError(
                    f"{begun} holds this training, begun on another stack: {told}. Go on with that one, or remove the "
                    "folder to begin anew; with training.numerics.stack=any a run may change stacks, and records it"
                )
    path = out / "witness" / "stack.json"
    before = read_json(path) if path.exists() else {**here, "earlier": []}
    earlier = before.pop("earlier", [])
    changed = any(before.get(name) != here[name] for name in here)
    write_json(path, {**here, "earlier": [*earlier, before] if changed else earlier})
