"""Generation by sampling, with a KV cache: the same settings and seed give the same text on any machine."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import numpy as np
import torch
from annotated_types import Ge
from numpy.typing import NDArray

from train.artifact import read_json
from train.config import Count, Natural
from train.data.tokenizer import Tokenizer
from train.errors import UserError
from train.exact import exp, to_fixed
from train.model import KVCache, ModelConfig, Transformer, config_from_hugging_face


@dataclass(frozen=True)
class SamplesConfig:
    """Texts that the model writes, and how their tokens are drawn."""

    prompts: tuple[str, ...] | None  # "" is the beginning of a document; null: how held-out texts begin, and ""
    tokens: Count  # at most, after each prompt
    temperature: Annotated[float, Ge(0)]  # 0: always the likeliest token
    top_k: Count | None  # draw among this many likeliest tokens; null: among all
    seed: Natural  # of the random numbers that tokens are drawn with

    def __post_init__(self) -> None:
        for prompt in self.prompts or ():
            prompt.encode()  # raises what is a ValueError when a prompt is not Unicode text


def shape_of(release: Path) -> ModelConfig:
    """The shape that the config.json of a release tells; UserError where it is not there, or is another model's."""
    path = release / "config.json"
    if not path.is_file():
        raise UserError(f"{release}: no release, as it has no config.json; `make release` makes one")
    mapping = read_json(path)
    try:
        return config_from_hugging_face(dict(mapping))
    except (UserError, TypeError, ValueError) as error:
        raise UserError(f"{path}: {str(error).replace(chr(10), '; ')}; expected that of a release") from None


def openings(texts: Sequence[str]) -> list[str]:
    """How the first two of `texts` begin, in at most 24 characters and whole words where blanks part them; and ""."""
    heads = [(text.strip()[:24], text.strip()[24:25]) for text in texts[:2]]
    return [*((head if after.isspace() else head.rpartition(" ")[0] or head).strip() for head, after in heads), ""]


def generate(
    model: Transformer,
    tokens: Sequence[int],
    *,
    count: int,
    temperature: float,
    top_k: int | None,
    seed: int,
    end_of_text: int,
) -> Iterator[int]:
    """Yield at most `count` tokens that follow the beginning of a document `tokens`; end before the end-of-text mark.

    The model sees the mark, then the document; once that is longer than its context, the last `context` tokens. Until
    then each token is computed once: keys and values of those before it are kept.
    """
    sequence, source = [end_of_text, *tokens], np.random.PCG64(seed)
    caches, new = model.caches(), sequence
    for _ in range(count):
        kept = len(sequence) <= model.config.context  # beyond it, every position moves
        logits = next_logits(model, new, caches) if kept else next_logits(model, sequence)
        token = draw(logits, temperature, top_k, uniform(source, 1)[0])
        if token == end_of_text:
            return
        yield token
        new = [token]
        sequence.append(token)


@torch.no_grad()
def next_logits(model: Transformer, sequence: Sequence[int], caches: Sequence[KVCache] = ()) -> NDArray[np.float64]:
    """Logits [vocabulary] of the token after the last `context` tokens of `sequence`; see `hidden` for `caches`."""
    tokens = torch.tensor([sequence[-model.config.context :]], device=model.lm_head.weight.device)
    logits = model.logits(model.hidden(tokens, caches)[:, -1:])[0, 0].double().cpu().numpy()
    if not np.isfinite(logits).all():
        raise UserError("the model's logits are not finite: its weights are damaged, or training diverged")
    return logits


def draw(logits: NDArray[np.float64], temperature: float, top_k: int | None, uniform: float) -> int:
    """The token that the number `uniform` in [0, 1) picks from the distribution of `logits`, by its inverse."""
    if temperature == 0:
        return int(logits.argmax())
    kept = np.argsort(-logits, kind="stable")[:top_k]
    below = torch.from_numpy((logits[kept] - logits[kept[0]]) / temperature)
    cumulative = to_fixed(exp(below.float()), 2.0**-36).numpy().cumsum()  # of integers, on any machine the same
    place = np.searchsorted(cumulative, uniform * cumulative[-1], side="right")
    return int(kept[min(place, len(kept) - 1)])


def uniform(source: np.random.PCG64, count: int) -> NDArray[np.float64]:
    """Numbers in [0, 1) of 53 bits. numpy promises that raw bits stay the same in later versions; not so its draws."""
    return (source.random_raw(count) >> np.uint64(11)).astype(np.float64) * 2.0**-53


def pieces(tokenizer: Tokenizer, tokens: Iterable[int]) -> Iterator[str]:
    """The text of `tokens` as it comes, a piece for each stretch of tokens that ends between two characters."""
    waiting: list[int] = []
    for token in tokens:
        waiting.append(token)
        text = tokenizer.decode(waiting)
        # A character of four bytes may be four tokens; what stays incomplete after that is no character.
        if not text.endswith("\ufffd") or len(waiting) >= 4:
            yield text
            waiting = []
    if waiting:
        yield tokenizer.decode(waiting)
