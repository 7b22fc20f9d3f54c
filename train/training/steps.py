"""The steps of a training as numbers: which of them leave a checkpoint, what it is called, how much they read."""


def is_checkpoint(step: int, every: int, steps: int) -> bool:
    """Whether a training of `steps` leaves a checkpoint after a step: each `every`-th, and the last."""
    return step % every == 0 or step == steps


def checkpoint_steps(every: int, steps: int) -> list[int]:
    """The steps of a training of `steps` after which a checkpoint is kept; the last holds the final weights."""
    return [step for step in range(1, steps + 1) if is_checkpoint(step, every, steps)]


def checkpoint_name(step: int) -> str:
    """The folder of the checkpoint after a step."""
    return f"step-{step:06d}"


def tokens_seen(steps: int, batch: int, context: int) -> int:
    """How many tokens a training of so many steps reads, each time one is read."""
    return steps * batch * context
