"""Whether a stylised picture still shows the face: what is light and dark in it, place by place.

Local normalised cross-correlation (Lewis 1995) of the brightness of small versions of both: of no
concern are the palette, which may be any around each place, and strokes, which are averaged away.
"""

import torch
from torch import Tensor

from blendgan_core.layers import average_pool, box_mean

SIDES = (32, 16)  # pixels of the small versions
WINDOW = 7  # pixels a side, within which light and dark are compared
FLAT = 0.05  # of the mean variance: what counts for nothing


def structure_loss(made: Tensor, face: Tensor) -> Tensor:
    """1 less the correlation within a window, weighted by the face's contrast there; 0 for the same
    picture but for what is flat. made, face: [N, 3, H, W], of any sizes -> scalar, 0..2."""
    losses = []
    for side in SIDES:
        ours, theirs = (average_pool(x, side).mean(dim=1, keepdim=True) for x in (made, face))
        our_mean, their_mean = box_mean(ours, WINDOW), box_mean(theirs, WINDOW)
        our_variance = (box_mean(ours.square(), WINDOW) - our_mean.square()).clamp_min(0)
        their_variance = (box_mean(theirs.square(), WINDOW) - their_mean.square()).clamp_min(0)
        covariance = box_mean(ours * theirs, WINDOW) - our_mean * their_mean
        product = (our_variance + flat(our_variance)) * (their_variance + flat(their_variance))
        contrast = their_variance.sqrt()
        agreement = (contrast * covariance * product.rsqrt()).sum() / (contrast.sum() + 1e-6)
        losses.append(1 - agreement)
    return torch.stack(losses).mean()


def flat(variance: Tensor) -> Tensor:
    """The variance that counts for nothing, above 0 also in a picture of one colour. [N, 1, S, S]
    -> [N, 1, 1, 1], not learnt from."""
    return FLAT * variance.detach().mean(dim=(2, 3), keepdim=True) + 1e-5
