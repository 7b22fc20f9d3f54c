import dataclasses

import numpy as np
import pytest
import torch
from torch import nn

from train.training.numerics import NumericsConfig
from train.training.optimizer import Optimizer, OptimizerConfig, orthogonalised, schedule

CONFIG = OptimizerConfig(
    name="adamw", learning_rate=0.01, matrix_learning_rate=0.02, beta1=0.9, beta2=0.95, epsilon=1e-8, momentum=0.95,
    newton_schulz_steps=5, weight_decay=0.1, clip=1.0, schedule="linear", warmup_steps=4, decay_fraction=0.25,
)  # fmt: skip
PINNED = NumericsConfig("pinned", 10)


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


def test_adamw_is_torchs_adamw():
    ours, theirs = Net(), Net()
    optimizer = Optimizer(ours, constant(), PINNED)
    matrices = [p for p in theirs.parameters() if p.dim() == 2]
    groups = [{"params": matrices, "weight_decay": 0.1}, {"params": [theirs.norm], "weight_decay": 0.0}]
    reference = torch.optim.AdamW(groups, lr=0.01, betas=(0.9, 0.95), eps=1e-8)
    for step in range(10):
        ours.backward(step)
        theirs.backward(step)
        optimizer.step(step, 1000, optimizer.gradient_norm())
        reference.step()
    for a, b in zip(ours.parameters(), theirs.parameters(), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-5, atol=1e-6)


def test_muon_is_for_hidden_matrices_only_and_every_parameter_has_its_state():
    optimizer = Optimizer(Net(), constant(name="muon"), PINNED)
    assert optimizer.matrices == ["matrix"]
    assert sorted(optimizer.state) == [
        "embed_tokens.first", "embed_tokens.second", "matrix.momentum", "norm.first", "norm.second",
    ]  # fmt: skip


def test_muon_is_torchs_muon():
    ours, theirs = Net(), Net()
    optimizer = Optimizer(ours, constant(name="muon"), PINNED)
    # Theirs orthogonalises in bfloat16, and its momentum is (1 - momentum) times ours: the direction is the same.
    reference = torch.optim.Muon(
        [theirs.matrix], lr=0.02, weight_decay=0.1, momentum=0.95, nesterov=True, adjust_lr_fn="match_rms_adamw"
    )
    start = theirs.matrix.detach().clone()
    for step in range(5):
        ours.backward(step)
        theirs.backward(step)
        optimizer.step(step, 1000, optimizer.gradient_norm())
        reference.step()
    moved, wanted = (net.matrix.detach() - start for net in (ours, theirs))
    assert (moved - wanted).norm() < 0.03 * wanted.norm()


@pytest.mark.parametrize("shape", [(3, 7), (7, 3), (5, 5)])
def test_orthogonalised_matrices_have_like_singular_values(shape):
    matrices = torch.from_numpy(np.random.default_rng(0).standard_normal((4, *shape)))
    values = torch.linalg.svdvals(orthogonalised(matrices, 5)) / (0.2 * max(shape) ** 0.5)
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


def test_portable_weights_stay_on_float32():
    net = Net().double()
    net.backward(0)
    optimizer = Optimizer(net, constant(name="muon"), NumericsConfig("portable", 8))
    optimizer.step(0, 10, optimizer.gradient_norm())
    for p in net.parameters():
        assert p.dtype == torch.float64 and torch.equal(p, p.float().double())
    assert all(t.dtype == torch.float32 for t in optimizer.state.values())


@pytest.mark.parametrize(
    ("name", "shares"),
    [
        ("linear", {0: 0.25, 3: 1.0, 4: 1.0, 12: 0.5, 19: 1 / 16}),
        ("cosine", {0: 0.25, 3: 1.0, 4: 1.0, 12: 0.5, 19: 0.5 - 0.5 * np.cos(np.pi / 16)}),
        ("warmup_stable_decay", {0: 0.25, 3: 1.0, 4: 1.0, 15: 1.0, 16: 0.8, 19: 0.2}),
    ],
)
def test_schedules(name, shares):
    config = dataclasses.replace(CONFIG, schedule=name)
    assert {step: schedule(config, step, 20) for step in shares} == pytest.approx(shares, rel=1e-6)
    values = [schedule(config, step, 20) for step in range(20)]
    assert all(float(np.float32(v)) == v and 0 < v <= 1 for v in values)


def test_portable_adamw_differs_from_float32_by_no_more_than_its_grid():
    pinned, portable = Net(), Net().double()
    for net, numerics in ((pinned, PINNED), (portable, NumericsConfig("portable", 12))):
        optimizer = Optimizer(net, constant(), numerics)
        net.backward(1)
        optimizer.step(0, 1000, optimizer.gradient_norm())
    for a, b in zip(pinned.parameters(), portable.parameters(), strict=True):
        assert (a - b.float()).abs().max() < 0.01 * 2.0**-10


@pytest.mark.parametrize(
    ("field", "value"), [("learning_rate", 0.0), ("beta2", 1.0), ("warmup_steps", -1), ("decay_fraction", 0.0)]
)
def test_bad_settings_are_refused(field, value):
    with pytest.raises(ValueError, match=field):
        dataclasses.replace(CONFIG, **{field: value})
