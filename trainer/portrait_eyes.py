"""Eyes and eyebrows of a synthetic portrait."""

import numpy as np

from .portrait_attributes import PortraitAttributes
from .portrait_head import Head, Light
from .portrait_paint import SIDES, darken_, line, paint_, rgb
from .texture import Field, Picture, smoothstep

IRIS = 0.058  # radius in half heads


def paint_eyes_(picture: Picture, a: PortraitAttributes, head: Head, light: Light) -> None:
    """Paint eyeballs, irises, lids and lashes, as brightly lit as the face around them."""
    rows = head.rows_near(a.eye_height, 0.2)
    picture, head, level = picture[rows], head.crop(rows), light.level[rows]
    opening = a.eye_opening * (1 - 0.25 * max(a.smile, 0))
    for side in SIDES:
        u = head.u - side * a.eye_distance
        v = head.v - a.eye_height + a.eye_slant * side * u
        across = np.abs(u / a.eye_width)
        taper = np.clip(1 - across**2.1, 0, 1)
        upper, lower = -opening * taper**0.62, opening * 0.72 * taper**0.8
        inside = smoothstep(-0.01, 0.01, v - upper) * smoothstep(-0.01, 0.01, lower - v)
        inside *= taper > 0
        shadow = line(np.hypot(u + side * 0.04, 1.6 * (v + 0.05)), 0.15)
        darken_(picture, 0.22 * shadow * head.face)

        brightness = (0.08 + 0.9 * level) * (1 - 0.45 * line(v - upper, 0.026))
        eye = rgb(0.76, 0.72, 0.70) * (brightness * (1 - 0.35 * across**2))[..., None]
        iris_u = u - 0.15 * float(np.sin(a.yaw)) * a.eye_width
        radius = np.sqrt(iris_u**2 + (v + 0.008) ** 2) / IRIS
        ring = 0.72 + 0.4 * smoothstep(0.4, 0.95, radius) * (v > -0.01)
        ring *= (1 - 0.6 * smoothstep(0.80, 1, radius)) * brightness
        paint_(eye, smoothstep(1.08, 0.92, radius), a.iris_rgb * ring[..., None])
        paint_(eye, smoothstep(0.52, 0.36, radius), rgb(0.02, 0.02, 0.02))
        glint_u = 0.02 * float(np.sign(light.direction[0]))
        glint = np.exp(-((iris_u - glint_u) ** 2 + (v + 0.024) ** 2) / 0.012**2)
        paint_(eye, 0.8 * glint, np.full(3, min(1.0, 0.4 + 0.6 * light.key), np.float32))
        paint_(picture, inside * head.face, eye)

        lid = (taper > 0.03) * head.face
        lash = line(v - upper, 0.014 + 0.005 * (1 - a.sex) + 0.004 * a.makeup) * lid
        lit = (0.3 + 0.7 * level)[..., None]
        paint_(picture, 0.85 * lash, a.hair_rgb * np.float32(0.2) * lit)
        paint_(picture, 0.4 * line(v - lower, 0.010) * lid, a.skin_rgb * np.float32(0.35) * lit)
        crease = line(v - upper + 0.036 + 0.012 * across, 0.012) * (across < 1.05)
        paint_(picture, 0.32 * crease * head.face, a.skin_rgb * np.float32(0.4) * lit)
        bag = line(v - opening * 0.72 - 0.055 + 0.05 * across**2, 0.013) * (across < 1.1)
        darken_(picture, (0.08 + 0.14 * a.age) * bag * head.face)


def paint_brows_(
    picture: Picture, a: PortraitAttributes, head: Head, light: Light, strands: Field
) -> None:
    """Paint the eyebrows, thinner towards the temples."""
    rows = head.rows_near(a.eye_height - a.brow_height, 0.2)
    picture, head, strands = picture[rows], head.crop(rows), strands[rows]
    lit = (0.3 + 0.7 * light.level[rows])[..., None]
    for side in SIDES:
        outwards = (head.u - side * a.eye_distance) * side / 0.155  # -1 at the nose, 1 outside
        height = a.eye_height - a.brow_height
        centre = height - a.brow_arch * (1 - (outwards - 0.3) ** 2) + 0.02 * outwards
        thickness = a.brow_thickness * np.clip(1.15 - 0.55 * outwards, 0.35, 1.4)
        brow = line(head.v - centre, thickness) * smoothstep(1.15, 0.8, np.abs(outwards))
        brow *= np.clip(0.85 + 0.2 * strands, 0, 1)
        paint_(picture, 0.8 * brow * head.face, a.hair_rgb * np.float32(0.5) * lit)
