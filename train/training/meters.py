"""What a run takes: FLOPs, the peak that MFU is a share of, memory, and energy where the machine tells it."""

import copy
import resource
import sys
import time
from pathlib import Path
from typing import Any

import torch

from train.artifact import write_json
from train.model import Transformer

UNREADABLE = "not measurable: neither RAPL nor NVML can be read here"
Meters = dict[str, tuple[float, float]]  # joules so far, and at how many the meter begins again


def operations(model: Transformer) -> dict[str, float]:
    """Floating-point operations a token, forward and backward: by the formula, and as torch counts them.

    Torch counts the products of matrices in one sequence, on tensors without data: in a moment, on any machine.
    Attention is counted whole, as in the formula, although half of it is masked.
    """
    from torch.nn.attention import SDPBackend, sdpa_kernel
    from torch.utils.flop_counter import FlopCounterMode

    context = model.config.context
    tokens = torch.zeros(1, context, dtype=torch.int64, device="meta")
    in_place: Any = {torch.ops.aten.addmm_: lambda _, a, b, out_shape: 2 * a[0] * a[1] * b[1]}  # which it does not know
    counter = FlopCounterMode(display=False, custom_mapping=in_place)
    with counter, sdpa_kernel(SDPBackend.MATH):
        copy.deepcopy(model).to("meta").loss(tokens, tokens).backward()
    return {"by_formula": model.flops_per_token(), "counted": counter.get_total_flops() / context}


def write_operations(out: Path, model: Transformer) -> None:
    """Write `witness/operations.json` in `out`, for the model as it is before it is placed or shared out."""
    write_json(out / "witness" / "operations.json", operations(model))


def peaks() -> dict[str, int]:
    """The most memory that this process has held, in bytes: of the machine, and of the GPU where there is one."""
    unit = 1 if sys.platform == "darwin" else 1024  # of the system call's number, in bytes
    memory = {"peak_bytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit}
    return memory | ({"gpu_peak_bytes": torch.cuda.max_memory_allocated()} if torch.cuda.is_initialized() else {})


class Energy:
    """Adds up what the machine's meters count from when it is made: of all that runs on them, not of us alone."""

    def __init__(self) -> None:
        self.last = meters()
        self.joules = dict.fromkeys(self.last, 0.0)

    def read(self) -> Any:
        """Joules by meter, or why there are none. To be read at least once while a meter goes round, some minutes."""
        now = meters()
        for name in self.joules.keys() & now.keys():
            spent = now[name][0] - self.last[name][0]
            self.joules[name] += spent if spent >= 0 else spent + now[name][1]
        self.last |= now
        return dict(self.joules) or UNREADABLE


def meters(folder: Path = Path("/sys/class/powercap")) -> Meters:
    """What each meter shows: processors by RAPL, which many systems let root alone read, and GPUs by NVML."""
    readings: Meters = {}
    for package in sorted(folder.glob("intel-rapl:*")):
        try:
            count, most = (int((package / name).read_text()) / 1e6 for name in ("energy_uj", "max_energy_range_uj"))
        except (OSError, ValueError):
            continue
        if package.name.count(":") == 1:  # deeper ones are parts of it
            readings[package.name] = (count, most)
    try:
        import pynvml

        pynvml.nvmlInit()
        for number in range(pynvml.nvmlDeviceGetCount()):
            handle = pynvml.nvmlDeviceGetHandleByIndex(number)
            readings[f"gpu:{number}"] = (pynvml.nvmlDeviceGetTotalEnergyConsumption(handle) / 1e3, 0.0)
    except Exception:  # no library, no driver, or a GPU that does not count
        pass
    return readings


def peak(model: Transformer) -> float:
    """Operations a second that products of matrices as `model` computes them reach here, at best.

    That is what MFU is a share of. (Chowdhery et al. 2022 take the maker's number; a processor has no single one.)
    The best is taken over squares and the shapes of the model's own, in each type of number that it multiplies.
    """
    weight = model.lm_head.weight
    rows, square = (4096, 8192) if weight.is_cuda else (1024, 512)
    shapes = {(rows, into, out) for out, into in (p.shape for p in model.parameters() if p.dim() == 2)}
    kinds = {weight.dtype, torch.bfloat16} if model.low_precision else {weight.dtype}
    return max(speed(shape, weight.to(kind)) for shape in {*shapes, (square,) * 3} for kind in kinds)


def speed(shape: tuple[int, int, int], like: torch.Tensor) -> float:
    """Operations a second of a product [a, b] x [b, c] of the kind of `like`: the best of a few tries."""
    a, b, c = shape
    left, right = (torch.ones(size, dtype=like.dtype, device=like.device) for size in ((a, b), (b, c)))
    taken: list[float] = []
    while len(taken) < 2 or (len(taken) < 6 and sum(taken) < 0.2):
        began = time.perf_counter()
        (left @ right)[0, 0].item()  # waits for a GPU
        taken.append(time.perf_counter() - began)
    return 2 * a * b * c / min(taken)
