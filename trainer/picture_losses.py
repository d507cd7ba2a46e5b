"""How far a picture is from the one that was wanted: in pixels, in features, in texture."""

from torch import Tensor
from torch.nn import functional as F

from blendgan_core.layers import average_pool
from blendgan_core.style_encoder import StyleEncoder, feature_distance


def picture_losses(style_encoder: StyleEncoder, made: Tensor, wanted: Tensor) -> dict[str, Tensor]:
    """made, wanted: [N, 3, R, R] in [-1, 1] -> mean distances of pixels, of VGG features, each
    pixel's brought to length 1, and of Gram features, which hold no places: a hatched picture is
    near another whose lines lie elsewhere."""
    size = style_encoder.config.image_size
    ours, theirs = (style_encoder.features(average_pool(x, size)) for x in (made, wanted))
    grams = [style_encoder.standardize(style_encoder.grams(taps)) for taps in (ours, theirs)]
    return {
        "pixels": F.l1_loss(made, wanted),
        "perceptual": feature_distance(ours, theirs),
        "gram": F.l1_loss(*grams),
    }
