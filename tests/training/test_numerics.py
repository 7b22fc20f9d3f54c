import numpy as np
import pytest
import torch

from train.model import ModelConfig, Transformer
from train.training.loop import gradients
from train.training.numerics import NumericsConfig, round_to_grid

MODEL = ModelConfig(
    layers=2, width=24, heads=3, kv_heads=1, head_width=8, hidden=40, context=16, rope_theta=1e4,
    norm_epsilon=1e-6, tied_embeddings=True, init_std=0.02, zero_residual=False,
)  # fmt: skip


def test_rounds_to_multiples_of_the_grid():
    # rms is sqrt((9 + 16 + 0.0064 + 0) / 4) = 2.5: the grid of 3 bits is 2^(1 - 3) = 1/4.
    x = torch.tensor([3.1, -3.9, 0.1, 0.0], dtype=torch.float64)
    assert round_to_grid(x, 3).tolist() == [3.0, -4.0, 0.0, 0.0]
    assert round_to_grid(torch.tensor([0.125, 0.375, 2.0], dtype=torch.float64), 2).tolist() == [0.0, 0.5, 2.0]


def test_zero_stays_zero():
    assert round_to_grid(torch.zeros(5, dtype=torch.float64), 8).tolist() == [0.0] * 5


@pytest.mark.parametrize("scale", [1e-30, 1e-3, 1.0, 1e12])
def test_the_grid_follows_the_size_of_the_tensor(scale):
    x = torch.from_numpy(np.random.default_rng(0).standard_normal(1000)) * scale
    rounded = round_to_grid(x, 10)
    assert 0 < (rounded - x).abs().max() <= scale * 2.0**-10
    assert len(set(rounded.tolist())) > 500


def test_a_disagreement_in_the_last_bits_is_rounded_away_and_one_of_grid_size_is_not():
    x = torch.from_numpy(np.random.default_rng(1).standard_normal(10_000))
    assert torch.equal(round_to_grid(x * (1 + 1e-15), 10), round_to_grid(x, 10))
    assert not torch.equal(round_to_grid(x * (1 + 1e-4), 10), round_to_grid(x, 10))


def gradients_in(slices: int, dtype: torch.dtype) -> list[torch.Tensor]:
    model = Transformer(MODEL, 50, seed=3).to(dtype)
    batch = np.random.default_rng(0).integers(0, 50, (12, 17))
    gradients(model, batch, slices)
    return [p.grad for p in model.parameters()]


def test_raw_gradients_differ_with_the_split_and_what_is_kept_of_them_does_not():
    portable, pinned = (NumericsConfig(contract, 10) for contract in ("portable", "pinned"))
    for slices in (2, 3, 12):
        one, other = gradients_in(1, portable.compute), gradients_in(slices, portable.compute)
        assert not all(torch.equal(a, b) for a, b in zip(one, other, strict=True))
        assert all(torch.equal(portable.keep(a), portable.keep(b)) for a, b in zip(one, other, strict=True))
    one, other = gradients_in(1, pinned.compute), gradients_in(3, pinned.compute)
    assert not all(torch.equal(pinned.keep(a), pinned.keep(b)) for a, b in zip(one, other, strict=True))


def test_what_is_kept_is_float32_and_on_the_grid_exactly():
    x = torch.from_numpy(np.random.default_rng(2).standard_normal(1000)) * 1e-9
    kept = NumericsConfig("portable", 12).keep(x)
    assert kept.dtype == torch.float32
    assert torch.equal(kept.double(), round_to_grid(x, 12))


@pytest.mark.parametrize("bits", [3, 21])
def test_grid_bits_out_of_range_are_refused(bits):
    with pytest.raises(ValueError, match="grid_bits"):
        NumericsConfig("portable", bits)
