"""What is behind a synthetic portrait, as blurred as behind a real one."""

import colorsys

import numpy as np
from scipy.ndimage import gaussian_filter

from .portrait_attributes import PortraitAttributes
from .portrait_head import VIEW, Head
from .texture import Picture, enlarge, fractal_noise, smooth_noise, smoothstep

COARSE = 64  # side in pixels at which it is painted: all of it is blurred


def background(
    a: PortraitAttributes, head: Head, towards_light: float, rng: np.random.Generator
) -> Picture:
    """The scene [S, S, 3]; towards_light: -1..1, the side from which the light comes."""
    axis = (np.arange(COARSE, dtype=np.float32) + 0.5) / COARSE * 2 - 1
    x, y = np.meshgrid(axis * np.float32(VIEW), axis * np.float32(VIEW))
    scene = _SCENES[a.scene](a, x, y, rng)
    if a.scene != "white":
        mist = 0.92 + 0.12 * x * towards_light - 0.2 * np.clip(np.hypot(x, y) - 0.7, 0, 1)
        scene = scene * mist[..., None]
    scene = scene + (1.15 - scene) * np.float32(0.75 * a.backlight)
    return enlarge(scene.astype(np.float32), head.size)


def _gradient(a, x, y, rng) -> Picture:
    """Two colours that run into each other."""
    mix = 0.6 * (y / 2.3 + 0.5) + 0.4 * (0.5 + 0.25 * fractal_noise(rng, COARSE, 3))
    mix = np.clip(mix, 0, 1)[..., None]
    first, second = np.array(a.background, np.float32), np.array(a.background_second, np.float32)
    return first * (1 - mix) + second * mix


def _white(a, x, y, rng) -> Picture:
    return np.full((COARSE, COARSE, 3), 0.97, np.float32)


def _black(a, x, y, rng) -> Picture:
    return np.full((COARSE, COARSE, 3), 0.035, np.float32)


def _bokeh(a, x, y, rng) -> Picture:
    """Lamps out of focus at night, or in a hall."""
    scene = _gradient(a, x, y, rng) * np.float32(rng.uniform(0.15, 0.6))
    for _ in range(18):
        radius = rng.uniform(0.06, 0.2)
        centre = rng.uniform(-VIEW, VIEW, 2)
        disc = smoothstep(radius, radius * 0.8, np.hypot(x - centre[0], y - centre[1]))
        lamp = colorsys.hsv_to_rgb(rng.choice([0.09, 0.12, 0.55, rng.random()]), 0.4, 0.9)
        scene += disc[..., None] * np.array(lamp, np.float32) * np.float32(rng.uniform(0.15, 0.7))
    return np.clip(scene, 0, 1.1)


def _window(a, x, y, rng) -> Picture:
    """A bright window with bars in a wall."""
    wall = _gradient(a, x, y, rng) * np.float32(0.7)
    left, top = rng.uniform(-1.4, 0.3), rng.uniform(-1.5, -0.8)
    width, height = rng.uniform(0.7, 1.3), rng.uniform(1.0, 2.2)
    across, down = (x - left) / width, (y - top) / height
    pane = (across > 0) * (across < 1) * (down > 0) * (down < 1)
    pane = pane * (np.abs(across - 0.5) > 0.05) * (np.abs(down - 0.5) > 0.035)
    sky = np.array([0.88, 0.95, 1.05], np.float32) * (1 - 0.3 * np.clip(down, 0, 1))[..., None]
    scene = wall + (sky - wall) * pane[..., None]
    return gaussian_filter(scene, (rng.uniform(0.6, 2.5),) * 2 + (0,))


def _foliage(a, x, y, rng) -> Picture:
    """Leaves and the light between them."""
    hue = rng.uniform(0.18, 0.38) if rng.random() < 0.8 else rng.uniform(0.05, 0.12)
    leaf = np.array(
        colorsys.hsv_to_rgb(hue, rng.uniform(0.25, 0.5), rng.uniform(0.3, 0.6)), np.float32
    )
    clumps = fractal_noise(rng, COARSE, 5)
    scene = leaf * (0.95 + 0.28 * clumps)[..., None]
    gaps = smoothstep(0.9, 1.7, smooth_noise(rng, COARSE, 12) - 0.5 * y)
    scene = scene + (np.array([0.95, 1.0, 0.85], np.float32) - scene) * (0.8 * gaps)[..., None]
    return np.clip(gaussian_filter(scene, (rng.uniform(0.4, 2),) * 2 + (0,)), 0.02, 1.1)


def _shelves(a, x, y, rng) -> Picture:
    """Books in rows, between dark boards."""
    rows, books = 5, 26
    colours = rng.uniform(0.1, 0.75, (rows, books, 1)) * rng.uniform(0.65, 1, (rows, books, 3))
    row = ((y + VIEW) / (2 * VIEW) * rows * 0.999).astype(int)
    book = ((x + VIEW) / (2 * VIEW) * books * 0.999 + 0.3 * row).astype(int) % books
    scene = colours[row, book].astype(np.float32)
    board = ((y + VIEW) / (2 * VIEW) * rows) % 1 > 0.85
    scene[board] = np.array(a.background_second, np.float32) * 0.35
    return gaussian_filter(scene, (rng.uniform(0.6, 2),) * 2 + (0,))


_SCENES = {
    "gradient": _gradient,
    "white": _white,
    "black": _black,
    "bokeh": _bokeh,
    "window": _window,
    "foliage": _foliage,
    "shelves": _shelves,
}
