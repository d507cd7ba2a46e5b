"""Confidence intervals by resampling (bootstrap, Efron 1979), from independent groups."""

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

RESAMPLES = 400
CONFIDENCE = 0.95


class Estimate(NamedTuple):
    """A value and the ends of its confidence interval."""

    value: float
    low: float
    high: float


def estimates(
    statistic: Callable[..., Tensor], *groups: Tensor, seed: int, resamples: int = RESAMPLES
) -> list[Estimate]:
    """The values of a statistic, each with its 95% interval.

    groups: tensors whose first dimension counts the K groups; statistic: from tensors like them to
    values [V] or a scalar. Groups are drawn K times with replacement, again and again. A group that
    is drawn twice makes some statistics, such as a Frechet distance, larger than they are; so the
    interval is the spread of the resampled values around their own mean, put around the value.
    """
    value = statistic(*groups).reshape(-1)
    count = len(groups[0])
    generator = torch.Generator().manual_seed(seed)
    drawn = torch.randint(count, (resamples, count), generator=generator)
    again = torch.stack([statistic(*(g[some] for g in groups)).reshape(-1) for some in drawn])
    deviation = again - again.mean(dim=0)
    tail = (1 - CONFIDENCE) / 2
    ends = torch.quantile(deviation, torch.tensor([tail, 1 - tail]).to(deviation), dim=0)
    columns = (value, value + ends[0], value + ends[1])
    return [Estimate(*numbers) for numbers in zip(*(c.tolist() for c in columns), strict=True)]


def estimate(
    statistic: Callable[..., Tensor], *groups: Tensor, seed: int, resamples: int = RESAMPLES
) -> Estimate:
    """The same for a statistic that is one number."""
    (only,) = estimates(statistic, *groups, seed=seed, resamples=resamples)
    return only
