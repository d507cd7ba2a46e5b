"""Styles between styles: weighted mixes, and the way from one key style to the next."""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from .errors import BlendGANError

EASINGS: dict[str, Callable[[Tensor], Tensor]] = {  # 0..1 -> 0..1, rising from 0 to 1
    "linear": lambda t: t,
    "smooth": lambda t: t * t * (3 - 2 * t),
    "ease in": lambda t: t * t,
    "ease out": lambda t: t * (2 - t),
}


def mix_z(codes: Sequence[Tensor], weights: Sequence[float] | Tensor) -> Tensor:
    """The weighted mean of style codes of equal size. codes: K of [N or 1, S] -> z_style [N, S].

    weights: K numbers, or [K, N] with those of each item; of any scale, not negative, not all zero.

    The style network normalises its input, so to the model a code is only a direction. Plain
    averaging would let a longer code outweigh a shorter one; therefore all codes of an item are
    brought to one root mean square first, the weighted mean of their own. What remains differs
    from a rotation (slerp) by its speed alone, is defined for any number of codes, and gives a
    code of weight 1 back bit for bit.
    """
    stacked = _stack(codes)  # [K, N, S]
    weights = _normalised(weights).to(stacked)  # [K, N or 1, 1]
    size = stacked.square().mean(dim=2, keepdim=True).sqrt()  # [K, N, 1]
    common = (weights * size).sum(dim=0)
    return (weights * (stacked * (common / size.clamp_min(1e-12)))).sum(dim=0)


def mix_w(codes: Sequence[Tensor], weights: Sequence[float] | Tensor) -> Tensor:
    """The weighted mean of mapped styles, whose size matters. K of [N or 1, L, W] -> [N, L, W].

    weights: as in mix_z.
    """
    stacked = _stack(codes)  # [K, N, L, W]
    return (_normalised(weights)[..., None].to(stacked) * stacked).sum(dim=0)


def keyframes(
    count: int, frames: int, easing: str = "linear", loop: bool = False
) -> tuple[list[int], list[int], Tensor]:
    """Where each frame lies between two of `count` key styles.

    -> the key before each frame, the key after it, and how far the frame is on its way [frames],
    fp64, 0..1. The first frame is the first key. Without loop the last frame is the last key; with
    it the last key leads to the first, which is the frame that would come next and is not repeated.
    """
    if count < 2 or frames < 1:
        raise BlendGANError(
            f"{count} key styles and {frames} frames: expected at least two key styles, and a frame"
        )
    ways, steps = (count, frames) if loop else (count - 1, max(1, frames - 1))
    before = [frame * ways // steps for frame in range(frames)]
    after = [(key + 1) % count for key in before]
    progress = [(frame * ways % steps) / steps for frame in range(frames)]  # exactly 0 at a key
    return before, after, EASINGS[easing](torch.tensor(progress, dtype=torch.float64))


def join(codes: Sequence[Tensor]) -> Tensor:
    """Batches of codes [N, ..] one after the other -> [sum of N, ..]; all of one size."""
    _check_sizes(codes)
    return torch.cat(list(codes))


def _stack(codes: Sequence[Tensor]) -> Tensor:
    """K codes [N or 1, ..] -> [K, N, ..]."""
    _check_sizes(codes)
    counts = [len(code) for code in codes]
    if len(set(counts) - {1}) > 1:
        raise BlendGANError(
            f"batches of {', '.join(map(str, counts))} styles do not pair up: give one style, or "
            "as many as the others have"
        )
    return torch.stack([code.expand(max(counts), *code.shape[1:]) for code in codes])


def _check_sizes(codes: Sequence[Tensor]) -> None:
    sizes = sorted({tuple(code.shape[1:]) for code in codes})
    if len(sizes) > 1:
        found = " and ".join(" x ".join(map(str, size)) for size in sizes)
        raise BlendGANError(
            f"the styles have codes of {found} values, expected one size; make them with the "
            "same checkpoint"
        )


def _normalised(weights: Sequence[float] | Tensor) -> Tensor:
    """K weights or [K, N] -> [K, N or 1, 1], fp64, with the sum 1."""
    weights = torch.as_tensor(weights, dtype=torch.float64)
    if not (weights.isfinite() & (weights >= 0)).all():
        raise BlendGANError(f"a weight is {weights.min().item()}: expected 0 or more")
    weights = weights.view(len(weights), -1, 1)
    total = weights.sum(dim=0)
    if not total.all():
        raise BlendGANError("all weights are 0: give at least one style a weight above 0")
    return weights / total
