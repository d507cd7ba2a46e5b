"""Smooth random fields and small image helpers that portraits and styles share.

Fields are drawn on a coarse grid and interpolated, so one random state gives the same picture at
every size, and a size of 128 costs a fraction of a millisecond.
"""

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

Picture = NDArray[np.float32]  # [H, W, 3], RGB in 0..1
Field = NDArray[np.float32]  # [H, W], one value per pixel

SPLINE_VARIANCE = 151 / 315  # mean over x of the sum of squared cubic B-spline weights


@lru_cache(maxsize=64)
def _spline(size: int, cells: int) -> tuple[NDArray[np.intp], NDArray[np.float32]]:
    """Cubic B-spline through `cells + 3` knots at `size` pixel centres.

    Returns each pixel's first knot [size] and the weights of it and the next three [4, size].
    """
    position = (np.arange(size) + 0.5) / size * cells
    knot = np.floor(position).astype(np.intp)
    t = position - knot
    weights = [
        (1 - t) ** 3,
        3 * t**3 - 6 * t**2 + 4,
        -3 * t**3 + 3 * t**2 + 3 * t + 1,
        t**3,
    ]
    return knot, (np.stack(weights) / 6).astype(np.float32)


def _interpolate_rows(knots: Field, size: int, cells: int) -> Field:
    """[cells + 3, C] -> [size, C]."""
    # Four weighted sums, not a matrix product: BLAS threads would fight the worker processes.
    first, weights = _spline(size, cells)
    field = weights[0][:, None] * knots[first]
    for step in (1, 2, 3):
        field += weights[step][:, None] * knots[first + step]
    return field


def smooth_noise(
    rng: np.random.Generator, size: int, rows: int, columns: int | None = None
) -> Field:
    """A smooth field [size, size] of mean 0 and deviation 1, with `rows` x `columns` bumps."""
    columns = rows if columns is None else columns
    knots = rng.standard_normal((rows + 3, columns + 3), dtype=np.float32)
    across = np.ascontiguousarray(_interpolate_rows(knots.T, size, columns).T)  # [rows + 3, size]
    field = _interpolate_rows(across, size, rows)
    return field / np.float32(SPLINE_VARIANCE)


def fractal_noise(rng: np.random.Generator, size: int, cells: int) -> Field:
    """Four octaves of smooth noise [size, size], each twice as fine and half as strong."""
    return sum(smooth_noise(rng, size, cells * 2**octave) * 0.5**octave for octave in range(4))


def smoothstep(start: float, end: float, x: NDArray) -> NDArray:
    """0 before `start`, 1 after `end`, a cubic between; `start` > `end` makes it fall."""
    t = np.clip((x - start) / (end - start), 0, 1)
    return t * t * (3 - 2 * t)


def luminance(image: Picture) -> Field:
    """[H, W, 3] -> [H, W], Rec. 601 weights."""
    red, green, blue = np.moveaxis(image, -1, 0)
    return 0.299 * red + 0.587 * green + 0.114 * blue


def halve(image: Picture) -> Picture:
    """Average 2x2 blocks: [2H, 2W, 3] -> [H, W, 3]."""
    height, width, channels = image.shape
    return image.reshape(height // 2, 2, width // 2, 2, channels).mean(axis=(1, 3))


def enlarge(image: Picture, size: int) -> Picture:
    """Interpolate linearly: [S, S, 3] -> [size, size, 3]."""
    place = np.clip((np.arange(size) + 0.5) / size * len(image) - 0.5, 0, len(image) - 1)
    first = np.minimum(place.astype(np.intp), len(image) - 2)
    share = (place - first).astype(np.float32)[:, None, None]
    rows = image[first] * (1 - share) + image[first + 1] * share
    share = share.reshape(1, -1, 1)
    return rows[:, first] * (1 - share) + rows[:, first + 1] * share
