"""What is behind the faces that the five points are learnt on: painted clutter, and photos.

Clutter is overlapping shapes of all sizes, which has the statistics of natural pictures (the dead
leaves model, Lee, Mumford and Huang 2001).
"""

from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageDraw
from torch import Tensor

from blendgan_core.images import to_uint8

from .picture_sources import open_source
from .texture import Picture, fractal_noise

SIDE = 160
PHOTOS = 0.4  # share of the scenes that are parts of photos, where there are any
CLUTTER = 0.7  # share of the others that hold shapes, not only clouds of colour or noise


def make_scenes(count: int, photos: Path | None, seed: int) -> Tensor:
    """photos: a folder of pictures without faces -> [count, 3, 160, 160] uint8."""
    source = open_source(photos) if photos else None
    kept = (
        [Image.fromarray(to_uint8(source.read(i)[None])[0]) for i in range(len(source.names))]
        if source
        else []
    )
    scenes = []
    for index in range(count):
        rng = np.random.default_rng([seed, index])
        if kept and rng.random() < PHOTOS:
            scene = _part_of(kept[int(rng.integers(len(kept)))], rng)
        elif rng.random() < CLUTTER:
            scene = clutter(rng)
        else:
            scene = _clouds(rng) if rng.random() < 0.5 else _noise(rng)
        scenes.append(np.clip(scene, 0, 255).astype(np.uint8))
    return torch.from_numpy(np.stack(scenes)).permute(0, 3, 1, 2).contiguous()


def clutter(rng: np.random.Generator) -> Picture:
    """[160, 160, 3] in 0..255: ellipses, bars, polygons and lines over clouds of colour."""
    picture = Image.fromarray(_clouds(rng).astype(np.uint8))
    canvas = ImageDraw.Draw(picture)
    palette = rng.uniform(0, 255, (int(rng.integers(3, 9)), 3))
    largest = rng.uniform(15, 70)
    for _ in range(int(rng.integers(5, 140))):
        radius = largest * rng.uniform(0.08, 1) ** 1.7
        centre = rng.uniform(0, SIDE, 2)
        colour = palette[int(rng.integers(len(palette)))] + rng.normal(0, 18, 3)
        fill = tuple(int(level) for level in np.clip(colour, 0, 255))
        kind = rng.random()
        if kind < 0.35:
            reach = np.array([radius, radius * rng.uniform(0.3, 1)])
            canvas.ellipse([*(centre - reach), *(centre + reach)], fill=fill)
        elif kind < 0.85:
            corners = int(rng.integers(3, 8))
            angle = np.sort(rng.uniform(0, 2 * np.pi, corners))
            reach = radius * rng.uniform(0.4, 1.2, corners)
            outline = centre + reach[:, None] * np.stack([np.cos(angle), np.sin(angle)], axis=1)
            canvas.polygon([tuple(corner) for corner in outline], fill=fill)
        else:
            ends = [*centre, *rng.uniform(0, SIDE, 2)]
            canvas.line(ends, fill=fill, width=int(rng.integers(1, 7)))
    grain = 12 * rng.random() * fractal_noise(rng, SIDE, 12)
    return np.asarray(picture, np.float32) + grain[..., None]


def _clouds(rng: np.random.Generator) -> Picture:
    """[160, 160, 3] in 0..255: three colours that run into each other."""
    first, second, third = rng.uniform(0, 255, (3, 3)).astype(np.float32)
    mix = fractal_noise(rng, SIDE, int(rng.integers(1, 14)))
    more = fractal_noise(rng, SIDE, int(rng.integers(1, 8)))
    mix = np.clip(0.5 + 0.35 * mix, 0, 1)[..., None]
    more = 0.4 * np.clip(0.5 + 0.35 * more, 0, 1)[..., None]
    return (first * (1 - mix) + second * mix) * (1 - more) + third * more


def _noise(rng: np.random.Generator) -> Picture:
    """[160, 160, 3] in 0..255: grain of any size and strength, grey or coloured."""
    cell = int(rng.choice([1, 1, 2, 4, 8]))
    shape = (SIDE // cell, SIDE // cell, int(rng.choice([1, 3])))
    grain = rng.normal(rng.uniform(60, 190), rng.uniform(10, 90), shape).astype(np.float32)
    grain = grain.repeat(cell, axis=0).repeat(cell, axis=1)
    return np.broadcast_to(grain, (SIDE, SIDE, 3))


def _part_of(photo: Image.Image, rng: np.random.Generator) -> Picture:
    """A square part of a photo, some of them mirrored or in other colours: [160, 160, 3]."""
    side = max(int(min(photo.size) * rng.uniform(0.25, 1)), 1)
    left, top = (int(rng.integers(length - side + 1)) for length in photo.size)
    part = photo.resize(
        (SIDE, SIDE), Image.Resampling.BICUBIC, (left, top, left + side, top + side)
    )
    pixels = np.asarray(part, np.float32)
    if rng.random() < 0.5:
        pixels = pixels[:, ::-1]
    return pixels[..., rng.permutation(3)] if rng.random() < 0.4 else pixels
