"""What a training starts from: random weights by the seed, those of a release, or its own newest checkpoint."""

import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

from train import initial
from train.errors import UserError
from train.model import Transformer, load_weights
from train.training.checkpoint import (
    OPTIMIZER,
    WEIGHTS,
    ForeignError,
    newest,
    read_shares,
    read_tensors,
    restore,
    saved,
)
from train.training.distributed import follow
from train.training.optimizer import Optimizer
from train.training.steps import checkpoint_name, is_checkpoint
from train.world import World

if TYPE_CHECKING:
    from train.training.loop import FitConfig, TrainingConfig


def initial_model(config: "FitConfig", vocabulary: int, folder: Path | None) -> Transformer:
    """The model before the first step: random by the seed, or with the weights of a release, of which `folder` is."""
    model = Transformer(config.model, vocabulary, config.training.seed)
    if config.training.init_from:
        path = initial.taken(folder, config.training.init_from, initial.WEIGHTS)
        try:
            load_weights(model, read_tensors(path))
        except ValueError as error:
            raise UserError(f"{path}: {error}") from None
    return model


def place_of(out: Path, training: "TrainingConfig", step: int) -> Path:
    """Where in `out` the checkpoint after `step` is: among the products, or only there to go on from."""
    product = is_checkpoint(step, training.checkpoint_every, training.steps)
    return out / ("checkpoints" if product else "resume") / checkpoint_name(step)


def resumed(
    out: Path, model: Transformer, optimizer: Optimizer, training: "TrainingConfig", belongs_to: Any, world: World
) -> tuple[int, list[UserError]]:
    """Load on all ranks the newest whole checkpoint in `out`, if there is one; its step, and why others were not it.

    The first rank looks for it. Where the ranks hold shares, each reads its own; else they are given what it read.
    """
    step, skipped = newest(out, belongs_to) if world.rank == 0 else (0, [])
    foreign = [error for error in skipped if isinstance(error, ForeignError)]
    if foreign and not step:
        raise foreign[0]
    for directory in saved(out)[: len(skipped)]:
        shutil.rmtree(directory)  # of a lost attempt, like the records after this step
    weights = {name: parameter.detach() for name, parameter in model.named_parameters()}
    if world.machine.sharded:
        step = follow([], step, world)
        if step:
            read = {name: weight.float() for name, weight in weights.items()}
            read_shares(place_of(out, training, step), {**read, **optimizer.state})
            for name, weight in weights.items():
                weight.copy_(read[name])
        return step, skipped
    if step:
        directory = place_of(out, training, step)
        try:
            load_weights(model, read_tensors(directory / WEIGHTS))
            restore(optimizer.state, read_tensors(directory / OPTIMIZER))
        except ValueError as error:
            raise UserError(f"{directory}: does not fit the config: {error}") from None
    return follow([*weights.values(), *optimizer.state.values()], step, world), skipped
