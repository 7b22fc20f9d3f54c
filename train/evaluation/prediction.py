"""Per-token loss: what each token of a text costs in nats, for documents and the choices of items alike."""

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from itertools import pairwise

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from train.errors import UserError
from train.exact import exp, log, summed, to_fixed
from train.model import Transformer
from train.world import World

Integers = NDArray[np.integer]
Span = tuple[int, int]  # start and end
Costs = tuple[NDArray[np.float64], NDArray[np.bool_]]  # in nats, and whether the model's first choice was right
Measured = tuple[Integers, Costs, Integers, Integers]

POSITIONS = 256  # whose logits stand in memory together
WORTH = 2  # tokens in common that two windows are computed for once


def predict(
    model: Transformer, tokens: Integers, spans: Sequence[Span], *, end_of_text: int, batch: int, world: World
) -> Costs:
    """What each of `tokens` [n] in `spans` (start, end) costs in nats, and whether it is the first choice; both [n].

    As many windows go through the model together as have the tokens of `batch` whole ones. Batches are computed side
    by side, each by one thread: threads that share the work on small matrices would spend their time waiting.
    """
    context, threads = model.config.context, torch.get_num_threads()
    # Every document ends with the mark, so the token before a document's first one is the mark already.
    before = np.concatenate([[end_of_text], tokens[:-1]]).astype(np.int64)
    windows = np.array([(at, min(at + context, end)) for start, end in spans for at in range(start, end, context)])
    nats, correct = np.zeros(len(tokens)), np.zeros(len(tokens), bool)
    together = batches(before, windows, batch * context)
    workers = threads if world.machine.device == "cpu" else 1
    pool = ThreadPoolExecutor(workers, initializer=torch.set_num_threads, initargs=(1,))
    try:
        measure = partial(measured, model, before, tokens)
        running = [pool.submit(measure, windows[members], shared) for shared, members in together]
        for done in world.track(running, "batches measured"):
            place, costs_of_batch, first, second = done.result()
            for kept, new in zip((nats, correct), costs_of_batch, strict=True):
                kept[place] = new
                kept[second] = kept[first]
    finally:
        pool.shutdown(cancel_futures=True)
        torch.set_num_threads(threads)
    if not (nats < 1e9).all():  # nor is it with NaN
        raise UserError("the model's predictions are beyond measure: its weights are damaged, or training diverged")
    return nats, correct


def batches(before: Integers, windows: Integers, size: int) -> list[tuple[int, list[int]]]:
    """Windows, by number, of which `size` tokens go through the model together; those of like length, longest first.

    With them stands how many tokens each two of them, one after the other, have in common at first.
    """
    together: list[tuple[int, list[int]]] = []
    room = 0
    for shared, longest, members in sorted(twins(before, windows), reverse=True):
        if not together or together[-1][0] != shared or room < len(members):
            together.append((shared, []))
            room = max(len(members), size // longest)
        together[-1][1].extend(members)
        room -= len(members)
    return together


def twins(before: Integers, windows: Integers) -> Iterator[tuple[int, int, list[int]]]:
    """Windows with a shared prefix, two and two: how many tokens they share, the longer one's length, their numbers."""
    texts = [before[start:end] for start, end in windows]
    order = sorted(range(len(texts)), key=lambda number: texts[number].astype(">u4").tobytes())
    common = [in_common(texts[one], texts[other]) for one, other in pairwise(order)] + [0, 0]
    first = 0
    while first < len(order):
        pair = common[first] >= max(WORTH, common[first + 1])
        members = order[first : first + 1 + pair]
        longest = max(len(texts[member]) for member in members)
        yield min(common[first], longest - 1) if pair else 0, longest, members
        first += len(members)


def in_common(one: Integers, other: Integers) -> int:
    """The length of the common prefix of two windows."""
    size = min(len(one), len(other))
    mask = one[:size] != other[:size]
    return int(mask.argmax()) if mask.any() else size


@torch.no_grad()
def measured(model: Transformer, before: Integers, tokens: Integers, windows: Integers, shared: int) -> Measured:
    """What the tokens in `windows` [n, 2] cost, two and two of which begin with the same `shared` inputs.

    Returns places in `tokens`, their costs, and places that cost what others do: those others, and they.
    """
    starts, ends = windows.T[:, :, None]
    index = starts + np.arange((ends - starts).max())  # (B, T)
    real = index < ends
    # Padding repeats a window's last token; as attention looks back only, it changes nothing before it.
    inputs = torch.from_numpy(before[np.minimum(index, ends - 1)]).to(model.lm_head.weight.device)
    alike = max(0, shared - 1)  # all shared inputs but the last have the same token after them
    real[1::2, :alike] = False
    place = index[real]
    states = hidden(model, inputs, shared)[torch.from_numpy(real).to(inputs.device)]  # (N, D)
    return (place, costs(model, states, tokens[place]), index[::2, :alike].ravel(), index[1::2, :alike].ravel())


def hidden(model: Transformer, inputs: Tensor, shared: int) -> Tensor:
    """The last hidden states of `inputs` [batch, length], two and two of which begin with the same `shared` tokens."""
    if not shared:
        return model.hidden(inputs)
    caches = model.caches()
    begun = model.hidden(inputs[::2, :shared], caches).repeat_interleave(2, 0)
    for cache in caches:
        cache.repeat(2)
    return torch.cat([begun, model.hidden(inputs[:, shared:], caches)], 1)


def costs(model: Transformer, states: Tensor, targets: Integers) -> Costs:
    """What `targets` [n] cost where the last hidden states are `states` [n, width]; no machine adds up other sums."""
    nats, correct = np.empty(len(targets)), np.empty(len(targets), bool)
    for first in range(0, len(targets), POSITIONS):
        part = slice(first, first + POSITIONS)
        logits = model.logits(states[part]).float()
        logits -= logits.amax(1, keepdim=True)
        chosen = logits.gather(1, torch.from_numpy(targets[part].astype(np.int64)).to(logits.device)[:, None])
        correct[part] = (chosen == 0)[:, 0].cpu().numpy()
        nats[part] = (log(summed(to_fixed(exp(logits), 2.0**-36), 1)) - chosen)[:, 0].cpu().numpy()
    return nats, correct
