"""AdamW, and Muon for the hidden matrices: state and weights are float32 numbers.

Under `exact` an update takes separate multiplications, additions and divisions, which every processor rounds alike, and
the exact sums and products of `train.exact`; else torch's fused ones.

Sources: Loshchilov and Hutter 2019 (AdamW), Jordan et al. 2024 (Muon), Liu et al. 2025, arXiv 2502.16982 (the scale
that gives Muon's update the root mean square of AdamW's).
"""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import chain, groupby, product
from typing import Annotated, Any, Literal

import numpy as np
import torch
from annotated_types import Ge, Gt, Le, Lt
from torch import Tensor, nn
from torch.optim.adamw import adamw

from train import kernels
from train.config import Count, Natural, Positive
from train.exact import cosine, decay_sum, rsqrt, square_total
from train.training.distributed import gathered, held, is_share, shared_like
from train.training.numerics import NumericsConfig

NEWTON_SCHULZ = (3.4445, -4.7750, 2.0315)
RATIOS_EVERY = 50  # steps


Decay = Annotated[float, Ge(0), Lt(1)]


@dataclass(frozen=True)
class OptimizerConfig:
    """The update of the weights, and its rate over the steps."""

    name: Literal["adamw", "muon"]  # muon: for hidden matrices; AdamW for embeddings, head and norms
    learning_rate: Positive  # of AdamW, at the top of the schedule
    matrix_learning_rate: Positive  # of Muon, likewise
    beta1: Decay  # of the mean of the gradients, in AdamW
    beta2: Decay  # of the mean of their squares, in AdamW
    epsilon: Positive  # added to the root of that mean, in AdamW
    momentum: Decay  # of Muon
    newton_schulz_steps: Count  # iterations by which Muon makes its updates orthogonal
    weight_decay: Annotated[float, Ge(0)]  # on matrices, embeddings included; never on norms
    clip: Positive  # largest norm of the whole gradient
    schedule: Literal["cosine", "linear", "warmup_stable_decay"]  # the rate's form after the warm-up
    warmup_steps: Natural  # over which the rate rises from 0
    decay_fraction: Annotated[float, Gt(0), Le(1)]  # of the steps, for warmup_stable_decay
    base_width: Count | None  # of the model that the rates were found with; null: they are this model's own


def schedule(config: OptimizerConfig, step: int, steps: int) -> float:
    """The share of the learning rate that `step` (from 0) of `steps` uses, rounded to float32."""
    if step < config.warmup_steps:
        share = (step + 1) / config.warmup_steps
    else:
        left = (steps - step) / max(1, steps - config.warmup_steps)
        if config.schedule == "cosine":
            share = 0.5 - 0.5 * cosine(left / 2)
        elif config.schedule == "linear":
            share = left
        else:
            share = min(1.0, (steps - step) / max(1, round(steps * config.decay_fraction)))
    return float(np.float32(share))


class Optimizer:
    """Applies gradients to a model. `state` maps "<parameter>.<moment>" to float32 tensors; it is all there is.

    Every parameter is in one of four groups: `muon` or `hidden`, the hidden matrices under Muon or AdamW; `ends`, the
    embeddings and the head; `norms`, which alone do not decay.

    Rates that were found at one width hold at another, where `base_width` says the first one, by rules for the hidden
    matrices. Of AdamW they go down with the width, since an update moves each of as many inputs alike (muP: Yang et al.
    2022, arXiv 2203.03466). Of Muon they go down with its square root: the update's largest singular value is to stay
    the same (Yang, Simon and Bernstein 2023, arXiv 2310.17813), and `orthogonalised` makes it grow with the root. The
    decay is by the rate as it was found.
    """

    def __init__(self, model: nn.Module, config: OptimizerConfig, numerics: NumericsConfig) -> None:
        self.config, self.numerics = config, numerics
        self.fused = (getattr(model, "exact", None) or kernels.Exact()).fused
        self.parameters = dict(model.named_parameters())
        self.groups: dict[str, list[str]] = {"muon": [], "hidden": [], "ends": [], "norms": []}
        for name, p in self.parameters.items():
            end = "embed_tokens" in name or "lm_head" in name
            hidden = "muon" if config.name == "muon" else "hidden"
            self.groups["norms" if p.dim() != 2 else "ends" if end else hidden].append(name)
        assert sorted(chain(*self.groups.values())) == sorted(self.parameters), "groups must partition the parameters"
        (width,) = {p.shape[-1] for name, p in self.parameters.items() if "embed_tokens" in name}
        narrower = (config.base_width or width) / width
        muon, adamw = config.matrix_learning_rate, config.learning_rate
        self.rates = {"muon": muon * math.sqrt(narrower), "hidden": adamw * narrower, "ends": adamw, "norms": adamw}
        self.decays = {"muon": muon, "hidden": adamw, "ends": adamw, "norms": 0.0}
        self.state: dict[str, Tensor] = {}
        for group, names in self.groups.items():
            for moment, name in product(("momentum",) if group == "muon" else ("first", "second"), names):
                self.state[f"{name}.{moment}"] = torch.zeros_like(self.parameters[name], dtype=torch.float32)

    def gradient_norm(self) -> float:
        """Norm of the whole gradient, before clipping."""
        if self.numerics.exact:
            return math.sqrt(math.fsum(_squares(gathered(_gradient(p)), self.fused) for p in self.parameters.values()))
        return float(gathered(nn.utils.get_total_norm([_gradient(p) for p in self.parameters.values()])))

    @torch.no_grad()
    def step(self, number: int, steps: int, gradient_norm: float) -> dict[str, Any]:
        """One update with step `number` (from 0) of `steps`; gradients are used up. Returns what to record of it.

        That is the rates of AdamW and of Muon, and every RATIOS_EVERY steps the norm of each parameter's change over
        that of the parameter before it.
        """
        share = schedule(self.config, number, steps)
        clip = min(1.0, self.config.clip / (gradient_norm + 1e-12))
        report: dict[str, Any] = {"learning_rate": self.config.learning_rate * share}
        if self.groups["muon"]:
            report["matrix_learning_rate"] = self.rates["muon"] * share
        look = number % RATIOS_EVERY == 0
        before = {name: p.detach().clone() for name, p in self.parameters.items()} if look else {}
        (self._step_apart if self.numerics.exact else self._step_fused)(number + 1, share, clip)
        if look:
            report["update_to_weight"] = {n: _ratio(self.parameters[n], before[n], self.fused) for n in before}
        for parameter in self.parameters.values():
            parameter.grad = None
        return report

    def _step_apart(self, count: int, share: float, clip: float) -> None:
        """Step `count` (from 1) in separate products and sums: a fused one rounds once where these round twice."""
        betas = (self.config.beta1, self.config.beta2)
        means = chain(*((beta, 1 - beta, 1 / decay_sum(beta, count)) for beta in betas))
        moving = torch.tensor([*means, self.config.epsilon])
        for group, names in self.groups.items():
            stay = _stays(self.decays[group] * share, self.config.weight_decay)
            changes = torch.tensor([stay, self.rates[group] * share])
            if group == "muon":
                clipped = {name: (_gradient(self.parameters[name]) * clip).float() for name in names}
                for name, update in self._muon(clipped):
                    weight = held(self.parameters[name]).view(-1)
                    self.fused(_change, True)(weight, held(update).reshape(-1), changes)
                continue
            for name in names:
                moments = (self.state[f"{name}.{moment}"] for moment in ("first", "second"))
                rows = (held(tensor).view(-1) for tensor in (self.parameters[name], *moments))
                gradient = held(_gradient(self.parameters[name])).reshape(-1)
                self.fused(_adamw, True)(*rows, gradient, torch.tensor(clip, dtype=torch.float64), moving, changes)

    def _step_fused(self, count: int, share: float, clip: float) -> None:
        """Step `count` (from 1): torch's fused AdamW, and Muon's matrices all at once."""
        gradients = {name: _gradient(p) for name, p in self.parameters.items()}
        if clip < 1:
            torch._foreach_mul_(list(gradients.values()), clip)
        for group, names in self.groups.items():
            parameters: list[Tensor] = [self.parameters[name] for name in names]
            rate, decay = self.rates[group] * share, self.decays[group] * share * self.config.weight_decay
            if names and group == "muon":
                updates = dict(self._muon(gradients))
                torch._foreach_mul_(parameters, 1 - decay)
                torch._foreach_sub_(parameters, [updates[name] for name in names], alpha=rate)
            elif names:
                adamw(
                    parameters,
                    [gradients[name] for name in names],
                    [self.state[f"{name}.first"] for name in names],
                    [self.state[f"{name}.second"] for name in names],
                    [],
                    list(torch.full((len(names),), count - 1.0, device=parameters[0].device).unbind()),
                    fused=True,
                    amsgrad=False,
                    maximize=False,
                    beta1=self.config.beta1,
                    beta2=self.config.beta2,
                    lr=rate,
                    weight_decay=decay / rate,
                    eps=self.config.epsilon,
                )

    def _muon(self, gradients: dict[str, Tensor]) -> Iterator[tuple[str, Tensor]]:
        """The updates of Muon's matrices, those of one shape orthogonalised together."""
        # What the ranks hold shares of is gathered one by one: all together would be the whole model.
        shape = lambda name: (*gradients[name].shape, is_share(gradients[name]) and name)  # noqa: E731
        for _, group in groupby(sorted(self.groups["muon"], key=shape), key=shape):
            names = list(group)
            directions = torch.stack([gathered(self._nesterov(name, gradients[name])) for name in names])
            if self.numerics.exact:
                updates = kernels.orthogonalised(directions, self.config.newton_schulz_steps, NEWTON_SCHULZ, self.fused)
            else:
                products = self.numerics.products(directions.device.type)
                updates = orthogonalised(directions.to(products), self.config.newton_schulz_steps).float()
            updates = updates * _muon_scale(updates)
            for name, update in zip(names, updates, strict=True):
                yield name, shared_like(update, self.parameters[name])

    def _nesterov(self, name: str, gradient: Tensor) -> Tensor:
        momentum = self.state[f"{name}.momentum"]
        momentum.mul_(self.config.momentum).add_(gradient)
        return gradient + momentum * self.config.momentum


def _adamw(
    weight: Tensor, first: Tensor, second: Tensor, gradient: Tensor, clip: Tensor, moving: Tensor, changes: Tensor
) -> None:
    """AdamW under `exact`, of one parameter: its numbers in a row, its moments, and what `moving` means are made of."""
    stay1, new1, whole1, stay2, new2, whole2, epsilon = moving
    gradient = (gradient * clip).float()
    first.mul_(stay1).add_(gradient * new1)
    second.mul_(stay2).add_((gradient * gradient).mul_(new2))
    mean, spread = first * whole1, second * whole2
    _change(weight, mean.div_((spread * rsqrt(spread)).add_(epsilon)), changes)


def _change(weight: Tensor, update: Tensor, changes: Tensor) -> None:
    """Let a weight decay, and go against an update: `changes` are what stays of it, and the rate."""
    stay, rate = changes
    weight.copy_((weight.float() * stay).sub_(update * rate))


def orthogonalised(matrices: Tensor, steps: int) -> Tensor:
    """The matrices [n, rows, columns] with their singular values pushed towards 1.

    Newton-Schulz with the quintic of Jordan et al. 2024.
    """
    a, b, c = NEWTON_SCHULZ
    rows, columns = matrices.shape[1:]
    x = matrices.mT if rows > columns else matrices
    x = x / (x.norm(dim=(1, 2), keepdim=True) + 1e-30)
    for _ in range(steps):
        gram = x @ x.mT
        x = torch.baddbmm(x, torch.baddbmm(gram, gram, gram, beta=b, alpha=c), x, beta=a)
    return x.mT if rows > columns else x


def _muon_scale(matrices: Tensor) -> float:
    """What gives orthogonal [n, rows, columns] the root mean square of AdamW's updates."""
    return float(np.float32(0.2 * math.sqrt(max(matrices.shape[1:]))))


def _stays(rate: float, decay: float) -> float:
    """What a step of decay leaves of a weight."""
    return float(np.float32(1 - float(np.float32(rate)) * decay))


def _ratio(now: Tensor, before: Tensor, fused: Callable[..., Any]) -> float:
    """The norm of a change by that of what was changed, to three digits; 0 where that was nothing."""
    size, change = (math.sqrt(_squares(gathered(x), fused)) for x in (before, now - before))
    return float(f"{change / size:.3g}") if size else 0.0


def _squares(x: Tensor, fused: Callable[..., Any]) -> float:
    """The sum of squares of all of `x`."""
    return float(fused(square_total, True)(x.reshape(1, -1, x.shape[-1])))


def _gradient(parameter: Tensor) -> Tensor:
    return parameter.grad if parameter.grad is not None else torch.zeros_like(parameter)
