"""Sample grids: rows and columns of pictures in one PNG."""

from pathlib import Path

import torch
from torch import Tensor
from torch.nn import functional as F

from blendgan_core.images import write_image

SMALLEST_CELL = 128  # pixels; smaller pictures are enlarged to be looked at


def save_grid(path: Path, columns: list[Tensor]) -> None:
    """Write columns of pictures side by side.

    columns: each [N, 3, R, R] in [-1, 1]; row n of the grid is picture n of every column.
    """
    rows = torch.stack([column.float().cpu() for column in columns], dim=1)  # [N, K, 3, R, R]
    n, k, c, h, w = rows.shape
    sheet = rows.permute(2, 0, 3, 1, 4).reshape(c, n * h, k * w)
    factor = max(1, SMALLEST_CELL // h)
    write_image(path, F.interpolate(sheet[None], scale_factor=factor, mode="nearest")[0])
