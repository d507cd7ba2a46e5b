"""Eyes, brows, nose, mouth, beard and glasses of a synthetic portrait.

Each function paints one feature, as masks in the face coordinates of `portrait_head.Head`.
"""

import numpy as np
from numpy.typing import NDArray

from .portrait_attributes import PortraitAttributes
from .portrait_head import Head, Light, bump
from .texture import Field, Picture, fractal_noise, smoothstep

SIDES = (-1, 1)


def paint_(picture: Picture, mask: Field, colour: NDArray[np.float32]) -> None:
    """Lay `colour` ([3] or [S, S, 3]) over `picture` where `mask` [S, S] is 1."""
    touched = np.flatnonzero(mask.max(axis=1) > 1e-3)
    if len(touched) == 0:
        return
    rows = slice(touched[0], touched[-1] + 1)  # most features cover a few rows: saves half the time
    layer = colour[rows] if colour.ndim == 3 else colour
    picture[rows] += (layer - picture[rows]) * mask[rows, :, None]


def rgb(red: float, green: float, blue: float) -> NDArray[np.float32]:
    """A colour as an array [3]."""
    return np.array([red, green, blue], np.float32)


def superellipse(
    head: Head, u: float, v: float, width: float, height: float, power: float
) -> Field:
    """1 on the outline, less inside."""
    return np.abs((head.u - u) / width) ** power + np.abs((head.v - v) / height) ** power


def skin_albedo(a: PortraitAttributes, head: Head, rng: np.random.Generator) -> Picture:
    """Skin without light: mottled, red on cheeks and nose, dark under the eyes."""
    skin = a.skin_rgb * (1 + 0.018 * fractal_noise(rng, head.size, 6)[..., None])
    nose = a.eye_height + a.nose_length
    red = 0.9 * bump(head, a.nose_turn, nose, 0.08, 0.06)
    tired = np.zeros_like(red)
    for side in SIDES:
        red += bump(head, side * a.eye_distance * 1.15, nose - 0.02, 0.15, 0.11)
        tired += bump(head, side * a.eye_distance, a.eye_height + 0.085, 0.13, 0.035)
    flush = rgb(0.02, 0.13, 0.12) * np.float32((1 - 0.5 * a.skin) * a.flush)
    skin *= 1 - flush * red[..., None]
    skin *= 1 - rgb(0.12, 0.14, 0.10) * np.float32(0.4 + a.age) * tired[..., None]
    if a.age > 0.5:  # lines on the forehead
        lines = sum(bump(head, 0, v, 0.3, 0.012) for v in (-0.34, -0.41, -0.48))
        skin *= 1 - np.float32(0.35 * (a.age - 0.5)) * lines[..., None]
    return skin


def grow_beard_(skin: Picture, a: PortraitAttributes, head: Head, strands: Field) -> None:
    """Paint beard and moustache into the skin's albedo, so that they are lit with it."""
    if a.beard > 0:
        nose = a.eye_height + a.nose_length
        sideways = np.abs(head.u) / (head.half_width + 1e-3)
        cheeks = smoothstep(0.02, 0.22, head.v - nose - 0.02)
        cheeks *= smoothstep(0.62, 0.9, sideways * 0.75 + smoothstep(0.3, 0.75, head.v) * 0.6)
        chin = smoothstep(a.face_height - 0.30, a.face_height - 0.12, head.v)
        mouth = np.exp(
            -((head.u / (a.mouth_width * 0.95)) ** 6) - ((head.v - a.mouth_height) / 0.085) ** 4
        )
        grown = np.clip(cheeks + chin, 0, 1) * (1 - mouth)
        density = np.clip(0.35 + 0.7 * a.beard + 0.2 * strands, 0, 1)
        paint_(skin, grown * density, a.hair_rgb * (0.75 + 0.2 * strands[..., None]))
    if a.moustache:
        centre = a.mouth_height - 0.088 + 0.8 * head.u**2 * (1 - max(a.smile, 0))
        lip = np.exp(-(((head.v - centre) / 0.033) ** 2))
        lip *= smoothstep(a.mouth_width + 0.05, a.mouth_width - 0.03, np.abs(head.u))
        density = np.clip(lip * (0.85 + 0.25 * strands), 0, 1)
        paint_(skin, density, a.hair_rgb * (0.7 + 0.25 * strands[..., None]))


class Mouth:
    """The lips' curves: `upper` edge, `line` where they meet, `lower` edge, each v at a given u."""

    def __init__(self, a: PortraitAttributes, head: Head):
        across = np.abs(head.u) / a.mouth_half_width
        self.inside = across < 1
        taper = np.clip(1 - across**2.2, 0, 1)
        self.line = a.mouth_corner + 0.095 * a.smile * (1 - across**2)
        self.gap = 0.055 * a.mouth_open * taper
        cupid = 1 - 0.25 * np.exp(-((head.u / 0.03) ** 2))
        self.upper = self.line - 0.4 * self.gap - 0.62 * a.lip_thickness * taper**0.75 * cupid
        self.lower = self.line + self.gap + 0.95 * a.lip_thickness * taper**0.8


def redden_lips_(skin: Picture, a: PortraitAttributes, head: Head, mouth: Mouth) -> None:
    """Paint the lips into the skin's albedo."""
    lips = smoothstep(-0.012, 0.012, head.v - mouth.upper)
    lips *= smoothstep(-0.012, 0.012, mouth.lower - head.v) * mouth.inside
    bare = a.skin_rgb * rgb(0.88, 0.62, 0.60)
    colour = bare * (1 - 0.35 * a.makeup) + rgb(0.30, 0.02, 0.07) * np.float32(a.makeup)
    paint_(skin, 0.85 * lips, colour.astype(np.float32))


def paint_mouth_(picture: Picture, a: PortraitAttributes, head: Head, mouth: Mouth) -> None:
    """Paint what lies between the lips, teeth or the closed line."""
    visible = head.face * mouth.inside
    above = smoothstep(-0.008, 0.008, head.v - mouth.line + 0.4 * mouth.gap)
    below = smoothstep(-0.008, 0.008, mouth.line + mouth.gap - head.v)
    teeth = rgb(0.92, 0.89, 0.85) * np.float32(0.6 + 0.45 * a.ambient)
    if a.mouth_open > 0:
        paint_(picture, 0.9 * above * below * visible, teeth)
    meeting = np.exp(-(((head.v - mouth.line + 0.4 * mouth.gap) / 0.011) ** 2))
    paint_(picture, 0.6 * meeting * visible, a.skin_rgb * rgb(0.32, 0.2, 0.2))


def paint_nostrils_(picture: Picture, a: PortraitAttributes, head: Head) -> None:
    """Paint the shadows below the nose."""
    height = a.eye_height + a.nose_length + 0.042
    for side in SIDES:
        mask = bump(head, a.nose_turn * 0.8 + side * a.nose_width * 0.55, height, 0.03, 0.016)
        paint_(picture, 0.65 * mask * head.face, a.skin_rgb * np.float32(0.25))


def paint_eyes_(picture: Picture, a: PortraitAttributes, head: Head, light: Light) -> None:
    """Paint eyeballs, irises, lids and lashes."""
    rows = head.rows_near(a.eye_height, 0.2)
    picture, head, diffuse = picture[rows], head.crop(rows), light.diffuse[rows]
    for side in SIDES:
        u = head.u - side * a.eye_distance
        v = head.v - a.eye_height + a.eye_slant * side * u
        across = np.abs(u / a.eye_width)
        taper = np.clip(1 - across**2.1, 0, 1)
        upper, lower = -a.eye_opening * taper**0.62, a.eye_opening * 0.72 * taper**0.8
        inside = smoothstep(-0.01, 0.01, v - upper) * smoothstep(-0.01, 0.01, lower - v)
        inside *= taper > 0

        brightness = 0.45 + 0.45 * diffuse + 0.2 * a.ambient
        brightness *= 1 - 0.35 * np.exp(-(((v - upper) / 0.022) ** 2))  # shadow of the lid
        eye = rgb(0.93, 0.91, 0.89) * brightness[..., None]
        iris_u = u - 0.15 * float(np.sin(a.yaw)) * a.eye_width
        radius = np.sqrt(iris_u**2 + (v + 0.006) ** 2) / (a.eye_opening * 0.98)
        ring = (0.75 + 0.5 * smoothstep(0.4, 0.95, radius) * (v > -0.01)) * (
            1 - 0.6 * smoothstep(0.82, 1, radius)
        )
        paint_(eye, smoothstep(1.06, 0.92, radius), a.iris_rgb * ring[..., None])
        paint_(eye, smoothstep(0.5, 0.36, radius), rgb(0.03, 0.03, 0.03))
        glint_u = 0.02 * float(np.sign(light.direction[0]))
        glint = np.exp(-((iris_u - glint_u) ** 2 + (v + 0.024) ** 2) / 0.013**2)
        paint_(eye, glint, rgb(1, 1, 1))
        paint_(picture, inside * head.face, eye)

        lid = taper > 0.03
        lash_width = 0.013 + 0.006 * (1 - a.sex)
        lash = np.exp(-(((v - upper) / lash_width) ** 2)) * lid
        paint_(picture, 0.85 * lash * head.face, a.hair_rgb * np.float32(0.25))
        under = np.exp(-(((v - lower) / 0.009) ** 2)) * lid
        paint_(picture, 0.3 * under * head.face, a.skin_rgb * np.float32(0.4))
        crease = np.exp(-(((v - upper + 0.038 + 0.012 * across) / 0.011) ** 2)) * (across < 1.05)
        paint_(picture, 0.3 * crease * head.face, a.skin_rgb * np.float32(0.45))


def paint_brows_(picture: Picture, a: PortraitAttributes, head: Head, strands: Field) -> None:
    """Paint the eyebrows, thinner towards the temples."""
    rows = head.rows_near(a.eye_height - a.brow_height, 0.2)
    picture, head, strands = picture[rows], head.crop(rows), strands[rows]
    for side in SIDES:
        outward = (head.u * side - a.eye_distance) / 0.20
        centre = -a.brow_height - a.brow_arch * (1 - (outward - 0.25) ** 2) + 0.02 * outward**2
        thickness = a.brow_thickness * np.clip(1 - 0.55 * smoothstep(0.2, 1.0, outward), 0.2, 1)
        brow = smoothstep(1.3, 0.5, np.abs(head.v - a.eye_height - centre) / thickness)
        brow *= smoothstep(-1.0, -0.7, outward) * smoothstep(1.05, 0.8, outward)
        brow *= np.clip(0.75 + 0.2 * strands, 0, 1)
        paint_(picture, 0.8 * brow * head.face, a.hair_rgb * np.float32(0.5))


def paint_glasses_(picture: Picture, a: PortraitAttributes, head: Head) -> None:
    """Paint a dark frame around each eye and the bridge between."""
    frame = np.array(a.clothes, np.float32) * np.float32(0.15)
    height = a.eye_height + 0.02
    for side in SIDES:
        outline = superellipse(head, side * a.eye_distance, height, 0.20, 0.155, 2.8) ** (1 / 2.8)
        paint_(picture, 0.9 * smoothstep(0.13, 0.06, np.abs(outline - 1)), frame)
    bridge = smoothstep(0.022, 0.010, np.abs(head.v - height + 0.03))
    bridge = bridge * (np.abs(head.u) < a.eye_distance - 0.19)
    paint_(picture, 0.9 * bridge, frame)
