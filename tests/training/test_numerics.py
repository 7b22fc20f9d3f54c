import numpy as np
import pytest
import torch

from train.config import build
from train.errors import ConfigError
from train.model import ModelConfig, Transformer
from train.training.loop import gradients
from train.training.numerics import DISAGREEMENT, NumericsConfig, round_to_grid

MODEL = ModelConfig(
    layers=2, width=24, heads=3, kv_heads=1, head_width=8, hidden=40, context=16, rope_theta=1e4,
    norm_epsilon=1e-6, tied_embeddings=True, init_std=0.02, zero_residual=False,
)  # fmt: skip


def rounded(x: torch.Tensor, bits: int) -> torch.Tensor:
    return round_to_grid(x, bits)[0]


def test_rounds_to_multiples_of_the_grid():
    # rms is sqrt((9 + 16 + 0.0064 + 0) / 4) = 2.5: the grid of 3 bits is 2^(1 - 3) = 1/4.
    x = torch.tensor([3.1, -3.9, 0.1, 0.0], dtype=torch.float64)
    assert rounded(x, 3).tolist() == [3.0, -4.0, 0.0, 0.0]
    assert rounded(torch.tensor([0.125, 0.375, 2.0], dtype=torch.float64), 2).tolist() == [0.0, 0.5, 2.0]


def test_zero_stays_zero():
    assert rounded(torch.zeros(5, dtype=torch.float64), 8).tolist() == [0.0] * 5


@pytest.mark.parametrize("scale", [1e-30, 1e-3, 1.0, 1e12])
def test_the_grid_follows_the_size_of_the_tensor(scale):
    x = torch.from_numpy(np.random.default_rng(0).standard_normal(1000)) * scale
    found = rounded(x, 10)
    assert 0 < (found - x).abs().max() <= scale * 2.0**-10
    assert len(set(found.tolist())) > 500


def test_a_disagreement_in_the_last_bits_is_rounded_away_and_one_of_grid_size_is_not():
    x = torch.from_numpy(np.random.default_rng(1).standard_normal(10_000))
    assert torch.equal(rounded(x * (1 + 1e-15), 10), rounded(x, 10))
    assert not torch.equal(rounded(x * (1 + 1e-4), 10), rounded(x, 10))


def test_values_within_the_disagreement_of_a_boundary_are_counted_and_no_others():
    # The root mean square is 1.2, so the grid of 4 bits is 1/16 and its boundaries are odd 32nds.
    bound = 2 * DISAGREEMENT
    inside, outside = 0.9 * bound, 1.1 * bound
    ends = [17 / 32 + inside, 17 / 32 - inside, -17 / 32 + inside, 17 / 32 + outside, -17 / 32 - outside, 0.5]
    x = torch.tensor([*ends, 3.0], dtype=torch.float64)
    assert round_to_grid(x, 4)[1] == 3
    assert round_to_grid(x[3:], 4)[1] == 0


def test_what_disagrees_by_less_than_the_bound_is_kept_alike_where_none_lies_near_a_boundary():
    generator = np.random.default_rng(2)
    x = torch.from_numpy(generator.standard_normal(100_000))
    kept, near = round_to_grid(x, 10)
    assert near == 0
    off = torch.from_numpy(generator.uniform(-1, 1, 100_000)) * 0.9 * DISAGREEMENT
    assert torch.equal(rounded(x + off, 10), kept)


def gradients_in(slices: int, dtype: torch.dtype) -> list[torch.Tensor]:
    model = Transformer(MODEL, 50, seed=3).to(dtype)
    batch = np.random.default_rng(0).integers(0, 50, (12, 17))
    gradients(model, batch, slices)
    return [p.grad for p in model.parameters()]


def test_raw_gradients_differ_with_the_split_and_what_is_kept_of_them_does_not():
    portable, pinned = (NumericsConfig(contract, "same", 10, 256) for contract in ("portable", "pinned"))
    for slices in (2, 3, 12):
        one, other = gradients_in(1, portable.compute), gradients_in(slices, portable.compute)
        assert not all(torch.equal(a, b) for a, b in zip(one, other, strict=True))
        assert all(torch.equal(portable.keep(a)[0], portable.keep(b)[0]) for a, b in zip(one, other, strict=True))
    one, other = gradients_in(1, pinned.compute), gradients_in(3, pinned.compute)
    assert not all(torch.equal(pinned.keep(a)[0], pinned.keep(b)[0]) for a, b in zip(one, other, strict=True))


def test_what_is_kept_is_float32_and_on_the_grid_exactly():
    x = torch.from_numpy(np.random.default_rng(2).standard_normal(1000)) * 1e-9
    kept, _ = NumericsConfig("portable", "same", 12, 256).keep(x)
    assert kept.dtype == torch.float32
    assert torch.equal(kept.double(), rounded(x, 12))


@pytest.mark.parametrize("bits", [3, 21])
def test_grid_bits_out_of_range_are_refused(bits):
    with pytest.raises(ConfigError, match=f"grid_bits: expected 4 to 20, got {bits}"):
        build(NumericsConfig, {"contract": "portable", "stack": "same", "grid_bits": bits, "group": 256})


def test_fast_computes_products_in_bfloat16_where_there_are_instructions_and_keeps_its_state_in_float32(monkeypatch):
    batch = np.random.default_rng(0).integers(0, 50, (4, 17))
    found = {}
    for contract, there in (("pinned", True), ("fast", False), ("fast", True)):
        monkeypatch.setattr("train.training.numerics.has_bfloat16", lambda device, there=there: there)
        model = NumericsConfig(contract, "same", 10, 256).place(Transformer(MODEL, 50, seed=3), "cpu")
        loss = gradients(model, batch, 2)
        assert all(p.dtype == p.grad.dtype == torch.float32 for p in model.parameters())
        found[contract, there] = (loss, torch.cat([p.grad.flatten() for p in model.parameters()]))
    exact, same, low = found.values()
    assert same[0] == exact[0] and torch.equal(same[1], exact[1])
    assert low[0] != exact[0] and abs(low[0] - exact[0]) < 0.01 * exact[0]
    assert 0 < (low[1] - exact[1]).norm() < 0.03 * exact[1].norm()
