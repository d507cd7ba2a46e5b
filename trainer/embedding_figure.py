"""The style encoder's embedding: a map of pictures, those of like style codes near each other
(paper, figure 8)."""

import colorsys
from collections.abc import Sequence
from functools import cache
from math import ceil, sqrt
from pathlib import Path

import numpy as np
import torch
from scipy.optimize import linear_sum_assignment
from scipy.spatial.distance import cdist
from torch import Tensor
from torch.nn import functional as F
from tqdm import tqdm

from blendgan_core.images import write_image

SIDE = 1600  # pixels
LARGEST = 64  # cell, in pixels; with many pictures they get smaller, so that all have room
ROOM = 1.6  # cells for each picture; the free ones show where a group ends
PERPLEXITY = 30  # t-SNE's usual one: about how many neighbours a picture looks at
GOLDEN = 0.618  # of the circle of hues from one style to the next, so that none come close


def draw_embedding(
    path: Path, codes: Tensor, thumbnails: Tensor, styles: Sequence[int] | Tensor
) -> None:
    """Write a map of the pictures, laid out by t-SNE, each bordered in the colour of its style.

    codes: z_style [N, S]; thumbnails: [N, 3, R, R] in [-1, 1]; styles: N numbers. Each picture goes
    to a cell of a grid near its place on the map, so that none hides another. Where scikit-learn is
    missing, it says so once and writes nothing. Raises ImageError if the file cannot be written.
    """
    if _tsne() is None:
        return
    per_side = max(SIDE // LARGEST, ceil(sqrt(ROOM * len(codes))))
    cell = SIDE // per_side
    border = max(1, cell // 16)
    inner = cell - 2 * border - 1  # a white line between neighbours
    pictures = F.interpolate(
        thumbnails.detach().float().cpu(), size=(inner, inner), mode="bilinear", antialias=True
    )
    canvas = torch.ones(3, per_side * cell, per_side * cell)
    places = free_cells(_positions(codes), per_side).tolist()
    for picture, style, (column, row) in zip(pictures, styles, places, strict=True):
        framed = style_colour(int(style)).repeat(1, cell - 1, cell - 1)
        framed[:, border:-border, border:-border] = picture
        top, left = row * cell, column * cell
        canvas[:, top : top + cell - 1, left : left + cell - 1] = framed
    write_image(path, canvas)


def free_cells(positions: np.ndarray, per_side: int) -> np.ndarray:
    """A cell of its own for each position, with the smallest sum of squared distances to them.

    positions: [N, 2], any range, N <= per_side^2 -> column and row of each, [N, 2].
    """
    low, high = positions.min(axis=0), positions.max(axis=0)
    wanted = (positions - low) / np.maximum(high - low, 1e-9) * (per_side - 1)
    cells = np.stack(np.meshgrid(range(per_side), range(per_side)), axis=-1).reshape(-1, 2)
    _, chosen = linear_sum_assignment(cdist(wanted, cells, "sqeuclidean"))
    return cells[chosen]


def style_colour(style: int) -> Tensor:
    """A strong colour for each number, light and dark in turn -> [3, 1, 1] in [-1, 1]."""
    value = (0.95, 0.6)[style % 2]
    red_green_blue = colorsys.hsv_to_rgb(style * GOLDEN % 1, 0.9, value)
    return torch.tensor(red_green_blue)[:, None, None] * 2 - 1


def _positions(codes: Tensor) -> np.ndarray:
    """codes: [N, S] -> [N, 2] by t-SNE over cosines, which are what NT-Xent compares."""
    if len(codes) < 3:  # there is nothing to lay out
        return np.arange(2 * len(codes)).reshape(-1, 2)
    layout = _tsne()(
        perplexity=min(PERPLEXITY, (len(codes) - 1) / 3),
        metric="cosine",
        init="random",
        random_state=0,
    )
    return layout.fit_transform(codes.detach().float().cpu().numpy())


@cache
def _tsne():
    """scikit-learn's class; None, and a line that tells it, where it is not installed."""
    try:
        from sklearn.manifold import TSNE
    except ImportError:
        tqdm.write("no map of the style codes: `pip install scikit-learn` adds it")
        return None
    return TSNE
