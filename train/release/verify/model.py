"""Checks of the model: settings, tokenizer, weights, checkpoints, and what is measured of them, all made again."""

import math
from collections.abc import Iterator, Mapping
from itertools import islice
from typing import Any

import torch
from torch import Tensor

from train import initial
from train.artifact import WITNESS, file_digest, read_json
from train.config import plain
from train.data.ledger import SPLITS
from train.data.tokenizer import learn
from train.data.tokenizer import load as load_tokenizer
from train.data.tokens import read_tokens
from train.differences import first_difference
from train.evaluation.measure import measure
from train.model import weights_of
from train.release import bundle
from train.release.about import own_run_apart
from train.release.differences import file_apart, mismatch
from train.release.resolved import SETTINGS
from train.release.verify import sampling
from train.release.verify.result import MOST_OPERATIONS, NotChecked
from train.release.view import Release, on_stack
from train.training.checkpoint import OPTIMIZER, STATE, WEIGHTS, load
from train.training.loop import FitConfig, gradient_noise, gradients, held_out_loss
from train.training.numerics import stack
from train.training.optimizer import RATIOS_EVERY, Optimizer, schedule
from train.training.steps import checkpoint_name, checkpoint_steps, tokens_seen

# Relative. Sums of float32 on another machine are off by less; `fast` multiplies in 16 bits, of which eight are the
# fraction.
LOSS_TOLERANCE = {"exact": 0.0, "pinned": 1e-4, "fast": 1e-2}
MOST_CHECKPOINTS = 16  # whose losses are computed again
SEQUENCES = 16  # that go through the model together
RATIO_TOLERANCE = 0.01  # a ratio is kept to three digits
LOGGED = {"step", "batch", "loss", "gradient_norm", "learning_rate", "tokens", "seconds", "tokens_per_second"}
COMPRESSED = "logs/evaluation/compressed.json"
PACKED = 0.01  # share by which versions of a compressor may differ
ROUND_TRIPS = 200  # documents


def settings(release: Release) -> Iterator[str]:
    """The resolved config builds, and each stage's part of it is what the stage's manifest says was used."""
    path, config = "code/config.json", release.config
    for name, own in SETTINGS.items():
        stack = promised_stack(release) if name == "weights" else None
        settled = {**plain(own(config)), "stack": stack} if stack else plain(own(config))
        wrong = f"{name}: {path} differs from the config in provenance/{name}.json"
        yield from mismatch(wrong, release.provenance[name].config, settled)
    yield from mismatch(path, release.json(path), plain(config))
    if not all(isinstance(override, str) for override in release.json("code/overrides.json")):
        yield "code/overrides.json: not a list of overrides"


def promised_stack(release: Release) -> dict[str, Any]:
    """The stack that the weights' key holds, as it is recorded; empty where the contract does not bind them to one."""
    numerics = release.config.training.numerics
    if numerics.exact or numerics.stack != "same":
        return {}
    return {key: value for key, value in release.json("logs/weights/stack.json").items() if key != "earlier"}


def tokenizer(release: Release) -> Iterator[str]:
    """The tokenizer, learnt again from the documents, has the same bytes, and gives every text back."""
    folder = release.scratch / "tokenizer"
    learn(SETTINGS["tokenizer"](release.config), release.inputs(), folder, release.world)
    words = load_tokenizer(release.path)
    yield from release.made_again("tokenizer", folder) + release.written("tokenizer_config.json")
    for document in islice(release.documents(), ROUND_TRIPS):
        if words.decode(words.encode([document.text])[0]) != document.text:
            yield f"document {document.id[:12]}: is not given back"


def scores(release: Release) -> Iterator[str]:
    """The evaluation, run again on the weights, gives the recorded scores and samples; where that is much, a sample."""
    folder = release.scratch / "evaluation"
    config = release.config.measure
    if not release.whole and sampling.scoring_operations(release) > MOST_OPERATIONS:
        yield from sampling.sampled_scores(release, config, MOST_OPERATIONS)
        return
    measure(config, release.inputs(tokens=release.tokens), folder, release.world)
    sizes, witness = release.json(COMPRESSED), read_json(folder / WITNESS / "compressed.json")
    yield from (f"{COMPRESSED}: {name} {sizes.get(name)}, compressed again {size}" for name, size in witness.items()
                if not math.isclose(sizes.get(name, 0), size, rel_tol=PACKED))  # fmt: skip
    yield from release.made_again("evaluation", folder)


def weights(release: Release) -> Iterator[str]:
    """The weights load, fit the config in every shape, are finite, and are those of the last checkpoint."""
    yield from release.written("config.json", "generation_config.json")
    training = release.config.training
    if training.init_from:
        initial.require_initial(release.path / initial.FOLDER, plain(release.config))
    if difference := own_run_apart(release.path, training.seed):
        yield f"code/config.json: {difference}"
    bundle.model_of(release.path)
    last = bundle.checkpoints_of(release.path)[-1]
    if file_digest(last / WEIGHTS) != file_digest(release.path / WEIGHTS):
        difference = file_apart(release.path / WEIGHTS, last / WEIGHTS)
        yield f"{WEIGHTS}: not that of checkpoints/{last.name}: {difference}"
    yield from release.written("provenance/facts.json")


def checkpoints(release: Release) -> Iterator[str]:
    """A checkpoint stands at every step that the config says; each belongs to this run, is finite and holds no more."""
    steps, config = list[int](), release.config.fit
    _, model, optimizer = bundle.resumed(release.path, None)
    wanted = {WEIGHTS: kinds(weights_of(model)), OPTIMIZER: kinds(optimizer.state)}
    owner = config.owner(release.provenance["tokens"].digest)
    for folder in bundle.checkpoints_of(release.path):
        checkpoint, path = load(folder), f"checkpoints/{folder.name}"
        steps.append(checkpoint.step)
        files = {name: file_digest(folder / name) for name in (WEIGHTS, OPTIMIZER)}
        state = {"step": checkpoint.step, "belongs_to": owner, "files": files}
        yield from mismatch(f"{path}/{STATE}", release.json(f"{path}/{STATE}"), state)
        for file, tensors in ((WEIGHTS, checkpoint.weights), (OPTIMIZER, checkpoint.optimizer)):
            yield from mismatch(f"{path}/{file}", wanted[file], kinds(tensors))
            bad = [name for name, tensor in tensors.items() if not bool(torch.isfinite(tensor).all())]
            yield from (f"{path}/{file}: {name} is not finite" for name in bad)
        if folder.name != checkpoint_name(checkpoint.step):
            yield f"{folder.name}: holds step {checkpoint.step}"
    expected = checkpoint_steps(config.training.checkpoint_every, config.training.steps)
    if steps != expected:
        yield f"checkpoints of steps {steps}, expected {expected}"


def kinds(tensors: Mapping[str, Tensor]) -> dict[str, str]:
    """Type and shape of each tensor."""
    return {name: f"{tensor.dtype} {list(tensor.shape)}" for name, tensor in tensors.items()}


def losses(release: Release) -> Iterator[str]:
    """Rates of each step by the config; losses, norms and ratios at initial weights and checkpoints, computed again."""
    config = release.config.fit
    training, records = config.training, {record["step"]: record for record in release.log}
    train, held_out = (read_tokens(release.tokens, split) for split in SPLITS)
    order = config.order(release.tokens)
    _, model, optimizer = bundle.resumed(release.path, None)
    slices = model.exact.groups if model.exact else -(-training.batch // SEQUENCES)
    for record in release.log:
        yield from rates_apart(record, optimizer, config)

    def compare(step: int, **derived: Any) -> Iterator[str]:
        if difference := log_apart(records.get(step, {}), derived, training.numerics.contract):
            yield f"logs/weights/log.jsonl: step {step}: {difference}"

    every = bundle.checkpoints_of(release.path)
    step_operations = training.batch * config.model.context * model.flops_per_token()
    most = MOST_CHECKPOINTS if release.whole else max(2, min(MOST_CHECKPOINTS, MOST_OPERATIONS // step_operations))
    for folder in (None, *every[:: -(-len(every) // most)][:-1], every[-1]):
        step, model, optimizer = bundle.resumed(release.path, folder)
        if step and (step % training.evaluate_every == 0 or step == training.steps):
            yield from compare(step, held_out_loss=held_out_loss(model, held_out, config))
        if step == training.steps and model.exact:
            yield from compare(step, gradient_noise=gradient_noise(model, held_out))
        if step < training.steps:
            batch = order.batch_at(train, step)
            loss = gradients(model.train(), batch, slices)
            norm = optimizer.gradient_norm()
            taken = optimizer.step(step, training.steps, norm)
            yield from compare(step + 1, loss=loss, gradient_norm=norm, **taken)
    if len(every) > most:
        release.notes.append(f"at {most} of {len(every)} checkpoints, spread evenly")


def log_apart(record: Mapping[str, Any], derived: Mapping[str, Any], contract: str) -> str | None:
    """Where a step's record differs from what was computed again, by more than that contract lets it."""
    least = LOSS_TOLERANCE[contract]
    wider = {"gradient_norm": 10 * least, "update_to_weight": max(least, RATIO_TOLERANCE),
             "gradient_noise": RATIO_TOLERANCE}  # fmt: skip
    for name, value in derived.items():
        recorded, pairs = record.get(name), [(record.get(name), value)]
        if isinstance(value, Mapping) and isinstance(recorded, Mapping) and recorded.keys() == value.keys():
            pairs = [(recorded[key], value[key]) for key in value]
        for one, other in pairs:
            far = 0 if isinstance(other, Mapping) else wider.get(name, least) * abs(other)
            if difference := first_difference(one, other, name, far):
                return difference
    return None


def rates_apart(record: Mapping[str, Any], optimizer: Optimizer, config: FitConfig) -> Iterator[str]:
    """What a record tells of rates and speed otherwise than config and seconds give; a key that no step writes."""
    training, step, settings = config.training, record["step"], optimizer.config
    share = schedule(settings, step - 1, training.steps)
    derived: dict[str, Any] = {"learning_rate": settings.learning_rate * share}
    if optimizer.groups["muon"]:
        derived["matrix_learning_rate"] = optimizer.rates["muon"] * share
    looked = (step - 1) % RATIOS_EVERY == 0
    keys = LOGGED | derived.keys() | ({"update_to_weight"} if looked else set())
    keys |= {"held_out_loss"} if step % training.evaluate_every == 0 or step == training.steps else set()
    keys |= {"gradient_noise"} if step == training.steps and training.numerics.exact else set()
    if strange := sorted(keys ^ (record.keys() - {"mfu"})):
        yield f"logs/weights/log.jsonl: step {step}: {', '.join(strange)}: missing, or nothing writes it"
        return
    derived["tokens_per_second"] = training.batch * config.model.context / record["seconds"]
    yield from mismatch(f"logs/weights/log.jsonl: step {step}", {name: record.get(name) for name in derived}, derived)
    if looked and (other := record.get("update_to_weight", {}).keys() ^ optimizer.parameters.keys()):
        named = ", ".join(sorted(other)[:3])
        yield f"logs/weights/log.jsonl: step {step}: update_to_weight of other parameters: {named}"


def optimizer_state(release: Release) -> Iterator[str]:
    """One more step after the first checkpoint leads to the recorded digests."""
    path = "checkpoints/next_step.json"
    recorded = release.json(path) if path in release.paths else None
    training, model = release.config.training, bundle.model_of(release.path)
    operations = tokens_seen(1, training.batch, model.config.context) * model.flops_per_token()
    if operations > MOST_OPERATIONS and not release.whole:
        raise NotChecked(f"takes {operations:.1e} operations, above {MOST_OPERATIONS:.0e}; --deep does it")
    again = bundle.next_step(release.path, release.tokens)
    same = training.numerics.exact or on_stack(release.provenance["weights"], stack(release.world.machine))
    if again and recorded and not same:
        again = {**again, "files": recorded["files"]}
        release.notes.append("its digests are those of the recorded stack, and this is another: not compared")
    yield from mismatch(path, recorded, again)
