"""The hair of a synthetic portrait: what lies behind the head, and what falls over the face."""

import numpy as np
from scipy.ndimage import map_coordinates

from .portrait_attributes import PortraitAttributes
from .portrait_head import Head, Light
from .portrait_paint import superellipse
from .texture import Field, Picture, fractal_noise, smooth_noise, smoothstep

# How fast the hairline falls from the parting to the temples.
HAIRLINE_CURVE = {
    "round": 1.0,
    "fringe": 0.0,
    "peaked": 2.0,
    "temples": -0.55,
    "swept": 0.2,
    "straight": 0.45,
}
BUZZED, CROPPED = 0.10, 0.40  # lengths below which hair lies close to the head, or leaves the ears
CROWN = -1.02  # v at which strands part


class Hair:
    """Masks and colours of the hair: `back` behind the head, `front` over it, `shadow` below."""

    strands: Field  # mean 0, deviation about 1: light and dark strands
    colour: Picture
    back: Field
    front: Field
    shadow: Field

    def __init__(self, a: PortraitAttributes, head: Head, light: Light, rng: np.random.Generator):
        self.frizz = float(smoothstep(0.6, 0.9, np.float32(a.curl)))
        self.waves = fractal_noise(rng, head.size, 5)
        across = self._across(a, head)
        self.strands, locks = self._texture(a, head, across, rng)
        self.colour = self._shade(a, head, light, locks)

        short = a.hair_length < CROPPED or bool(a.tied)
        buzzed = a.hair_length < BUZZED and not a.tied
        rough = 0.010 * self.strands + (0.015 + 0.02 * self.frizz) * self.waves
        volume = a.hair_volume * (0.4 if a.tied or a.hat else 1) + 0.15 * self.frizz * (not buzzed)
        if buzzed:
            rough, volume = 0.3 * rough, 0.02
        sides = volume * (0.45 if short and not self.frizz else 1.0) - 0.02 * a.sex
        width = a.face_width + sides + rough
        outline = superellipse(head, 0, -0.18, width, 0.76 + 0.7 * volume + rough, 2.3)
        soft = 0.03 + 0.03 * self.frizz
        cap = smoothstep(1 + soft, 1 - 1.4 * soft, outline)

        end = -0.15 + 1.15 * a.hair_length  # v where hair ends
        tips = head.v + 0.03 * self.waves + (0.03 + 0.03 * a.hair_length) * locks
        hanging = self._hanging(a, head, width, end, tips)
        self.back = np.zeros_like(cap) if buzzed else np.maximum(cap * (head.v < 0.1), hanging)
        if short:
            self.back = np.where(head.v > 0.05, self.back * smoothstep(0.3, 0.1, head.v), self.back)
        self.back = np.maximum(self.back, self._tied(a, head))

        hairline = self._hairline(a, head)
        ragged = 0.5 * rough + 0.012 * locks
        # The edge of the hair on the face: below the hairline, or outside the temples.
        if short:
            slack = 0.05 if a.tied else 0.09 - 0.05 * a.sex
            temple = a.face_width * (1 - slack) - 0.10 * smoothstep(-0.15, -0.5, head.v)
            side_end = 0.05 + 0.35 * a.hair_length
            reaches = smoothstep(side_end + 0.12, side_end - 0.10, head.v + 0.03 * locks)
        else:
            temple = a.face_width * (0.90 - 0.05 * (a.hair_length > 0.6))
            temple = (
                temple - 0.05 * smoothstep(0.3, 0.7, head.v) - 0.08 * smoothstep(0, -0.5, head.v)
            )
            reaches = smoothstep(end + 0.05, end - 0.09, tips)
        from_top, from_side = hairline - head.v, np.abs(head.u) - temple
        reach = 0.045  # rounds the corner between the two
        inner = reach * np.logaddexp(from_top / reach, from_side / reach) - 0.5 * reach
        over = cap if short else np.maximum(cap, hanging)
        edge = 0.06 if buzzed else 0.022 + 0.02 * self.frizz
        self.front = over * smoothstep(-edge, edge, inner + ragged)
        self.front *= np.where(from_top > 0, 1, reaches)
        if buzzed:
            self.front *= 0.72 + 0.1 * a.sex
        self.shadow = 0.3 * np.exp(-np.clip(-inner, 0, 1) / 0.05) * (not buzzed) * reaches

    def _across(self, a: PortraitAttributes, head: Head) -> Field:
        """Which strand passes: strands part at the crown, fan out and then hang, in waves."""
        fall = 1 - np.exp(-np.clip(head.v - CROWN + 0.05, 0.03, None) / 0.38)
        across = (head.u - a.hair_parting * np.exp(-np.clip(head.v + 0.9, 0, 2) / 0.3)) / fall
        wavy = float(smoothstep(0.25, 0.6, np.float32(a.curl))) * (a.hair_length > 0.3)
        wave = 0.04 * np.sin(13 * head.v + 3 * np.sign(across) + 1.5 * self.waves)
        return across + (wavy * wave + 0.012 * self.waves) * smoothstep(-0.7, 0.2, head.v)

    def _texture(
        self, a: PortraitAttributes, head: Head, across: Field, rng: np.random.Generator
    ) -> tuple[Field, Field]:
        """Strands that follow the hair's fall, ringlets where it is frizzy; and the coarser locks
        in which strands lie together."""
        fine = smooth_noise(rng, 256, 6, 95) + 0.8 * smooth_noise(rng, 256, 4, 40)
        coarse = smooth_noise(rng, 256, 3, 22)
        column = (np.clip(across, -1.3, 1.3) + 1.3) / 2.6 * 255
        place = [(head.v + 1.3) / 2.8 * 255, column]
        straight = 0.75 * map_coordinates(fine, place, order=1, mode="nearest")
        locks = map_coordinates(coarse, place, order=1, mode="nearest")
        if self.frizz == 0:
            return straight, locks
        # Ringlets: contour lines of noise curl and close as they do.
        curls = 0.7 * np.sin(5 * smooth_noise(rng, head.size, 26) + 14 * across)
        curls += 0.5 * smooth_noise(rng, head.size, 60)
        bunches = smooth_noise(rng, head.size, 14)
        mixed = 1 - self.frizz
        return straight * mixed + curls * self.frizz, locks * mixed + bunches * self.frizz

    def _shade(self, a: PortraitAttributes, head: Head, light: Light, locks: Field) -> Picture:
        right = np.clip(head.u / 0.85, -1, 1) * 0.85
        down = np.clip((head.v + 0.2) / 0.9, -1, 0.6) * 0.7
        out = np.sqrt(np.clip(1 - right**2 - down**2, 0.06, 1))
        lit = light.on(right, down, out)
        texture = 1 + 0.15 * self.strands + 0.13 * locks
        texture *= 1 - 0.25 * smoothstep(0.2, 0.9, head.v)  # less light reaches the neck
        band = np.exp(-(((head.v + 0.62 - 0.35 * head.u**2) / 0.14) ** 2)) * (1 - self.frizz)
        sheen = 0.09 * band * np.clip(0.6 + 0.7 * self.strands, 0, 2.5) * light.key
        sheen = sheen * (0.25 + 0.75 * a.hair_rgb.max())
        layer = a.hair_rgb * lit * np.clip(texture, 0.25, 1.7)[..., None]
        layer = layer + sheen[..., None] * (0.4 + 0.6 * a.hair_rgb) * light.colour
        # a lamp behind shines through the outer hair
        glow = np.float32(0.5 * a.backlight) * smoothstep(
            0.55, 0.95, np.hypot(head.u, head.v + 0.2)
        )
        return np.clip(layer + glow[..., None] * (0.3 + 0.7 * a.hair_rgb), 0, 1.1)

    def _hanging(
        self, a: PortraitAttributes, head: Head, width: Field, end: float, tips: Field
    ) -> Field:
        """What hangs below the temples on both sides, narrower towards its end."""
        down = np.clip(head.v, 0, 1.3)
        curve = 1 + 0.10 * np.sin(2.2 * down) * (a.hair_length > 0.4)
        inwards = smoothstep(end - 0.35, end + 0.05, head.v)
        curve = curve - (0.16 if a.hair_length < 0.8 else 0.10) * inwards
        wavy = 0.018 * float(smoothstep(0.25, 0.6, np.float32(a.curl)))
        outer = width * curve + wavy * np.sin(13 * head.v + 3 * np.sign(head.u))
        curtain = smoothstep(0.03, -0.03, np.abs(head.u) - outer)
        return curtain * (head.v >= -0.18) * smoothstep(end + 0.05, end - 0.07, tips)

    def _tied(self, a: PortraitAttributes, head: Head) -> Field:
        """A bun behind one side, a knot on top, or a tail."""
        if not a.tied:
            return np.zeros_like(head.u)
        side = 1 if a.hair_parting >= 0 else -1
        if a.tied == "bun":
            shapes = [superellipse(head, 0.62 * side, -0.32, 0.24, 0.24, 2)]
        elif a.tied == "top knot":
            shapes = [superellipse(head, 0.1 * side, -0.98, 0.27, 0.2, 2)]
        else:
            bend = a.face_width + 0.06 + 0.08 * np.sin(2.5 * head.v + 1.2)
            tail = ((head.u - side * bend) / (0.14 + 0.02 * self.strands)) ** 2
            shapes = [tail + np.abs((head.v - 0.2) / 0.85) ** 3]
        rough = 0.10 * self.strands
        return np.maximum.reduce([smoothstep(1.12, 0.86, shape + rough) for shape in shapes])

    @staticmethod
    def _hairline(a: PortraitAttributes, head: Head) -> Field:
        from_parting = head.u - a.hair_parting
        line = a.hairline + 0.4 * HAIRLINE_CURVE[a.hair_style] * from_parting**2
        if a.hair_style == "temples":  # it has receded on both sides of a tongue
            line = a.hairline - 0.03 - 0.11 * smoothstep(0.12, 0.42, np.abs(head.u))
        if a.hair_style == "fringe" and not a.tied and a.hair_length >= BUZZED:
            line = np.full_like(line, -0.30) + 0.05 * np.abs(from_parting)
        if a.hair_style == "swept":
            direction = 1 if a.hair_parting >= 0 else -1
            line = line + 0.20 * smoothstep(-0.15, 0.55, head.u * direction) - 0.04
        return line
