"""Several processes, one training run: `torchrun` starts them, each takes its share of every batch.

Every rank holds the whole state. The ranks' gradients are added up in the precision of the gradients, in which under
`exact` no sum rounds. The ranks must see the same files; only rank 0 writes.

Where a device is too small for that, each holds a share of every tensor, and a layer is gathered while it is used
(FSDP2, after Zhao et al. 2023, arXiv 2304.11277). Each begins with the whole in the processor's memory.
"""

import os
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from datetime import timedelta
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.distributed.rendezvous import rendezvous

from train.errors import UserError
from train.model import Transformer
from train.world import World


def among(alone: World) -> World:
    """The world `alone` as `torchrun` put this process in it: a rank of several, or the only one without torchrun."""
    return replace(alone, rank=int(os.environ.get("RANK", 0)), size=int(os.environ.get("WORLD_SIZE", 1)))


@contextmanager
def joined(world: World, name: str) -> Iterator[None]:
    """Meet the other ranks for the training `name`, and part from them; UserError when one is not there in time."""
    if world.size == 1:
        yield
        return
    if world.machine.device == "cuda":
        torch.cuda.set_device(int(os.environ.get("LOCAL_RANK", 0)))
    patience = timedelta(seconds=world.machine.patience)
    with answered(world), ExitStack() as ending:
        backend = "nccl" if world.machine.device == "cuda" else "gloo"
        store = store_for(world, name)
        dist.init_process_group(backend, store=store, rank=world.rank, world_size=world.size, timeout=patience)
        ending.callback(dist.destroy_process_group)
        yield


def store_for(world: World, name: str) -> dist.PrefixStore:
    """A store that all ranks share: whoever gets a key waits until somebody has set it, with the machine's patience."""
    store, _, _ = next(rendezvous("env://", timeout=timedelta(seconds=world.machine.patience)))
    # It may still hold the addresses of the dead: each attempt, and each run of a sweep, has its own names.
    return dist.PrefixStore(f"{os.environ.get('TORCHELASTIC_RESTART_COUNT', 0)}/{name}", store)


def follow(tensors: Iterable[Tensor], step: int, world: World) -> int:
    """Give every rank the `tensors` and the `step` of rank 0; returns that step."""
    if world.size == 1:
        return step
    number = torch.tensor([step], device=world.machine.device)
    for tensor in (*tensors, number):
        dist.broadcast(tensor, 0)
    return int(number)


def shard(model: Transformer, world: World) -> None:
    """Leave each rank, on its device, its share of every parameter of `model`, which is the same on all of them."""
    from torch.distributed.device_mesh import init_device_mesh
    from torch.distributed.fsdp import fully_shard, register_fsdp_forward_method

    mesh = init_device_mesh(world.machine.device, (world.size,))
    for part in (*model.model.layers, model):
        fully_shard(part, mesh=mesh)
    register_fsdp_forward_method(model, "loss")


def is_share(tensor: Tensor) -> bool:
    """Whether this rank holds only its share of `tensor`."""
    return hasattr(tensor, "full_tensor")  # a DTensor; importing that class takes every command a second


def gathered(tensor: Tensor) -> Tensor:
    """The whole of a tensor of which each rank may hold a share; all ranks ask together."""
    whole: Tensor = getattr(tensor, "full_tensor", lambda: tensor)()
    return whole


def held(tensor: Tensor) -> Tensor:
    """What this rank holds of a tensor: its share, or all."""
    part: Tensor = getattr(tensor, "to_local", lambda: tensor)()
    return part


def shared_like(tensor: Tensor, other: Any) -> Tensor:
    """Of `tensor`, which is the same on all ranks, the share that this rank has of `other`."""
    if not is_share(other):
        return tensor
    from torch.distributed.tensor import distribute_tensor

    return distribute_tensor(tensor.contiguous(), other.device_mesh, other.placements, src_data_rank=None)


@torch.no_grad()
def all_reduce_gradients(model: nn.Module, nats: float, tokens: int, world: World | None) -> float:
    """All-reduce: every rank's gradients of its `nats` become that of the mean over `tokens`; returns this mean.

    Multiplied by 1 / tokens once all are added, which is one operation whatever the ranks.
    """
    if world and world.size > 1:
        nats = _added(model, nats, world)
    for parameter in model.parameters():
        if parameter.grad is not None:
            # Those that the ranks hold shares of are means over the ranks already.
            parameter.grad.mul_((world.size if world and is_share(parameter.grad) else 1) / tokens)
    return nats / tokens


def _added(model: nn.Module, nats: float, world: World) -> float:
    """Add up the gradients in `model` over the ranks, in one message, and their `nats`."""
    gradients = [p.grad for p in model.parameters() if p.grad is not None and not is_share(p.grad)]
    loss = torch.tensor([nats], dtype=next(model.parameters()).dtype, device=world.machine.device)
    message = torch.cat([*(gradient.flatten() for gradient in gradients), loss])
    dist.all_reduce(message)
    *sums, whole_nats = message.split([*(gradient.numel() for gradient in gradients), 1])
    for gradient, whole in zip(gradients, sums, strict=True):
        gradient.copy_(whole.view_as(gradient))
    return float(whole_nats)


def any_rank(asks: bool, world: World) -> bool:
    """Whether any rank asks to stop: all stop after the same step, or one would wait for another that has gone."""
    if world.size == 1:
        return asks
    votes = torch.tensor([float(asks)], device=world.machine.device)
    dist.all_reduce(votes)
    return float(votes) > 0


@contextmanager
def answered(world: World) -> Iterator[None]:
    try:
        yield
    except RuntimeError as error:
        if not isinstance(error, dist.DistError) and "gloo" not in str(error).lower():  # which has no class of its own
            raise
        raise UserError(
            f"rank {world.rank} of {world.size}: another rank died, or gave no answer for "
            f"{world.machine.patience} s (machine.patience); run the same command to go on from the last checkpoint ("
            f"{str(error).splitlines()[0]})"
        ) from None
