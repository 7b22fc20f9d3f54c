"""Checks of the model: settings, tokenizer, weights, checkpoints, and what is measured of them, all made again."""

from collections.abc import Mapping
from itertools import islice
from typing import Any

import numpy as np
import torch
from torch import Tensor

from train.artifact import file_digest
from train.config import build, plain
from train.data.batches import batch_at
from train.data.benchmarks import BenchmarksConfig
from train.data.documents import DocumentsConfig
from train.data.ledger import SPLITS
from train.data.raw import RawConfig
from train.data.selected import SelectedConfig
from train.data.tokenizer import TokenizerConfig, learn
from train.data.tokenizer import load as load_tokenizer
from train.data.tokens import read_tokens
from train.differences import first_difference
from train.evaluation.measure import MeasureConfig, measure
from train.model import Transformer, load_weights, weights_of
from train.release import bundle
from train.release.verify import sampling
from train.release.verify.result import MOST_OPERATIONS, NotChecked
from train.release.view import Release
from train.steps import checkpoint_name, checkpoint_steps, tokens_seen
from train.training.checkpoint import OPTIMIZER, STATE, WEIGHTS, load
from train.training.loop import FitConfig, TrainingConfig, held_out_loss
from train.training.optimizer import Optimizer

# Relative. Sums of float32 on another machine are off by less; `fast` multiplies in 16 bits, of which eight are the
# fraction.
LOSS_TOLERANCE = {"exact": 0.0, "pinned": 1e-4, "fast": 1e-2}
MOST_CHECKPOINTS = 16  # whose losses are computed again
SEQUENCES = 16  # that go through the model together
ROUND_TRIPS = 200  # documents
WHOLE = {"name", "data", "benchmarks", "tokenizer", "model", "training", "evaluation", "release"}
DATA = {"name", "raw", "documents", "selected"}


def settings(release: Release) -> list[str]:
    """The resolved config builds, and each stage's part of it is what the stage's manifest says was used."""
    config = release.config
    build(bundle.ReleaseConfig, config["release"])
    parts: dict[str, tuple[Any, Any]] = {
        "raw": (RawConfig, config["data"]["raw"]),
        "documents": (DocumentsConfig, config["data"]["documents"]),
        "benchmarks": (BenchmarksConfig, config["benchmarks"]),
        "selected": (SelectedConfig, config["data"]["selected"]),
        "tokenizer": (TokenizerConfig, config["tokenizer"]),
        "weights": (FitConfig, {"model": config["model"], "training": config["training"]}),
        "evaluation": (MeasureConfig, {"model": config["model"], "evaluation": config["evaluation"]}),
    }
    problems = [f"code/config.json: {where}: expected {', '.join(sorted(names))}" for where, found, names in (
        ("the whole", config.keys(), WHOLE), ("data", config["data"].keys(), DATA)) if found != names]  # fmt: skip
    for name, (kind, part) in parts.items():
        used, settled = release.provenance[name]["config"], plain(build(kind, part))
        if name == "weights" and (stack := promised_stack(release)):
            settled["stack"] = stack
        if apart := first_difference(used, settled) or first_difference(part, plain(build(kind, part))):
            problems.append(f"{name}: code/config.json differs from the config in provenance/{name}.json: {apart}")
    if release.provenance["tokens"]["config"] is not None:
        problems.append("provenance/tokens.json: a config of a stage that has none")
    if not all(isinstance(override, str) for override in release.json("code/overrides.json")):
        problems.append("code/overrides.json: not a list of overrides")
    return problems


def promised_stack(release: Release) -> dict[str, Any]:
    """The stack that the weights' key holds, as it is recorded; empty where the contract does not bind them to one."""
    numerics = release.config["training"]["numerics"]
    if numerics["contract"] == "exact" or numerics["stack"] != "same":
        return {}
    return {key: value for key, value in release.json("logs/weights/stack.json").items() if key != "earlier"}


def tokenizer(release: Release) -> list[str]:
    """The tokenizer, learnt again from the documents, has the same bytes, and gives every text back."""
    made = release.scratch / "tokenizer"
    learn(build(TokenizerConfig, release.config["tokenizer"]), release.folders, made, release.world)
    words = load_tokenizer(release.path)
    problems = release.made_again("tokenizer", made) + release.written("tokenizer_config.json")
    for document in islice(release.documents(), ROUND_TRIPS):
        if words.decode(words.encode([document.text])[0]) != document.text:
            problems.append(f"document {document.id[:12]}: is not given back")
    return problems


def scores(release: Release) -> list[str]:
    """The evaluation, run again on the weights, gives the recorded scores and samples; where that is much, a sample."""
    made = release.scratch / "evaluation"
    config = build(MeasureConfig, {name: release.config[name] for name in ("model", "evaluation")})
    if not release.whole and sampling.scoring_operations(release) > MOST_OPERATIONS:
        return sampling.sampled_scores(release, config, MOST_OPERATIONS)
    inputs = {**release.folders, "tokens": release.tokens}
    measure(config, inputs, made, release.world)
    return release.made_again("evaluation", made)


def weights(release: Release) -> list[str]:
    """The weights load, fit the config in every shape, are finite, and are those of the last checkpoint."""
    problems = release.written("config.json") + release.written("generation_config.json")
    bundle.model_of(release.path)
    last = bundle.checkpoints_of(release.path)[-1]
    if file_digest(last / WEIGHTS) != file_digest(release.path / WEIGHTS):
        problems.append(f"{WEIGHTS}: differs from checkpoints/{last.name}")
    return problems + release.written("provenance/facts.json")


def logits(release: Release) -> list[str]:
    """For the recorded prompts the model gives the recorded logits."""
    told = release.json("evaluation/logits.json")
    apart = first_difference(told, bundle.logits(release.path))
    return [f"evaluation/logits.json: {apart}"] if apart else []


def checkpoints(release: Release) -> list[str]:
    """A checkpoint stands at every step that the config says; each belongs to this run, is finite and holds no more."""
    steps: list[int] = []
    owner = {
        "config": {name: release.config[name] for name in ("model", "training")},
        "data": release.digest_of("tokens"),
    }
    problems, wanted = [], tensors_of(release)
    for folder in bundle.checkpoints_of(release.path):
        found = load(folder, owner)
        steps.append(found.step)
        if release.json(f"checkpoints/{folder.name}/{STATE}").keys() != {"step", "belongs_to", "files"}:
            problems.append(f"{folder.name}: {STATE} holds more than a state")
        for file, tensors in ((WEIGHTS, found.weights), (OPTIMIZER, found.optimizer)):
            if apart := first_difference(wanted[file], kinds(tensors)):
                problems.append(f"{folder.name}/{file}: {apart}")
            bad = [name for name, tensor in tensors.items() if not bool(torch.isfinite(tensor).all())]
            problems += [f"{folder.name}: {name} is not finite" for name in bad]
        if folder.name != checkpoint_name(found.step):
            problems.append(f"{folder.name}: holds step {found.step}")
    expected = checkpoint_steps(*(release.config["training"][name] for name in ("checkpoint_every", "steps")))
    return problems + ([f"checkpoints of steps {steps}, expected {expected}"] if steps != expected else [])


def tensors_of(release: Release) -> dict[str, dict[str, str]]:
    """Of each file of a checkpoint, the tensors that the config asks for, as `kinds` tells them."""
    model = bundle.model_of(release.path)
    training = build(TrainingConfig, release.config["training"])
    optimizer = Optimizer(model, training.optimizer, training.numerics)
    return {WEIGHTS: kinds(weights_of(model)), OPTIMIZER: kinds(optimizer.state)}


def kinds(tensors: Mapping[str, Tensor]) -> dict[str, str]:
    """Type and shape of each tensor."""
    return {name: f"{tensor.dtype} {list(tensor.shape)}" for name, tensor in tensors.items()}


def losses(release: Release) -> list[str]:
    """At the initial weights and at each checkpoint, the losses that the log tells: held out, and of the next batch."""
    config = build(FitConfig, {name: release.config[name] for name in ("model", "training")})
    training, told = config.training, {record["step"]: record for record in release.log}
    train, held_out = (read_tokens(release.tokens, split) for split in SPLITS)
    tolerance = LOSS_TOLERANCE[training.numerics.contract]
    model = Transformer(config.model, load_tokenizer(release.path).vocabulary, training.seed)
    model = training.numerics.place(model, "cpu", training.batch)
    problems = []

    def near(step: int, name: str, found: float) -> None:
        recorded = told.get(step, {}).get(name)
        if not isinstance(recorded, float) or not abs(recorded - found) <= tolerance * abs(found):
            problems.append(f"logs/weights/log.jsonl: step {step}: {name} {recorded} is recorded, {found} was computed")

    every = bundle.checkpoints_of(release.path)
    for folder in (None, *every[:: -(-len(every) // MOST_CHECKPOINTS)][:-1], every[-1]):
        step = 0
        if folder:
            found = load(folder)
            step = found.step
            load_weights(model, found.weights)
        if step < training.steps:
            batch = batch_at(train, config.model.context, training.batch, training.seed, step)
            near(step + 1, "loss", batch_loss(model, batch))
        if step and (step % training.evaluate_every == 0 or step == training.steps):
            near(step, "held_out_loss", held_out_loss(model, held_out, config))
    if len(every) > MOST_CHECKPOINTS:
        release.notes.append(f"at {MOST_CHECKPOINTS} of {len(every)} checkpoints, spread evenly")
    return problems


@torch.no_grad()
def batch_loss(model: Transformer, batch: np.ndarray) -> float:
    """Mean nats a token over a batch [sequences, context + 1], a few sequences at a time."""
    group = model.exact.sequences if model.exact else 1  # whose sequences share grids
    parts = torch.from_numpy(batch).split(max(group, SEQUENCES // group * group))
    total = sum(model.loss(part[:, :-1], part[:, 1:]).item() for part in parts)
    return total / (batch.shape[0] * (batch.shape[1] - 1))


def optimizer_state(release: Release) -> list[str]:
    """One more step after the first checkpoint leads to the recorded digests."""
    path = "checkpoints/next_step.json"
    told = release.json(path) if path in release.paths else None
    training, model = release.config["training"], bundle.model_of(release.path)
    operations = tokens_seen(1, training["batch"], model.config.context) * model.flops_per_token()
    if operations > MOST_OPERATIONS and not release.whole:
        raise NotChecked(f"takes {operations:.1e} operations, above {MOST_OPERATIONS:.0e}; --deep does it")
    found = bundle.next_step(release.path, release.tokens)
    if training["numerics"]["contract"] in ("pinned", "fast") and found and told:
        found = {**found, "files": told["files"]}  # which only the recorded stack can compare
    return [] if found == told else [f"{path}: one more step gives {found}, recorded is {told}"]
