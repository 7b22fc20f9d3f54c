"""AdamW, and Muon for the hidden matrices: state and weights in float32, quotients in the precision of the numerics.

State and weights are touched only by separate multiplications and additions, which every processor rounds alike; all
else (square roots, divisions, products of matrices) goes into an update that is rounded to its grid before it is used.

Sources: Loshchilov and Hutter 2019 (AdamW), Jordan et al. 2024 (Muon), Liu et al. 2025, arXiv 2502.16982 (the scale
that gives Muon's update the root mean square of AdamW's).
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import groupby
from typing import Literal

import numpy as np
import torch
from torch import Tensor, nn

from train.training.numerics import NumericsConfig

NEWTON_SCHULZ = (3.4445, -4.7750, 2.0315)


@dataclass(frozen=True)
class OptimizerConfig:
    name: Literal["adamw", "muon"]  # muon: for hidden matrices; AdamW for embeddings, head and norms
    learning_rate: float  # of AdamW, at the top of the schedule
    matrix_learning_rate: float  # of Muon, likewise
    beta1: float
    beta2: float
    epsilon: float
    momentum: float  # of Muon
    newton_schulz_steps: int
    weight_decay: float  # on matrices, embeddings included; never on norms
    clip: float  # largest norm of the whole gradient
    schedule: Literal["cosine", "linear", "warmup_stable_decay"]
    warmup_steps: int
    decay_fraction: float  # of the steps, for warmup_stable_decay

    def __post_init__(self) -> None:
        for name in ("learning_rate", "matrix_learning_rate", "epsilon", "clip"):
            if getattr(self, name) <= 0:
                raise ValueError(f"{name}: expected above 0, got {getattr(self, name)}")
        for name in ("beta1", "beta2", "momentum"):
            if not 0 <= getattr(self, name) < 1:
                raise ValueError(f"{name}: expected 0 <= {name} < 1, got {getattr(self, name)}")
        if self.newton_schulz_steps < 1 or self.warmup_steps < 0 or self.weight_decay < 0:
            raise ValueError("newton_schulz_steps must be at least 1, warmup_steps and weight_decay at least 0")
        if not 0 < self.decay_fraction <= 1:
            raise ValueError(f"decay_fraction: expected above 0 and at most 1, got {self.decay_fraction}")


def schedule(config: OptimizerConfig, step: int, steps: int) -> float:
    """The share of the learning rate that `step` (from 0) of `steps` uses, rounded to float32.

    Rounded because the cosine's last bit is the platform's, and the share multiplies what is kept.
    """
    if step < config.warmup_steps:
        share = (step + 1) / config.warmup_steps
    else:
        left = (steps - step) / max(1, steps - config.warmup_steps)
        if config.schedule == "cosine":
            share = 0.5 - 0.5 * math.cos(math.pi * left)
        elif config.schedule == "linear":
            share = left
        else:
            share = min(1.0, (steps - step) / max(1, round(steps * config.decay_fraction)))
    return float(np.float32(share))


class Optimizer:
    """Applies gradients to a model. `state` maps "<parameter>.<moment>" to float32 tensors; it is all there is."""

    def __init__(self, model: nn.Module, config: OptimizerConfig, numerics: NumericsConfig) -> None:
        self.config, self.numerics = config, numerics
        self.parameters = dict(model.named_parameters())
        self.matrices = [
            name
            for name, p in self.parameters.items()
            if config.name == "muon" and p.dim() == 2 and "embed_tokens" not in name and "lm_head" not in name
        ]
        self.state: dict[str, Tensor] = {}
        for name, parameter in self.parameters.items():
            for moment in ("momentum",) if name in self.matrices else ("first", "second"):
                self.state[f"{name}.{moment}"] = torch.zeros_like(parameter, dtype=torch.float32)

    def gradient_norm(self) -> float:
        """Norm of the whole gradient, before clipping."""
        return math.sqrt(sum(float(_gradient(p).square().sum()) for p in self.parameters.values()))

    @torch.no_grad()
    def step(self, number: int, steps: int, gradient_norm: float) -> None:
        """One update with step `number` (from 0) of `steps`; gradients are used up."""
        share = schedule(self.config, number, steps)
        clip = min(1.0, self.config.clip / (gradient_norm + 1e-12))
        gradients = {name: self.numerics.keep(_gradient(p) * clip) for name, p in self.parameters.items()}
        for name, update in self._updates(gradients, number + 1):
            parameter = self.parameters[name]
            top = self.config.matrix_learning_rate if name in self.matrices else self.config.learning_rate
            rate = float(np.float32(top * share))
            weight = parameter.float()
            if parameter.dim() == 2:
                weight = weight * float(np.float32(1 - rate * self.config.weight_decay))
            parameter.copy_(weight - self.numerics.keep(update) * rate)
            parameter.grad = None

    def _updates(self, gradients: dict[str, Tensor], count: int) -> Iterator[tuple[str, Tensor]]:
        for name, gradient in gradients.items():
            if name not in self.matrices:
                yield name, self._adamw(name, gradient, count)
        shape = lambda name: tuple(gradients[name].shape)  # noqa: E731
        for _, names in groupby(sorted(self.matrices, key=shape), key=shape):
            group = list(names)
            stacked = torch.stack([self._nesterov(name, gradients[name]) for name in group])
            yield from zip(group, orthogonalised(stacked, self.config.newton_schulz_steps), strict=True)

    def _adamw(self, name: str, gradient: Tensor, count: int) -> Tensor:
        beta1, beta2 = self.config.beta1, self.config.beta2
        first, second = self.state[f"{name}.first"], self.state[f"{name}.second"]
        # Separate products and sums: a fused multiply-add rounds once where these round twice.
        first.mul_(beta1).add_(gradient * (1 - beta1))
        second.mul_(beta2).add_((gradient * gradient) * (1 - beta2))
        mean = first.to(self.numerics.compute) / (1 - beta1**count)
        spread = second.to(self.numerics.compute) / (1 - beta2**count)
        return mean / (spread.sqrt() + self.config.epsilon)

    def _nesterov(self, name: str, gradient: Tensor) -> Tensor:
        momentum = self.state[f"{name}.momentum"]
        momentum.mul_(self.config.momentum).add_(gradient)
        return (gradient + momentum * self.config.momentum).to(self.numerics.compute)


def orthogonalised(matrices: Tensor, steps: int) -> Tensor:
    """The matrices [n, rows, columns] with their singular values pushed towards 1, scaled to AdamW's update size.

    Newton-Schulz with the quintic of Jordan et al. 2024; the scale is 0.2 sqrt(max(rows, columns)).
    """
    a, b, c = NEWTON_SCHULZ
    rows, columns = matrices.shape[1:]
    x = matrices.mT if rows > columns else matrices
    x = x / (x.norm(dim=(1, 2), keepdim=True) + 1e-30)
    for _ in range(steps):
        gram = x @ x.mT
        x = torch.baddbmm(x, torch.baddbmm(gram, gram, gram, beta=b, alpha=c), x, beta=a)
    x = x.mT if rows > columns else x
    return x * (0.2 * math.sqrt(max(rows, columns)))


def _gradient(parameter: Tensor) -> Tensor:
    return parameter.grad if parameter.grad is not None else torch.zeros_like(parameter)
