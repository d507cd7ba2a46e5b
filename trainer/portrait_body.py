"""Neck, shoulders and clothes of a synthetic portrait, of which an aligned crop shows little."""

import numpy as np

from .portrait_attributes import PortraitAttributes
from .portrait_head import Head, Light
from .portrait_paint import darken_, line, paint_
from .texture import Field, Picture, fractal_noise, smoothstep


def paint_body_(
    picture: Picture, a: PortraitAttributes, head: Head, light: Light, rng: np.random.Generator
) -> None:
    """Paint the neck, then what is worn over it."""
    folds = fractal_noise(rng, head.size, 5)
    rows = slice(int(np.argmax((head.body_y > 0.3).any(axis=1))), head.size)
    picture, head, folds = picture[rows], head.crop(rows), folds[rows]
    x, y = head.body_x, head.body_y
    away = np.abs(x)
    lit = _neck_light(a, head, light)
    slope = np.clip(y - 0.80, 0, 1)
    neck_width = 0.34 + 0.09 * a.sex - 0.05 * smoothstep(0.5, 0.8, y) + 1.1 * slope**1.6
    shoulders = 0.94 + 0.20 * np.clip(away - 0.3, 0, 2) ** 1.3
    bare = smoothstep(0.02, -0.02, away - neck_width)
    if a.clothes_kind == "straps":
        bare = np.maximum(bare, smoothstep(-0.01, 0.02, y - shoulders))
    paint_(picture, bare, a.skin_rgb * lit)
    _dress_(picture, a, head, light, shoulders, folds)


def _neck_light(a: PortraitAttributes, head: Head, light: Light) -> Picture:
    """Light on the neck, a column in the shadow of the chin."""
    x, y = head.body_x, head.body_y
    right = np.clip(x / 0.5, -0.95, 0.95)
    lit = light.on(right, np.float32(0.1), np.sqrt(1 - right**2))
    below_chin = y + 0.35 * (x - 0.15 * float(light.direction[0])) ** 2
    shadow = 0.55 * smoothstep(1.22, 0.86, below_chin)
    for side in (-1, 1):  # the muscles that run to the breastbone
        muscle = line(x - side * (0.30 - 0.45 * np.clip(y - 0.75, 0, 0.45)), 0.03)
        shadow = shadow + 0.08 * muscle * smoothstep(0.75, 0.95, y)
    return lit * (1 - shadow)[..., None]


def _neckline(kind: str, x: Field) -> Field:
    """y of the clothes' upper edge before the neck."""
    away = np.abs(x)
    if kind in ("crew neck", "turtleneck"):
        return 0.92 + 0.17 * np.sqrt(np.clip(1 - (away / 0.42) ** 2, 0, 1))
    if kind == "straps":
        return 1.10 + 0.05 * np.cos(6 * x)
    slope = {"v-neck": 1.0, "collar": 0.8, "shirt": 0.6, "suit": 0.7}[kind]
    deep = {"v-neck": 1.34, "collar": 1.16, "shirt": 1.06, "suit": 1.06}[kind]
    return deep - slope * away


def _dress_(
    picture: Picture,
    a: PortraitAttributes,
    head: Head,
    light: Light,
    shoulders: Field,
    folds: Field,
) -> None:
    x, y, kind = head.body_x, head.body_y, a.clothes_kind
    away = np.abs(x)
    right = np.clip(x / 1.1, -0.9, 0.9)
    lit = light.on(right, np.float32(-0.35), np.sqrt(1 - right**2))
    creases = 0.09 * folds + 0.07 * np.sin(9 * away - 7 * y + 2.2 * folds)
    lit = lit * (1 + creases)[..., None]
    cloth, second = (np.array(c, np.float32) for c in (a.clothes, a.clothes_second))
    top = np.maximum(shoulders, _neckline(kind, x))
    below = y - top
    mask = smoothstep(-0.015, 0.015, below)
    if kind == "straps":
        strap = smoothstep(0.06, 0.04, np.abs(away - 0.5)) * smoothstep(-0.01, 0.01, y - shoulders)
        mask = np.maximum(mask, strap)
    if kind == "turtleneck":
        tube = smoothstep(0.02, -0.02, away - 0.43 - 0.3 * np.clip(y - 0.9, 0, 1))
        tube *= smoothstep(-0.015, 0.015, y - 0.82 - 0.05 * np.sqrt(np.clip(1 - x**2 / 0.2, 0, 1)))
        mask = np.maximum(mask, tube)
        lit = lit * (1 - 0.12 * tube * np.cos(60 * y - 8 * x**2))[..., None]
    if kind == "suit":
        paint_(picture, mask, second * lit)
        tie = smoothstep(0.02, 0.0, away - 0.055 - 0.10 * np.clip(y - 1.06, 0, 1)) * (y > 1.02)
        paint_(picture, mask * tie, np.array(a.hat_colour, np.float32) * lit)
        jacket = smoothstep(-0.015, 0.015, y - np.maximum(shoulders + 0.01, 1.36 - 1.15 * away))
        paint_(picture, jacket, cloth * lit)
        darken_(picture, 0.4 * jacket * line(y - 1.44 + 1.0 * away, 0.02))
        darken_(picture, 0.3 * mask * (1 - jacket) * line(y - 1.34 + 1.15 * away, 0.04))
        return
    if kind == "shirt":
        cloth, second = second, cloth
    striped = a.seed % 8 == 0
    colour = cloth
    if striped:
        stripe = smoothstep(-0.2, 0.2, np.sin(40 * (y - 0.25 * away) + 0.6 * folds))[..., None]
        colour = cloth + (second - cloth) * stripe
    paint_(picture, mask, colour * lit)
    if kind in ("collar", "shirt"):
        flap = smoothstep(
            0.02, -0.01, np.abs(below - 0.06) - 0.075 + 0.1 * np.clip(away - 0.2, 0, 1)
        )
        flap *= smoothstep(0.5, 0.4, away) * (away > 0.03)
        shade = second if kind == "collar" and striped else np.clip(cloth * 1.12, 0, 1)
        paint_(picture, flap * mask, shade * lit)
        darken_(picture, 0.35 * mask * line(below - 0.145, 0.016) * smoothstep(0.5, 0.3, away))
        darken_(picture, 0.3 * mask * line(x, 0.012) * (below > 0.1))
    else:
        darken_(picture, 0.3 * mask * line(below - 0.05, 0.012))  # the seam of the neckline
