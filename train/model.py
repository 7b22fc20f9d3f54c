"""The model, whole: a decoder-only transformer in the layout that Hugging Face calls Qwen3.

RMSNorm before each block, rotary positions, grouped-query attention with normalised queries and keys, SwiGLU, no
biases, optionally tied embeddings. Parameter names and `config.json` are those of `Qwen3ForCausalLM`, so a
checkpoint is a release without conversion.

Sources: Vaswani et al. 2017 (transformer), Zhang and Sennrich 2019 (RMSNorm), Su et al. 2021 (rotary positions),
Ainslie et al. 2023 (grouped queries), Henry et al. 2020 (QK-norm), Shazeer 2020 (SwiGLU).
"""

import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from train import kernels
from train.config import Count, Positive, build
from train.exact import normal, rotations
from train.kernels import Exact

Past = list[
    Tensor
]  # of a layer: the keys and the values of the tokens so far, each [batch, kv_heads, length, head_width]


@dataclass(frozen=True)
class ModelConfig:
    """Shape and initial state of the model; the vocabulary comes from the tokenizer."""

    layers: Count  # blocks of attention and feed-forward
    width: Count  # of the residual stream
    heads: Count  # of queries
    kv_heads: Count  # of keys and values, each shared by as many query heads: grouped-query attention
    head_width: Count  # of each head; even, for rotary positions
    hidden: Count  # inner width of the feed-forward block
    context: Count  # tokens
    rope_theta: Positive  # base of the wavelengths of rotary positions
    norm_epsilon: Positive  # added to the mean square in each RMSNorm
    tied_embeddings: bool  # whether the head shares the weights of the embedding
    init_std: Positive  # standard deviation of the initial weights
    zero_residual: bool  # projections back into the residual stream start at zero

    def __post_init__(self) -> None:
        if self.heads % self.kv_heads:
            raise ValueError(f"heads ({self.heads}) must be a multiple of kv_heads ({self.kv_heads})")
        if self.head_width % 2:
            raise ValueError(f"head_width: rotary positions need an even number, got {self.head_width}")


class Normalised(torch.autograd.Function):
    """x [..., width] over its root mean square, times `weight` [width], with a backward of few passes."""

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
        along = (aligned * weight).mean(-1, keepdim=True)  # what of dx would only change x's size
        dx = (grad * weight).addcmul_(normal, along, value=-1).mul_(scale)
        return dx, aligned.flatten(0, -2).sum(0), None


class Part(nn.Module):
    """A module that computes the same mathematics in one of two ways: torch's, or that of `train.kernels`."""

    exact: Exact | None = None


class RMSNorm(Part):
    def __init__(self, width: int, epsilon: float) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(width))
        self.epsilon = epsilon

    def forward(self, x: Tensor) -> Tensor:
        if self.exact:
            return kernels.Norm.apply(x, self.weight, self.epsilon, self.exact)
        return Normalised.apply(x.to(self.weight.dtype), self.weight, self.epsilon)  # in full also beside low products


class Attention(Part):
    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.head_width = config.head_width
        queries, keys = config.heads * config.head_width, config.kv_heads * config.head_width
        self.q_proj = nn.Linear(config.width, queries, bias=False)
        self.k_proj = nn.Linear(config.width, keys, bias=False)
        self.v_proj = nn.Linear(config.width, keys, bias=False)
        self.o_proj = nn.Linear(queries, config.width, bias=False)
        self.q_norm = RMSNorm(config.head_width, config.norm_epsilon)
        self.k_norm = RMSNorm(config.head_width, config.norm_epsilon)
        self.grouped = config.heads != config.kv_heads

    def forward(self, x: Tensor, cos: Tensor, sin: Tensor, past: Past | None = None) -> Tensor:
        batch, length, _ = x.shape
        heads = (batch, length, -1, self.head_width)
        q, k, v = (y.view(heads) for y in _projected(x, self.exact, self.q_proj, self.k_proj, self.v_proj))
        q = _rotate(self.q_norm(q).transpose(1, 2), cos, sin)
        k = _rotate(self.k_norm(k).transpose(1, 2), cos, sin)
        v = v.transpose(1, 2)
        if past is not None:
            past[:] = k, v = [torch.cat(pair, 2) for pair in zip(past, (k, v), strict=True)] if past else [k, v]
        causal, before = k.shape[2] == length, k.shape[2] - length
        # Of several tokens after earlier ones, each sees those and the new ones up to itself; a single one sees all.
        seen = None if causal or length == 1 else x.new_ones(length, k.shape[2], dtype=torch.bool).tril(before)
        if self.exact:
            y = self.exact.attention(q, k, v)
        elif x.is_cuda:
            y = F.scaled_dot_product_attention(q, k, v, seen, is_causal=causal, enable_gqa=self.grouped)
        else:  # never in lower precision: measured, it takes longer on a processor
            with torch.autocast("cpu", enabled=False):
                v = v.to(q.dtype)
                y = F.scaled_dot_product_attention(q, k, v, seen, is_causal=causal, enable_gqa=self.grouped)
        return _projected(y.transpose(1, 2).reshape(batch, length, -1), self.exact, self.o_proj)[0]


class FeedForward(Part):
    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.gate_proj = nn.Linear(config.width, config.hidden, bias=False)
        self.up_proj = nn.Linear(config.width, config.hidden, bias=False)
        self.down_proj = nn.Linear(config.hidden, config.width, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        gate, up = _projected(x, self.exact, self.gate_proj, self.up_proj)
        inner = kernels.SwiGLU.apply(gate, up) if self.exact else F.silu(gate) * up
        return _projected(inner, self.exact, self.down_proj)[0]


class Layer(nn.Module):
    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.self_attn = Attention(config)
        self.mlp = FeedForward(config)
        self.input_layernorm = RMSNorm(config.width, config.norm_epsilon)
        self.post_attention_layernorm = RMSNorm(config.width, config.norm_epsilon)

    def forward(self, x: Tensor, cos: Tensor, sin: Tensor, past: Past | None = None) -> Tensor:
        x = x + self.self_attn(self.input_layernorm(x), cos, sin, past)
        return x + self.mlp(self.post_attention_layernorm(x))


class Stack(Part):
    """What Qwen3 calls `model`: everything but the output head."""

    def __init__(self, config: ModelConfig, vocabulary: int) -> None:
        super().__init__()
        self.embed_tokens = nn.Embedding(vocabulary, config.width)
        self.layers = nn.ModuleList(Layer(config) for _ in range(config.layers))
        self.norm = RMSNorm(config.width, config.norm_epsilon)

    def forward(self, tokens: Tensor, cos: Tensor, sin: Tensor, past: Sequence[Past | None]) -> Tensor:
        table = self.embed_tokens
        x = kernels.Embedding.apply(table.weight, tokens, self.exact) if self.exact else table(tokens)
        for layer, mine in zip(self.layers, past, strict=True):
            x = layer(x, cos, sin, mine)
        return self.norm(x)


class CrossEntropy(torch.autograd.Function):
    """Output head and cross entropy in one, some positions at a time, its gradients computed on the way.

    The logits of all positions never stand in memory together: they would be the largest tensor of the step by far,
    and writing and reading them costs as much time as the products themselves.
    """

    POSITIONS: ClassVar = {"cpu": 256, "cuda": 4096}  # at a time

    @staticmethod
    def forward(ctx: Any, x: Tensor, head: Tensor, targets: Tensor, products: torch.dtype) -> Tensor:
        """States [n, width], head [vocabulary, width], targets [n] of integers -> the sum of nats, a scalar.

        Products are of precision `products`, what is summed of that of `head`.
        """
        total = x.new_zeros((), dtype=head.dtype)
        # Transposed: measured, a product with a short last side takes twice as long.
        dx, dhead = torch.empty_like(x, dtype=products), head.new_zeros(head.shape[::-1])
        low, full = head.to(products), head.dtype
        size = CrossEntropy.POSITIONS.get(x.device.type, 256)
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


class Transformer(Part):
    """Tokens [batch, length] of integers -> logits [batch, length, vocabulary], at most `context` tokens long."""

    cos: Tensor
    sin: Tensor

    def __init__(self, config: ModelConfig, vocabulary: int, seed: int = 0) -> None:
        super().__init__()
        self.config = config
        self.vocabulary = vocabulary
        self.low_precision = False  # whether `loss` computes products of matrices in bfloat16
        self.model = Stack(config, vocabulary)
        self.lm_head = nn.Linear(config.width, vocabulary, bias=False)
        if config.tied_embeddings:
            self.lm_head.weight = self.model.embed_tokens.weight
        cos, sin = _rotations(config)
        self.register_buffer("cos", cos, persistent=False)
        self.register_buffer("sin", sin, persistent=False)
        self._initialise(seed)

    def _initialise(self, seed: int) -> None:
        # Each tensor draws from a generator of its own, so adding a layer leaves the others' initial state alone.
        for name, parameter in self.named_parameters():
            if parameter.dim() < 2:
                continue
            values = normal([seed, zlib.crc32(name.encode())], parameter.numel()) * self.config.init_std
            if self.config.zero_residual and name.endswith(("o_proj.weight", "down_proj.weight")):
                values = np.zeros_like(values)
            with torch.no_grad():
                parameter.copy_(torch.from_numpy(values.astype(np.float32)).view_as(parameter))

    def compute_by(self, exact: Exact | None) -> None:
        """Compute from now on by `train.kernels`, cut as `exact` says, with weights in float64; or by torch."""
        for module in self.modules():
            if isinstance(module, Part):
                module.exact = exact

    def forward(self, tokens: Tensor) -> Tensor:
        return self.logits(self.hidden(tokens))

    def logits(self, states: Tensor) -> Tensor:
        """Last hidden states [.., width] -> [.., vocabulary]."""
        return _projected(states, self.exact, self.lm_head)[0]

    def hidden(self, tokens: Tensor, past: Sequence[Past] = ()) -> Tensor:
        """The last hidden states [batch, length, width], before the output head.

        With `past`, a list for each layer, empty at first, `tokens` go on from those of earlier calls, whose keys and
        values it keeps. ValueError when all together are more than the context.
        """
        start = past[0][0].shape[2] if past and past[0] else 0
        end = start + tokens.shape[1]
        if end > self.config.context:
            raise ValueError(f"{end} tokens are more than the context of {self.config.context}")
        cos, sin = (turn[start:end].float() if self.exact else turn[start:end] for turn in (self.cos, self.sin))
        return self.model(tokens, cos, sin, past or [None] * self.config.layers)

    def loss(self, tokens: Tensor, targets: Tensor) -> Tensor:
        """Sum over all positions of the nats that `targets` [batch, length] cost after `tokens` [batch, length]."""
        head = self.lm_head.weight
        if self.exact:
            return kernels.CrossEntropy.apply(self.hidden(tokens), head, targets, self.exact)
        with torch.autocast("cuda" if tokens.is_cuda else "cpu", torch.bfloat16, enabled=self.low_precision):
            x = self.hidden(tokens).flatten(0, 1)
        return CrossEntropy.apply(x, head, targets.flatten(), torch.bfloat16 if self.low_precision else head.dtype)

    def flops_per_token(self) -> int:
        """Forward and backward: 6 a weight in a product, and attention's 12 x layers x width x context.

        Source: Chowdhery et al. 2022 (PaLM), appendix B.
        """
        weights = sum(p.numel() for name, p in self.named_parameters() if p.dim() == 2 and "embed_tokens" not in name)
        if self.config.tied_embeddings:
            weights += self.model.embed_tokens.weight.numel()
        inner = self.config.heads * self.config.head_width
        return 6 * weights + 12 * self.config.layers * inner * self.config.context


def weights_of(model: Transformer) -> dict[str, Tensor]:
    """The weights as float32 tensors under their Hugging Face names, a tied head left out."""
    return {name: parameter.detach().to("cpu", torch.float32) for name, parameter in model.named_parameters()}


def load_weights(model: Transformer, weights: dict[str, Tensor]) -> None:
    """Copy `weights` into `model`, whatever its precision.

    Raises ValueError naming what is missing, unexpected, of another shape, or not finite.
    """
    expected = dict(model.named_parameters())
    if expected.keys() != weights.keys():
        raise ValueError(f"weights differ from the config in {sorted(expected.keys() ^ weights.keys())[:3]}")
    for name, parameter in expected.items():
        found = weights[name]
        if found.shape != parameter.shape:
            raise ValueError(f"{name}: shape {tuple(found.shape)}, the config says {tuple(parameter.shape)}")
        if not bool(torch.isfinite(found).all()):
            raise ValueError(f"{name}: holds values that are not finite")
        with torch.no_grad():
            parameter.copy_(found)


def hugging_face_config(config: ModelConfig, vocabulary: int, end_of_text: int) -> dict[str, Any]:
    """The contents of `config.json`, as `transformers` reads it."""
    return {
        "architectures": ["Qwen3ForCausalLM"],
        "model_type": "qwen3",
        "vocab_size": vocabulary,
        "hidden_size": config.width,
        "intermediate_size": config.hidden,
        "num_hidden_layers": config.layers,
        "num_attention_heads": config.heads,
        "num_key_value_heads": config.kv_heads,
        "head_dim": config.head_width,
        "max_position_embeddings": config.context,
        "rope_theta": config.rope_theta,
        "rms_norm_eps": config.norm_epsilon,
        "tie_word_embeddings": config.tied_embeddings,
        "initializer_range": config.init_std,
        "hidden_act": "silu",
        "attention_bias": False,
        "attention_dropout": 0.0,
        "use_sliding_window": False,
        "use_cache": True,
        "bos_token_id": end_of_text,
        "eos_token_id": end_of_text,
        "pad_token_id": end_of_text,
        "torch_dtype": "float32",
    }


def config_from_hugging_face(found: Mapping[str, Any]) -> ModelConfig:
    """The inverse of `hugging_face_config`; how weights were initialised is not in `config.json` and stays unsaid.

    Raises ConfigError or ValueError naming what is missing, mistyped, or of another architecture.
    """
    names = {
        "layers": "num_hidden_layers",
        "width": "hidden_size",
        "heads": "num_attention_heads",
        "kv_heads": "num_key_value_heads",
        "head_width": "head_dim",
        "hidden": "intermediate_size",
        "context": "max_position_embeddings",
        "rope_theta": "rope_theta",
        "norm_epsilon": "rms_norm_eps",
        "tied_embeddings": "tie_word_embeddings",
        "init_std": "initializer_range",
    }
    values = {ours: found[theirs] for ours, theirs in names.items() if theirs in found}
    config = build(ModelConfig, {**values, "zero_residual": False})
    ours = hugging_face_config(config, found.get("vocab_size", 0), found.get("eos_token_id", 0))
    for name in sorted(ours.keys() & found.keys()):
        if found[name] != ours[name]:
            raise ValueError(f"{name} is {found[name]!r}; this model has {ours[name]!r}")
    return config


def _projected(x: Tensor, exact: Exact | None, *layers: nn.Linear) -> tuple[Tensor, ...]:
    """x [.., in] through each of `layers`."""
    if exact:
        return exact.projected(x, *(layer.weight for layer in layers))
    return tuple(layer(x) for layer in layers)


def _rotations(config: ModelConfig) -> tuple[Tensor, Tensor]:
    """Cosine and sine of every position's angles, [context, head_width], float64."""
    cos, sin = (torch.from_numpy(turn) for turn in rotations(config.context, config.head_width, config.rope_theta))
    return torch.cat((cos, cos), dim=-1), torch.cat((sin, sin), dim=-1)


def _rotate(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    first, second = x.chunk(2, dim=-1)
    return x * cos + torch.cat((-second, first), dim=-1) * sin
