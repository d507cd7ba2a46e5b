"""What both encoders share: a batch of pictures to one batch of codes, a few pictures at a time."""

from collections.abc import Callable

import torch
from torch import Tensor

from . import devices
from .images import from_image

ENCODER_PIXELS = 256 * 256  # smaller pictures are scaled up to this


def encode(pictures_to_codes: Callable[[Tensor], Tensor], image: Tensor) -> Tensor:
    """IMAGE [N, H, W, C] -> codes [N, ..] on the intermediate device.

    pictures_to_codes takes the core's images, [n, 3, H, W] in [-1, 1], and gives [n, ..].
    """
    pixels = max(image.shape[1] * image.shape[2], ENCODER_PIXELS)
    codes = [
        devices.keep(pictures_to_codes(from_image(image[part])))
        for part in devices.chunks(len(image), pixels)
    ]
    return torch.cat(codes)
