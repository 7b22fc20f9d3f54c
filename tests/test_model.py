"""The model's own arithmetic, against torch's."""

import torch
import torch.nn.functional as F

from train.kernels import ChunkedCrossEntropy
from train.model import RMSNorm


def test_cross_entropy_some_positions_at_a_time_is_torchs_and_so_are_its_gradients():
    generator = torch.Generator().manual_seed(0)
    n, width, vocabulary = 2 * ChunkedCrossEntropy.POSITIONS["cpu"] + 7, 5, 11
    x = torch.randn(n, width, generator=generator, dtype=torch.float64, requires_grad=True)
    head = torch.randn(vocabulary, width, generator=generator, dtype=torch.float64, requires_grad=True)
    targets = torch.randint(vocabulary, (n,), generator=generator)
    ours = ChunkedCrossEntropy.apply(x, head, targets, torch.float64)
    theirs = F.cross_entropy(x @ head.T, targets, reduction="sum")
    torch.testing.assert_close(ours, theirs)
    wanted = torch.autograd.grad(theirs * 3, (x, head))
    for found, expected in zip(torch.autograd.grad(ours * 3, (x, head)), wanted, strict=True):
        torch.testing.assert_close(found, expected)
        assert found.is_contiguous()


def test_cross_entropy_with_products_in_bfloat16_keeps_its_sums_in_float32():
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(600, 8, generator=generator, requires_grad=True)
    head = torch.randn(11, 8, generator=generator, requires_grad=True)
    targets = torch.randint(11, (600,), generator=generator)
    exact, low = (ChunkedCrossEntropy.apply(x, head, targets, kind) for kind in (torch.float32, torch.bfloat16))
    assert low.dtype == torch.float32 and 0 < abs(low - exact) < 1e-3 * exact
    wanted = torch.autograd.grad(exact, (x, head))
    for found, expected in zip(torch.autograd.grad(low, (x, head)), wanted, strict=True):
        assert found.dtype == torch.float32 and 0 < (found - expected).norm() < 0.01 * expected.norm()


def test_the_norm_is_torchs_and_so_are_its_gradients():
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(2, 3, 5, 7, generator=generator, dtype=torch.float64, requires_grad=True)
    norm = RMSNorm(7, 0.1).double()
    norm.weight.data = torch.randn(7, generator=generator, dtype=torch.float64)
    ours, theirs = norm(x.transpose(1, 2)), F.rms_norm(x.transpose(1, 2), (7,), norm.weight, 0.1)
    torch.testing.assert_close(ours, theirs)
    factor = torch.randn(2, 5, 3, 7, generator=generator, dtype=torch.float64)
    wanted = torch.autograd.grad((theirs * factor).sum(), (x, norm.weight))
    for found, expected in zip(torch.autograd.grad((ours * factor).sum(), (x, norm.weight)), wanted, strict=True):
        torch.testing.assert_close(found, expected)
