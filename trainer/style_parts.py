"""What the styles are made of: tones, outlines, hatching, papers, flattened colours, brush strokes.

Lengths are in units of 1/64 of the picture's side, whatever its size.
"""

import colorsys

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter, uniform_filter

from .texture import Field, Picture, luminance, smooth_noise

DIRECTIONS = 64  # of brush strokes, over half a turn


def unit_of(image: NDArray) -> float:
    """Pixels in 1/64 of the picture's side."""
    return len(image) / 64


def blur(image: NDArray, units: float) -> NDArray:
    """Gaussian blur of deviation `units`, of a field or of each colour."""
    deviation = units * unit_of(image)
    deviations = (deviation, deviation, 0)[: image.ndim]
    return gaussian_filter(image, deviations, mode="nearest", truncate=2.5)


def tone(image: Picture) -> Field:
    """Luminance [H, W], stretched so that the picture spans 0..1."""
    light = luminance(image)
    darkest, brightest = np.percentile(light, [1, 99])
    return np.clip((light - darkest) / (brightest - darkest + 1e-6), 0, 1).astype(np.float32)


def expose(image: Picture, darkest: float = 0.33) -> Picture:
    """Bring a picture whose middle, where the face is, is too dark or too bright back into range.

    One whose middle lies between `darkest` and 0.66 stays as it is, so that dark skin stays dark.
    """
    light = luminance(image)
    third = len(image) // 3
    mean = float(np.clip(light[third:-third, third:-third].mean(), 0.01, 0.99))
    # An overexposed one is darkened a little only: it would become black and white.
    gamma = min(1.5, np.log(np.clip(mean, darkest, 0.66)) / np.log(mean))
    gain = np.maximum(light, 1e-3) ** np.float32(gamma - 1)
    gain = gain[..., None]
    # Colour is raised less than light, else the shadows of a dark picture turn gaudy.
    bright = light[..., None] * gain + (image - light[..., None]) * gain ** np.float32(0.6)
    return np.clip(bright, 0, 1).astype(np.float32)


def even(light: Field, units: float) -> Field:
    """Lift large dark areas [H, W], so that the features of a dark face still stand out."""
    return 0.45 * light + 0.55 * np.clip(light / (blur(light, units) + 0.25), 0, 1)


def sharpen(values: NDArray, strength: float) -> NDArray:
    """Raise local contrast, so that eyes and mouth survive a coarse style."""
    return np.clip(values + np.float32(strength) * (values - blur(values, 2.5)), 0, 1)


def saturate(image: Picture, factor: float) -> Picture:
    """Move each colour away from its grey by `factor`."""
    grey = luminance(image)[..., None]
    return np.clip(grey + (image - grey) * np.float32(factor), 0, 1)


def contrast(image: NDArray, factor: float) -> NDArray:
    """Move values away from the middle by `factor`."""
    return np.clip((image - 0.5) * np.float32(factor) + 0.5, 0, 1)


def outline(light: Field, width: float, strength: float, threshold: float = 0.01) -> Field:
    """0 on dark lines and edges, 1 elsewhere: a thresholded difference of Gaussians."""
    difference = blur(light, width) - blur(light, 1.6 * width) + threshold
    return np.where(difference > 0, 1, 1 + np.tanh(strength * difference)).astype(np.float32)


def stripes(size: int, angle: float, period: float, wobble: Field) -> Field:
    """A wave 0..1 across parallel lines, `period` and `wobble` in units."""
    axis = np.arange(size, dtype=np.float32) * np.float32(64 / size)
    across = axis[None, :] * np.float32(np.cos(angle)) + axis[:, None] * np.float32(np.sin(angle))
    return 0.5 + 0.5 * np.sin((across + wobble) * np.float32(2 * np.pi / period))


def streaks(rng: np.random.Generator, size: int, angle: float, across: int, along: int) -> Field:
    """Noise of mean 0 and deviation about 1, drawn out at `angle` to the rows: [size, size].

    across, along: bumps in 64 units.
    """
    straight = smooth_noise(rng, 2 * size, 2 * across, 2 * along)
    axis = np.arange(size, dtype=np.float32) - size / 2
    cos, sin = np.float32(np.cos(angle)), np.float32(np.sin(angle))
    row = (axis[:, None] * cos - axis[None, :] * sin + size).astype(np.intp)
    column = (axis[None, :] * cos + axis[:, None] * sin + size).astype(np.intp)
    return straight[row, column]


def two_tone(light: Field, dark: NDArray, bright: NDArray) -> Picture:
    """Colour 0 as `dark` [3] and 1 as `bright` [3], mixed between."""
    return (dark + (bright - dark) * light[..., None]).astype(np.float32)


def hsv(hue: float, saturation: float, value: float) -> NDArray[np.float32]:
    """A colour [3]; the hue wraps, the others are clipped."""
    parts = colorsys.hsv_to_rgb(
        hue % 1, float(np.clip(saturation, 0, 1)), min(1.0, max(0.0, value))
    )
    return np.array(parts, np.float32)


def pick(rng: np.random.Generator, colours: list[tuple[float, float, float]]) -> NDArray:
    """One colour [3] of the list."""
    return np.array(colours[rng.integers(len(colours))], np.float32)


def paper(rng: np.random.Generator, size: int, colour: NDArray, grain: float = 0.03) -> Picture:
    """A sheet of `colour` with fibres."""
    fibres = 0.6 * smooth_noise(rng, size, 48) + 0.4 * smooth_noise(rng, size, 8)
    return np.clip(colour * (1 - np.float32(grain) * np.abs(fibres[..., None])), 0, 1)


def kuwahara(image: Picture, units: float) -> Picture:
    """Flatten into patches: each pixel takes the mean of its smoothest neighbouring quadrant."""
    reach = max(1, round(units * unit_of(image) / 2))
    window = (2 * reach + 1, 2 * reach + 1, 1)
    mean = uniform_filter(image, window, mode="nearest")
    spread = (uniform_filter(image * image, window, mode="nearest") - mean * mean).sum(axis=2)
    padded_mean = np.pad(mean, ((reach, reach), (reach, reach), (0, 0)), mode="edge")
    padded_spread = np.pad(spread, reach, mode="edge")
    size = len(image)
    flat, smoothest = mean, np.full(image.shape[:2], np.inf, np.float32)
    for top in (0, 2 * reach):
        for left in (0, 2 * reach):
            here = np.s_[top : top + size, left : left + size]
            better = padded_spread[here] < smoothest
            smoothest = np.where(better, padded_spread[here], smoothest)
            flat = np.where(better[..., None], padded_mean[here], flat)
    return flat


def paint_strokes(
    canvas: Picture,
    centres: NDArray,
    colours: NDArray,
    angles: NDArray,
    length: float,
    width: float,
) -> Picture:
    """Lay N opaque strokes, the last on top.

    centres [N, 2] (row, column, in pixels), colours [N, 3], angles [N] in radians against the
    row's direction, length and width in units.
    """
    if len(centres) == 0:
        return canvas
    size = len(canvas)
    half_length, half_width = length * unit_of(canvas) / 2, width * unit_of(canvas) / 2
    reach = int(np.ceil(max(half_length, half_width)))
    wide = size + 2 * reach  # strokes may hang over the border
    offset = np.arange(-reach, reach + 1, dtype=np.float32)
    turned = np.arange(DIRECTIONS, dtype=np.float32)[:, None, None] * np.float32(np.pi / DIRECTIONS)
    cos, sin = np.cos(turned), np.sin(turned)
    along = (offset * cos + offset[:, None] * sin) / half_length  # [directions, rows, columns]
    across = (offset[:, None] * cos - offset * sin) / half_width
    direction, row, column = np.nonzero(np.square(along * along) + across * across <= 1)
    cells = row * wide + column
    counts = np.bincount(direction, minlength=DIRECTIONS)
    starts = np.cumsum(counts) - counts

    near = np.rint(angles * (DIRECTIONS / np.pi)).astype(int) % DIRECTIONS
    lengths = counts[near]
    corner = np.clip(np.rint(centres).astype(int), 0, size - 1) @ np.array([wide, 1])
    first = np.cumsum(lengths) - lengths
    cell = np.arange(lengths.sum()) + np.repeat(starts[near] - first, lengths)
    top = np.full(wide * wide, -1, np.int32)
    # Where strokes overlap, numpy keeps the last assignment, which is the topmost stroke.
    top[np.repeat(corner, lengths) + cells[cell]] = np.repeat(
        np.arange(len(centres), dtype=np.int32), lengths
    )
    top = top.reshape(wide, wide)[reach : reach + size, reach : reach + size]
    return np.where(top[..., None] >= 0, colours[top], canvas)


def scattered(rng: np.random.Generator, size: int, spacing: float) -> NDArray:
    """Points about `spacing` units apart in random order: [N, 2] in pixels."""
    count = int(np.ceil(64 / spacing)) + 1
    grid = np.stack(np.meshgrid(np.arange(count), np.arange(count), indexing="ij"), axis=-1)
    points = grid.reshape(-1, 2) + rng.uniform(-0.5, 0.5, (count * count, 2))
    return rng.permutation(points) * spacing * size / 64


def sample(image: NDArray, centres: NDArray) -> NDArray:
    """The pixels of `image` at `centres` [N, 2]."""
    row, column = np.clip(np.rint(centres), 0, len(image) - 1).astype(int).T
    return image[row, column]


def contour_angle(light: Field, units: float) -> Field:
    """The direction [H, W] along which the brightness does not change, in radians."""
    slope_y, slope_x = np.gradient(blur(light, 0.6))
    energy_xx, energy_yy = blur(slope_x * slope_x, units), blur(slope_y * slope_y, units)
    energy_xy = blur(slope_x * slope_y, units)
    return 0.5 * np.arctan2(2 * energy_xy, energy_xx - energy_yy) + np.pi / 2
