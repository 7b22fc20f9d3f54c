"""What a number may depend on: the config alone (`exact`), the recorded stack (`pinned`), or speed (`fast`).

Under `exact` every sum in a step is a sum of integers that fits its accumulator, and every other operation is one of
IEEE 754: `train.exact` proves it, `train.kernels` computes the model so. Threads, vector width, libraries, slices of a
batch and ranks change no byte. What that takes for granted of a machine is tested before each run (`train.premises`).

`pinned` and `fast` compute in float32 as torch does. `fast` takes the matrix products in bfloat16 where the device has
instructions for them, and on a GPU those that are left in TF32; `pinned` has neither, and on a GPU torch is told to use
deterministic algorithms. For both, the stack is part of the key of the weights.
"""

import ctypes
import os
import platform
import re
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import torch

from train import premises
from train.artifact import read_json, write_json
from train.config import Count
from train.errors import UserError
from train.exact import FUSION, fused
from train.kernels import Exact
from train.model import Transformer
from train.training.checkpoint import newest

if TYPE_CHECKING:
    from train.machine import Machine

SWITCHES = ("ATEN_CPU_CAPABILITY", "ONEDNN_MAX_CPU_ISA", "MKL_CBWR", "MKL_ENABLE_INSTRUCTIONS")  # of libraries
GLIBC_MEMORY = {-1: 2**31 - 1, -4: 0}  # M_TRIM_THRESHOLD: bytes kept; M_MMAP_MAX: blocks that are maps of their own


@dataclass(frozen=True)
class NumericsConfig:
    """How training is computed, and on how many machines it gives the same bytes."""

    contract: Literal["exact", "pinned", "fast"]  # the same bytes on any machine, on one stack, nowhere
    stack: Literal["same", "any"]  # outside exact: whether a run may go on, on another stack than it began on
    group: Count  # in exact: tokens that share a grid, whole sequences; slices and ranks leave groups whole

    @property
    def exact(self) -> bool:
        return self.contract == "exact"

    @property
    def compute(self) -> torch.dtype:
        """The precision of weights and gradients: under `exact` gradients are sums that float64 holds."""
        return torch.float64 if self.exact else torch.float32

    def cut(self, batch: int, context: int) -> Exact | None:
        """How `exact` groups the sequences of a step."""
        return Exact.of(batch, context, self.group) if self.exact else None

    def require(self, device: str) -> None:
        """Refuse, with UserError, a machine that breaks a premise of `exact`."""
        if self.exact:
            premises.require(device)

    def place(self, model: Transformer, device: str, batch: int = 1, compiled: bool = False) -> Transformer:
        """The model on its device in the contract's precision, with torch's switches set accordingly.

        `batch` is that of a training step, of which `exact` takes groups; `compiled`: see `compile_in_place`.
        """
        fast, gpu = self.contract == "fast", device == "cuda"
        torch.set_float32_matmul_precision("high" if fast and gpu else "highest")  # high: TF32
        if gpu:
            from torch._inductor import config as inductor  # which takes a second to import

            os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # without it cuBLAS is not deterministic
            torch.use_deterministic_algorithms(self.contract == "pinned")
            torch.backends.cuda.matmul.allow_fp16_reduced_precision_reduction = not self.exact
            inductor.emulate_precision_casts = self.exact  # Triton then fuses no product with a sum
            inductor.eager_numerics.division_rounding = inductor.eager_numerics.disable_ftz = self.exact
        model.low_precision = self.products(device) == torch.bfloat16
        self.require(device)
        model.compute_by(self.cut(batch, model.config.context))
        model.to(device, self.compute)
        if compiled:
            compile_in_place(model)
        return model

    def products(self, device: str) -> torch.dtype:
        """The precision of matrix products."""
        return torch.bfloat16 if self.contract == "fast" and has_bfloat16(device) else torch.float32


def has_bfloat16(device: str) -> bool:
    """Whether the device has instructions for products of bfloat16; without them they are slower than float32."""
    if device == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    return torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported()


def require_device(machine: "Machine") -> None:
    """Refuse, with UserError, a GPU that is not there."""
    if machine.device == "cuda" and not torch.cuda.is_available():
        raise UserError("machine.device: 'cuda' is asked for, but torch finds no GPU; use machine.device=cpu")


def prepare(machine: "Machine") -> None:
    """Set torch up as the machine's config asks; UserError when it asks for a GPU that is not there.

    GNU's C library is to keep the memory of freed tensors for the next ones: given back to the system, it would come
    anew as pages of zeros, which takes as long as a pass over them.
    """
    require_device(machine)
    if mallopt := getattr(ctypes.CDLL(None), "mallopt", None):
        for option, value in GLIBC_MEMORY.items():
            mallopt(option, value)
    if machine.threads is not None:
        torch.set_num_threads(machine.threads)


def compile_in_place(model: Transformer) -> None:
    """Have torch compile the model when it is first used: its layers, alike, share the work; no name changes.

    Under `exact` also all else of a step: its norm, embedding, head, and what an optimizer of it does. UserError when
    torch cannot compile on this machine, found out on a trifle, or so that it breaks a premise.
    """
    try:
        torch.compile(torch.neg)(torch.ones(2))
    except Exception as error:  # whatever the toolchain's failure is
        reason = str(error).strip().split("\n")[0]
        raise UserError(
            f"machine.compile: torch cannot compile here ({reason}); install a C++ compiler and Python's headers, "
            "or use machine.compile=false"
        ) from None
    for layer in (*model.model.layers, model.model.norm):
        layer.compile(dynamic=False, options=FUSION)
    if model.exact:
        premises.require(model.lm_head.weight.device.type, fused)
        model.compute_by(replace(model.exact, compiled=True))


def stack(machine: "Machine") -> dict[str, Any]:
    """What the bits depend on outside `exact`, as it joins the key of the weights."""
    facts = {
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
        facts |= {
            "gpu": torch.cuda.get_device_name(),
            "cuda": torch.version.cuda,
            "cudnn": torch.backends.cudnn.version(),
            "driver": getattr(torch._C, "_cuda_getDriverVersion", int)(),
            "bfloat16": has_bfloat16("cuda"),
        }
    return facts


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
    if not numerics.exact and numerics.stack == "same":
        for path in sorted(out.parent.glob("*.part/witness/stack.json")):
            begun, there = path.parents[1], read_json(path)
            changes = [name for name in here if there.get(name) != here[name]]
            if changes and newest(begun, belongs_to)[0]:
                parts = ", ".join(f"{name} was {there.get(name)!r} and is {here[name]!r}" for name in changes)
                raise UserError(
                    f"{begun} holds this training, begun on another stack: {parts}. Go on with that one, or remove the "
                    "folder to begin anew; with training.numerics.stack=any a run may change stacks, and records it"
                )
    path = out / "witness" / "stack.json"
    before = read_json(path) if path.exists() else {**here, "earlier": []}
    earlier = before.pop("earlier", [])
    changed = any(before.get(name) != here[name] for name in here)
    write_json(path, {**here, "earlier": [*earlier, before] if changed else earlier})
