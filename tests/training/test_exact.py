"""Training under the contract `exact`: one digest of weights and state, however the step is computed."""

import copy
import hashlib
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch._subclasses.fake_tensor import FakeTensor, FakeTensorMode
from torch.autograd import Function

from tests.test_exact import in_float32, shuffled
from train import exact, kernels, premises
from train.errors import UserError
from train.exact import square_total
from train.kernels import Exact, Fine
from train.model import ModelConfig, Transformer, weights_of
from train.training.loop import gradient_noise, gradients, require_groups, require_products
from train.training.numerics import NumericsConfig
from train.training.optimizer import Optimizer, OptimizerConfig
from train.world import World

NUMERICS = NumericsConfig("exact", "same", 32)
MODEL = ModelConfig(
    layers=2, width=24, heads=4, kv_heads=2, head_width=8, hidden=40, context=16, rope_theta=1e4,
    norm_epsilon=1e-6, tied_embeddings=True, init_std=0.1, zero_residual=True,
)  # fmt: skip
OPTIMIZER = OptimizerConfig(
    name="muon", learning_rate=0.01, matrix_learning_rate=0.02, beta1=0.9, beta2=0.95, epsilon=1e-8, momentum=0.95,
    newton_schulz_steps=3, weight_decay=0.1, clip=1.0, schedule="cosine", warmup_steps=2, decay_fraction=0.3,
    base_width=None,
)  # fmt: skip
VOCABULARY, BATCH, STEPS = 1030, 8, 3


def batches(model: ModelConfig = MODEL) -> list[np.ndarray]:
    return list(np.random.default_rng(0).integers(0, VOCABULARY, (STEPS, BATCH, model.context + 1)))


def trained(
    model: ModelConfig = MODEL, optimizer: OptimizerConfig = OPTIMIZER, slices: int = 1, compiled: bool = False
) -> str:
    """SHA-256 of weights and state after STEPS, and of the losses, in full."""
    transformer = NUMERICS.place(Transformer(model, VOCABULARY, seed=1), "cpu", BATCH, compiled)
    updates = Optimizer(transformer, optimizer, NUMERICS)
    digest = hashlib.sha256()
    for step, batch in enumerate(batches(model)):
        loss = gradients(transformer, batch, slices)
        told = updates.step(step, STEPS, updates.gradient_norm())
        digest.update(f"{loss!r} {told}".encode())
    for _, tensor in sorted({**weights_of(transformer), **updates.state}.items()):
        assert tensor.dtype == torch.float32 and tensor.isfinite().all()
        digest.update(tensor.numpy().tobytes())
    return digest.hexdigest()


@pytest.fixture(autouse=True)
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)
    exact._scalar.cache_clear()  # numbers without values, of fake tensors


@pytest.fixture(scope="module", params=["muon", "adamw"])
def optimizer(request) -> OptimizerConfig:
    return replace(OPTIMIZER, name=request.param)


@pytest.fixture(scope="module")
def plain(optimizer) -> str:
    return trained(optimizer=optimizer)


@pytest.mark.parametrize("slices", [2, 4])
def test_slices_of_a_batch_change_no_byte(optimizer, plain, slices):
    assert trained(optimizer=optimizer, slices=slices) == plain


def test_attention_of_some_sequences_at_a_time_changes_no_byte(monkeypatch, optimizer, plain):
    sizes, attention = set(), kernels.CausalAttention
    monkeypatch.setattr(kernels, "SCORES", 2 * MODEL.heads * MODEL.context**2)
    monkeypatch.setattr(attention, "apply", lambda q, *others, of=attention.apply: sizes.add(len(q)) or of(q, *others))
    assert trained(optimizer=optimizer) == plain and sizes == {2}


def integers(x):
    """`x` as integers and what they are multiples of."""
    x, whole = x.double(), lambda bits: torch.equal(x * 2.0**bits, (x * 2.0**bits).round())
    grid = 2.0 ** -next(filter(whole, range(80)))
    return (x / grid).long(), grid


def int64_matmul(a, b):
    (left, unit), (right, other) = integers(a), integers(b)
    return ((left @ right).double() * (unit * other)).float()


def shuffled_sum(x, dim, dtype=None):
    return x.index_select(dim, torch.randperm(x.shape[dim])).sum(dim, keepdim=True, dtype=dtype)


WAYS = {
    "float64 products": ("matmul", lambda a, b: (a.double() @ b.double()).float()),
    "int64 products": ("matmul", int64_matmul),
    "float16 operands": ("matmul", lambda a, b: exact.by_tensor_cores(a, b, in_float32)),
    "shuffled products": ("matmul", shuffled),
    "shuffled sums": ("summed", shuffled_sum),
}


def computed_by(monkeypatch, way) -> None:
    """Let every product or sum be computed in one of WAYS."""
    name, function = WAYS[way]
    for module in (exact, kernels):
        if hasattr(module, name):
            monkeypatch.setattr(module, name, function)


@pytest.mark.parametrize("way", WAYS)
def test_every_product_and_sum_may_be_another_kind_or_order(monkeypatch, optimizer, plain, way):
    computed_by(monkeypatch, way)
    assert trained(optimizer=optimizer) == plain


def by_hand(function):
    """`function.apply` as autograd calls it, its backward at once: autograd itself asks for a real GPU."""

    def apply(*inputs):
        context = SimpleNamespace(needs_input_grad=[True] * len(inputs))
        context.save_for_backward = lambda *tensors: setattr(context, "saved_tensors", tensors)
        outputs = function.forward(context, *inputs)
        several = outputs if isinstance(outputs, tuple) else (outputs,)
        assert all(y.is_cuda for y in several)
        gradients = function.backward(context, *map(torch.ones_like, several))
        for x, gradient in zip(inputs, gradients, strict=True):
            assert gradient is None or (gradient.is_cuda and gradient.shape == x.shape)
            if isinstance(x, torch.Tensor) and x.dtype == torch.float64:  # a weight
                assert gradient.dtype == torch.float64
                x.grad = gradient
        return outputs

    return apply


def indexed(x, key):
    """x[key], whose own way asks for a real GPU as well."""
    if isinstance(key, torch.Tensor):
        return torch.ops.aten.index(x, [key])
    if isinstance(key, slice):
        first, end, _ = key.indices(len(x))
        return x.narrow(0, first, end - first)
    return x.select(-1, key[1]) if isinstance(key, tuple) else x.unsqueeze(0) if key is None else x.select(0, key)


@pytest.mark.parametrize("context", [16, 300])
def test_the_route_of_a_gpu_keeps_every_tensor_there(monkeypatch, context):
    """On tensors without values that say they lie on a GPU: forward, backward and update, and products in float16."""
    kinds, bmm = [], torch.bmm
    counted = lambda a, b, **how: kinds.append((a.dtype, how.get("out_dtype"))) or bmm(a, b, **how)  # noqa: E731
    monkeypatch.setattr(exact.by_tensor_cores, "__defaults__", (counted,))
    monkeypatch.setattr(FakeTensor, "__getitem__", indexed)
    monkeypatch.setattr(FakeTensor, "copy_", lambda to, x: to.add_(x))  # as torch's, of numbers on the same device
    monkeypatch.setattr(FakeTensor, "contiguous", lambda x: x + 0)
    for function in (v for v in vars(kernels).values() if isinstance(v, type) and issubclass(v, Function)):
        monkeypatch.setattr(function, "apply", by_hand(function))
    model = Transformer(replace(MODEL, context=context), VOCABULARY, seed=1).double()
    model.compute_by(NUMERICS.cut(BATCH, context))
    with FakeTensorMode(allow_non_fake_inputs=True), torch.no_grad():
        model._apply(lambda x: torch.empty_like(x, device="cuda"))
        tokens = torch.empty(BATCH, context, dtype=torch.int64, device="cuda")
        assert model.loss(tokens, tokens).is_cuda
        assert set(kinds) == {(torch.float16, torch.float32)}
        for name in ("muon", "adamw"):
            updates = Optimizer(model, replace(OPTIMIZER, name=name), NUMERICS)
            updates._step_apart(1, 1.0, 1.0)
            assert all(x.is_cuda for x in (*model.parameters(), *updates.state.values()))
        assert all(square_total(p.grad.view(1, -1, p.shape[-1])).is_cuda for p in model.parameters())


def test_a_tensor_that_a_gpu_would_not_find_fails_there():
    with FakeTensorMode(), pytest.raises(RuntimeError, match="cpu"):
        exact.product(torch.empty(3, 4, device="cuda"), torch.empty(4, 5))


def test_without_grids_the_order_of_sums_does_change_bytes(monkeypatch):
    monkeypatch.setattr(premises, "require", lambda *_: None)
    monkeypatch.setattr(exact, "to_grid", lambda x, grid: x + 0.0)
    expected = trained()
    monkeypatch.setattr(exact, "matmul", shuffled)
    assert trained() != expected


ELSEWHERE = [
    {"OMP_NUM_THREADS": "1", "ATEN_CPU_CAPABILITY": "default", "MKL_CBWR": "COMPATIBLE"},
    {"OMP_NUM_THREADS": "3", "ATEN_CPU_CAPABILITY": "avx2", "MKL_ENABLE_INSTRUCTIONS": "SSE4_2"},
    pytest.param({"OMP_NUM_THREADS": "2", "ONEDNN_MAX_CPU_ISA": "SSE41"}, marks=pytest.mark.slow),
    pytest.param({"OMP_NUM_THREADS": "7", "MKL_CBWR": "AVX2"}, marks=pytest.mark.slow),
]


@pytest.mark.parametrize("settings", ELSEWHERE)
def test_threads_vector_width_and_libraries_change_no_byte(settings):
    ran = subprocess.run(
        [sys.executable, __file__], env={**os.environ, **settings, "PYTHONPATH": str(Path(__file__).parents[2])},
        capture_output=True, text=True, timeout=300,
    )  # fmt: skip
    assert ran.stdout.split() == [trained()], ran.stderr


@pytest.mark.slow
def test_a_compiled_step_makes_the_same_bytes():
    assert trained(compiled=True) == trained()


def test_the_compiler_is_given_the_whole_of_a_step(monkeypatch):
    parts = []
    monkeypatch.setattr(torch, "compile", lambda function, **how: function)
    monkeypatch.setattr(torch.nn.Module, "compile", lambda module, **how: parts.append(type(module).__name__))
    monkeypatch.setattr(kernels, "fused", lambda function, dynamic: parts.append(function.__name__) or function)
    trained(compiled=True)
    assert parts[:3] == ["Layer", "Layer", "RMSNorm"]
    assert {"_costs", "_by_head", "_fixed_rows", "square_total", "_newton_schulz", "_change", "_adamw"} <= set(parts)


@pytest.mark.parametrize("context", [16, 300, 1100])
def test_loss_and_gradients_are_near_those_of_float64_at_any_context(context):
    model = replace(MODEL, context=context, zero_residual=False)
    tokens = torch.from_numpy(np.random.default_rng(1).integers(0, VOCABULARY, (2, context + 1)))
    ours, theirs = (Transformer(model, VOCABULARY, seed=1).double() for _ in range(2))
    ours.compute_by(Exact.of(2, context, 256))
    losses = [each.loss(tokens[:, :-1], tokens[:, 1:]) for each in (ours, theirs)]
    for loss in losses:
        loss.backward()
    assert losses[0].item() == pytest.approx(losses[1].item(), rel=1e-4)
    for (name, a), b in zip(ours.named_parameters(), theirs.parameters(), strict=True):
        assert (a.grad - b.grad).norm() < 0.05 * b.grad.norm(), name


def test_gradients_of_the_most_improbable_tokens_are_kept():
    """AdamW makes a step of a full size of them too: rounded to 0 they let embeddings stay behind those of float32."""
    random, vocabulary, width = np.random.default_rng(1), 3000, 32
    x, head = (torch.from_numpy(random.standard_normal(shape)) for shape in ((4, 100, width), (vocabulary, width)))
    x[..., :16] += 1
    head = head * 0.2 - torch.linspace(0, 0.8, vocabulary)[:, None] * (torch.arange(width) < 16)  # e^-13 for the last
    targets = torch.from_numpy(random.integers(0, 30, (4, 100)))
    ours, theirs = head.float().double().requires_grad_(), head.float().double().requires_grad_()
    states = [x.float().requires_grad_() for _ in range(2)]
    kernels.CrossEntropy.apply(states[0], ours, targets, Exact.of(4, 100, 200)).backward()
    logits = (states[1].double() @ theirs.mT).flatten(0, 1)
    torch.nn.functional.cross_entropy(logits, targets.flatten(), reduction="sum").backward()
    assert ((ours.grad - theirs.grad).norm(dim=1) < 0.05 * theirs.grad.norm(dim=1)).all()
    assert (states[0].grad - states[1].grad).norm() < 0.02 * states[1].grad.norm()


def test_what_a_token_comes_to_when_measured_depends_on_those_before_it_alone():
    model = Transformer(replace(MODEL, zero_residual=False), VOCABULARY, seed=1).double()
    tokens = torch.from_numpy(np.random.default_rng(1).integers(0, VOCABULARY, (3, MODEL.context)))
    with torch.no_grad():
        plain, weights = model(tokens), copy.deepcopy(model.state_dict())
        model.compute_by(Fine())
        fine, caches = model(tokens), model.caches()
        assert (plain - fine).abs().max() < 1e-4 * plain.std()
        assert torch.equal(model(tokens[1:2]), fine[1:2]) and torch.equal(model(tokens[:, :5]), fine[:, :5])
        states = [model.hidden(tokens[:, start:end], caches) for start, end in ((0, 3), (3, 4), (4, 16))]
        assert torch.equal(model.logits(torch.cat(states, 1)), fine)
    assert all(torch.equal(tensor, weights[name]) for name, tensor in model.state_dict().items())


@pytest.mark.parametrize("way", ["shuffled products", "shuffled sums"])
def test_measuring_may_add_up_in_any_order(monkeypatch, way):
    model = Transformer(replace(MODEL, zero_residual=False), VOCABULARY, seed=1).double()
    model.compute_by(Fine())
    tokens = torch.from_numpy(np.random.default_rng(1).integers(0, VOCABULARY, (3, MODEL.context)))
    with torch.no_grad():
        expected = model(tokens)
        computed_by(monkeypatch, way)
        assert torch.equal(model(tokens), expected)


@pytest.mark.parametrize("limit", ["MATRICES", "TABLES", "GAINS"])
def test_a_gradient_that_its_accumulator_might_not_hold_is_nan(monkeypatch, limit):
    monkeypatch.setattr(kernels, limit, 2.0**-10)
    model = NUMERICS.place(Transformer(MODEL, VOCABULARY, seed=1), "cpu", BATCH)
    gradients(model, batches()[0], 1)
    assert np.isnan(Optimizer(model, OPTIMIZER, NUMERICS).gradient_norm())


def test_kernels_that_round_the_first_micro_batch_are_refused(monkeypatch):
    machine = SimpleNamespace(micro_batches=1, compile=False, sharded=False)
    model = NUMERICS.place(Transformer(MODEL, VOCABULARY, seed=1), "cpu", BATCH)
    batch, world = batches()[0], World(0, 1, machine)
    require_products(model, batch, world)
    real = exact.matmul
    rounding = lambda a, b: real(a, b) if exact.DOUBLE else (a.bfloat16() @ b.bfloat16()).float()  # noqa: E731
    monkeypatch.setattr(exact, "matmul", rounding)
    with pytest.raises(UserError, match="float32 products of the first micro-batch"):
        require_products(model, batch, world)


def test_the_noise_of_gradients_is_told_by_tensor(monkeypatch):
    model = NUMERICS.place(Transformer(replace(MODEL, zero_residual=False), VOCABULARY, seed=1), "cpu", BATCH)
    contract, tokens = model.exact, np.random.default_rng(0).integers(0, VOCABULARY, 1000)
    noise = gradient_noise(model, tokens)
    assert noise.keys() == dict(model.named_parameters()).keys()
    assert 1e-4 < min(noise.values()) <= max(noise.values()) < 0.1, noise
    assert model.exact is contract and all(parameter.grad is None for parameter in model.parameters())
    monkeypatch.setattr(exact, "LENGTH", 16)  # four bits more for each operand
    assert all(finer < noise[name] / 2 for name, finer in gradient_noise(model, tokens).items()), noise


def test_slices_that_would_cut_groups_are_refused():
    config = SimpleNamespace(model=MODEL, training=SimpleNamespace(batch=BATCH, numerics=NUMERICS))
    require_groups(config, World(0, 2, SimpleNamespace(micro_batches=2)))
    with pytest.raises(UserError, match="the 4 groups of 2 sequences"):
        require_groups(config, World(0, 2, SimpleNamespace(micro_batches=4)))


if __name__ == "__main__":
    print(trained())
