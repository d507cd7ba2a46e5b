"""Affine augmentation: it moves what a picture shows and leaves colours and style alone."""

import math

import torch
from torch import Tensor
from torch.nn import functional as F

from .data import random_flip
from .draws import Draws

MAX_ROTATION = math.radians(20)
MAX_LOG_SCALE = math.log(1.3)
MAX_SHEAR = 0.15
MAX_SHIFT = 0.125  # of the picture's size


def random_affine(images: Tensor, draws: Draws) -> Tensor:
    """Rotate, scale, shear, shift and mirror each picture at random; the border is reflected.

    [N, 3, H, W] -> the same.
    """
    angle, log_scale, shear_x, shear_y, shift_x, shift_y = (draws.uniform(6) * 2 - 1).t()
    cos = torch.cos(angle * MAX_ROTATION) * torch.exp(log_scale * MAX_LOG_SCALE)
    sin = torch.sin(angle * MAX_ROTATION) * torch.exp(log_scale * MAX_LOG_SCALE)
    rows = [
        torch.stack([cos, shear_x * MAX_SHEAR - sin, 2 * shift_x * MAX_SHIFT], dim=1),
        torch.stack([sin + shear_y * MAX_SHEAR, cos, 2 * shift_y * MAX_SHIFT], dim=1),
    ]
    matrices = torch.stack(rows, dim=1).to(images)  # [N, 2, 3]
    return random_flip(resample(images, matrices), draws)


def resample(images: Tensor, matrices: Tensor) -> Tensor:
    """Show at each place of [-1, 1] what a picture has at matrix @ (x, y, 1); beyond the border it
    is reflected. images: [N, C, H, W]; matrices: [N, 2, 3] -> like images."""
    grid = F.affine_grid(matrices, list(images.shape), align_corners=False)
    return F.grid_sample(images, grid, padding_mode="reflection", align_corners=False)
