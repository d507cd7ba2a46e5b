"""Twelve non-photorealistic styles: each a function of a picture and a random generator.

Every function takes an image [H, W, 3] (square, RGB in 0..1) and returns one of the same shape and
range; the generator chooses paper, palette, direction and strength, so no two pictures of a style
are quite alike. Sizes of strokes, dots and hatching are shares of the picture's side, in units of
1/64: at 64 pixels a unit is a pixel. Give twice the wanted size and average down for clean edges.
"""

from collections.abc import Callable

import numpy as np
from scipy.ndimage import map_coordinates
from scipy.spatial import cKDTree

from .style_parts import (
    blur,
    contour_angle,
    contrast,
    even,
    hsv,
    kuwahara,
    outline,
    paint_strokes,
    paper,
    pick,
    sample,
    saturate,
    scattered,
    sharpen,
    stripes,
    tone,
    two_tone,
    unit_of,
)
from .texture import Picture, fractal_noise, luminance, smooth_noise, smoothstep

Style = Callable[[Picture, np.random.Generator], Picture]


# ---- Drawings ----


def pencil(image: Picture, rng: np.random.Generator) -> Picture:
    """Soft grey graphite on white paper: outlines and one direction of hatching."""
    size, light = len(image), tone(image)
    wobble = 0.8 * smooth_noise(rng, size, 6)
    hatch = stripes(size, rng.uniform(0.5, 1.1), rng.uniform(3.6, 4.6), wobble)
    grain = 0.5 + 0.3 * smooth_noise(rng, size, 60)
    shade = 1 - blur(even(light, 5), 0.5)
    strokes = np.clip(0.75 * hatch + 0.5 * grain - 0.05, 0, 1)
    drawn = 1 - rng.uniform(0.8, 1.0) * shade * strokes
    drawn = drawn * (0.15 + 0.85 * outline(light, 0.6, 24, 0.012))
    graphite = pick(rng, [(0.20, 0.20, 0.22), (0.14, 0.14, 0.15), (0.28, 0.27, 0.28)])
    white = pick(rng, [(0.97, 0.96, 0.94), (0.94, 0.94, 0.95), (0.95, 0.93, 0.88)])
    sheet = paper(rng, size, white)
    return graphite + (sheet - graphite) * np.clip(drawn, 0, 1)[..., None]


def ink(image: Picture, rng: np.random.Generator) -> Picture:
    """Brush and pen, pure black on white, with cross-hatching and one flat spot colour."""
    size, light = len(image), tone(image)
    soft = blur(sharpen(light, 0.6), 0.5)
    drawn = outline(light, 0.8, 60, 0.008)
    first = rng.uniform(0.4, 1.1)
    for darkness, angle in ((0.42, first), (0.26, first + np.pi / 2)):
        hatch = stripes(size, angle, rng.uniform(4.0, 4.6), 0.4 * smooth_noise(rng, size, 5))
        drawn = drawn * np.where((soft < darkness) & (hatch > 0.6), 0, 1)
    drawn = drawn * smoothstep(0.09, 0.13, soft)
    white = pick(rng, [(1.0, 1.0, 1.0), (0.98, 0.97, 0.92)])
    spot = pick(rng, [(0.93, 0.25, 0.20), (0.98, 0.80, 0.15), (0.25, 0.62, 0.85), (1.0, 1.0, 1.0)])
    level = rng.uniform(0.5, 0.62)
    ground = np.where((soft < level)[..., None], spot, white)
    return two_tone(drawn, np.array([0.03, 0.03, 0.05]), ground)


def engraving(image: Picture, rng: np.random.Generator) -> Picture:
    """Lines that swell with the shadows and bend over the form, brown or blue on cream."""
    size, light = len(image), blur(sharpen(tone(image), 1.2), 0.4)
    axis = (np.arange(size, dtype=np.float32) + 0.5) / size * 64 - 32
    bow = 0.006 * rng.choice([-1, 1]) * axis[None, :] ** 2 + 1.2 * blur(light, 1.5)
    period = rng.uniform(4.0, 4.6)
    wave = stripes(size, np.pi / 2 + rng.uniform(-0.15, 0.15), period, bow)
    shade = np.clip(1.15 * (1 - light) - 0.1, 0, 0.9)  # share of the paper under ink
    drawn = smoothstep(-0.25, 0.25, wave - shade)
    drawn = drawn * (0.1 + 0.9 * outline(light, 0.7, 40, 0.008))
    inks = [(0.27, 0.14, 0.06), (0.10, 0.16, 0.36), (0.10, 0.24, 0.16), (0.36, 0.08, 0.08)]
    creams = [(0.95, 0.88, 0.70), (0.93, 0.90, 0.78), (0.88, 0.82, 0.66)]
    return two_tone(drawn, pick(rng, inks), paper(rng, size, pick(rng, creams), 0.04))


def woodcut(image: Picture, rng: np.random.Generator) -> Picture:
    """White gouges in a black block, printed over one flat colour."""
    size, light = len(image), sharpen(even(tone(image), 10), 1.0)
    soft = blur(light, 0.5)
    axis = np.arange(size, dtype=np.float32) / size
    down, right = axis[:, None] - rng.uniform(0.35, 0.65), axis[None, :] - rng.uniform(0.4, 0.6)
    rays = np.arctan2(down, right) * int(rng.integers(20, 30))
    gouge = 0.5 + 0.5 * np.sin(rays + 0.8 * smooth_noise(rng, size, 7))
    cut = smoothstep(-0.12, 0.12, gouge - (1.4 - 2.3 * soft)) * outline(light, 0.8, 50, 0.01)
    colour = hsv(rng.uniform(), rng.uniform(0.45, 0.8), rng.uniform(0.75, 0.95))
    printed = np.where((soft > rng.uniform(0.62, 0.75))[..., None], np.float32(0.96), colour)
    return two_tone(cut, np.array([0.07, 0.05, 0.05], np.float32), printed)


# ---- Prints ----


def halftone(image: Picture, rng: np.random.Generator) -> Picture:
    """Comic print: cyan, magenta and yellow dots on three rotated grids, black outlines."""
    size = len(image)
    bright = np.clip(saturate(image, 1.5) * rng.uniform(1.2, 1.4), 0, 1)
    inks_needed = blur(1 - bright, 0.5)
    period, turn = rng.uniform(4.2, 5.2), rng.uniform(0, np.pi / 2)
    still = np.zeros((size, size), np.float32)
    printed = np.ones_like(image)
    colours = ((0.0, 0.62, 0.90), (0.92, 0.10, 0.50), (1.0, 0.88, 0.08))
    for channel, (colour, angle) in enumerate(zip(colours, (0.26, 1.31, 0.0), strict=True)):
        columns = stripes(size, angle + turn, period, still)
        rows = stripes(size, angle + turn + np.pi / 2, period, still)
        dot = smoothstep(-0.12, 0.12, (columns + rows) / 2 - (1 - inks_needed[..., channel]))
        printed = printed * (1 - dot[..., None] * (1 - np.array(colour, np.float32)))
    lines = outline(tone(image), 0.8, 60, 0.008)[..., None]
    return np.clip((0.65 * printed + 0.35 * bright) * (0.05 + 0.95 * lines), 0, 1)


def cel(image: Picture, rng: np.random.Generator) -> Picture:
    """Cartoon: flat saturated colours in few levels, black contours."""
    flat = kuwahara(kuwahara(image, 3), 3)
    light = luminance(flat)
    levels = int(rng.integers(3, 5))
    stepped = (np.floor(np.clip(light * 1.15, 0, 0.999) * levels) + 0.65) / levels
    coloured = saturate(flat, rng.uniform(1.7, 2.2)) * (stepped / (light + 0.05))[..., None]
    lines = outline(tone(image), rng.uniform(0.7, 0.9), 70, 0.008) > 0.6
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
    level = np.floor(blur(sharpen(tone(image), 0.8), 0.4) * count).astype(int)
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


# ---- Paintings ----


def oil(image: Picture, rng: np.random.Generator) -> Picture:
    """Thick strokes along the forms, warm and dark, with ridges of paint that catch the light."""
    size = len(image)
    colours = saturate(contrast(sharpen(kuwahara(image, 1.5), 0.7), 1.15), rng.uniform(1.2, 1.5))
    angle = contour_angle(luminance(image), 4)
    canvas = blur(colours, 2)
    detail = blur(np.abs(colours - blur(colours, 2)).sum(axis=2), 1)
    for spacing, length, width, needed in (
        (4.0, 12.0, 4.0, 0.0),
        (2.4, 7.0, 2.2, 0.05),
        (1.3, 3.2, 1.3, 0.16),
    ):
        centres = scattered(rng, size, spacing)
        centres = centres[sample(detail, centres) >= needed]  # small brushes only where it pays
        shades = sample(colours, centres) * rng.normal(1, 0.11, (len(centres), 1))
        turned = sample(angle, centres) + rng.normal(0, 0.25, len(centres))
        canvas = paint_strokes(canvas, centres, shades.astype(np.float32), turned, length, width)
    ridges = np.gradient(luminance(canvas), axis=0)[..., None] * rng.uniform(0.5, 0.9)
    varnish = np.array([1.18, 1.08, 0.86], np.float32)
    return np.clip(np.clip(canvas + ridges, 0, 1) * varnish, 0, 1)


def pastel(image: Picture, rng: np.random.Generator) -> Picture:
    """Chalk in one direction on toned paper, which shows between the strokes."""
    size = len(image)
    grounds = [(0.30, 0.33, 0.42), (0.45, 0.33, 0.28), (0.26, 0.38, 0.34), (0.55, 0.48, 0.40)]
    sheet = paper(rng, size, pick(rng, grounds), 0.10)
    pale = np.clip(0.25 + 0.85 * saturate(sharpen(kuwahara(image, 1.5), 0.8), 1.6), 0, 1)
    centres = scattered(rng, size, 1.7)
    centres = centres[rng.random(len(centres)) < 0.35 + 0.6 * sample(tone(image), centres)]
    shades = np.clip(sample(pale, centres) + rng.normal(0, 0.04, (len(centres), 3)), 0, 1)
    slant = rng.uniform(0.6, 1.0) * rng.choice([-1, 1])
    angles = slant + rng.normal(0, 0.12, len(centres))
    chalk = paint_strokes(sheet, centres, shades.astype(np.float32), angles, 5.5, 1.4)
    # The paper's tooth takes only part of the chalk.
    cover = np.clip(0.85 + 0.35 * smooth_noise(rng, size, 56), 0, 1)[..., None]
    drawn = sheet + (chalk - sheet) * cover
    return np.clip(drawn * (0.45 + 0.55 * outline(tone(image), 0.8, 40, 0.008)[..., None]), 0, 1)


def watercolour(image: Picture, rng: np.random.Generator) -> Picture:
    """Pale washes on white paper that bleed into each other and dry with dark edges."""
    size = len(image)
    rows, columns = np.mgrid[0:size, 0:size].astype(np.float32)
    bleed = 0.6 * unit_of(image)
    rows += bleed * smooth_noise(rng, size, 14)
    columns += bleed * smooth_noise(rng, size, 14)
    warped = np.stack(
        [
            map_coordinates(image[..., c], [rows, columns], order=1, mode="nearest")
            for c in range(3)
        ],
        axis=-1,
    )
    washed = saturate(sharpen(kuwahara(warped, 2), 0.8), rng.uniform(1.7, 2.2))
    density = (1 - washed) * rng.uniform(0.5, 0.62)
    levels = 4
    uneven = 0.2 * fractal_noise(rng, size, 5)[..., None]
    stepped = np.floor(np.clip(density * levels + 0.5 + 0.5 * uneven, 0, levels)) / levels
    density = blur(0.5 * density + 0.5 * stepped, 0.35)
    wet_edge = np.abs(density - blur(density, 1.3)).sum(axis=2, keepdims=True)
    granulation = 1 + 0.07 * fractal_noise(rng, size, 10)[..., None]
    lines = 1 - outline(tone(warped), 0.7, 40, 0.006)[..., None]  # a last, dry brush
    density = density * granulation + 0.8 * wet_edge * density + 0.3 * lines

    # Paint stops short of the border, along a ragged line that dries darker.
    inset = 1 - np.maximum(np.abs(rows / size - 0.5), np.abs(columns / size - 0.5)) * 2
    inset = inset + 0.05 * fractal_noise(rng, size, 5) - rng.uniform(0.05, 0.16)
    painted = smoothstep(0.0, 0.03, inset) * (1 + 0.5 * smoothstep(0.08, 0.0, inset))
    sheet = paper(rng, size, pick(rng, [(0.99, 0.985, 0.97), (0.97, 0.96, 0.92)]), 0.02)
    return np.clip(sheet * (1 - np.clip(density * painted[..., None], 0, 1)), 0, 1)


def mosaic(image: Picture, rng: np.random.Generator) -> Picture:
    """Coloured stones in rows, with grout between."""
    size = len(image)
    spacing = rng.uniform(2.6, 3.1)
    image = sharpen(image, 1.2)
    points = scattered(rng, size, spacing)
    rows, columns = np.mgrid[0:size, 0:size]
    pixels = np.stack([rows.ravel(), columns.ravel()], axis=1)
    for _ in range(2):  # Lloyd's relaxation evens out the stones
        stone = cKDTree(points).query(pixels)[1]
        share = np.bincount(stone, minlength=len(points))
        centres = [np.bincount(stone, pixels[:, k], len(points)) for k in (0, 1)]
        centres = np.stack(centres, axis=1) / np.maximum(share, 1)[:, None]
        points = np.where(share[:, None] > 0, centres, points)
    distance, nearest = cKDTree(points).query(pixels, k=2)
    stone = nearest[:, 0]
    share = np.maximum(np.bincount(stone, minlength=len(points)), 1)[:, None]
    totals = [np.bincount(stone, image[..., c].ravel(), len(points)) for c in range(3)]
    colours = saturate(contrast(np.stack(totals, axis=1) / share, 1.3).astype(np.float32), 1.7)
    colours = np.clip(colours + rng.normal(0, 0.06, (len(points), 1)), 0, 1)
    gap = (distance[:, 1] - distance[:, 0]).reshape(size, size) / unit_of(image)
    grout = pick(rng, [(0.10, 0.09, 0.09), (0.88, 0.85, 0.78), (0.16, 0.13, 0.24)])
    joint = smoothstep(0.62, 0.38, gap)
    tiles = colours[stone].reshape(image.shape)
    return (tiles + (grout - tiles) * joint[..., None]).astype(np.float32)


STYLES: dict[str, Style] = {
    "pencil": pencil,
    "ink": ink,
    "engraving": engraving,
    "woodcut": woodcut,
    "halftone": halftone,
    "cel": cel,
    "poster": poster,
    "neon": neon,
    "oil": oil,
    "pastel": pastel,
    "watercolour": watercolour,
    "mosaic": mosaic,
}
