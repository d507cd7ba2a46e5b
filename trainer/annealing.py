"""Learning rates that fall while a training runs."""

import math

from torch.optim import Optimizer


def anneal_(optimizer: Optimizer, share: float) -> None:
    """Set every group's learning rate to a share of the one that it began with, which the
    optimiser's state keeps, so that a resumed run goes on the same."""
    for group in optimizer.param_groups:
        group["lr"] = group.setdefault("initial_lr", group["lr"]) * share


def cosine(step: int, steps: int) -> float:
    """From 1 at step 0 to 0 at the last one, along half a cosine."""
    return (1 + math.cos(math.pi * step / max(1, steps))) / 2


def late(step: int, steps: int, part: float) -> float:
    """1, and over the last `part` of the steps, 0..1, in a straight line down to nearly 0."""
    return min(1.0, (steps - step) / (part * steps)) if part * steps >= 1 else 1.0
