"""How far a picture is from the one that was wanted: in pixels, in features, in texture."""

import torch
from torch import Tensor
from torch.nn import functional as F

from blendgan_core.layers import average_pool
from blendgan_core.style_encoder import StyleEncoder, feature_distance

COARSE = 4  # pixels a side, within which a stroke may lie anywhere


def picture_losses(
    style_encoder: StyleEncoder, made: Tensor, wanted: Tensor, fine: float = 1.0
) -> dict[str, Tensor]:
    """made, wanted: [N, 3, R, R] in [-1, 1] -> mean distances of pixels, of VGG features, each
    pixel's brought to length 1, of Gram features, which hold no places: a hatched picture is near
    another whose lines lie elsewhere, and of style codes: 1 less their cosine.

    fine: 0..1, the share of the first two that counts every pixel's place; the rest of the first
    compares averages of 4 x 4 pixels.
    """
    size = style_encoder.config.image_size
    ours, theirs = (style_encoder.features(average_pool(x, size)) for x in (made, wanted))
    pixels = F.l1_loss(made, wanted)
    if fine < 1:
        coarse = F.l1_loss(F.avg_pool2d(made, COARSE), F.avg_pool2d(wanted, COARSE))
        pixels = torch.lerp(coarse, pixels, fine)
    return {
        "pixels": pixels,
        "perceptual": fine * feature_distance(ours, theirs),
    } | texture_losses(style_encoder, ours, theirs)


def texture_losses(
    style_encoder: StyleEncoder, ours: list[Tensor], theirs: list[Tensor]
) -> dict[str, Tensor]:
    """Features of two batches, [N, C, H', W'] each -> mean distances of Gram features, every tap
    with an equal share, as the first ones, which see strokes, have few values, and of codes."""
    grams = [style_encoder.standardize(style_encoder.grams(taps)) for taps in (ours, theirs)]
    sizes = [tap.shape[1] * (tap.shape[1] + 1) // 2 for tap in ours]
    splits = zip(*(values.split(sizes, dim=1) for values in grams), strict=True)
    codes = [style_encoder.predictor(values) for values in grams]
    return {
        "gram": torch.stack([F.l1_loss(a, b) for a, b in splits]).mean(),
        "code": 1 - F.cosine_similarity(*codes).mean(),
    }
