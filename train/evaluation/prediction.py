"""What each token of a text costs, for whoever measures: documents and the sentences of minimal pairs alike."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from train.errors import UserError
from train.model import Transformer
from train.world import World

POSITIONS = 256  # whose logits stand in memory together


@torch.no_grad()
def predict(
    model: Transformer,
    tokens: NDArray[np.integer],
    ranges: Sequence[Mapping[str, Any]],
    *,
    end_of_text: int,
    batch: int,
    world: World,
) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """What each of `tokens` [n] costs in nats, and whether it is the model's first choice; both [n]."""
    context, head = model.config.context, model.lm_head.weight
    # Every document ends with the mark, so the token before a document's first one is the mark already.
    before = np.concatenate([[end_of_text], tokens[:-1]]).astype(np.int64)
    windows = np.array(
        [
            (start, min(start + context, row["end"]))
            for row in ranges
            for start in range(row["start"], row["end"], context)
        ]
    )
    # Longest first: the windows of a batch are about as long as its first, and little is padding.
    windows = windows[np.argsort(windows[:, 0] - windows[:, 1], kind="stable")]
    nats, correct = np.zeros(len(tokens)), np.zeros(len(tokens), bool)
    for first in world.track(range(0, len(windows), batch), "batches measured"):
        starts, ends = windows[first : first + batch].T[:, :, None]
        index = starts + np.arange((ends - starts).max())  # (B, T)
        real = index < ends
        # Padding repeats a window's last token; as attention looks back only, it changes nothing before it.
        inputs = torch.from_numpy(before[np.minimum(index, ends - 1)]).to(head.device)
        states = model.hidden(inputs)[torch.from_numpy(real).to(head.device)]  # (N, D)
        for part in range(0, len(states), POSITIONS):
            place = index[real][part : part + POSITIONS]
            logits = states[part : part + POSITIONS] @ head.T  # (n, V)
            target = torch.from_numpy(tokens[place].astype(np.int64)).to(head.device)
            logits -= logits.amax(1, keepdim=True)
            chosen = logits.gather(1, target[:, None])[:, 0]
            correct[place] = (chosen == 0).cpu().numpy()
            nats[place] = (logits.exp_().sum(1).log() - chosen).cpu().numpy()
    if not (nats < 1e9).all():  # nor is it with NaN
        raise UserError("the model's predictions are beyond measure: its weights are damaged, or training diverged")
    return nats, correct
