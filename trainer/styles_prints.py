"""Printed and glowing colours: halftone, cel, poster, neon. `styles` has what they share."""

import numpy as np

from .style_parts import (
    blur,
    even,
    expose,
    hsv,
    kuwahara,
    outline,
    saturate,
    sharpen,
    stripes,
    tone,
)
from .texture import Picture, luminance, smooth_noise, smoothstep


def halftone(image: Picture, rng: np.random.Generator) -> Picture:
    """Comic print: cyan, magenta and yellow dots on three rotated grids, black outlines."""
    size = len(image)
    bright = np.clip(saturate(expose(image), 1.5) * rng.uniform(1.15, 1.3), 0, 1)
    light = sharpen(even(tone(image), 12), 0.8)
    inks_needed = blur(1 - bright, 0.4)
    period, turn = rng.uniform(2.7, 3.2), rng.uniform(0, np.pi / 2)
    still = np.zeros((size, size), np.float32)
    printed = np.ones_like(image)
    colours = ((0.0, 0.62, 0.90), (0.92, 0.10, 0.50), (1.0, 0.88, 0.08))
    for channel, (colour, angle) in enumerate(zip(colours, (0.26, 1.31, 0.0), strict=True)):
        columns = stripes(size, angle + turn, period, still)
        rows = stripes(size, angle + turn + np.pi / 2, period, still)
        dot = smoothstep(-0.12, 0.12, (columns + rows) / 2 - (1 - inks_needed[..., channel]))
        printed = printed * (1 - dot[..., None] * (1 - np.array(colour, np.float32)))
    key = outline(light, 0.6, 60, 0.012) * smoothstep(0.02, 0.1, blur(light, 0.3))
    mixed = 0.7 * printed + 0.3 * bright
    return np.clip(mixed * (0.05 + 0.95 * key[..., None]), 0, 1).astype(np.float32)


def cel(image: Picture, rng: np.random.Generator) -> Picture:
    """Cartoon: flat saturated colours in few levels, black contours."""
    flat = kuwahara(kuwahara(expose(image), 2.5), 2.5)
    light = luminance(flat)
    levels = int(rng.integers(3, 5))
    stepped = (np.floor(np.clip(light * 1.15, 0, 0.999) * levels) + 0.65) / levels
    coloured = saturate(flat, rng.uniform(1.7, 2.2)) * (stepped / (light + 0.05))[..., None]
    lines = outline(even(tone(image), 12), rng.uniform(0.55, 0.75), 70, 0.016) > 0.6
    return np.clip(coloured, 0, 1) * np.where(lines, 1, 0.04).astype(np.float32)[..., None]


def poster(image: Picture, rng: np.random.Generator) -> Picture:
    """Screen print: three to five flat inks, dark to light, of two contrasting hues."""
    count = int(rng.integers(3, 6))
    hue, step = rng.uniform(), rng.choice([0.12, 0.33, 0.5])
    palette = np.stack(
        [
            hsv(hue + step * (k % 2), 0.95 - 0.6 * k / (count - 1), 0.18 + 0.8 * k / (count - 1))
            for k in range(count)
        ]
    )
    level = np.floor(blur(sharpen(even(tone(image), 14), 0.8), 0.3) * count).astype(int)
    return palette[np.clip(level, 0, count - 1)]


def neon(image: Picture, rng: np.random.Generator) -> Picture:
    """Glowing contours on night black."""
    size = len(image)
    edges = 1 - outline(blur(tone(image), 0.5), 0.8, 22, -0.004)
    hue = rng.uniform() + 0.10 * smooth_noise(rng, size, 2)
    third = np.arange(3, dtype=np.float32) / 3
    colour = 0.55 + 0.45 * np.cos(2 * np.pi * (hue[..., None] - third))
    glow = 1.5 * blur(edges, 2.0) + 1.0 * edges
    base = np.array([0.03, 0.02, 0.08], np.float32) + 0.12 * image
    return np.clip(base + colour * glow[..., None] + 0.5 * edges[..., None] ** 2, 0, 1)
