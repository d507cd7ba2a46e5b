"""A whole photo in: the crop of its largest face, or the photo itself if it is such a crop."""

from dataclasses import dataclass

import numpy as np
from torch import Tensor

from .alignment import crop_quad, ffhq_quad, quad_side, share_outside
from .face_points import load_face_points
from .images import center_square
from .quads import square

RESOLUTION = 256  # of a crop: what the encoders look at
ALIGNED = 0.15  # of its side by which the corners of a crop may be elsewhere than the photo's
MAX_OUTSIDE = 0.6  # of the crop, beyond the photo's border


@dataclass(frozen=True)
class PhotoFace:
    """The face that was taken out of a photo, and how."""

    image: Tensor  # [3, S, S] in [-1, 1]
    how: str  # "aligned", "as it is", "centre square"
    side: int  # of the square in the photo, in pixels


def take_face(image: Tensor, align: bool = True) -> PhotoFace:
    """image: [3, H, W] in [-1, 1] -> its largest face, upright, as in FFHQ.

    A square photo whose face lies as in an aligned crop, to ALIGNED, is taken as it is; one where
    no face is found, or any photo without `align`, by its centre square.
    """
    height, width = image.shape[1:]
    quads = photo_quads(image) if align else []
    if quads:
        quad = max(quads, key=quad_side)
        if not is_aligned(quad, width, height):
            return PhotoFace(crop_quad(image, quad, RESOLUTION), "aligned", round(quad_side(quad)))
    middle, was_cropped = center_square(image)
    return PhotoFace(middle, "centre square" if was_cropped else "as it is", middle.shape[-1])


def photo_quads(image: Tensor) -> list[np.ndarray]:
    """image: [3, H, W] in [-1, 1] -> the squares [4, 2] of its faces, see alignment.ffhq_quad."""
    height, width = image.shape[1:]
    quads = [ffhq_quad(points) for points in load_face_points()(image)]
    return [quad for quad in quads if share_outside(quad, width, height) <= MAX_OUTSIDE]


def is_aligned(quad: np.ndarray, width: int, height: int) -> bool:
    """Whether a face's square [4, 2] is, more or less, all of a square photo."""
    if width != height:
        return False
    whole = square((width - 1) / 2, (height - 1) / 2, width)
    away = np.hypot(*(quad - whole).T)
    return bool(away.max() <= ALIGNED * width)
