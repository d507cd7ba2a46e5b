"""How a synthetic portrait is painted: colours laid over a picture through masks."""

import numpy as np
from numpy.typing import NDArray

from .portrait_head import Head
from .texture import Field, Picture

SIDES = (-1, 1)


def paint_(picture: Picture, mask: Field, colour: NDArray[np.float32]) -> None:
    """Lay `colour` ([3] or [S, S, 3]) over `picture` where `mask` [S, S] is 1."""
    touched = np.flatnonzero(mask.max(axis=1) > 1e-3)
    if len(touched) == 0:
        return
    rows = slice(touched[0], touched[-1] + 1)  # most features cover a few rows: saves half the time
    layer = colour[rows] if colour.ndim == 3 else colour
    picture[rows] += (layer - picture[rows]) * mask[rows, :, None]


def darken_(picture: Picture, mask: Field) -> None:
    """Take the share `mask` [S, S] of the light away."""
    picture *= 1 - mask[..., None]


def rgb(red: float, green: float, blue: float) -> NDArray[np.float32]:
    """A colour as an array [3]."""
    return np.array([red, green, blue], np.float32)


def superellipse(
    head: Head, u: float, v: float, width: float, height: float, power: float
) -> Field:
    """1 on the outline, less inside."""
    return np.abs((head.u - u) / width) ** power + np.abs((head.v - v) / height) ** power


def line(distance: Field, width: float) -> Field:
    """A soft line where `distance` is 0."""
    return np.exp(-((distance / width) ** 2))
