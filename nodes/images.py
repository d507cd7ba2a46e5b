"""ComfyUI's IMAGE <-> the core's images. The only file that knows ComfyUI's NHWC in [0, 1]."""

import torch
from torch import Tensor

from . import devices


def from_image(image: Tensor) -> Tensor:
    """IMAGE [N, H, W, 1, 3 or 4] in [0, 1], any float type -> [N, 3, H, W] float32 in [-1, 1].

    A fourth channel is alpha; transparent parts show white, as in picture files.
    """
    image = image.float().movedim(-1, 1)  # [N, C, H, W]
    if image.shape[1] == 4:
        colour, alpha = image[:, :3], image[:, 3:]
        image = torch.lerp(torch.ones_like(colour), colour, alpha)
    return image.expand(-1, 3, -1, -1) * 2 - 1


def to_image(images: Tensor) -> Tensor:
    """[N, 3, H, W], about [-1, 1] -> IMAGE [N, H, W, 3] in [0, 1], as ComfyUI keeps results."""
    image = images.float().add(1).div(2).clamp(0, 1).movedim(1, -1)
    return devices.keep(image).to(devices.result_dtype()).contiguous()
