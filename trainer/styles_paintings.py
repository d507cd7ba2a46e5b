"""Paintings: oil, pastel, watercolour, mosaic. `styles` has what they share."""

import numpy as np
from scipy.ndimage import map_coordinates
from scipy.spatial import cKDTree

from .style_parts import (
    blur,
    contour_angle,
    contrast,
    expose,
    kuwahara,
    outline,
    paint_strokes,
    paper,
    pick,
    sample,
    saturate,
    scattered,
    sharpen,
    streaks,
    unit_of,
)
from .texture import Picture, fractal_noise, luminance, smooth_noise, smoothstep


def oil(image: Picture, rng: np.random.Generator) -> Picture:
    """Thick strokes along the forms, warm and dark, with ridges of paint that catch the light."""
    size = len(image)
    warmth, relief = rng.uniform(1.2, 1.45), rng.uniform(0.5, 0.9)
    seen = expose(image)
    colours = saturate(contrast(sharpen(kuwahara(seen, 1.5), 0.6), 1.1), warmth)
    features = saturate(contrast(sharpen(seen, 0.9), 1.1), warmth)
    angle = contour_angle(luminance(seen), 3)
    canvas = blur(colours, 2)
    detail = blur(np.abs(features - blur(features, 2)).sum(axis=2), 0.8)
    for source, spacing, length, width, needed, uneven in (
        (colours, 4.0, 12.0, 4.0, 0.0, 0.11),
        (colours, 2.4, 7.0, 2.2, 0.05, 0.09),
        (features, 1.3, 3.2, 1.2, 0.12, 0.06),
        (features, 0.8, 1.8, 0.8, 0.24, 0.03),
    ):
        centres = scattered(rng, size, spacing)
        shades = sample(source, centres) * rng.normal(1, uneven, (len(centres), 1))
        turned = sample(angle, centres) + rng.normal(0, 0.25, len(centres))
        kept = sample(detail, centres) >= needed  # small brushes only where it pays
        centres, shades, turned = centres[kept], shades[kept], turned[kept]
        canvas = paint_strokes(canvas, centres, shades.astype(np.float32), turned, length, width)
    ridges = np.gradient(luminance(canvas), axis=0)[..., None] * relief
    varnish = np.array([1.12, 1.04, 0.86], np.float32)
    return np.clip(np.clip(canvas + ridges, 0, 1) * varnish, 0, 1)


def pastel(image: Picture, rng: np.random.Generator) -> Picture:
    """Soft chalk in one direction on muted paper, whose tooth shows through; the face is rubbed."""
    size = len(image)
    grounds = [(0.60, 0.64, 0.72), (0.72, 0.60, 0.54), (0.60, 0.66, 0.60), (0.78, 0.72, 0.62)]
    sheet = paper(rng, size, pick(rng, grounds), 0.06)
    slant = rng.uniform(0.5, 1.05) * rng.choice([-1, 1])
    strength = rng.uniform(0.8, 1.0)
    tooth = smooth_noise(rng, size, 52)
    streak = 0.4 * streaks(rng, size, slant, 20, 2) + 0.8 * streaks(rng, size, slant, 40, 4)

    seen = expose(image, 0.36)
    chalky = saturate(np.clip(0.12 + 1.05 * sharpen(seen, 0.8), 0, 1), 1.6)
    centres = scattered(rng, size, 2.1)
    shades = sample(kuwahara(chalky, 2.5), centres) + rng.normal(0, 0.06, (len(centres), 1))
    angles = slant + rng.normal(0, 0.10, len(centres))
    broad = paint_strokes(
        blur(chalky, 1.5), centres, np.clip(shades, 0, 1).astype(np.float32), angles, 8.0, 2.2
    )
    # Broad strokes first, rubbed; then the small forms with the chalk's point, where there are any.
    detail = blur(np.abs(chalky - blur(chalky, 2)).sum(axis=2), 0.8)
    point = smoothstep(0.08, 0.26, detail)[..., None]
    chalk = blur(broad, 0.4) + 0.8 * point * (blur(chalky, 0.3) - blur(broad, 0.4))
    # The chalk catches the tops of the paper's tooth; towards the border it is laid on lightly.
    axis = (np.arange(size, dtype=np.float32) + 0.5) / size - 0.5
    margin = np.maximum(np.abs(axis[:, None]), np.abs(axis[None, :])) * 2
    pressure = strength * (1.95 - 1.4 * smoothstep(0.45, 1.15, margin)) + 0.4 * point[..., 0]
    texture = 0.75 * streak + 0.4 * tooth
    cover = (0.1 + 0.9 * smoothstep(-1.6, 0.9, texture + 1.3 * pressure - 1))[..., None]
    chalk = chalk + 0.045 * texture[..., None]
    return np.clip(sheet + (chalk - sheet) * cover, 0, 1).astype(np.float32)


def watercolour(image: Picture, rng: np.random.Generator) -> Picture:
    """Transparent washes, light to dark, that bleed into each other and dry with dark edges.

    The highlights are bare paper, and a thin pencil drawing lies underneath.
    """
    size = len(image)
    sheet = paper(rng, size, pick(rng, [(0.99, 0.985, 0.97), (0.97, 0.96, 0.92)]), 0.02)
    strength, colour = rng.uniform(0.85, 1.1), rng.uniform(1.5, 2.0)
    bare = rng.uniform(-0.3, 0.8)  # how much of the background stays unpainted
    bleed = 0.5 * unit_of(image)
    rows, columns = np.mgrid[0:size, 0:size].astype(np.float32)
    rows = rows + bleed * smooth_noise(rng, size, 14)
    columns = columns + bleed * smooth_noise(rng, size, 14)
    seen = sharpen(expose(image, 0.36), 0.5)
    wobbly = np.stack(
        [map_coordinates(seen[..., c], [rows, columns], order=1, mode="nearest") for c in range(3)],
        axis=-1,
    )
    # Beer's law: pigment is additive in the logarithm of what the paper sends back.
    pigment = -np.log(np.clip(saturate(wobbly, colour), 0.06, 1))
    amount = np.maximum(pigment.mean(axis=2) - 0.10, 0)
    hue = blur(pigment, 1.0) / (blur(amount, 1.0)[..., None] + 0.1)
    drift = [1 + 0.09 * smooth_noise(rng, size, 4) for _ in range(3)]  # colours run into each other
    hue = hue * np.stack(drift, axis=-1)

    wet = smoothstep(-0.3, 1.2, smooth_noise(rng, size, 6))  # where the paper was still wet
    uneven = 0.08 * fractal_noise(rng, size, 6)
    grain = 0.07 * smooth_noise(rng, size, 56) + 0.05 * smooth_noise(rng, size, 24)
    granulation = 1 + grain + 0.10 * fractal_noise(rng, size, 3)
    dry = kuwahara(amount[..., None], 1.5)[..., 0]
    load = np.zeros_like(amount)
    for threshold, weight in ((0.10, 0.14), (0.34, 0.20), (0.75, 0.32), (1.3, 0.75)):
        edge = smoothstep(-0.06, 0.06, dry + uneven * threshold - threshold)
        rim = np.maximum(edge - blur(edge, 0.9), 0)  # pigment gathers where a wash ends
        spread = blur(edge, 2.0)
        load += weight * (edge + (spread - edge) * wet * 0.8 + 1.4 * rim * (1 - wet))
    load += 0.7 * np.maximum(amount - blur(amount, 1.5), 0)  # the last, small brush
    axis = (np.arange(size, dtype=np.float32) + 0.5) / size - 0.5
    outside = np.hypot(axis[:, None], axis[None, :]) * 2 + 0.16 * fractal_noise(rng, size, 4)
    load *= 1 - 0.8 * smoothstep(1.45 - bare, 1.65 - bare * 0.5, outside)
    density = hue * (load * granulation * strength)[..., None]
    pencil_line = (1 - outline(luminance(seen), 0.45, 30, 0.006))[..., None]
    return np.clip(sheet * np.exp(-density) * (1 - 0.22 * pencil_line), 0, 1).astype(np.float32)


def mosaic(image: Picture, rng: np.random.Generator) -> Picture:
    """Coloured stones in rows, with grout between."""
    size = len(image)
    spacing = rng.uniform(2.4, 2.9)
    image = sharpen(expose(image, 0.36), 1.2)
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
    colours = saturate(contrast(np.stack(totals, axis=1) / share, 1.2).astype(np.float32), 1.7)
    colours = np.clip(colours + rng.normal(0, 0.06, (len(points), 1)), 0, 1)
    gap = (distance[:, 1] - distance[:, 0]).reshape(size, size) / unit_of(image)
    grout = pick(rng, [(0.10, 0.09, 0.09), (0.74, 0.71, 0.64), (0.16, 0.13, 0.24)])
    joint = smoothstep(0.62, 0.38, gap)
    tiles = colours[stone].reshape(image.shape)
    return (tiles + (grout - tiles) * joint[..., None]).astype(np.float32)
