"""What the model computes under the contract `exact`: the plain mathematics of `train.model`, in exact arithmetic.

Activations are float32. Weights are float32 numbers in float64 tensors, so that their gradients are float64 sums: of
multiples of one power of two, exact in whatever order sequences, micro-batches and ranks come. Gradients are those of
the sum of nats, not of a mean, so no split enters them; what two functions give one tensor is added by autograd, and
two numbers have one sum. Three never meet there: one function takes all that read the same tensor.

Operands are on one grid a group of sequences, a matrix, or a head of a sequence; where small numbers count, a line.

At the end stand the two functions with backward passes of our own that the other contracts compute in floating point.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor
from torch.autograd import Function

from train.exact import (
    LENGTH,
    PIECE,
    ROW_PIECE,
    exp,
    fused,
    grid_of,
    line_normed,
    log,
    normed,
    power_above,
    product,
    rsqrt,
    scalar,
    sigmoid,
    slices,
    square_total,
    summed,
    to_fixed,
    to_row_grids,
    total,
)

POSITIONS = 256  # whose logits stand in memory together
TOGETHER = 4  # groups whose gradients of a matrix do
SCORES = 2**19  # whose makings a processor's cache holds together
SUMMED = 2**16  # probabilities whose sum, in 2^-8 or in finer grids of the rest, is below 2^24
ATTENDED = 256  # keys or queries that one product with probabilities adds up
# Finest grids of operands, and the most that terms of a gradient may add up to: float64 holds 2^53 multiples.
ACTIVATIONS, GRADIENTS, MATRICES = 2.0**-12, 2.0**-24, 2.0**17  # multiples of 2^-36
STATES, TABLES = 2.0**-8, 2.0**20  # of the head, multiples of 2^-32; twice where it is the embedding too
FIXED, GAINS = 2.0**-26, 2.0**27  # of what is summed over tokens outside products


@dataclass(frozen=True)
class Exact:
    """How a step is cut: sequences that share grids, and the groups of them that one gradient adds up."""

    sequences: int = 1
    groups: int = 1
    compiled: bool = False  # by torch's compiler also what stands outside the layers

    @classmethod
    def of(cls, batch: int, context: int, group: int) -> "Exact":
        """For a step of `batch` sequences of `context` tokens, in groups of at most `group` or of one sequence."""
        sequences = math.gcd(batch, max(1, group // context))
        return cls(sequences, batch // sequences)

    def fused(self, function: Callable[..., Any], dynamic: bool = False) -> Callable[..., Any]:
        """`function`, compiled where a run is."""
        return fused(function, dynamic) if self.compiled else function

    def part(self, x: Tensor) -> float:
        """How much of a step is x [sequences, ..]."""
        return len(x) / (self.sequences * self.groups)

    def grouped(self, x: Tensor) -> Tensor:
        """x [sequences, length, width] as [groups, tokens, width]."""
        return x.reshape(len(x) // math.gcd(len(x), self.sequences), -1, x.shape[-1])

    def projected(self, x: Tensor, *weights: Tensor) -> tuple[Tensor, ...]:
        """x [sequences, length, in] times each of some matrices [out, in]."""
        projections: tuple[Tensor, ...] = Projections.apply(x, self, *weights)
        return projections

    def attention(self, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        """What each query [n, heads, length, width] sees of keys and values [n, kv_heads, length, width].

        A processor computes as many sequences at a time as its cache holds.
        """
        whole = torch.compiler.is_compiling() or not q.is_cpu
        size = len(q) if whole else max(1, SCORES // (q.shape[1] * q.shape[2] ** 2))
        parts = zip(*(x.split(size) for x in (q, k, v)), strict=True)
        return torch.cat([CausalAttention.apply(*part) for part in parts])


@dataclass(frozen=True)
class Fine(Exact):
    """Forward alone and finer, for whoever measures: float64 products of 20 bits each, on a grid a row.

    So what a token comes to depends on itself and those before it, not on what else is computed beside them.
    """

    matrices: dict[Tensor, Tensor] = field(default_factory=dict, compare=False)  # weights -> the same on their grids

    def projected(self, x: Tensor, *weights: Tensor) -> tuple[Tensor, ...]:
        rows = to_row_grids(x)
        for weight in weights:  # which nobody changes meanwhile
            if weight not in self.matrices:
                self.matrices[weight] = to_row_grids(weight)
        return tuple(product(rows, self.matrices[weight].mT, ROW_PIECE).float() for weight in weights)

    def attention(self, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        """As above, where keys and values may begin with those of earlier queries. |v| is at most 2^13, else NaN.

        Probabilities are multiples of 2^-18, values of 2^-10 and what that leaves of 2^-24: 2^12 of their products
        add up to at most 2^53.
        """
        k, v = (x.repeat_interleave(q.shape[1] // k.shape[1], 1) for x in (k, v))
        scores = product(to_row_grids(q), to_row_grids(k).mT, ROW_PIECE).float().mul_(_scale(q))
        later = torch.ones(scores.shape[-2:], dtype=torch.bool, device=q.device).triu_(k.shape[2] - q.shape[2] + 1)
        scores = scores.masked_fill_(later, -1e30)
        p = to_fixed(exp(scores - scores.amax(-1, keepdim=True)), 2.0**-18)
        coarse = to_fixed(torch.where(v.abs() <= 2.0**13, v, math.nan), 2.0**-10)
        parts = (coarse, to_fixed(v.double() - coarse, 2.0**-24))
        return _added(product(p, part, 2**12) for part in parts).div_(summed(p, -1)).float()


def bounded(gradient: Tensor, bound: Tensor, limit: float) -> Tensor:
    """`gradient`, where its terms cannot add up to more than `limit`; else with NaN, which stops a run."""
    gradient.view(-1)[:1].add_(torch.where(bound <= limit, scalar(0.0), scalar(math.nan)))
    return gradient


def _over_tokens(dy: Tensor, dy_grid: Tensor, x: Tensor, x_grid: Tensor, exact: Exact) -> Tensor:
    """Gradient [out, in] of a matrix from `normed` gradients [groups, n, out] and inputs [groups, n, in], in float64.

    A group's product is at most 2^24 grids for each piece of its tokens.
    """
    out = torch.zeros(dy.shape[2], x.shape[2], dtype=torch.float64, device=x.device)
    for gradients, inputs in zip(dy.split(TOGETHER), x.split(TOGETHER), strict=True):
        for part in product(gradients.mT, inputs):
            out.add_(part)
    pieces = -(-x.shape[1] // PIECE)
    return bounded(out, (dy_grid * x_grid).amax() * (2.0**24 * pieces * exact.groups), MATRICES)


def _of_gains(aligned: Tensor, exact: Exact) -> Tensor:
    """Sum of [sequences, .., width] over all but the last axis, in float64, each value rounded to FIXED."""
    rows = aligned.reshape(-1, aligned.shape[-1])
    return bounded(summed(to_fixed(rows, FIXED), 0)[0], rows.abs().amax() * len(rows), GAINS * exact.part(aligned))


class Projections(Function):
    """x [sequences, length, in] times each of some matrices [out, in] -> [sequences, length, out] each."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, exact: Exact, *weights: Tensor) -> tuple[Tensor, ...]:
        inputs, grid = normed(exact.grouped(x), ACTIVATIONS)
        matrices = [normed(weight.float())[0] for weight in weights]
        ctx.exact = exact
        ctx.save_for_backward(inputs, grid, *matrices)
        flat = inputs.flatten(0, 1)
        return tuple(product(flat, w.mT).view(*x.shape[:-1], -1) for w in matrices)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Any, ...]:
        inputs, grid, *matrices = ctx.saved_tensors
        dx, dws = None, []
        for gradient, matrix in zip(gradients, matrices, strict=True):
            dy, dy_grid = normed(gradient.reshape(*inputs.shape[:2], -1), GRADIENTS)
            dws.append(_over_tokens(dy, dy_grid, inputs, grid, ctx.exact))
            part = product(dy.flatten(0, 1), matrix)
            dx = part if dx is None else dx.add_(part)
        assert dx is not None
        return dx.view(*gradients[0].shape[:-1], -1), None, *dws


class Norm(Function):
    """x [.., width] over its root mean square, times `weight` [width]."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, epsilon: float, exact: Exact) -> Tensor:
        scale = rsqrt(total(x * x).mul_(1 / x.shape[-1]).add_(epsilon).float())
        normal, gain = x * scale, weight.float()
        ctx.exact = exact
        ctx.save_for_backward(normal, scale, gain)
        return normal * gain

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, Tensor, None, None]:
        normal, scale, gain = ctx.saved_tensors
        dweight = _of_gains(gradient * normal, ctx.exact)
        dx = gradient * gain
        along = total(dx * normal).mul_(1 / normal.shape[-1]).float()
        return dx.sub_(normal * along).mul_(scale), dweight, None, None


class CausalAttention(Function):
    """Queries [n, heads, length, width], keys and values [n, kv_heads, length, width] -> like the queries.

    Probabilities are not divided by their sum before the product with the values, but what comes of it: at most 1, they
    are on a grid known beforehand, on which ATTENDED of them measure 2^12. A query learns what to attend to by those
    that are small: they and their gradients go in two slices.
    """

    @staticmethod
    def forward(ctx: Any, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        q, k, v = (normed(x)[0] for x in (q, k, v))
        ctx.heads = q.shape[1] // k.shape[1]
        if ctx.heads > 1:
            k, v = (x.repeat_interleave(ctx.heads, 1) for x in (k, v))
        length = q.shape[2]
        ctx.scale = scalar(_scale(q))
        scores = product(q, k.mT).mul_(ctx.scale)
        scores.add_(torch.full((length, length), -1e30, device=q.device).triu_(1))  # -1e30 whatever it is added to
        p = exp(scores.sub_(scores.amax(-1, keepdim=True)))
        ctx.grid = 2.0 ** (math.ceil(math.log2(min(length, ATTENDED)) / 2) - LENGTH)
        parts = slices(p, ctx.grid, ATTENDED)
        sums = _added(summed(keys, -1) for part in parts for keys in part.split(SUMMED, -1))
        y = _added(product(part, v, ATTENDED) for part in parts).div_(sums)
        ctx.save_for_backward(q, k, v, sums, y, *parts)
        return y

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        q, k, v, sums, y, *parts = ctx.saved_tensors
        p, dy = _added(parts).div_(sums), normed(gradient)[0]
        dv = _added(product(part.mT, dy, ATTENDED) for part in slices(p, ctx.grid, ATTENDED))
        dscores = product(dy, v.mT).sub_(total(dy * y).float()).mul_(p).mul_(ctx.scale)
        parts = slices(dscores, grid_of(dscores))
        dq, dk = _added(product(part, k) for part in parts), _added(product(part.mT, q) for part in parts)
        return dq, _shared(dk, ctx.heads), _shared(dv, ctx.heads)


def _scale(q: Tensor) -> float:
    return float(np.float32(1 / math.sqrt(q.shape[3])))


def _added(parts: Any) -> Tensor:
    """The sum of tensors in their order."""
    first, *others = parts
    for other in others:
        first = first + other
    return first  # type: ignore[no-any-return]


def _shared(gradient: Tensor, heads: int) -> Tensor:
    """The gradient [n, heads of queries, ..] of keys or values that `heads` heads of queries share."""
    return _added(gradient.unflatten(1, (-1, heads)).unbind(2))


class SwiGLU(Function):
    """silu(gate) * up, element by element."""

    @staticmethod
    def forward(ctx: Any, gate: Tensor, up: Tensor) -> Tensor:
        s = sigmoid(gate)
        ctx.save_for_backward(gate, up, s)
        return (gate * s).mul_(up)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, Tensor]:
        gate, up, s = ctx.saved_tensors
        slope = (scalar(1.0) - s).mul_(gate).add_(scalar(1.0)).mul_(s)
        return (gradient * up).mul_(slope), (gate * s).mul_(gradient)


class Embedding(Function):
    """Rows of a table [vocabulary, width] for tokens [sequences, length]."""

    @staticmethod
    def forward(ctx: Any, table: Tensor, tokens: Tensor, exact: Exact) -> Tensor:
        ctx.exact, ctx.rows = exact, len(table)
        ctx.save_for_backward(tokens)
        return table[tokens].float()

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None, None]:
        (tokens,) = ctx.saved_tensors
        rows = gradient.flatten(0, 1)
        dtable = torch.zeros(ctx.rows, rows.shape[1], dtype=torch.float64, device=rows.device)
        fixed, largest = ctx.exact.fused(_fixed_rows)(rows)
        dtable.index_add_(0, tokens.flatten(), fixed)
        most = largest.new_zeros(ctx.rows).index_add_(0, tokens.flatten(), largest).amax()
        return bounded(dtable, most, TABLES * ctx.exact.part(tokens)), None, None


def _fixed_rows(rows: Tensor) -> tuple[Tensor, Tensor]:
    """Rows in multiples of FIXED, and a power of two that none of each one's values passes; float64."""
    return to_fixed(rows, FIXED), power_above(rows.abs().amax(1)).double()


class CrossEntropy(Function):
    """Sum of nats of `targets` [sequences, length] after states [sequences, length, width] and a head; float64.

    Gradients are computed on the way, a piece of a group at a time. Probabilities go in two slices: 12 bits of them are
    too few where the vocabulary is large. Each token's are on grids of their own, for AdamW makes whole steps of the
    least gradient: those of improbable tokens must not be rounded to 0 beside others'. The probability of the target
    less one is two terms, of which the second needs no sum.
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor, head: Tensor, targets: Tensor, exact: Exact) -> Tensor:
        nats = torch.zeros((), dtype=torch.float64, device=x.device)
        rows, columns = (line_normed(head.float(), dim) for dim in (-1, -2))  # for logits, and for gradients of states
        wanted = ctx.needs_input_grad[0]
        dx, dhead = torch.empty_like(x), torch.zeros_like(head) if wanted else head.new_empty(0)
        pieces, flat = [_pieces(exact.grouped(each)) for each in (x, dx)], targets.flatten()
        sizes, grids = [piece[..., 0].numel() for piece in pieces[0]], []
        for states, part, target in zip(*pieces, flat.split(sizes), strict=True):
            inputs, grid = normed(states, STATES)
            p, sums, costs = exact.fused(_costs)(inputs, rows, target)
            nats += costs
            if wanted:
                gradient, coarse = exact.fused(_by_head)(p, sums, target, inputs, columns, dhead)
                part.copy_(gradient)
                dhead.index_add_(0, target, -inputs.double().flatten(0, 1))
                grids.append((coarse * grid.view(-1)).sum())
        if wanted:
            chosen = torch.zeros(len(head), device=x.device).index_add_(0, flat, torch.ones(len(flat), device=x.device))
            most = torch.stack(grids).sum() * 2.0**25 + chosen.amax() * x.abs().amax()
            bounded(dhead, most, TABLES * exact.part(x))
        ctx.save_for_backward(dx, dhead)
        return nats

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, Tensor, None, None]:
        dx, dhead = ctx.saved_tensors
        return dx * gradient.float(), dhead * gradient, None, None  # exact where it is a power of two


def _costs(x: Tensor, head: Tensor, target: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Of normed states x [g, n, width] and head: e^(logits - the largest), its sums, and the nats of the targets."""
    logits = product(x, head.mT)
    logits = logits.sub_(logits.amax(-1, keepdim=True))
    p = exp(logits)
    sums = summed(to_fixed(p, 2.0**-36), -1)
    costs = log(sums).sub_(logits.gather(-1, target.view(sums.shape)))
    return p, sums, summed(to_fixed(costs.flatten(), FIXED), 0)[0]


def _by_head(p: Tensor, sums: Tensor, target: Tensor, x: Tensor, head: Tensor, dhead: Tensor) -> tuple[Tensor, Tensor]:
    """Gradient of states x [g, n, width] by p [g, n, vocabulary], and the coarsest of p's grids of tokens, [g].

    That of the head is added to `dhead`. x and head are operands already, head on grids of its columns.

    A token's probabilities measure at most 16 of the largest, for POSITIONS is 16^2. A state's largest is 1 / sums, and
    their squares add up to that at most, as they add up to 1: a hundredth more leaves room for rounding.
    """
    root = rsqrt(sums.float())
    p.div_(sums.float())
    columns = power_above(p.amax(-2, keepdim=True)).mul_(2.0**-8).clamp_(min=GRADIENTS * 2.0**8)
    for part in slices(p, columns, POSITIONS):
        for gradient in product(part.mT, x):
            dhead.add_(gradient)
    rows = power_above(torch.maximum(root * 1.01, root * root * 2.0)).mul_(2.0**-LENGTH)
    coarse, fine = (product(part, head) for part in slices(p, rows))
    return coarse.add_(fine).sub_(head[target].view_as(coarse)), columns.amax((-1, -2))


def _pieces(x: Tensor) -> list[Tensor]:
    """x [groups, tokens, width] in pieces of some POSITIONS tokens, each of whole groups or of one."""
    return [piece for part in x.split(max(1, POSITIONS // x.shape[1])) for piece in part.split(POSITIONS, 1)]


def orthogonalised(
    matrices: Tensor, steps: int, quintic: tuple[float, float, float], fused: Any = Exact().fused
) -> Tensor:
    """float32 [n, rows, columns] with singular values near 1: Newton and Schulz's iteration, each product exact."""
    a, b, c = (float(np.float32(number)) for number in quintic)
    rows, columns = matrices.shape[1:]
    x = matrices.mT.contiguous() if rows > columns else matrices
    x = x * (1.0 / power_above(x.abs().amax((1, 2), keepdim=True)).clamp_(2.0**-126, 2.0**126))
    x = x * rsqrt(square_total(x).float()).view(-1, 1, 1)
    for _ in range(steps):
        x = fused(_newton_schulz)(x, a, b, c)
    return x.mT if rows > columns else x


def _newton_schulz(x: Tensor, a: float, b: float, c: float) -> Tensor:
    """a x + (b x x' + c (x x')^2) x."""
    operand = normed(x)[0]
    gram = product(operand, operand.mT)
    square = normed(gram)[0]
    polynomial = product(square, square).mul_(c).add_(gram.mul_(b))
    return product(normed(polynomial)[0], operand).add_(x * a)


# In floating point, under the other contracts ----------------------------------------------------------------------


class FusedRMSNorm(Function):
    """RMSNorm in floating point with a backward of few passes: y = w * x / sqrt(mean(x^2) + eps), x [.., D], w [D]."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, epsilon: float) -> Tensor:
        scale = torch.rsqrt(x.square().mean(-1, keepdim=True) + epsilon)
        normal = x * scale
        ctx.save_for_backward(normal, scale, weight)
        return normal * weight

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, Tensor, None]:
        normal, scale, weight = ctx.saved_tensors
        aligned = grad * normal
        along = (aligned * weight).mean(-1, keepdim=True)  # the component of dL/dx along x
        dx = (grad * weight).addcmul_(normal, along, value=-1).mul_(scale)
        return dx, aligned.flatten(0, -2).sum(0), None


class ChunkedCrossEntropy(Function):
    """Output head and cross entropy in one, in floating point, some positions at a time, its gradients on the way.

    The logits of all positions never stand in memory together: they would be the largest tensor of the step by far,
    and writing and reading them costs as much time as the products themselves.
    """

    POSITIONS: ClassVar = {"cpu": 256, "cuda": 4096}  # at a time

    @staticmethod
    def forward(ctx: Any, x: Tensor, head: Tensor, targets: Tensor, products: torch.dtype) -> Tensor:
        """States [N, D], head [V, D], targets [N] of integers -> the sum of nats, a scalar.

        Products are of precision `products`, what is summed of that of `head`.
        """
        total = x.new_zeros((), dtype=head.dtype)
        # Transposed: measured, a product with a short last side takes twice as long.
        dx, dhead = torch.empty_like(x, dtype=products), head.new_zeros(head.shape[::-1])
        low, full = head.to(products), head.dtype
        size = ChunkedCrossEntropy.POSITIONS.get(x.device.type, 256)
        for start in range(0, len(x), size):
            part = slice(start, start + size)
            inputs = x[part].to(products)
            p = (inputs @ low.T).to(full)
            p -= p.amax(1, keepdim=True)
            target = targets[part, None]
            total -= p.gather(1, target).sum()
            p.exp_()
            normaliser = p.sum(1, keepdim=True)
            total += normaliser.log().sum()
            p /= normaliser
            p.scatter_add_(1, target, p.new_full((1, 1), -1.0).expand(len(p), 1))
            p = p.to(products)
            torch.mm(p, low, out=dx[part])
            if products == full:
                dhead.addmm_(inputs.T, p)
            else:
                dhead += inputs.T @ p
        ctx.save_for_backward(dx.to(x.dtype), dhead.T.contiguous())
        return total

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, Tensor, None, None]:
        dx, dhead = ctx.saved_tensors
        return dx * grad, dhead * grad, None, None
