import dataclasses

import numpy as np
import pytest
import torch
from torch import nn

from train.model import ModelConfig, Transformer
from train.training.loop import gradients
from train.training.numerics import NumericsConfig
from train.training.optimizer import RATIOS_EVERY, Optimizer, OptimizerConfig, orthogonalised, schedule

CONFIG = OptimizerConfig(
    name="adamw", learning_rate=0.01, matrix_learning_rate=0.02, beta1=0.9, beta2=0.95, epsilon=1e-8, momentum=0.95,
    newton_schulz_steps=5, weight_decay=0.1, clip=1.0, schedule="linear", warmup_steps=4, decay_fraction=0.25,
    base_width=None,
)  # fmt: skip
PINNED = NumericsConfig("pinned", "same", 256)


class Net(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        generator = torch.Generator().manual_seed(0)
        self.embed_tokens = nn.Parameter(torch.randn(11, 6, generator=generator))
        self.matrix = nn.Parameter(torch.randn(5, 6, generator=generator))
        self.norm = nn.Parameter(torch.ones(6))

    def backward(self, seed: int) -> None:
        generator = torch.Generator().manual_seed(seed)
        for p in self.parameters():
            p.grad = torch.randn(p.shape, generator=generator).to(p) * 1e-3  # below the clip


def constant(**changes) -> OptimizerConfig:
    return dataclasses.replace(CONFIG, warmup_steps=0, schedule="warmup_stable_decay", **changes)


def trained(config: OptimizerConfig, contract: str, steps: int) -> Net:
    net = Net().double() if contract == "exact" else Net()
    optimizer = Optimizer(net, config, NumericsConfig(contract, "same", 256))
    for step in range(steps):
        net.backward(step)
        optimizer.step(step, 1000, optimizer.gradient_norm())
    return net


@pytest.mark.parametrize("contract", ["pinned", "fast", "exact"])
def test_adamw_is_torchs_adamw_in_float64(contract):
    ours, theirs = trained(constant(), contract, 10), Net().double()
    matrices = [p for p in theirs.parameters() if p.dim() == 2]
    groups = [{"params": matrices, "weight_decay": 0.1}, {"params": [theirs.norm], "weight_decay": 0.0}]
    reference = torch.optim.AdamW(groups, lr=0.01, betas=(0.9, 0.95), eps=1e-8)
    for step in range(10):
        theirs.backward(step)
        reference.step()
    for a, b in zip(ours.parameters(), theirs.parameters(), strict=True):
        torch.testing.assert_close(a.double(), b, rtol=0, atol=1e-6)


@pytest.mark.parametrize(("contract", "bfloat16", "close"), [
    ("pinned", False, 1e-6), ("fast", False, 1e-6), ("fast", True, 1e-3), ("exact", False, 1e-3),
])  # fmt: skip
def test_muon_is_torchs_muon_in_float64(contract, bfloat16, close, monkeypatch):
    monkeypatch.setattr("train.training.numerics.has_bfloat16", lambda _: bfloat16)  # on any processor
    monkeypatch.setattr(torch.Tensor, "bfloat16", torch.Tensor.double)  # in which theirs would orthogonalise
    ours, theirs = trained(constant(name="muon", epsilon=1e-12), contract, 6), Net().double()
    # Their momentum is 1 - momentum times ours: the direction is the same.
    reference = torch.optim.Muon(
        [theirs.matrix], lr=0.02, weight_decay=0.1, momentum=0.95, nesterov=True, adjust_lr_fn="match_rms_adamw",
        eps=1e-30,
    )  # fmt: skip
    for step in range(6):
        theirs.backward(step)
        reference.step()
    torch.testing.assert_close(ours.matrix.double(), theirs.matrix, rtol=0, atol=close)


@pytest.mark.parametrize("name", ["adamw", "muon"])
def test_the_groups_are_a_partition_and_every_parameter_has_its_state(name):
    optimizer = Optimizer(Net(), constant(name=name), PINNED)
    hidden = "muon" if name == "muon" else "hidden"
    assert {group: names for group, names in optimizer.groups.items() if names} == {
        hidden: ["matrix"], "ends": ["embed_tokens"], "norms": ["norm"],
    }  # fmt: skip
    moments = ["momentum"] if name == "muon" else ["first", "second"]
    ends = {f"{name}.{moment}" for name in ("embed_tokens", "norm") for moment in ("first", "second")}
    assert optimizer.state.keys() == ends | {f"matrix.{moment}" for moment in moments}


def test_what_a_step_tells():
    net = Net().double()
    optimizer = Optimizer(net, constant(name="muon"), NumericsConfig("exact", "same", 256))
    told = []
    for step in (0, 1, RATIOS_EVERY):
        net.backward(step)
        told.append(optimizer.step(step, 1000, 1.0))
    rates = ["learning_rate", "matrix_learning_rate"]
    assert [sorted(each) for each in told] == [[*rates, "update_to_weight"], rates, [*rates, "update_to_weight"]]
    # AdamW's first step moves each of the ones by the rate.
    assert told[0]["update_to_weight"]["norm"] == pytest.approx(0.01, rel=1e-2)


def moved(width: int, name: str, base_width: int | None) -> float:
    """How far one step of the hidden matrices alone moves what the blocks add to the residual stream."""
    config = ModelConfig(
        layers=1, width=width, heads=4, kv_heads=4, head_width=width // 4, hidden=3 * width, context=8, rope_theta=1e4,
        norm_epsilon=1e-6, tied_embeddings=False, init_std=width**-0.5, zero_residual=False,
    )  # fmt: skip
    model = PINNED.place(Transformer(config, 40, seed=1), "cpu")
    batch = np.random.default_rng(0).integers(0, 40, (16, 9))
    tokens = torch.from_numpy(batch[:, :-1])
    before, embedded = model.hidden(tokens), model.model.embed_tokens.weight.detach().clone()
    gradients(model, batch, 1)
    rates = {"learning_rate": 1e-3, "matrix_learning_rate": 1e-3, "base_width": base_width}
    settings = constant(name=name, weight_decay=0.0, **rates)
    optimizer = Optimizer(model, settings, PINNED)
    for group in ("ends", "norms"):
        optimizer.rates[group] = 1e-30
    optimizer.step(0, 10, 1e-3)
    assert torch.allclose(model.model.embed_tokens.weight, embedded)
    return (model.hidden(tokens) - before).square().mean().sqrt().item()


@pytest.mark.parametrize("name", ["adamw", "muon"])
def test_with_rates_transferred_a_step_moves_a_wide_model_as_far_as_a_narrow_one(name):
    narrow, wide, transferred = moved(64, name, None), moved(256, name, None), moved(256, name, 64)
    assert wide > 1.6 * narrow and narrow / 1.4 < transferred < narrow * 1.4 and moved(64, name, 64) == narrow


@pytest.mark.parametrize("shape", [(3, 7), (7, 3), (5, 5)])
def test_orthogonalised_matrices_have_like_singular_values(shape):
    matrices = torch.from_numpy(np.random.default_rng(0).standard_normal((4, *shape)))
    values = torch.linalg.svdvals(orthogonalised(matrices, 5))
    assert values.min() > 0.5 and values.max() < 1.4
    alone = orthogonalised(matrices[2:3], 5)[0]
    torch.testing.assert_close(orthogonalised(matrices, 5)[2], alone, rtol=1e-12, atol=1e-14)


def test_the_whole_gradient_is_clipped():
    net = Net()
    for p in net.parameters():
        p.grad = torch.full_like(p, 3.0)
    optimizer = Optimizer(net, constant(clip=0.5), PINNED)
    assert optimizer.gradient_norm() == pytest.approx(3.0 * 102**0.5)  # 66 + 30 + 6 elements
    optimizer.step(0, 1000, optimizer.gradient_norm())
    first = torch.cat([t.flatten() for name, t in optimizer.state.items() if name.endswith("first")])
    assert first.norm().item() == pytest.approx(0.5 * 0.1, rel=1e-5)


def test_exact_weights_stay_on_float32():
    net = Net().double()
    net.backward(0)
    optimizer = Optimizer(net, constant(name="muon"), NumericsConfig("exact", "same", 256))
    optimizer.step(0, 10, optimizer.gradient_norm())
    for p in net.parameters():
        assert p.dtype == torch.float64 and torch.equal(p, p.float().double())
    assert all(t.dtype == torch.float32 for t in optimizer.state.values())


@pytest.mark.parametrize(("name", "shares"), [
    ("linear", {0: 0.25, 3: 1.0, 4: 1.0, 12: 0.5, 19: 1 / 16}),
    ("cosine", {0: 0.25, 3: 1.0, 4: 1.0, 12: 0.5, 19: 0.5 - 0.5 * np.cos(np.pi / 16)}),
    ("warmup_stable_decay", {0: 0.25, 3: 1.0, 4: 1.0, 15: 1.0, 16: 0.8, 19: 0.2}),
])  # fmt: skip
def test_schedules(name, shares):
    config = dataclasses.replace(CONFIG, schedule=name)
    assert {step: schedule(config, step, 20) for step in shares} == pytest.approx(shares, rel=1e-6)
    values = [schedule(config, step, 20) for step in range(20)]
    assert all(float(np.float32(v)) == v and 0 < v <= 1 for v in values)
