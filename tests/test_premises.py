"""A machine that breaks what exact training takes for granted is refused with that premise's name."""

import pytest
import torch
from conftest import refusal

from train import exact, premises
from train.errors import UserError

ADD, MULTIPLY, DIVIDE = torch.Tensor.__add__, torch.Tensor.__mul__, torch.Tensor.__truediv__


def up(x):
    raised = isinstance(x, torch.Tensor) and x.dtype == torch.float32
    return torch.nextafter(x, torch.tensor(torch.inf)) if raised else x


BROKEN = {
    "float32 sums are not rounded": (torch.Tensor, "__add__", lambda a, b: up(ADD(a, b))),
    "float32 products are not rounded": (torch.Tensor, "__mul__", lambda a, b: up(MULTIPLY(a, b))),
    "float32 quotients are not rounded": (torch.Tensor, "__truediv__", lambda a, b: MULTIPLY(a, 1.0 / b)),
    "float32 products of matrices": (exact, "matmul", lambda a, b: (a.bfloat16() @ b.bfloat16()).float()),
    "float64 sums do not": (exact, "summed", lambda x, dim, dtype=None: x.float().sum(dim, keepdim=True)),
    "the functions of train.exact": (exact, "rsqrt", torch.rsqrt),
}


def test_this_machine_holds_them():
    premises.require()


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_premise_is_named(monkeypatch, name):
    monkeypatch.setattr(*BROKEN[name])
    refusal(premises.require, match=name)


def test_subnormal_numbers_that_are_flushed_are_noticed():
    if not torch.set_flush_denormal(True):
        pytest.skip("this processor cannot flush them")
    try:
        refusal(premises.require, match="subnormal numbers are not kept")
    finally:
        torch.set_flush_denormal(False)


@pytest.mark.parametrize("name", ["fused into one operation", "simplified to x"])
def test_what_a_compiler_must_not_do_is_named(name):
    with pytest.raises(UserError, match=name):  # in float64, nothing is rounded between two operations
        premises.require(compiled=lambda function: lambda *x: function(*(each.double() for each in x)).float())
