"""Exponential moving average of a network's weights."""

import torch
from torch import nn


@torch.no_grad()
def update_ema_(average: nn.Module, current: nn.Module, decay: float) -> None:
    """average <- decay * average + (1 - decay) * current; buffers are copied."""
    for kept, new in zip(average.parameters(), current.parameters(), strict=True):
        kept.lerp_(new, 1 - decay)
    for kept, new in zip(average.buffers(), current.buffers(), strict=True):
        kept.copy_(new)


def early_decay(decay: float, step: int) -> float:
    """A decay that is lower at first, so that the first weights are forgotten at once, in a short
    training too. step: from 0."""
    return min(decay, step / (step + 10))


def half_life_decay(batch: int, half_life: float) -> float:
    """The decay a step that halves a weight's influence after `half_life` pictures."""
    return 0.5 ** (batch / half_life)
