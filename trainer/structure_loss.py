"""Whether a stylised picture still shows the face: what is light and dark in it, place by place.

Local normalised cross-correlation (Lewis 1995) of the brightness of small versions of both: of no
concern are the palette, which may be any around each place, and strokes, which are averaged away.
"""

import torch
from torch import Tensor
from torch.nn import functional as F

from blendgan_core.layers import average_pool

SIDES = (32, 16)  # pixels of the small versions
WINDOW = 7  # pixels a side, within which light and dark are compared
FLAT = 0.05  # of the mean variance: what counts for nothing


def structure_loss(made: Tensor, face: Tensor) -> Tensor:
    """1 less the correlation within a window, weighted by the face's contrast there; 0 for the same
    picture but for what is flat. made, face: [N, 3, H, W], of any sizes -> scalar, 0..2."""
    losses = []
    for side in SIDES:
        ours, theirs = (average_pool(x, side).mean(dim=1, keepdim=True) for x in (made, face))
        our_mean, their_mean = window_mean(ours), window_mean(theirs)
        our_variance = (window_mean(ours.square()) - our_mean.square()).clamp_min(0)
        their_variance = (window_mean(theirs.square()) - their_mean.square()).clamp_min(0)
        covariance = window_mean(ours * theirs) - our_mean * their_mean
        product = (our_variance + flat(our_variance)) * (their_variance + flat(their_variance))
        contrast = their_variance.sqrt()
        agreement = (contrast * covariance * product.rsqrt()).sum() / (contrast.sum() + 1e-6)
        losses.append(1 - agreement)
    return torch.stack(losses).mean()


def window_mean(maps: Tensor) -> Tensor:
    """Mean around each pixel. [N, 1, S, S] -> the same shape."""
    return F.avg_pool2d(maps, WINDOW, stride=1, padding=WINDOW // 2, count_include_pad=False)


def flat(variance: Tensor) -> Tensor:
    """The variance that counts for nothing, above 0 also in a picture of one colour. [N, 1, S, S]
    -> [N, 1, 1, 1], not learnt from."""
    return FLAT * variance.detach().mean(dim=(2, 3), keepdim=True) + 1e-5
