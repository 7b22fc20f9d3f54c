"""The arithmetic that no machine can change: bounds, forms of the same number, extremes, accuracy."""

import math
from decimal import Decimal
from fractions import Fraction
from statistics import NormalDist

import numpy as np
import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from train import exact

RANDOM = np.random.default_rng(0)
TAILS = {
    "normal": lambda shape: RANDOM.standard_normal(shape),
    "heavy": lambda shape: RANDOM.standard_normal(shape) ** 5,
    "positive": lambda shape: RANDOM.random(shape) + 0.5,
    "equal": lambda shape: np.ones(shape),
    "one large": lambda shape: np.where(RANDOM.permutation(math.prod(shape)).reshape(shape) == 0, 1e4, 1e-3),
}


def floats(values) -> torch.Tensor:
    return torch.as_tensor(np.asarray(values), dtype=torch.float32)


@pytest.mark.parametrize("tail", TAILS)
@pytest.mark.parametrize("shape", [(1, 1), (3, 7, 33), (256, 64), (2, 64, 1024), (2500, 5), (5, 4097)])
@pytest.mark.parametrize("scale", [2.0**-30, 1.0, 3e20])
def test_rows_and_columns_of_an_operand_measure_at_most_2_to_the_12(tail, shape, scale):
    x = floats(TAILS[tail](shape) * scale)
    operand, grid = exact.normed(x)
    units = operand.double() / grid.double()
    assert torch.equal(units, units.round()) and units.abs().max() <= 2**11
    assert (operand - x).abs().max() <= grid.max() / 2
    for dim in (-1, -2):
        for piece in units.split(exact.PIECE, dim):
            assert piece.square().sum(dim).max() <= 2.0**24
    longest = max(float(piece.square().sum(d).max()) for d in (-1, -2) for piece in units.split(exact.PIECE, d))
    assert longest > 2.0**20.4 or units.abs().max() > 2**9  # nor is the grid coarser than it has to be


def int64(a, b):
    """The product by true integers, of operands whose lines are those times powers of two."""
    grids = [2.0 ** (torch.frexp(x.abs().amax(d, keepdim=True)).exponent - 24).double() for x, d in ((a, -1), (b, -2))]
    left, right = ((x.double() / grid).long() for x, grid in zip((a, b), grids, strict=True))
    return (left @ right).double() * (grids[0] * grids[1])


def shuffled(a, b):
    order = torch.randperm(a.shape[-1])
    return a[..., order] @ b[..., order, :]


def in_float32(a, b, out_dtype):
    """What tensor cores do with float16 operands."""
    assert a.dtype == torch.float16 and a.isfinite().all()
    return a.to(out_dtype) @ b.to(out_dtype)


MATMULS = {"float64": lambda a, b: (a.double() @ b.double()).float(), "int64": lambda a, b: int64(a, b).float(),
           "shuffled": shuffled, "float16": lambda a, b: exact.by_tensor_cores(a, b, in_float32)}  # fmt: skip


@pytest.mark.parametrize("matmul", MATMULS)
@pytest.mark.parametrize("tail", TAILS)
@pytest.mark.parametrize(("m", "k", "n"), [(5, 3, 7), (64, 256, 33), (7, 1024, 64), (65, 2500, 9)])
def test_a_product_is_the_same_number_by_float32_float64_int64_and_in_any_order(monkeypatch, matmul, tail, m, k, n):
    a, b = (exact.normed(floats(TAILS[tail](shape)))[0] for shape in ((m, k), (k, n)))
    expected = exact.product(a, b)
    close = 1e-6 * float(expected.abs().max())
    torch.testing.assert_close(expected.double(), a.double() @ b.double(), rtol=3e-7, atol=close)
    monkeypatch.setattr(exact, "matmul", MATMULS[matmul])
    assert torch.equal(exact.product(a, b), expected)


def test_a_product_of_numbers_on_no_grid_differs_with_the_precision(monkeypatch):
    a, b = floats(RANDOM.standard_normal((64, 512))), floats(RANDOM.standard_normal((512, 64)))
    expected = exact.product(a, b)
    monkeypatch.setattr(exact, "matmul", MATMULS["float64"])
    assert not torch.equal(exact.product(a, b), expected)


@pytest.mark.parametrize("tail", TAILS)
def test_lines_are_rounded_as_each_would_be_alone(tail):
    x = floats(TAILS[tail]((50, 1500))) * floats(2.0 ** np.linspace(-40, 10, 50))[:, None]
    alone = torch.cat([exact.normed(row[None])[0] for row in x])
    assert torch.equal(exact.line_normed(x, -1), alone) and torch.equal(exact.line_normed(x.mT, -2), alone.mT)
    assert not torch.equal(exact.normed(x)[0], alone)


@pytest.mark.parametrize("matmul", MATMULS)
def test_a_product_by_grids_of_rows_and_columns_is_the_same_number_too(monkeypatch, matmul):
    sizes = floats(2.0 ** np.linspace(-20, 0, 65))[:, None]
    a, b = floats(RANDOM.standard_normal((65, 700))) * sizes, floats(RANDOM.standard_normal((700, 65))) * sizes.T
    a, b = exact.line_normed(a, -1), exact.line_normed(b, -2)
    expected = exact.product(a, b)
    torch.testing.assert_close(expected.double(), a.double() @ b.double(), rtol=3e-7, atol=0)
    monkeypatch.setattr(exact, "matmul", MATMULS[matmul])
    assert torch.equal(exact.product(a, b), expected)


class Strides(TorchDispatchMode):
    """Records whether the matrices that oneDNN multiplies lie in memory in one piece."""

    def __init__(self) -> None:
        super().__init__()
        self.dense: list[bool] = []

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        if function is torch.ops.mkldnn._linear_pointwise.default:
            self.dense += [x.is_contiguous() or x.mT.is_contiguous() for x in args[:2]]
        return function(*args, **(kwargs or {}))


@pytest.mark.skipif(not exact.ONEDNN, reason="torch is built without oneDNN")
@pytest.mark.parametrize("turned", [False, True])
def test_pieces_of_a_long_product_reach_onednn_dense_for_it_is_a_thousand_times_as_slow_over_others(turned):
    b = torch.ones(9, 2500).mT if turned else torch.ones(2500, 9)
    with Strides() as strides:
        exact.product(torch.ones(65, 2500), b)
    assert strides.dense == [True, True] * 3


@pytest.mark.parametrize("tail", TAILS)
def test_two_slices_hold_twice_the_bits_and_measure_no_more(tail):
    x = floats(TAILS[tail]((300, 1500)))
    _, grid = exact.normed(x)
    coarse, fine = exact.slices(x, grid)
    finer = float(grid) * 2.0**-7
    assert (coarse.double() + fine.double() - x.double()).abs().max() <= finer / 2
    for dim in (-1, -2):
        assert all((p.double() / finer).square().sum(dim).max() <= 2.0**24 for p in fine.split(exact.PIECE, dim))


@pytest.mark.parametrize("tail", TAILS)
@pytest.mark.parametrize("n", [1, 17, 4097])
def test_a_total_is_exact_in_any_order_and_close(tail, n):
    x = floats(TAILS[tail]((3, n)))
    found = exact.total(x)
    assert found.dtype == torch.float64 and torch.equal(exact.total(x[:, torch.randperm(n)]), found)
    assert ((found - x.double().sum(-1, keepdim=True)).abs() <= n * x.abs().amax(1, keepdim=True) * 2.0**-21).all()


@pytest.mark.parametrize("shape", [(1, 1, 7), (1, 1, 1), (2, 40, 1000), (3, 5, 7)])
def test_a_total_of_squares_is_exact_in_any_order_and_close(shape):
    for x in (torch.from_numpy(RANDOM.standard_normal(shape) ** 3), floats(RANDOM.standard_normal(shape) * 1e-30)):
        found, expected = exact.square_total(x), x.double().square().sum((1, 2))
        torch.testing.assert_close(found, expected, rtol=1e-4, atol=0)
        mixed = x[:, torch.randperm(shape[1])][..., torch.randperm(shape[2])]
        assert torch.equal(exact.square_total(mixed), found)
    assert (exact.square_total(torch.zeros(shape)) == 0).all()


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf, 3e38])
def test_what_is_not_finite_or_too_large_comes_out_as_nan_and_so_stops_a_run(bad):
    x = floats(RANDOM.standard_normal((8, 8)))
    x[3, 5] = bad
    operand, _ = exact.normed(x)
    assert operand[3, 5].isnan() and exact.product(operand, torch.ones(8, 1))[3].isnan()
    assert not exact.square_total(x[None]).isfinite() or bad == 3e38
    assert exact.total(x)[3].isnan() or not exact.total(x)[3].isfinite()


@pytest.mark.parametrize("value", [0.0, -0.0, 1e-45, -1e-40, 2.0**-126])
def test_zeros_and_subnormal_numbers_are_kept_or_rounded_to_zero(value):
    x = torch.full((4, 4), value)
    operand, grid = exact.normed(x)
    assert (operand == 0).all() and (grid == 2.0**-60).all()
    assert (exact.total(x) - x.double().sum(1, keepdim=True)).abs().max() <= 4 * 2.0**-148
    root = x.abs() * exact.rsqrt(x.abs())
    assert root.isfinite().all() and (root <= 2.0**-63).all() and (value != 0 or (root == 0).all())


@pytest.mark.parametrize(("function", "reference", "arguments", "tolerance"), [
    (exact.exp, np.exp, np.linspace(-80, 80, 100_001), 6e-6),
    (exact.exp, np.exp, np.linspace(-1, 1, 100_001), 3e-7),
    (exact.sigmoid, lambda x: 1 / (1 + np.exp(-x)), np.linspace(-30, 30, 100_001), 5e-6),
    (exact.rsqrt, lambda x: x**-0.5, 2.0 ** np.linspace(-126, 127, 100_001), 4e-7),
    (exact.power_above, lambda x: 2.0 ** np.ceil(np.log2(x)), 1.37 ** np.arange(-200, 200), 0),
])  # fmt: skip
def test_functions_are_near_those_of_a_library(function, reference, arguments, tolerance):
    x = floats(arguments)
    found, expected = function(x).double().numpy(), reference(x.double().numpy())
    assert np.abs(found / expected - 1).max() <= tolerance


@pytest.mark.parametrize("share", [0.5, 0.6, 0.975, 0.9999995])
def test_the_quantile_of_normal_numbers_is_that_of_a_library(share):
    assert exact.normal_quantile(share) == pytest.approx(NormalDist().inv_cdf(share), rel=1e-14)


def test_exponential_is_clamped_and_one_at_zero():
    found = exact.exp(floats([-1e30, -math.inf, 0.0, 81.0]))
    assert found[0] == found[1] < 2e-35 and found[2] == 1 and found[3] == exact.exp(floats([80.0]))[0]


def test_logarithm_is_near_a_librarys():
    x = torch.from_numpy(np.concatenate([2.0 ** np.linspace(-300, 300, 50_001), np.linspace(0.5, 2, 50_001)]))
    assert (exact.log(x) - x.log()).abs().max() < 2e-13 and (exact.log(x) - x.log())[50_001:].abs().max() < 3e-16
    assert exact.log(torch.ones(1, dtype=torch.float64)).item() == 0


def test_rotations_are_cosines_and_sines():
    cos, sin = exact.rotations(4096, 64, 10000.0)
    angles = np.outer(np.arange(4096), 10000.0 ** (-np.arange(0, 64, 2) / 64))
    assert cos.shape == sin.shape == (4096, 32)
    assert np.abs(cos - np.cos(angles)).max() < 5e-13 and np.abs(sin - np.sin(angles)).max() < 5e-13
    c, s = exact.cosine_and_sine(Decimal(1))
    assert abs(c * c + s * s - 1) < Decimal("1e-45") and float(c) == pytest.approx(math.cos(1), abs=1e-16)


def test_initial_numbers_are_nearly_normal_and_multiples_of_2_to_the_minus_16():
    x = exact.normal([3, 1], 200_000)
    assert (x * 2**16 == np.round(x * 2**16)).all() and np.abs(x).max() < 6
    assert abs(x.mean()) < 0.01 and abs(x.std() - 1) < 0.01
    assert abs((np.abs(x) < 1).mean() - 0.683) < 0.008 and abs((np.abs(x) < 2).mean() - 0.954) < 0.008
    assert (exact.normal([3, 1], 5) == x[:5]).all() and (exact.normal([3, 2], 5) != x[:5]).any()


def test_rounding_is_to_the_nearest_multiple_and_ties_to_even():
    x = floats([0.5, 1.5, 2.5, -0.5, -1.5, 3.49, 2.0**22])
    assert exact.to_grid(x, 1.0).tolist() == [0, 2, 2, 0, -2, 3, 2.0**22]
    exactly = [Fraction(float(np.float32(v))) * 2**30 for v in (1 / 3, 1e4)]
    fine = exact.to_fixed(floats([1 / 3, 1e4]), 2.0**-30).tolist()
    assert [Fraction(v) * 2**30 for v in fine] == [round(v) for v in exactly]
