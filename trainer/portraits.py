"""Synthetic portraits: paint the person that `PortraitAttributes` describes, back to front.

Nobody is depicted: a face is formulas and random numbers, so that its pictures are free to use.
"""

import numpy as np
from scipy.ndimage import gaussian_filter

from .portrait_attributes import PortraitAttributes
from .portrait_features import (
    SIDES,
    Mouth,
    grow_beard_,
    paint_,
    paint_brows_,
    paint_eyes_,
    paint_glasses_,
    paint_mouth_,
    paint_nostrils_,
    redden_lips_,
    rgb,
    skin_albedo,
    superellipse,
)
from .portrait_hair import Hair
from .portrait_head import Head, Light, light_head, place_head, relief
from .texture import Picture, fractal_noise, smoothstep


def render_portrait(attributes: PortraitAttributes, size: int) -> Picture:
    """Paint one portrait: [size, size, 3] float32 RGB in 0..1.

    Nothing is smoothed against aliasing: paint at twice the size and average (`texture.halve`).
    """
    a = attributes
    rng = np.random.default_rng(a.seed)
    head = place_head(a, size)
    light = light_head(a, relief(a, head, rng))
    hair = Hair(a, head, light, rng)
    mouth = Mouth(a, head)

    picture = _background(a, head, light, rng)
    if not a.bald:
        paint_(picture, hair.back, hair.colour * np.float32(0.72))
    _paint_body_(picture, a, head, light, rng)
    if a.hair_length < 0.75:
        _paint_ears_(picture, a, head)

    skin = skin_albedo(a, head, rng)
    grow_beard_(skin, a, head, hair.strands)
    redden_lips_(skin, a, head, mouth)
    paint_(picture, head.face, light.shade(skin))
    paint_mouth_(picture, a, head, mouth)
    paint_nostrils_(picture, a, head)
    paint_eyes_(picture, a, head, light)
    paint_brows_(picture, a, head, hair.strands)
    if not a.bald:
        paint_(picture, hair.shadow * head.face, a.skin_rgb * np.float32(0.45))
        paint_(picture, hair.front, hair.colour)
    if a.glasses:
        paint_glasses_(picture, a, head)
    picture = np.clip(picture, 0, 1)
    return gaussian_filter(picture, (size * 0.0025, size * 0.0025, 0), truncate=2.5)


def _background(
    a: PortraitAttributes, head: Head, light: Light, rng: np.random.Generator
) -> Picture:
    """Two colours that run into each other, darker towards the corners."""
    down = head.y / 2.3 + 0.5
    mix = 0.6 * down + 0.4 * (0.5 + 0.25 * fractal_noise(rng, head.size, 3))
    mix += 0.2 * head.x * float(light.direction[0])
    mix = np.clip(mix, 0, 1)[..., None]
    first, second = np.array(a.background, np.float32), np.array(a.background_second, np.float32)
    vignette = 1 - 0.25 * np.clip(np.sqrt(head.x**2 + head.y**2) - 0.6, 0, 1)
    return (first * (1 - mix) + second * mix) * vignette[..., None]


def _paint_body_(
    picture: Picture, a: PortraitAttributes, head: Head, light: Light, rng: np.random.Generator
) -> None:
    """Paint the neck, the shoulders and a collar."""
    x, y = head.body_x, head.body_y
    away = np.abs(x)
    neck_width = 0.29 + 0.06 * a.sex + 0.6 * np.clip(y - 0.82, 0, 1) ** 1.5
    neck = smoothstep(0.02, -0.02, away - neck_width) * (y > 0.35)
    chin_shadow = 0.5 * smoothstep(1.1, 0.7, y)
    side_shadow = 0.3 * np.clip(-x / 0.35 * float(light.direction[0]), 0, 1)
    brightness = np.clip(1 - chin_shadow - side_shadow, 0.3, 1) * (0.75 + 0.4 * a.ambient)
    paint_(picture, neck, a.skin_rgb * brightness[..., None])

    shoulders = 0.93 + 0.28 * np.clip(away - 0.25, 0, 2) ** 1.3
    collar = 1.06 - 0.55 * away  # a V that opens upwards
    top = np.maximum(shoulders, collar)
    cloth = smoothstep(-0.02, 0.02, y - top)
    folds = 0.06 * fractal_noise(rng, head.size, 8)
    lit = 0.68 + 0.3 * np.clip(x * float(light.direction[0]), -1, 1) + folds
    lit -= 0.2 * smoothstep(0.05, 0.0, y - top)
    paint_(picture, cloth, np.array(a.clothes, np.float32) * lit[..., None])


def _paint_ears_(picture: Picture, a: PortraitAttributes, head: Head) -> None:
    """Paint the ears behind the face."""
    colour = a.skin_rgb * rgb(1.03, 0.93, 0.9) * np.float32(0.72 * (0.7 + 0.5 * a.ambient))
    for side in SIDES:
        outline = superellipse(head, side * (a.face_width + 0.015), 0.10, 0.07, 0.15, 2.0)
        paint_(picture, smoothstep(1.15, 0.85, outline) * (1 - head.face), colour)
