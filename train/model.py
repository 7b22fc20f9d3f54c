"""The model, whole: a decoder-only transformer in the layout that Hugging Face calls Qwen3.

RMSNorm before each block, rotary positions, grouped-query attention with normalised queries and keys, SwiGLU, no
biases, optionally tied embeddings. Parameter names and `config.json` are those of `Qwen3ForCausalLM`, so a
checkpoint is a release without conversion.

Sources: Vaswani et al. 2017 (transformer), Zhang and Sennrich 2019 (RMSNorm), Su et al. 2021 (rotary positions),
Ainslie et al. 2023 (grouped queries), Henry et al. 2020 (QK-norm), Shazeer 2020 (SwiGLU).

Shapes: B sequences, T tokens, D width, N query heads, K heads of keys and values, H head width, F inner width of the
feed-forward block, V vocabulary; S tokens that a query may see, those of the cache included.
"""

import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from train import kernels
from train.config import Count, Positive, build
from train.exact import normal, rotations
from train.kernels import Exact


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


class Part(nn.Module):
    """A module that computes the same mathematics in one of two ways: torch's, or that of `train.kernels`."""

    exact: Exact | None = None


class KVCache:
    """The keys and values of one layer for the tokens so far, each [B, K, S, H]; empty at first."""

    def __init__(self) -> None:
        self.kept: tuple[Tensor, ...] = ()

    @property
    def length(self) -> int:
        return self.kept[0].shape[2] if self.kept else 0

    def append(self, *new: Tensor) -> tuple[Tensor, ...]:
        """Add keys and values of new tokens, each [B, K, T, H]; all of them, [B, K, S, H]."""
        self.kept = tuple(torch.cat(pair, 2) for pair in zip(self.kept, new, strict=True)) if self.kept else new
        return self.kept

    def repeat(self, times: int) -> None:
        """Let each sequence stand so many times, one after the other: [B, ..] -> [B * times, ..]."""
        self.kept = tuple(tensor.repeat_interleave(times, 0) for tensor in self.kept)


class RMSNorm(Part):
    """y = w * x / sqrt(mean(x^2) + eps), over the last side of x."""

    def __init__(self, width: int, epsilon: float) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(width))
        self.epsilon = epsilon

    def forward(self, x: Tensor) -> Tensor:
        """[.., D] -> [.., D], in the precision of the weight also beside products in bfloat16."""
        if self.exact:
            return kernels.Norm.apply(x, self.weight, self.epsilon, self.exact)  # type: ignore[no-any-return]
        return kernels.FusedRMSNorm.apply(x.to(self.weight.dtype), self.weight, self.epsilon)  # type: ignore[no-any-return]


class Attention(Part):
    """Causal grouped-query attention with rotary positions, its queries and keys normalised."""

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

    def forward(self, x: Tensor, cos: Tensor, sin: Tensor, cache: KVCache | None = None) -> Tensor:
        """[B, T, D] -> [B, T, D]; `cos` and `sin` [T, H]. With a cache, each token sees those kept there as well."""
        batch, length, _ = x.shape
        heads = (batch, length, -1, self.head_width)
        q, k, v = (y.view(heads) for y in _projected(x, self.exact, self.q_proj, self.k_proj, self.v_proj))
        q = _rotate(self.q_norm(q).transpose(1, 2), cos, sin)  # [B, T, N, H] -> [B, N, T, H]
        k = _rotate(self.k_norm(k).transpose(1, 2), cos, sin)  # [B, T, K, H] -> [B, K, T, H]
        v = v.transpose(1, 2)  # [B, K, T, H]
        if cache is not None:
            k, v = cache.append(k, v)  # [B, K, S, H]
        causal, before = k.shape[2] == length, k.shape[2] - length
        # Of several tokens after earlier ones, each sees those and the new ones up to itself; a single one sees all.
        seen = None if causal or length == 1 else x.new_ones(length, k.shape[2], dtype=torch.bool).tril(before)
        if self.exact:
            y = self.exact.attention(q, k, v)
        else:
            with torch.autocast("cpu", enabled=False):  # in float32: bfloat16 was measured to be slower there
                v = v if x.is_cuda else v.to(q.dtype)
                y = F.scaled_dot_product_attention(q, k, v, seen, is_causal=causal, enable_gqa=self.grouped)
        y = y.transpose(1, 2).reshape(batch, length, -1)  # [B, N, T, H] -> [B, T, N * H]
        return _projected(y, self.exact, self.o_proj)[0]


class FeedForward(Part):
    """SwiGLU: silu(x G) * (x U), times the third matrix."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.gate_proj = nn.Linear(config.width, config.hidden, bias=False)
        self.up_proj = nn.Linear(config.width, config.hidden, bias=False)
        self.down_proj = nn.Linear(config.hidden, config.width, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """[B, T, D] -> [B, T, D]."""
        gate, up = _projected(x, self.exact, self.gate_proj, self.up_proj)  # [B, T, F]
        inner = kernels.SwiGLU.apply(gate, up) if self.exact else F.silu(gate) * up
        return _projected(inner, self.exact, self.down_proj)[0]


class Layer(nn.Module):
    """A block: attention and feed-forward, each after a norm and added to the residual stream."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.self_attn = Attention(config)
        self.mlp = FeedForward(config)
        self.input_layernorm = RMSNorm(config.width, config.norm_epsilon)
        self.post_attention_layernorm = RMSNorm(config.width, config.norm_epsilon)

    def forward(self, x: Tensor, cos: Tensor, sin: Tensor, cache: KVCache | None = None) -> Tensor:
        """[B, T, D] -> [B, T, D]."""
        x = x + self.self_attn(self.input_layernorm(x), cos, sin, cache)
        return x + self.mlp(self.post_attention_layernorm(x))  # type: ignore[no-any-return]


class Decoder(Part):
    """Everything but the output head; Qwen3 calls it `model`."""

    def __init__(self, config: ModelConfig, vocabulary: int) -> None:
        super().__init__()
        self.embed_tokens = nn.Embedding(vocabulary, config.width)
        self.layers = nn.ModuleList(Layer(config) for _ in range(config.layers))
        self.norm = RMSNorm(config.width, config.norm_epsilon)

    def forward(self, tokens: Tensor, cos: Tensor, sin: Tensor, caches: Sequence[KVCache | None]) -> Tensor:
        """[B, T] of integers -> [B, T, D]."""
        table = self.embed_tokens
        x = kernels.Embedding.apply(table.weight, tokens, self.exact) if self.exact else table(tokens)
        for layer, cache in zip(self.layers, caches, strict=True):
            x = layer(x, cos, sin, cache)
        return self.norm(x)  # type: ignore[no-any-return]


class Transformer(Part):
    """The language model: tokens to logits, or to the loss of the next tokens."""

    cos: Tensor
    sin: Tensor

    def __init__(self, config: ModelConfig, vocabulary: int, seed: int = 0) -> None:
        super().__init__()
        self.config = config
        self.vocabulary = vocabulary
        self.low_precision = False  # whether `loss` computes products of matrices in bfloat16
        self.model = Decoder(config, vocabulary)
        self.lm_head = nn.Linear(config.width, vocabulary, bias=False)
        if config.tied_embeddings:
            self.lm_head.weight = self.model.embed_tokens.weight
        turns = rotations(config.context, config.head_width, config.rope_theta)
        cos, sin = map(torch.from_numpy, turns)  # of every position's angles, each [context, H / 2], float64
        self.register_buffer("cos", torch.cat((cos, cos), dim=-1), persistent=False)
        self.register_buffer("sin", torch.cat((-sin, sin), dim=-1), persistent=False)
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
        """[B, T] of integers, at most `context` of them -> logits [B, T, V]."""
        return self.logits(self.hidden(tokens))

    def logits(self, states: Tensor) -> Tensor:
        """Last hidden states [.., D] -> [.., V]."""
        return _projected(states, self.exact, self.lm_head)[0]

    def caches(self) -> list[KVCache]:
        """An empty cache for each layer."""
        return [KVCache() for _ in range(self.config.layers)]

    def hidden(self, tokens: Tensor, caches: Sequence[KVCache] = ()) -> Tensor:
        """The last hidden states [B, T, D], before the output head.

        With `caches`, `tokens` go on from those of earlier calls. ValueError when all together are more than the
        context.
        """
        start = caches[0].length if caches else 0
        end = start + tokens.shape[1]
        if end > self.config.context:
            raise ValueError(f"{end} tokens are more than the context of {self.config.context}")
        cos, sin = (turn[start:end].float() if self.exact else turn[start:end] for turn in (self.cos, self.sin))
        return self.model(tokens, cos, sin, caches or [None] * self.config.layers)  # type: ignore[no-any-return]

    def loss(self, tokens: Tensor, targets: Tensor) -> Tensor:
        """Sum over all positions of the nats that `targets` [B, T] cost after `tokens` [B, T]."""
        head = self.lm_head.weight
        if self.exact:
            return kernels.CrossEntropy.apply(self.hidden(tokens), head, targets, self.exact)  # type: ignore[no-any-return]
        with torch.autocast("cuda" if tokens.is_cuda else "cpu", torch.bfloat16, enabled=self.low_precision):
            x = self.hidden(tokens).flatten(0, 1)  # [B * T, D]
        return kernels.ChunkedCrossEntropy.apply(  # type: ignore[no-any-return]
            x, head, targets.flatten(), torch.bfloat16 if self.low_precision else head.dtype
        )

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
        tensor = weights[name]
        if tensor.shape != parameter.shape:
            raise ValueError(f"{name}: shape {tuple(tensor.shape)}, the config says {tuple(parameter.shape)}")
        if not bool(torch.isfinite(tensor).all()):
            raise ValueError(f"{name}: holds values that are not finite")
        with torch.no_grad():
            parameter.copy_(tensor)


# Fields of the config by the names that `transformers` has for them.
HUGGING_FACE = {
    "layers": "num_hidden_layers", "width": "hidden_size", "heads": "num_attention_heads",
    "kv_heads": "num_key_value_heads", "head_width": "head_dim", "hidden": "intermediate_size",
    "context": "max_position_embeddings", "rope_theta": "rope_theta", "norm_epsilon": "rms_norm_eps",
    "tied_embeddings": "tie_word_embeddings", "init_std": "initializer_range",
}  # fmt: skip


def hugging_face_config(config: ModelConfig, vocabulary: int, end_of_text: int) -> dict[str, Any]:
    """The contents of `config.json`, as `transformers` reads it."""
    return {
        **{name: getattr(config, field) for field, name in HUGGING_FACE.items()},
        "architectures": ["Qwen3ForCausalLM"],
        "model_type": "qwen3",
        "vocab_size": vocabulary,
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


def config_from_hugging_face(record: Mapping[str, Any]) -> ModelConfig:
    """The inverse of `hugging_face_config`; how weights were initialised is not in `config.json` and stays unsaid.

    Raises ConfigError or ValueError naming what is missing, mistyped, or of another architecture.
    """
    values = {field: record[name] for field, name in HUGGING_FACE.items() if name in record}
    config = build(ModelConfig, {**values, "zero_residual": False})
    expected = hugging_face_config(config, record.get("vocab_size", 0), record.get("eos_token_id", 0))
    for name in sorted(expected.keys() & record.keys()):
        if record[name] != expected[name]:
            raise ValueError(f"{name} is {record[name]!r}; this model has {expected[name]!r}")
    return config


def _projected(x: Tensor, exact: Exact | None, *layers: nn.Linear) -> tuple[Tensor, ...]:
    """x [.., I] through each of `layers`, I -> O: [.., O]."""
    if exact:
        return exact.projected(x, *(layer.weight for layer in layers))
    return tuple(layer(x) for layer in layers)


def _rotate(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """Rotary positions: [B, N, T, H] turned by the angles of each position, [T, H]."""
    return x * cos + x.roll(x.shape[-1] // 2, -1) * sin
