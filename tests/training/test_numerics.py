import platform
import resource

import numpy as np
import pytest
import torch
from conftest import MACHINE

from train.model import ModelConfig, Transformer
from train.training.loop import gradients
from train.training.numerics import NumericsConfig, prepare

MODEL = ModelConfig(
    layers=2, width=24, heads=3, kv_heads=1, head_width=8, hidden=40, context=16, rope_theta=1e4,
    norm_epsilon=1e-6, tied_embeddings=True, init_std=0.02, zero_residual=False,
)  # fmt: skip


def test_fast_computes_products_in_bfloat16_where_there_are_instructions_and_keeps_its_state_in_float32(monkeypatch):
    batch = np.random.default_rng(0).integers(0, 50, (4, 17))
    found = {}
    for contract, there in (("pinned", True), ("fast", False), ("fast", True)):
        monkeypatch.setattr("train.training.numerics.has_bfloat16", lambda device, there=there: there)
        model = NumericsConfig(contract, "same", 256).place(Transformer(MODEL, 50, seed=3), "cpu")
        loss = gradients(model, batch, 2)
        assert all(p.dtype == p.grad.dtype == torch.float32 for p in model.parameters())
        found[contract, there] = (loss, torch.cat([p.grad.flatten() for p in model.parameters()]))
    exact, same, low = found.values()
    assert same[0] == exact[0] and torch.equal(same[1], exact[1])
    assert low[0] != exact[0] and abs(low[0] - exact[0]) < 0.01 * exact[0]
    assert 0 < (low[1] - exact[1]).norm() < 0.03 * exact[1].norm()


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="sets GNU's C library up")
def test_memory_of_freed_tensors_is_used_again_without_new_pages():
    prepare(MACHINE)
    faults = []
    for _ in range(5):  # the first ones may fall into gaps between others
        before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
        torch.ones(2**24)
        faults.append(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
    assert min(faults) < 100
