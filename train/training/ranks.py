"""Several processes, one training run: `torchrun` starts them, each takes its share of every batch.

Every rank holds the whole state. The mean of the ranks' gradients is taken in the precision of the gradients, so in
`portable` it differs with the number of ranks no more than with the number of slices, and that is rounded away. The
ranks must see the same files; only rank 0 writes.
"""

import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import timedelta

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.distributed.rendezvous import rendezvous

from train.config import UserError
from train.world import Machine, World


def world_of(machine: Machine) -> World:
    """The world that `torchrun` put this process in; one of a single rank without it."""
    return World(int(os.environ.get("RANK", 0)), int(os.environ.get("WORLD_SIZE", 1)), machine)


@contextmanager
def joined(world: World, name: str) -> Iterator[None]:
    """Meet the other ranks for the training `name`, and part from them; UserError when they do not come in time."""
    if world.size == 1:
        yield
        return
    if world.machine.device == "cuda":
        torch.cuda.set_device(int(os.environ.get("LOCAL_RANK", 0)))
    patience = timedelta(seconds=world.machine.patience)
    with _answered(world):
        store, rank, size = next(rendezvous("env://", timeout=patience))
        # The store may still hold the addresses of the dead: each attempt, and each run of a sweep, has its own names.
        store = dist.PrefixStore(f"{os.environ.get('TORCHELASTIC_RESTART_COUNT', 0)}/{name}", store)
        backend = "nccl" if world.machine.device == "cuda" else "gloo"
        dist.init_process_group(backend, store=store, rank=rank, world_size=size, timeout=patience)
    try:
        yield
    finally:
        dist.destroy_process_group()


def follow(tensors: Iterable[Tensor], step: int, world: World) -> int:
    """Give every rank the `tensors` and the `step` of rank 0; returns that step."""
    if world.size == 1:
        return step
    number = torch.tensor([step], device=world.machine.device)
    with _answered(world):
        for tensor in (*tensors, number):
            dist.broadcast(tensor, 0)
    return int(number)


@torch.no_grad()
def averaged(model: nn.Module, loss: float, world: World) -> float:
    """Replace the gradients in `model` by their mean over the ranks, in one message; returns the mean of `loss`."""
    if world.size == 1:
        return loss
    gradients = [p.grad for p in model.parameters() if p.grad is not None]
    message = torch.cat([*(gradient.flatten() for gradient in gradients), gradients[0].new_tensor([loss])])
    with _answered(world):
        dist.all_reduce(message)
    message /= world.size
    *means, mean = message.split([*(gradient.numel() for gradient in gradients), 1])
    for gradient, found in zip(gradients, means, strict=True):
        gradient.copy_(found.view_as(gradient))
    return float(mean)


def any_rank(asks: bool, world: World) -> bool:
    """Whether any rank asks to stop: all stop after the same step, or one would wait for another that has gone."""
    if world.size == 1:
        return asks
    told = torch.tensor([float(asks)], device=world.machine.device)
    with _answered(world):
        dist.all_reduce(told)
    return float(told) > 0


@contextmanager
def _answered(world: World) -> Iterator[None]:
    try:
        yield
    except RuntimeError as error:  # torch's own classes for this all descend from it
        raise UserError(
            f"rank {world.rank} of {world.size}: another rank died, or gave no answer for "
            f"{world.machine.patience} s (machine.patience); run the same command to go on from the last checkpoint ("
            f"{str(error).splitlines()[0]})"
        ) from None
