"""A crop goes back to where it was cut from: turned, scaled, and softened towards its border.

Only the pixels around the face are computed, in strips of rows, so a face in a large photo costs
what the face is large. Quads and points are those of alignment.py.
"""

from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from .alignment import quad_side
from .colour import match_colours

Box = tuple[int, int, int, int]  # left, top, right, bottom in whole pixels
SHAPES = ("oval", "square")
STRIP_PIXELS = 2**20


def bounds(quad: np.ndarray, width: int, height: int) -> Box:
    """The pixels of a picture that may lie in a quad [4, 2]; none if right <= left, or bottom <=
    top."""
    left, top = np.maximum(np.ceil(quad.min(axis=0)), 0)
    right, bottom = np.minimum(np.floor(quad.max(axis=0)) + 1, [width, height])
    return int(left), int(top), int(right), int(bottom)


def strips(box: Box) -> Iterator[Box]:
    """A box cut into rows of about a megapixel together."""
    left, top, right, bottom = box
    rows = max(STRIP_PIXELS // max(right - left, 1), 1)
    for start in range(top, bottom, rows):
        yield left, start, right, min(start + rows, bottom)


def places(quad: np.ndarray, box: Box) -> Tensor:
    """Where in the crop each pixel of a box lies: [h, w, 2], (0, 0) the crop's upper left corner,
    (1, 1) its lower right one."""
    left, top, right, bottom = box
    axes = np.stack([quad[3] - quad[0], quad[1] - quad[0]], axis=1)  # across and down the crop
    inverse = np.linalg.inv(axes)
    x = np.arange(left, right) - quad[0, 0]
    y = np.arange(top, bottom) - quad[0, 1]
    across = x[:, None] * inverse[:, 0]  # [w, 2]
    down = y[:, None] * inverse[:, 1]  # [h, 2]
    return torch.from_numpy(across[None] + down[:, None]).float()


def coverage(places: Tensor, feather: float, shape: str) -> Tensor:
    """places: [.., 2], see above -> how much of the crop shows there, 0 (beyond it) .. 1: [..].

    shape: "oval", the ellipse that the crop encloses, or "square". feather: the share of the way
    from the border to the centre over which it rises, by a cubic curve; 0 is a hard edge, 1 reaches
    the centre.
    """
    offset = (2 * places - 1).abs()
    radius = offset.norm(dim=-1) if shape == "oval" else offset.amax(dim=-1)
    rise = ((1 - radius) / max(feather, 1e-6)).clamp(0, 1)
    return rise * rise * (3 - 2 * rise)


def fit(crop: Tensor, quad: np.ndarray) -> Tensor:
    """crop: [3, r, s] -> no larger than its place in the picture, so that no pixel is skipped."""
    side = max(round(quad_side(quad)), 1)
    size = [min(length, side) for length in crop.shape[1:]]
    if size == list(crop.shape[1:]):
        return crop
    smaller = F.interpolate(
        crop[None], size=size, mode="bicubic", align_corners=False, antialias=True
    )
    return smaller[0].clamp(-1, 1)


def warp(crop: Tensor, places: Tensor) -> Tensor:
    """crop: [3, r, s] in [-1, 1], places: [h, w, 2] -> the crop as the picture shows it [3, h, w].

    Bicubic; give a crop that `fit` has passed. Beyond the crop its border goes on.
    """
    grid = (2 * places - 1).to(crop)[None]
    warped = F.grid_sample(
        crop[None], grid, mode="bicubic", padding_mode="border", align_corners=False
    )
    return warped[0].clamp(-1, 1)


def pixels_under(
    quad: np.ndarray, rows: int, columns: int, width: int, height: int
) -> tuple[Tensor, Tensor, Tensor]:
    """What the pixels of a crop cover in a picture of that width and height.

    -> x and y of the nearest pixel [rows, columns], and whether it is in the picture at all; where
    it is not, x and y are those of the border.
    """
    points = quad[0] + _grid(rows, columns) @ np.stack([quad[3] - quad[0], quad[1] - quad[0]])
    nearest = np.rint(points).astype(np.int64)
    inside = ((nearest >= 0) & (nearest < [width, height])).all(axis=-1)
    nearest = np.clip(nearest, 0, [width - 1, height - 1])
    return tuple(torch.from_numpy(part) for part in (nearest[..., 0], nearest[..., 1], inside))


def match_to_original(
    crop: Tensor, original: Tensor, inside: Tensor, strength: float, feather: float, shape: str
) -> Tensor:
    """Give a stylised crop the palette of what it covers.

    crop, original: [3, r, s] in [-1, 1], the latter and inside [r, s] as pixels_under finds them;
    strength: 0 (as it is) .. 1. A pixel counts as much as it will show. -> [3, r, s] in [-1, 1].
    """
    weight = coverage(torch.from_numpy(_grid(*inside.shape)).float(), feather, shape) * inside
    weight = weight.to(crop)[None, None]
    return match_colours(crop[None], original[None], strength, weight)[0].clamp(-1, 1)


def _grid(rows: int, columns: int) -> np.ndarray:
    """The middle of each pixel of a crop whose sides are 1: [rows, columns, 2]."""
    down, across = np.meshgrid(
        (np.arange(rows) + 0.5) / rows, (np.arange(columns) + 0.5) / columns, indexing="ij"
    )
    return np.stack([across, down], axis=-1)
