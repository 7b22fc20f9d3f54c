"""`pellucid selftest`: train a fixed little model, and compare its bytes with those that every machine gives.

It needs no data, no network and no folder. What is trained is a model of two layers on tokens that are drawn, for some
steps under `exact`, by what a real training uses.
"""

import argparse
import hashlib
import platform
import time
from datetime import UTC, datetime
from typing import Any

import numpy as np

from train.compose import machine_of
from train.config import plain
from train.machine import Machine
from train.model import ModelConfig, Transformer, weights_of
from train.training.loop import gradients, require_products
from train.training.numerics import NumericsConfig, prepare, stack
from train.training.optimizer import Optimizer, OptimizerConfig
from train.world import World

# Of weights and moments after the last step; `docs/validation/` holds it from every machine that was tried.
KNOWN = "da04a9bcd3004807c6af31f563a7b2b1828a475d3ee80970bdb8608dc3c3a847"
MODEL = ModelConfig(
    layers=2, width=64, heads=2, kv_heads=1, head_width=32, hidden=192, context=64, rope_theta=10000.0,
    norm_epsilon=1e-6, tied_embeddings=True, init_std=0.02, zero_residual=True,
)  # fmt: skip
OPTIMIZER = OptimizerConfig(
    name="muon", learning_rate=0.01, matrix_learning_rate=0.03, beta1=0.9, beta2=0.95, epsilon=1e-8, momentum=0.95,
    newton_schulz_steps=3, weight_decay=0.1, clip=1.0, schedule="cosine", warmup_steps=2, decay_fraction=0.3,
    base_width=None,
)  # fmt: skip
NUMERICS = NumericsConfig(contract="exact", stack="same", group=64)
VOCABULARY, BATCH, STEPS, SEED = 512, 4, 4, 0


def run(args: argparse.Namespace) -> dict[str, Any]:
    """The digest beside the known one, and what it was computed on; UserError names a premise that does not hold."""
    machine = machine_of(args.machine)
    began = time.monotonic()
    digest, loss = trained(machine)
    return {
        "same": digest == KNOWN, "digest": digest, "known": KNOWN, "loss": loss,
        "seconds": round(time.monotonic() - began, 1), "command": " ".join(["pellucid selftest", *args.machine]),
        "date": f"{datetime.now(UTC):%Y-%m-%d}",
        "machine": stack(machine) | {"platform": platform.platform(), "python": platform.python_version()},
        "settings": {"model": plain(MODEL), "optimizer": plain(OPTIMIZER), "numerics": plain(NUMERICS),
        "vocabulary": VOCABULARY, "batch": BATCH, "steps": STEPS, "seed": SEED},
    }  # fmt: skip


def trained(machine: Machine) -> tuple[str, float]:
    """The digest of weights and moments after the last step, and that step's loss in nats a token."""
    prepare(machine)
    world = World(0, 1, machine)
    drawn = np.random.PCG64(SEED).random_raw(STEPS * BATCH * (MODEL.context + 1)).astype(np.int64)
    tokens = np.minimum(drawn & 511, drawn >> 9 & 511)  # some are likelier than others
    model = NUMERICS.place(Transformer(MODEL, VOCABULARY, SEED), machine.device, BATCH, machine.compile)
    optimizer = Optimizer(model, OPTIMIZER, NUMERICS)
    batches = tokens.reshape(STEPS, BATCH, MODEL.context + 1)
    require_products(model, batches[0], world)
    for step, batch in enumerate(batches):
        loss = gradients(model.train(), batch, machine.micro_batches, world)
        optimizer.step(step, STEPS, optimizer.gradient_norm())
    tensors = {**weights_of(model), **optimizer.state}
    whole = hashlib.sha256()
    for name in sorted(tensors):
        values = tensors[name].detach().cpu().contiguous().numpy()
        whole.update(f"{name} {values.dtype.str} {values.shape}\n".encode() + values.tobytes())
    return whole.hexdigest(), loss


def status(report: dict[str, Any]) -> int:
    return int(not report["same"])
