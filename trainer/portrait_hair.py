"""The hair of a synthetic portrait: what lies behind the head, and what falls over the face."""

import numpy as np
from scipy.ndimage import map_coordinates

from .portrait_attributes import PortraitAttributes
from .portrait_head import Head, Light
from .texture import Field, Picture, fractal_noise, smooth_noise, smoothstep

# How fast the hairline falls from the parting to the temples.
HAIRLINE_CURVE = {
    "round": 1.0,
    "fringe": 0.0,
    "peaked": 2.2,
    "temples": 1.4,
    "swept": 0.2,
    "straight": 0.5,
}


class Hair:
    """Masks and colours of the hair: `back` behind the head, `front` over it, `shadow` below."""

    strands: Field  # mean 0, deviation about 1: light and dark strands
    colour: Picture
    back: Field
    front: Field
    shadow: Field

    def __init__(self, a: PortraitAttributes, head: Head, light: Light, rng: np.random.Generator):
        self.strands = _strands(a, head, rng)
        self.colour = self._shade(a, head, light)
        wave = 0.022 * fractal_noise(rng, head.size, 5) * (0.6 + 1.4 * a.curl)
        rough = wave + 0.012 * self.strands
        volume = a.hair_volume + 0.14 * float(smoothstep(0.55, 1.0, np.float32(a.curl)))
        width = a.face_width + volume - 0.04 * a.sex + rough
        outline = _cap_outline(head, width, 0.80 + 0.75 * volume + rough)
        cap = smoothstep(1.035, 0.965, outline)

        end = -0.15 + 1.15 * a.hair_length  # v where long hair ends
        away = np.abs(head.u)
        curtain = smoothstep(0.035, -0.035, away - width * (1 + 0.06 * np.clip(head.v, 0, 1)))
        hanging = curtain * (head.v >= -0.18) * smoothstep(end + 0.07, end - 0.07, head.v + wave)
        self.back = np.maximum(cap * (head.v < 0), hanging)

        hairline = self._hairline(a, head) + 0.6 * wave + 0.018 * self.strands
        fringe = cap * smoothstep(0.03, -0.03, head.v - hairline)
        long = a.hair_length > 0.4
        temple = a.face_width * (0.93 - 0.06 * (a.hair_length > 0.6)) + wave
        side_end = end if long else 0.12
        sides = np.maximum(cap, hanging) if long else cap
        sides = sides * smoothstep(-0.03, 0.03, away - temple)
        sides = sides * smoothstep(side_end + 0.06, side_end - 0.06, head.v + wave)
        self.front = np.maximum(fringe, sides)
        self.shadow = 0.28 * np.exp(-(((head.v - hairline - 0.02) / 0.04) ** 2))

    def _shade(self, a: PortraitAttributes, head: Head, light: Light) -> Picture:
        toward_light = 0.6 * head.x * float(light.direction[0]) - 0.5 * (head.y + 0.2)
        bright = 0.62 + 0.5 * np.clip(toward_light, -0.6, 0.8) + 0.12 * self.strands
        bright = np.clip(bright, 0.12, 1.4)
        band = np.exp(-(((head.v + 0.66 + 0.15 * head.u**2) / 0.11) ** 2)) * (1 - a.curl)
        sheen = 0.05 * band * np.clip(1 + self.strands, 0, 2.5) * light.key
        return np.clip(a.hair_rgb * bright[..., None] + sheen[..., None], 0, 1)

    @staticmethod
    def _hairline(a: PortraitAttributes, head: Head) -> Field:
        from_parting = head.u - a.hair_parting
        line = a.hairline + 0.4 * HAIRLINE_CURVE[a.hair_style] * from_parting**2
        if a.hair_style == "fringe":
            line = np.full_like(line, -0.29) + 0.03 * np.cos(9 * from_parting)
        if a.hair_style == "swept":
            direction = 1 if a.hair_parting >= 0 else -1
            line = line + 0.22 * smoothstep(-0.1, 0.5, head.u * direction) - 0.04
        return line


def _cap_outline(head: Head, width: Field, height: Field) -> Field:
    """1 on the outline of the hair cap, whose half axes vary from pixel to pixel."""
    return (head.u / width) ** 2 + ((head.v + 0.18) / height) ** 2


def _strands(a: PortraitAttributes, head: Head, rng: np.random.Generator) -> Field:
    """Strands that fan out from above the parting; curls are blots instead."""
    curls = smooth_noise(rng, head.size, 26)
    texture = smooth_noise(rng, 256, 10, 56)
    fan = (head.u - a.hair_parting) / (head.v + 1.9)
    row, column = (head.v + 1.5) / 3 * 255, (fan + 1.2) / 2.4 * 255
    straight = map_coordinates(texture, [row, column], order=1, mode="nearest")
    curly = float(smoothstep(0.55, 0.8, np.float32(a.curl)))
    return straight * (1 - curly) + curls * curly
