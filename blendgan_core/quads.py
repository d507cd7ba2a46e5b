"""Where a crop lies in a picture, when a box, a mask or the whole picture says so.

A quad [4, 2] has the corners upper left, lower left, lower right, upper right, as in alignment.py:
points are (x, y) in pixels, whole numbers in the middle of a pixel, so a picture W wide reaches
from -0.5 to W - 0.5. All quads are squares.
"""

import numpy as np
from PIL import Image
from torch import Tensor

from .alignment import crop_quad, crop_region, quad_side
from .errors import ImageError
from .images import from_uint8, to_uint8

NEARLY = 1e-3  # pixels by which corners may miss a border or a straight line


def square(centre_x: float, centre_y: float, side: float) -> np.ndarray:
    """An upright quad [4, 2]."""
    half = side / 2
    left, right, top, bottom = centre_x - half, centre_x + half, centre_y - half, centre_y + half
    return np.array([[left, top], [left, bottom], [right, bottom], [right, top]])


def box_quad(x: float, y: float, width: float, height: float, margin: float = 1.0) -> np.ndarray:
    """The square around a box, its side `margin` times the box's longer one -> [4, 2].

    x, y: the box's upper left corner, counted from the picture's own; all in pixels. Raises
    ImageError for a box without an area.
    """
    if not np.isfinite([x, y, width, height]).all() or width <= 0 or height <= 0:
        raise ImageError(f"a box of {width} x {height} pixels at {x}, {y} holds no face")
    side = max(width, height) * margin
    return square(x + width / 2 - 0.5, y + height / 2 - 0.5, side)


def whole_quad(width: int, height: int) -> np.ndarray:
    """The centre square of a picture, as images.center_square takes it -> [4, 2]."""
    side = min(width, height)
    return box_quad((width - side) // 2, (height - side) // 2, side, side)


def mask_box(mask: Tensor) -> tuple[int, int, int, int] | None:
    """mask: [H, W] in 0..1 -> x, y, width, height of what is above a half; None if nothing is."""
    rows, columns = (mask > 0.5).any(dim=1).nonzero(), (mask > 0.5).any(dim=0).nonzero()
    if not len(rows):
        return None
    top, left = rows[0].item(), columns[0].item()
    return left, top, columns[-1].item() + 1 - left, rows[-1].item() + 1 - top


def scaled(points: np.ndarray, across: float, down: float) -> np.ndarray:
    """Points [.., 2] of a picture -> the same places when it is that much wider and higher."""
    return (points + 0.5) * [across, down] - 0.5


def cut_region(
    quad: np.ndarray, resolution: int, width: int, height: int
) -> tuple[int, int, int, int]:
    """The part of a picture that `cut` needs, in whole pixels: left, top, right, bottom."""
    if not _is_box_inside(quad, width, height):
        return crop_region(quad, resolution, width, height)
    left, top = np.floor(quad[0] + 0.5 + NEARLY)
    right, bottom = np.ceil(quad[2] + 0.5 - NEARLY)
    return int(left), int(top), int(right), int(bottom)


def cut(image: Tensor, quad: np.ndarray, resolution: int) -> Tensor:
    """image: [3, H, W] in [-1, 1], quad: [4, 2] -> [3, R, R] in [-1, 1], R = resolution.

    An upright quad inside the picture is only resized. Any other is cropped as in FFHQ, where what
    lies near a border or beyond it is mirrored and blurred.
    """
    if not _is_box_inside(quad, image.shape[2], image.shape[1]):
        return crop_quad(image, quad, resolution)
    picture = Image.fromarray(to_uint8(image[None])[0])
    edges = np.clip(quad[[0, 2]] + 0.5, 0, picture.size)  # [2, 2]: upper left, lower right
    picture = picture.resize(
        (resolution, resolution), Image.Resampling.LANCZOS, box=tuple(edges.flatten())
    )
    return from_uint8(np.array(picture))


def _is_box_inside(quad: np.ndarray, width: int, height: int) -> bool:
    """Whether a quad is upright and the picture holds all of it."""
    (left, top), (right, bottom) = quad[0], quad[2]
    upright = np.abs(quad - square(*quad.mean(axis=0), quad_side(quad))).max() < NEARLY
    inside = min(left, top) > -0.5 - NEARLY
    inside = inside and right < width - 0.5 + NEARLY and bottom < height - 0.5 + NEARLY
    return bool(upright and inside)
