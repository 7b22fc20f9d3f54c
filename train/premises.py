"""What exact training takes for granted of a machine, tested before each run in well under half a second.

`train.exact` proves that sums do not depend on the machine, from premises: each float32 and float64 operation is that
of IEEE 754, rounded to nearest and with subnormal numbers; operations are not fused, reassociated or simplified;
products of matrices only add up products, in accumulators of at least 24 bits. Where one is broken, a run is refused
with its name.
"""

import hashlib
from collections.abc import Callable, Iterator
from fractions import Fraction

import numpy as np
import torch
from torch import Tensor

from train import exact
from train.errors import UserError

# Of the functions on fixed numbers, the same wherever the premises hold.
DIGEST = "00c9420217ce601656f7f6a9b16df9770d1367ec07259d1febb5475eefd2bd70"
ODD = 67  # numbers at a time: more than a vector's, and a tail
SHAPES = ((67, 1021, 131), (256, 64, 64), (1, 300, 7), (9, 4, 9))  # of products [m, k] x [k, n]; the last of 11 bits


def eager(function: Callable[..., Tensor]) -> Callable[..., Tensor]:
    """No compiler."""
    return function


def require(device: str = "cpu", compiled: Callable[..., Callable[..., Tensor]] = eager) -> None:
    """Refuse, with UserError, a machine that breaks a premise; `compiled` is the compiler in use."""
    broken = list(failures(device, compiled))
    if broken:
        raise UserError(
            f"training.numerics.contract: exact does not hold on {device} here, where {'; and '.join(broken)}; use "
            "another machine, or training.numerics.contract=pinned, whose bytes are those of one machine"
        )


def failures(device: str, compiled: Callable[..., Callable[..., Tensor]]) -> Iterator[str]:
    """The names of the premises that do not hold."""
    rng = np.random.Generator(np.random.PCG64(7))
    a, b = (rng.integers(2**23, 2**24, ODD) for _ in range(2))
    x, y = (torch.from_numpy(values.astype(np.float32)).to(device) for values in (a, b))
    for name, result, rounded in (
        ("sums", x + y * 256, lambda i, j: Fraction(i + 256 * j)),
        ("products", x * y, lambda i, j: Fraction(i * j)),
        ("quotients", x / y, Fraction),
    ):
        expected = [nearest(rounded(int(i), int(j))) for i, j in zip(a, b, strict=True)]
        if result.double().tolist() != expected:
            yield f"float32 {name} are not rounded to the nearest number"
    if not bool((torch.full((ODD,), 2.0**-126, device=device) * 0.5 * 2.0 == 2.0**-126).all()):
        yield "subnormal numbers are not kept"
    one, two = (torch.full((ODD,), 1 + 2.0**-power, device=device) for power in (12, 11))
    if bool(compiled(lambda u, v: u * u - v)(one, two).any()):
        yield "a product and a sum are fused into one operation"
    half, shift = torch.full((ODD,), 2.5, device=device), torch.full((ODD,), exact.MAGIC, device=device)
    if not bool((compiled(lambda u, v: (u + v) - v)(half, shift) == 2).all()):
        yield "(x + c) - c is simplified to x"
    for m, k, n in SHAPES:
        left, right = _long(rng, (m, k)), _long(rng, (k, n)).copy()
        operands = (torch.from_numpy(values.astype(np.float32)).to(device) for values in (left, right))
        if not np.array_equal(exact.matmul(*operands).double().cpu().numpy(), left @ right):
            yield f"float32 products of matrices [{m}, {k}] x [{k}, {n}] do not add up integers below 2^24 exactly"
    integers = rng.integers(-(2**40), 2**40, 8191)
    if exact.summed(torch.from_numpy(integers.astype(np.float64)).to(device), 0).item() != integers.sum():
        yield "float64 sums do not add up integers below 2^53 exactly"
    if functions(device) != DIGEST:
        yield "the functions of train.exact do not give their known bits"


def nearest(number: Fraction) -> float:
    """The float32 number nearest to a positive one, ties to even."""
    exponent = number.numerator.bit_length() - number.denominator.bit_length()
    exponent -= number < Fraction(2) ** exponent
    unit = Fraction(2) ** (exponent - 23)
    return float(round(number / unit) * unit)


def _long(rng: np.random.Generator, shape: tuple[int, int]) -> np.ndarray:
    """Integers of which `shape`'s longer side measures nearly 2^12; the first half positive, so that sums rise far."""
    top = int(2**12 / max(shape) ** 0.5)
    values = rng.integers(-top, top + 1, shape)
    half = max(shape) // 2
    values[:half, :half] = np.abs(values[:half, :half])
    return values


def functions(device: str) -> str:
    """Digest of what the functions of `train.exact` make of fixed numbers."""
    rng = np.random.Generator(np.random.PCG64(8))
    spread = torch.from_numpy(rng.integers(0, 0x7F000000, 4099).astype(np.int32)).view(torch.float32).to(device)
    near = torch.from_numpy((rng.integers(-(2**23), 2**23, (64, 65)) * 2.0**-17).astype(np.float32)).to(device)
    results = (
        exact.exp(near), exact.sigmoid(near), exact.rsqrt(spread), exact.power_above(spread), exact.normed(near)[0],
        exact.total(near), exact.log(spread.double() + 1), exact.square_total(near[None]),
    )  # fmt: skip
    return hashlib.sha256(b"".join(x.contiguous().cpu().numpy().tobytes() for x in results)).hexdigest()
