"""Arithmetic whose results no machine can change: every sum is a sum of integers that fits its accumulator.

A floating-point sum depends on its order because each partial sum is rounded. Where all terms are integers (times one
power of two) and no partial sum can pass the accumulator's 2^24 (float32) or 2^53 (float64), nothing is ever rounded:
threads, vector width, split, library and device are free. So numbers are rounded to a grid once, before they are
summed, and each other operation is a single IEEE one, which all machines round alike. Proofs stand at the functions.

Rounding before summation is that of reproducible sums (Demmel and Nguyen 2013); operands short enough for exact
products are those of Ozaki et al. 2012.

Functions take float32 unless they say otherwise. NaN and infinity come out as NaN.
"""

import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from decimal import Decimal, localcontext
from functools import cache, lru_cache, reduce
from typing import Any

import numpy as np
import torch
from torch import Tensor

PIECE = 1024  # longest sum in a float32 accumulator; longer ones are sums of such pieces, in their order
ROW_PIECE = 2**13  # longest sum of products `to_row_grids` in a float64 accumulator
FLOOR = 2.0**-60  # the finest grid
LENGTH = 12  # an operand's rows and columns measure at most 2^12 grid distances
DOUBLE, ONEDNN = False, torch.backends.mkldnn.is_available()
FUSION: dict[str, Any] = {"realize_opcount_threshold": 8}  # a grid is computed once, not by each row that it is for
MAGIC = 1.5 * 2.0**23  # float32 numbers of this size are 1 apart
MAGIC_DOUBLE = 1.5 * 2.0**52
# (2^f - 1) / f by powers of f, the highest first: least squares at Chebyshev's points of [-1/2, 1/2]
EXP2 = (0.0013218672247603536, 0.009671698324382305, 0.05550893023610115, 0.24022237956523895, 0.6931468844413757)
LN2 = 0.6931471805599453
PI = Decimal("3.14159265358979323846264338327950288419716939937511")
SQRT_HALF = 0x3FE6A09E667F3BCD  # the bits of sqrt(1/2) in float64


def matmul(a: Tensor, b: Tensor) -> Tensor:
    """The products of matrices that `product` adds up, in float32 from float32; tests put other orders in its place."""
    if DOUBLE:
        return (a.double() @ b.double()).float()
    if a.dtype == torch.float32 and a.is_cuda:
        return by_tensor_cores(a, b)
    if a.dtype == torch.float32 and a.is_cpu and ONEDNN and b.dim() == 2:
        return torch.ops.train.by_onednn(a, b) if torch.compiler.is_compiling() else by_onednn(a, b)
    return a @ b


def by_onednn(a: Tensor, b: Tensor) -> Tensor:
    """a [.., m, k] @ b [k, n] by oneDNN, twice as fast as torch's own products on some processors."""
    if not (b.is_contiguous() or b.mT.is_contiguous()):  # as pieces of a long k are: a thousand times as slow
        b = b.contiguous()
    return torch.ops.mkldnn._linear_pointwise(a.contiguous(), b.mT, None, "none", [], "")  # type: ignore[no-any-return]


# The compiler, which would take `b` for a constant, is not to look inside.
torch.library.define("train::by_onednn", "(Tensor a, Tensor b) -> Tensor")
torch.library.impl("train::by_onednn", "CPU", by_onednn)
torch.library.register_fake("train::by_onednn", lambda a, b: a.new_empty((*a.shape[:-1], b.shape[-1])))


@cache
def fused(function: Callable[..., Any], dynamic: bool = False) -> Callable[..., Any]:
    """`function` by torch's compiler, which makes one pass over memory of many; `dynamic`: for any lengths alike."""
    return torch.compile(function, dynamic=dynamic, options=FUSION)


def by_tensor_cores(a: Tensor, b: Tensor, multiply: Callable[..., Tensor] = torch.bmm) -> Tensor:
    """a [.., m, k] @ b [.., k, n]: integers, which float16 holds up to 2^11, added up in accumulators of float32."""
    left, right = (x.flatten(0, -3) if b.dim() > 2 else x.reshape(1, -1, x.shape[-1]) for x in (a, b))
    (left, unit), (right, other) = _integers(left, -1), _integers(right, -2)
    sums = multiply(left.half(), right.half(), out_dtype=torch.float32)
    return (sums * (unit * other)).view(*a.shape[:-1], b.shape[-1])


def _integers(x: Tensor, dim: int) -> tuple[Tensor, Tensor]:
    """Operands whose lines along `dim` are on grids of at least 2^-11 of a power of two, as multiples; and these."""
    top = power_above(x.abs().amax(dim, keepdim=True)).clamp_(2.0**-100, 2.0**100)
    return x * (2.0 ** (LENGTH - 1) / top), top * 2.0 ** (1 - LENGTH)


@contextmanager
def double_products() -> Iterator[None]:
    """Compute products in float64, which makes no difference where all is as it should be."""
    global DOUBLE
    DOUBLE = True
    try:
        yield
    finally:
        DOUBLE = False


def scalar(value: float) -> Tensor:
    """`value` as float32, an integer as int32: made once, where torch would make a tensor of it at each operation."""
    return value if torch.compiler.is_compiling() else _scalar(value)  # type: ignore[return-value]


@lru_cache(maxsize=None, typed=True)
def _scalar(value: float) -> Tensor:
    return torch.tensor(value, dtype=torch.int32 if isinstance(value, int) else torch.float32)


def summed(x: Tensor, dim: int, dtype: torch.dtype | None = None) -> Tensor:
    """Every sum of integers along an axis; tests put other orders in its place."""
    return x.sum(dim, keepdim=True, dtype=dtype)


def to_grid(x: Tensor, grid: Tensor | float) -> Tensor:
    """`x` rounded to multiples of `grid`, a power of two, ties to even; for |x| <= 2^22 grids.

    x + 1.5 * 2^23 * grid lies where neighbouring float32 numbers are one grid apart, so the addition rounds; the
    subtraction is exact.
    """
    shift = grid * scalar(MAGIC)
    return (x + shift).sub_(shift)


def to_fixed(x: Tensor, grid: Tensor | float) -> Tensor:
    """float32 or float64 `x` in float64, rounded to multiples of `grid` likewise; for |x| <= 2^51 grids."""
    shift = grid * MAGIC_DOUBLE
    return (x.double() + shift).sub_(shift)


def to_row_grids(x: Tensor) -> Tensor:
    """Rows [.., k] in float64, each value rounded to 2^-20 of a power of two above its row's largest.

    Products of two such are integers of at most 2^40 products of grids, and ROW_PIECE of them add up to at most 2^53.
    """
    return to_fixed(x, power_above(x.float().abs().amax(-1, keepdim=True)).double() * 2.0**-20)


def power_above(x: Tensor) -> Tensor:
    """The least power of two that is at least `x`, by its bits; 0 for 0, and 2^-126 below that."""
    return (x.view(torch.int32) + scalar(0x7FFFFF)).bitwise_and_(scalar(0x7F800000)).view(torch.float32)


def normed(x: Tensor, floor: float = FLOOR) -> tuple[Tensor, Tensor]:
    """Operands of `product`: matrices [.., rows, columns] on a grid so coarse that no sum of products can round.

    Returns them and their grid, of `grid_of`. By Cauchy and Schwarz any sum of products of two vectors that measure
    2^12, whole or partial, is an integer of at most 2^24 products of grids: float32 holds it.
    """
    grid = grid_of(x, floor)
    return to_grid(x, grid), grid


def grid_of(x: Tensor, floor: float = FLOOR) -> Tensor:
    """A grid [.., 1, 1], at least `floor`, for matrices [.., rows, columns] to be multiplied.

    On it no row and no column measures more than 2^12 (a piece of PIECE of it, where longer), and no value more than
    2^11.
    """
    squares, top = _squares(x, (-1, -2), floor)
    longest = torch.maximum(*(_longest(squares, dim).amax((-1, -2), keepdim=True) for dim in (-1, -2)))
    return _grid(longest, max(x.shape[-2:]), top, floor)


def line_normed(x: Tensor, dim: int) -> Tensor:
    """An operand like `normed`'s whose lines along `dim`, those that a product sums over, have grids of their own.

    They are rows of the left operand, columns of the right one. Of lines far apart in size each keeps its 12 bits.
    """
    squares, top = _squares(x, dim, FLOOR)
    return to_grid(x, _grid(_longest(squares, dim), x.shape[dim], top, FLOOR))


def _squares(x: Tensor, dim: int | tuple[int, int], floor: float) -> tuple[Tensor, Tensor]:
    """The squares of q, which is x in units of a 128th of its largest value along `dim`, rounded; and a power above."""
    sizes = x.abs()
    top = power_above(sizes.amax(dim, keepdim=True)).clamp_(min=floor)
    return sizes.mul_(scalar(2.0**7) / top).round_().square_(), top


def _grid(longest: Tensor, length: int, top: Tensor, floor: float) -> Tensor:
    """The grid on which lines of `length` values measure 2^12, where their q measure sqrt(longest).

    These are integers up to 2^7, whose squares add up to at most 2^24. A piece of K values has
    |x| <= |q| + sqrt(K) / 2, so |x|^2 <= 1.25 (|q|^2 + K). Rounding x to the grid adds sqrt(K) / 2 grids at most, less
    than the 169 that 1.36 in place of 1.25 leaves of 2^12.
    """
    bound = (longest + scalar(float(min(PIECE, length)))).mul_(scalar(1.36))
    # Of 2^n >= bound the share 2^(n / 2 - LENGTH - 7), rounded up, by the exponent's bits: 127 stands for 0 there.
    share = (bound.view(torch.int32) + scalar(0x7FFFFF + ((114 - 2 * LENGTH) << 23))) >> scalar(24) << scalar(23)
    return share.view(torch.float32).clamp_(min=2.0 ** (1 - LENGTH)).mul_(top).clamp_(min=floor)


def _longest(squares: Tensor, dim: int) -> Tensor:
    """The sums of integers [.., rows, columns] along `dim`, kept; by pieces where long, the largest of them."""
    return reduce(torch.maximum, (summed(piece, dim) for piece in pieces(squares, PIECE, dim)))


def pieces(x: Tensor, size: int, dim: int) -> Sequence[Tensor]:
    return (x,) if x.shape[dim] <= size else x.split(size, dim)


def product(a: Tensor, b: Tensor, piece: int = PIECE) -> Tensor:
    """a [.., m, k] @ b [.., k, n] of two `normed` operands: the exact sum, rounded to float32 by each piece of k."""
    pairs = zip(pieces(a, piece, -1), pieces(b, piece, -2), strict=True)
    return reduce(torch.add, (matmul(left, right) for left, right in pairs))


def slices(x: Tensor, grid: Tensor | float, piece: int = PIECE) -> tuple[Tensor, Tensor]:
    """Two operands that add up to `x` in about twice the bits: `x` on `grid`, and what that leaves, on a finer one.

    What it leaves is at most half a grid: a piece of K measures sqrt(K) / 2 grids at most, which is 2^11 of the finer
    ones; its own rounding adds sqrt(K) / 2 of those. The difference is exact.
    """
    finer = 2.0 ** (math.ceil(math.log2(piece) / 2) - LENGTH)
    coarse = to_grid(x, grid)
    return coarse, to_grid(x - coarse, grid * finer)


def total(x: Tensor, dim: int = -1) -> Tensor:
    """Sum along `dim`, kept, in float64: of 22 bits each, so 2^31 of them are exact in any order."""
    top = power_above(x.abs().amax(dim, keepdim=True))
    return summed(to_grid(x, top.mul_(scalar(2.0**-21))), dim, torch.float64)


def square_total(x: Tensor) -> Tensor:
    """Sum of the squares of each matrix of float32 or float64 x [n, rows, columns], float64 [n].

    Of values in units of 2^-19 of a power of two above the largest, squares are integers up to 2^38, and a row of 2^15
    adds up to at most 2^53. Rows' sums are then rounded to one grid, of which 2^17 rows cannot pass 2^53.
    """
    top = power_above(x.abs().amax((1, 2), keepdim=True).float()).clamp_(min=2.0**-126)
    rows = summed(to_fixed(x * (1.0 / top), 2.0**-19).square_(), -1)
    return summed(to_fixed(rows, 2.0**-21), -2).mul_(top.double()).mul_(top.double()).flatten()


def exp(x: Tensor) -> Tensor:
    """e^x for -80 <= x <= 80, clamped; relative error below 5e-6, near 0 below 2e-7.

    2^(n + f) with |f| <= 1/2: a polynomial in f, to whose exponent bits n is added.
    """
    power = x.clamp(-80.0, 80.0).mul_(scalar(1 / math.log(2)))
    shifted = power + scalar(MAGIC)  # its low bits are n
    f = power.sub_(shifted - scalar(MAGIC))
    value = f * scalar(EXP2[0])
    for coefficient in EXP2[1:]:
        value = value.add_(scalar(coefficient)).mul_(f)
    value.add_(scalar(1.0)).view(torch.int32).add_(shifted.view(torch.int32).bitwise_left_shift_(scalar(23)))
    return value


def rsqrt(x: Tensor) -> Tensor:
    """1 / sqrt(x) for x > 0, relative error below 3e-7; finite for 0, so that x * rsqrt(x) is the root there too.

    Three of Newton's steps from a first guess by the exponent's bits, halved and negated.
    """
    root, half = (scalar(0x5F3759DF) - (x.view(torch.int32) >> scalar(1))).view(torch.float32), x * scalar(0.5)
    for _ in range(3):
        root = (scalar(1.5) - (half * root).mul_(root)).mul_(root)  # half * root first: of 0 the rest stays finite
    return root


def sigmoid(x: Tensor) -> Tensor:
    return exp(-x).add_(scalar(1.0)).reciprocal_()


def log(x: Tensor) -> Tensor:
    """ln x of normal positive float64 numbers, to some 1e-15: of the exponent, and 2 artanh((m - 1) / (m + 1))."""
    bits = x.view(torch.int64) - SQRT_HALF
    exponent = bits >> 52
    mantissa = ((bits & 0xFFFFFFFFFFFFF) + SQRT_HALF).view(torch.float64)  # from there to sqrt(2)
    s = (mantissa - 1.0) / (mantissa + 1.0)
    square = s * s
    series = torch.full_like(s, 1 / 23)
    for odd in range(21, 0, -2):
        series = series.mul_(square).add_(1 / odd)
    return series.mul_(s).mul_(2.0).add_(exponent.double() * LN2)


def cosine_and_sine(angle: Decimal) -> tuple[Decimal, Decimal]:
    """Of an angle of at most a few radians, to some 45 digits: Taylor's series in decimals, alike on any machine."""
    with localcontext(prec=50):
        term, sums, n = Decimal(1), [Decimal(0), Decimal(0)], 0
        while abs(term) > Decimal("1e-48") or n < 2:
            sums[n % 2] += term if n % 4 < 2 else -term
            n += 1
            term = term * angle / n
        return sums[0], sums[1]


def cosine(turns: float) -> float:
    """Cosine of at most half a turn."""
    with localcontext(prec=50):
        return float(cosine_and_sine(Decimal(turns) * 2 * PI)[0])


def decay_sum(decay: float, count: int) -> float:
    """1 - decay^count: the weights of `count` numbers in a mean that forgets, added up. Of decimals, not of a libm."""
    with localcontext(prec=28):
        return float(1 - Decimal(decay) ** count)


def normal_quantile(share: float) -> float:
    """What a normal number (mean 0, variance 1) is below with probability `share`, in [1/2, 1): Newton's steps."""
    with localcontext(prec=60):
        z, step = Decimal(0), Decimal(1)
        while abs(step) > Decimal("1e-25"):
            term, area, n = z, z, 0  # under exp(-z^2 / 2) from 0 to z, by Taylor's series
            while abs(term) > Decimal("1e-40"):
                n += 1
                term *= -z * z / (2 * n)
                area += term / (2 * n + 1)
            step = ((Decimal(share) - Decimal("0.5")) * (2 * PI).sqrt() - area) * (z * z / 2).exp()
            z += step
        return float(z)


def rotations(context: int, head_width: int, theta: float) -> tuple[np.ndarray, np.ndarray]:
    """Cosine and sine of position p times theta^(-2i / head_width), both [context, head_width / 2], float64.

    From the angles of position 1 in decimals, doubled there; a position's turn is that of its highest bit times that
    of the rest, so errors stay below some 1e-15.
    """
    with localcontext(prec=50):
        rate = Decimal(theta).ln()
        turns = [cosine_and_sine((-rate * 2 * i / head_width).exp()) for i in range(head_width // 2)]
        cos, sin = np.ones((1, head_width // 2)), np.zeros((1, head_width // 2))
        while len(cos) < context:
            c, s = (np.array([float(turn[k]) for turn in turns]) for k in (0, 1))
            cos, sin = np.concatenate([cos, cos * c - sin * s]), np.concatenate([sin, sin * c + cos * s])
            turns = [(2 * c * c - 1, 2 * c * s) for c, s in turns]
    return cos[:context], sin[:context]


def normal(seed: list[int], count: int) -> np.ndarray:
    """`count` numbers that are nearly normal, mean 0 and variance 1: sums of twelve integers of 16 random bits.

    No rejection and no logarithm, which are a library's; none is beyond 6.
    """
    raw = np.random.PCG64(seed).random_raw(3 * count).astype("<u8").view("<u2").reshape(count, 12)
    return (raw.sum(1, dtype=np.int64) - 6 * 65535) * 2.0**-16  # type: ignore[no-any-return]
