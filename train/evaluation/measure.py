"""Bits per byte, perplexity and accuracy on held-out text, with bootstrap intervals, beside baselines on the same text.

How a document is predicted: alone, the end-of-text mark as first input, in windows of at most `context` tokens that do
not overlap, so each token is predicted exactly once, at the price of little context at a window's start. (Overlapping
windows would show the model in a better light at twice the cost.) The mark at the end is predicted too, and its bits
count as part of what the text costs.

All is computed in exact arithmetic (`train.exact`), the same on any machine, and each document's bits are rounded to
thousandths: every score is a product.
"""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Any

import numpy as np
from annotated_types import Gt, Lt
from numpy.typing import NDArray

from train.artifact import WITNESS, write_json
from train.config import Count, Natural, plain
from train.data import tokenizer as tokenizers
from train.data.schema import Item, TokenRange, read_records
from train.data.selected import kept_documents
from train.data.tokenizer import Tokenizer
from train.data.tokens import ranges_path, read_tokens
from train.errors import UserError
from train.evaluation import minimal_pairs, multiple_choice
from train.evaluation.baselines import compressed_size, count_grams
from train.evaluation.items import Row, is_question, score_items, scored_items
from train.evaluation.overlap import overlap
from train.evaluation.prediction import predict
from train.exact import LN2
from train.inference.generate import SamplesConfig, generate, openings, uniform
from train.kernels import Fine
from train.model import ModelConfig, Transformer, load_weights
from train.training.checkpoint import WEIGHTS, read_tensors
from train.training.numerics import prepare
from train.world import Inputs, World

Integers = NDArray[np.integer]


@dataclass(frozen=True)
class EvaluationConfig:
    """How the model is measured on the held-out text and on minimal pairs."""

    batch: Count  # windows that go through the model together
    resamples: Count  # of the documents, for the intervals
    confidence: Annotated[float, Gt(0), Lt(1)]  # of the intervals
    seed: Natural  # of the resamples
    samples: SamplesConfig  # texts that the model writes for its card


@dataclass(frozen=True)
class DocumentScore:
    """What a held-out document costs the model: a row of `documents.json`."""

    id: str
    tokens: int
    bytes: int
    bits: float  # of all its tokens, rounded to thousandths
    correct: int  # tokens of which no other has a higher logit


@dataclass(frozen=True)
class MeasureConfig:
    model: ModelConfig
    evaluation: EvaluationConfig


def measure(config: MeasureConfig, inputs: Inputs, out: Path, world: World) -> None:
    """Write the records: of documents and their scores, of pairs and theirs, samples, overlap. Exact sizes: a witness.

    Raises UserError when the weights are unreadable, do not fit the config, or predict what is not a number.
    """
    settings, machine = config.evaluation, world.machine
    prepare(machine)
    tokenizer = tokenizers.load(inputs.tokenizer)
    model = load_model(inputs.weights, config.model, tokenizer.vocabulary).to(machine.device)
    tokens = read_tokens(inputs.tokens, "held_out")
    ranges = list(read_records(TokenRange, [ranges_path(inputs.tokens, "held_out")]))
    documents = score_documents(
        model, tokens, ranges, end_of_text=tokenizer.end_of_text, batch=settings.batch, world=world
    )
    held_out = [document.text.encode() for document in kept_documents(inputs.selected, "held_out")]
    if [len(text) for text in held_out] != [each.bytes for each in documents]:
        raise UserError(f"{inputs.tokens}: made of other documents than {inputs.selected}; make the tokens again")
    training = kept_documents(inputs.selected, "train")
    grams = count_grams(document.text.encode() for document in world.track(training, "documents counted"))
    size = compressed_size(world.track(held_out, "documents compressed"))
    baselines = {
        "byte_4gram": byte_model_score([grams.bits(text) for text in held_out], documents, settings),
        "xz_whole_text": compressor_score(size, documents),
    }
    items = scored_items(inputs.benchmarks)
    rows = score_items(model, tokenizer, grams, items, batch=settings.batch, world=world)
    write_json(out / "documents.json", plain(documents))
    write_json(out / "scores.json", {**model_scores(documents, config.model.context, settings), **baselines})
    for name, record in item_records(items, rows, inputs.benchmarks, settings.confidence).items():
        write_json(out / name, record)
    texts = [text.decode() for text in held_out[:2]]
    write_json(out / "samples.json", samples(model, tokenizer, settings.samples, texts))
    write_json(out / "overlap.json", overlap(inputs, world))
    write_json(out / WITNESS / "compressed.json", {"xz_whole_text": size})


def item_records(items: Sequence[Item], rows: Sequence[Row], benchmarks: Path, confidence: float) -> dict[str, Any]:
    """The records of minimal pairs and of multiple choice: name of the file -> what stands in it."""
    pairs = sum(not is_question(item) for item in items)  # which come first
    return {
        "pairs.json": plain(rows[:pairs]),
        "minimal_pairs.json": minimal_pairs.summary(items[:pairs], rows[:pairs], benchmarks, confidence),
        "choices.json": plain(rows[pairs:]),
        "multiple_choice.json": multiple_choice.summary(items[pairs:], rows[pairs:], benchmarks, confidence),
    }


def load_model(directory: Path, config: ModelConfig, vocabulary: int) -> Transformer:
    """The model whose weights lie in `directory`, to measure it: computed in `Fine` exact arithmetic.

    UserError when they are unreadable or do not fit `config`.
    """
    weights = read_tensors(directory / WEIGHTS)
    least = config.layers * config.width * (config.heads * config.head_width + 3 * config.hidden)
    try:
        # Before memory is asked for: a config may come from a stranger.
        if least + vocabulary * config.width > sum(tensor.numel() for tensor in weights.values()):
            raise ValueError("the config describes a larger model than the file holds")
        model = Transformer(config, vocabulary).double()
        load_weights(model, weights)
    except ValueError as error:
        raise UserError(f"{directory / WEIGHTS}: {error}") from None
    model.compute_by(Fine())
    return model.eval()


def score_documents(
    model: Transformer, tokens: Integers, ranges: Sequence[TokenRange], *, end_of_text: int, batch: int, world: World
) -> list[DocumentScore]:
    """What each document of `ranges` costs. A token is predicted right when no other has a higher logit."""
    spans = [(each.start, each.end) for each in ranges]
    nats, correct = predict(model, tokens, spans, end_of_text=end_of_text, batch=batch, world=world)
    bits = (round(math.fsum(nats[start:end]) / LN2, 3) for start, end in spans)
    right = (int(correct[start:end].sum()) for start, end in spans)
    rows = zip(ranges, bits, right, strict=True)
    return [DocumentScore(each.id, each.end - each.start, each.bytes, cost, count) for each, cost, count in rows]


def model_scores(documents: Sequence[DocumentScore], context: int, config: EvaluationConfig) -> dict[str, Any]:
    """The model's scores, each a record of value, interval, what it counts and how it was got."""
    bits, correct = column(documents, "bits", 1000), column(documents, "correct")
    tokens, size = column(documents, "tokens"), column(documents, "bytes")
    how = f"each document alone, in windows of {context} tokens that do not overlap, its end predicted too; exact"
    per_byte = interval(bits, size, config, lambda ratio: round(ratio / 1000, 6))
    perplexity = interval(bits, tokens, config, power_of_two)
    accuracy = interval(correct, tokens, config, lambda ratio: round(ratio, 6))
    return {
        "bits_per_byte": score(per_byte, "bits per byte of UTF-8 text", how, documents),
        "perplexity": score(perplexity, "per token", how, documents),
        "next_token_accuracy": score(accuracy, "share of tokens", how, documents),
    }


def byte_model_score(
    bits: Iterable[float], documents: Sequence[DocumentScore], config: EvaluationConfig
) -> dict[str, Any]:
    """The record of the byte 4-gram model, from the bits of each document."""
    thousandths = np.array([round(1000 * each) for each in bits])
    value = interval(thousandths, column(documents, "bytes"), config, lambda ratio: round(ratio / 1000, 6))
    how = "byte 4-grams counted on the training text, Witten-Bell smoothing; each document alone, its end predicted too"
    return score(value, "bits per byte of UTF-8 text", how, documents)


def compressor_score(size: int, documents: Sequence[DocumentScore]) -> dict[str, Any]:
    """The record of xz, from the size in bytes of what it makes of all documents as one stream.

    liblzma 5.4.1 and 5.8.2 were seen to give the same bytes, but nobody promises it. The value is therefore rounded
    so coarsely that another version of the library, should it differ by some bytes, still gives the same products.
    """
    value = {"value": round(8 * size / int(column(documents, "bytes").sum()), 2)}
    how = "xz -9, all documents as one stream; rounded to hundredths, as the library's version may matter to some bytes"
    return score(value, "bits per byte of UTF-8 text", how, documents)


def power_of_two(thousandths: float) -> float:
    """2^(thousandths / 1000), to four digits, by decimals: a platform's power may round otherwise."""
    return round(float(Decimal(2) ** Decimal(min(thousandths / 1000, 1000))), 4)


def score(value: Mapping[str, float], unit: str, method: str, documents: Sequence[DocumentScore]) -> dict[str, Any]:
    """The record of a score: its value (and interval), unit, method, and the text that it was taken on."""
    counts = {name: int(column(documents, name).sum()) for name in ("tokens", "bytes")}
    return {**value, "unit": unit, "method": method, "documents": len(documents), **counts}


def interval(
    numerators: Integers, denominators: Integers, config: EvaluationConfig, value: Callable[[float], float]
) -> dict[str, float]:
    """Bootstrap interval: `value` of the ratio of sums over documents, and of percentiles with documents drawn anew.

    The bootstrap over whole documents (Efron 1979), because tokens of one document are not independent.
    """
    source, count = np.random.PCG64(config.seed), len(numerators)
    ratios = np.empty(config.resamples)
    for resample in range(config.resamples):
        drawn = (uniform(source, count) * count).astype(np.int64)
        ratios[resample] = numerators[drawn].sum() / denominators[drawn].sum()
    ratios.sort()
    outside = int(config.resamples * (1 - config.confidence) / 2)  # on either side
    return {
        "value": value(float(numerators.sum() / denominators.sum())),
        "low": value(float(ratios[outside])),
        "high": value(float(ratios[-1 - outside])),
        "confidence": config.confidence,
    }


def samples(
    model: Transformer, tokenizer: Tokenizer, config: SamplesConfig, held_out: Sequence[str]
) -> list[dict[str, Any]]:
    """What the model writes after each prompt, with the settings that give the same text again."""
    settings: dict[str, Any] = {"temperature": config.temperature, "top_k": config.top_k, "seed": config.seed}
    written = []
    for prompt in openings(held_out) if config.prompts is None else config.prompts:
        start = tokenizer.encode([prompt])[0]
        tokens = list(generate(model, start, count=config.tokens, end_of_text=tokenizer.end_of_text, **settings))
        ended = len(tokens) < config.tokens
        record = {"prompt": prompt, "text": tokenizer.decode(tokens), "tokens": len(tokens), "ended": ended}
        written.append({**record, **settings})
    return written


def column(documents: Sequence[DocumentScore], name: str, times: int = 1) -> Integers:
    """One number of every document, as integers: sums of these depend on no order."""
    return np.array([round(times * getattr(each, name)) for each in documents], np.int64)
