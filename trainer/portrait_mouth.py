"""Mouth, beard and moustache of a synthetic portrait."""

import numpy as np

from .portrait_attributes import PortraitAttributes
from .portrait_head import Head, Light, bump
from .portrait_paint import SIDES, darken_, line, paint_, rgb, superellipse
from .texture import Field, Picture, smoothstep


class Mouth:
    """The lips' curves, each v at a given u: `upper` edge, `top` and `bottom` of what is open
    between the lips, `lower` edge."""

    def __init__(self, a: PortraitAttributes, head: Head):
        smile = max(a.smile, 0)
        self.across = np.abs(head.u) / a.mouth_half_width
        self.inside = smoothstep(1.02, 0.94, self.across)
        taper = np.clip(1 - self.across**2.4, 0, 1)
        self.fullness = smoothstep(0, 0.3, taper)
        bend = 1 - self.across**2
        gap = a.mouth_open * (0.07 + 0.05 * smile) * taper**0.8
        self.top = a.mouth_corner + (0.02 + 0.095 * a.smile - 0.015 * a.mouth_open) * bend
        self.bottom = self.top + gap
        cupid = 1 - 0.25 * line(head.u, 0.035)
        thickness = a.lip_thickness * (1 - 0.25 * smile)
        self.upper = self.top - 0.72 * thickness * taper**0.75 * cupid
        self.lower = self.bottom + 1.0 * thickness * taper**0.7


def redden_lips_(skin: Picture, a: PortraitAttributes, head: Head, mouth: Mouth) -> None:
    """Paint the lips, and the folds beside them, into the skin's albedo."""
    lips = smoothstep(-0.014, 0.012, head.v - mouth.upper)
    lips *= smoothstep(-0.014, 0.014, mouth.lower - head.v) * mouth.inside * mouth.fullness
    bare = a.skin_rgb * (rgb(0.86, 0.60, 0.58) + np.float32(0.10 * a.sex) * rgb(0.3, 1, 1))
    colour = bare * (1 - 0.4 * a.makeup) + rgb(0.30, 0.02, 0.07) * np.float32(a.makeup)
    layer = colour * (1 + 0.10 * line(head.v - mouth.lower + 0.03, 0.018))[..., None]
    layer *= (1 - 0.15 * (head.v < mouth.top))[..., None]  # the upper lip faces down
    paint_(skin, 0.85 * lips, layer.astype(np.float32))
    nose = a.eye_height + a.nose_length
    smile = max(a.smile, 0)
    for side in SIDES:  # from the nose's wing past the corner of the mouth
        down = np.clip((head.v - nose) / (a.mouth_height - nose + 0.02), 0, 1.2)
        start = a.nose_width + 0.045
        fold_u = start + (a.mouth_half_width + 0.045 - start) * down**0.8
        fold = line(side * head.u - fold_u, 0.032) * smoothstep(-0.01, 0.05, head.v - nose)
        fold *= smoothstep(1.18, 0.75, down)
        darken_(skin, (0.02 + 0.17 * smile + 0.13 * a.age) * fold)
        corner = bump(head, side * a.mouth_half_width * 1.02, a.mouth_corner, 0.03, 0.025)
        darken_(skin, (0.25 + 0.15 * smile) * corner)


def paint_mouth_(
    picture: Picture, a: PortraitAttributes, head: Head, light: Light, mouth: Mouth
) -> None:
    """Paint what lies between the lips: teeth above the dark, or the closed line."""
    rows = head.rows_near(a.mouth_height, 0.2)
    picture, v, face = picture[rows], head.v[rows], head.face[rows]
    top, bottom, across = mouth.top[rows], mouth.bottom[rows], mouth.across[rows]
    visible, lit = face * mouth.inside[rows], light.level[rows]
    if a.mouth_open > 0:
        gap = smoothstep(-0.006, 0.008, v - top) * smoothstep(-0.006, 0.008, bottom - v)
        share = 0.4 + 0.55 * max(a.smile, 0)
        inner = rgb(0.22, 0.07, 0.07) * lit[..., None]
        edge = top + share * (bottom - top) * (1 - 0.25 * across**2)
        bright = (0.1 + 0.85 * lit) * (1 - 0.55 * across**3)
        bright *= 1 - 0.06 * line(((across * 5) % 1) - 0.5, 0.12)  # gaps between the teeth
        teeth = rgb(0.94, 0.91, 0.86) * bright[..., None]
        paint_(inner, smoothstep(0.008, -0.008, v - edge), teeth)
        paint_(picture, 0.95 * gap * visible, inner)
    closed = 1 - 0.7 * min(1.0, 3 * a.mouth_open)
    meeting = line(v - top, 0.012) * closed
    paint_(picture, 0.6 * meeting * visible, a.skin_rgb * rgb(0.34, 0.2, 0.2) * lit[..., None])


def _beard_mask(a: PortraitAttributes, head: Head, fine: Field) -> Field:
    """Where a beard grows [S, S], 0..1, thinner where it is stubble."""
    nose = a.eye_height + a.nose_length
    sideways = np.abs(head.u) / (head.half_width + 1e-3)
    jaw_line = smoothstep(0.0, 0.30, head.v - nose + 0.04 + 0.015 * fine)
    sides = smoothstep(0.58, 0.92, sideways * 0.8 + smoothstep(0.25, 0.75, head.v) * 0.5)
    chin = smoothstep(a.face_height - 0.30, a.face_height - 0.12, head.v + 0.01 * fine)
    opening = superellipse(head, 0, a.mouth_height + 0.01, a.mouth_half_width + 0.03, 0.12, 3)
    around = smoothstep(0.8, 1.25, opening)
    return np.clip(jaw_line * sides + chin, 0, 1) * around


def grow_beard_(skin: Picture, a: PortraitAttributes, head: Head, fine: Field) -> None:
    """Paint beard and moustache into the skin's albedo, so that they are lit with it."""
    hair = a.hair_rgb * (0.62 + 0.08 * fine[..., None])
    if a.beard > 0:
        density = np.clip(0.15 + 0.95 * a.beard + 0.06 * fine, 0, 0.97)
        paint_(skin, _beard_mask(a, head, fine) * density, np.clip(hair, 0, 1))
    if a.moustache or a.beard > 0.6:
        across = head.u / (a.mouth_half_width + 0.04)
        centre = (
            a.mouth_corner - 0.075 + 0.035 * across**2 + 0.05 * max(a.smile, 0) * (1 - across**2)
        )
        lip = line(head.v - centre - 0.008 * fine, 0.042) * smoothstep(1.1, 0.85, np.abs(across))
        strength = 0.9 if a.moustache else 0.25 + 0.65 * a.beard
        paint_(skin, np.clip(lip * (strength + 0.1 * fine), 0, 0.95), np.clip(hair, 0, 1))
