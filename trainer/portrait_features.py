"""Skin, nose and ears of a synthetic portrait."""

import numpy as np

from .portrait_attributes import PortraitAttributes
from .portrait_head import Head, Light, bump
from .portrait_paint import SIDES, darken_, paint_, rgb, superellipse
from .texture import Picture, fractal_noise, smoothstep


def skin_albedo(a: PortraitAttributes, head: Head, rng: np.random.Generator) -> Picture:
    """Skin without light: mottled, red on cheeks and nose, dark under the eyes."""
    skin = a.skin_rgb * (1 + 0.02 * fractal_noise(rng, head.size, 6)[..., None])
    nose = a.eye_height + a.nose_length
    red = 0.9 * bump(head, a.nose_turn, nose, 0.08, 0.06)
    tired = np.zeros_like(red)
    for side in SIDES:
        red += bump(head, side * a.eye_distance * 1.2, nose - 0.02, 0.16, 0.13)
        tired += bump(head, side * a.eye_distance, a.eye_height + 0.085, 0.13, 0.035)
    flush = rgb(0.02, 0.11, 0.10) * np.float32((1 - 0.5 * a.skin) * a.flush)
    skin *= 1 - flush * red[..., None]
    skin *= 1 - rgb(0.12, 0.14, 0.10) * np.float32(0.3 + a.age) * tired[..., None]
    if a.age > 0.5:  # lines on the forehead
        lines = sum(bump(head, 0, v + 0.15 * head.u**2, 0.3, 0.012) for v in (-0.34, -0.41, -0.48))
        darken_(skin, np.float32(0.3 * (a.age - 0.5)) * lines)
    return skin


def paint_nose_(picture: Picture, a: PortraitAttributes, head: Head) -> None:
    """Darken nostrils, and the skin below the tip and beside the wings."""
    nose = a.eye_height + a.nose_length
    middle = a.nose_turn * 0.8
    darken_(picture, 0.15 * bump(head, middle, nose + 0.055, a.nose_width * 0.9, 0.025) * head.face)
    for side in SIDES:
        nostril = bump(head, middle + side * a.nose_width * 0.5, nose + 0.04, 0.032, 0.017)
        wing = bump(head, middle + side * a.nose_width * 1.12, nose + 0.012, 0.016, 0.035)
        darken_(picture, (0.5 * nostril + 0.22 * wing) * head.face)


def paint_ears_(picture: Picture, a: PortraitAttributes, head: Head, light: Light) -> None:
    """Paint the ears behind the face."""
    colour = a.skin_rgb * rgb(1.0, 0.90, 0.87)
    for side in SIDES:
        outline = superellipse(head, side * (a.face_width + 0.01), 0.08, 0.075, 0.17, 2.0)
        inner = superellipse(head, side * (a.face_width + 0.025), 0.06, 0.035, 0.10, 2.0)
        lit = light.on(np.float32(0.5 * side), np.float32(0), np.float32(0.8)) * np.float32(0.9)
        shade = 1 - 0.35 * smoothstep(1.2, 0.5, inner)
        paint_(picture, smoothstep(1.12, 0.88, outline), colour * lit * shade[..., None])
