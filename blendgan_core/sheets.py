"""Contact sheets: rows and columns of pictures in one file, to look at."""

from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor
from torch.nn import functional as F

from .images import write_image

CELL = 128  # pixels at least; smaller pictures are enlarged without smoothing


def write_sheet(path: Path, columns: Sequence[Sequence[Tensor | None]]) -> None:
    """Write columns of square pictures side by side, in cells of CELL pixels or more.

    columns: as in `arrange`. Raises ImageError if the file cannot be written.
    """
    sizes = [image.shape[-1] for column in columns for image in column if image is not None]
    smallest = min(sizes)
    write_image(path, arrange(columns, smallest * max(1, -(-CELL // smallest))))


def arrange(columns: Sequence[Sequence[Tensor | None]], cell: int) -> Tensor:
    """Columns of square pictures side by side -> [3, rows * cell, columns * cell].

    columns: each a batch [N, 3, H, H] or a list of pictures [3, H, H], in [-1, 1]; None leaves a
    white cell. All have N entries, and row n of the sheet is entry n of every column.
    """
    rows = [
        torch.cat([_fit(image, cell) for image in row], dim=2) for row in zip(*columns, strict=True)
    ]
    return torch.cat(rows, dim=1)


def _fit(image: Tensor | None, cell: int) -> Tensor:
    """A picture [3, H, H], or None -> [3, cell, cell]."""
    if image is None:
        return torch.ones(3, cell, cell)
    image = image.detach().float().cpu()[None]
    if image.shape[-1] < cell:
        return F.interpolate(image, size=cell, mode="nearest")[0]
    return F.adaptive_avg_pool2d(image, cell)[0]
