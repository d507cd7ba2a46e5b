"""Glasses and hats of a synthetic portrait."""

import numpy as np

from .portrait_attributes import PortraitAttributes
from .portrait_head import Head, Light
from .portrait_paint import SIDES, darken_, line, paint_, rgb, superellipse
from .texture import Field, Picture, smoothstep

# Half width and height of a lens, its squareness, half the thickness of the frame, in half heads.
# At 64 pixels one is 0.036 wide: a thinner frame would not be seen.
LENSES = {
    "thin": (0.205, 0.135, 3.0, 0.018),
    "thick": (0.215, 0.150, 3.4, 0.032),
    "round": (0.190, 0.175, 2.0, 0.020),
    "half": (0.205, 0.125, 3.2, 0.022),
    "sunglasses": (0.230, 0.165, 2.8, 0.024),
}


def paint_glasses_(picture: Picture, a: PortraitAttributes, head: Head, light: Light) -> None:
    """Paint the frame around each eye, the bridge and the temples, over what the lenses show."""
    width, height, power, thickness = LENSES[a.frame]
    middle = a.eye_height + 0.025
    rows = head.rows_near(middle, 0.27)
    picture, head, level = picture[rows], head.crop(rows), light.level[rows]
    frame = np.array(a.frame_colour, np.float32) * (0.35 + 0.65 * level)[..., None]
    forward = 0.05 * float(np.sin(a.yaw))  # glasses stand out, so that yaw carries them along
    u = head.u - forward
    drawn = np.zeros_like(u)
    for side in SIDES:
        outline = superellipse(head, forward + side * a.eye_distance, middle, width, height, power)
        distance = (outline ** (1 / power) - 1) * (width + height) / 2
        lens = smoothstep(0.01, -0.01, distance)
        if a.frame == "sunglasses":
            paint_(picture, 0.93 * lens, rgb(0.07, 0.06, 0.05) * level[..., None])
            darken_(picture, -0.5 * lens * smoothstep(0.05, -0.15, head.v - middle))
        else:
            streak = line(u - side * a.eye_distance + 0.8 * (head.v - middle) - 0.09, 0.05)
            paint_(picture, (0.04 + 0.12 * streak) * lens, rgb(0.9, 0.93, 0.95) * level[..., None])
        darken_(picture, 0.18 * line(distance - 0.02, 0.03) * (head.v > middle) * head.face)
        rim = smoothstep(thickness + 0.010, thickness - 0.008, np.abs(distance))
        if a.frame == "half":
            rim = rim * smoothstep(0.04, 0.0, head.v - middle)
        drawn = np.maximum(drawn, rim)
        reach = side * u
        temple = (reach > a.eye_distance + width) * (reach < a.face_width + 0.02)
        drawn = np.maximum(drawn, 0.9 * temple * line(head.v - middle + 0.05, thickness + 0.004))
    bridge = line(head.v - middle + 0.035 - 0.5 * u**2, thickness + 0.006)
    drawn = np.maximum(drawn, bridge * (np.abs(u) < a.eye_distance - width + 0.01))
    paint_(picture, 0.92 * drawn, frame)


class Hat:
    """A hat's masks: `covers` what it hides of the hair, `crown` and `brim` what is painted."""

    covers: Field
    crown: Field
    brim: Field

    def __init__(self, a: PortraitAttributes, head: Head):
        u, v = head.u, head.v
        rise = {"cap": 0.26, "beanie": 0.15, "brim": 0.12, "headscarf": 0.35}[a.hat]
        self.edge = -0.36 + rise * u**2  # v of the hat's lower edge
        above = smoothstep(0.012, -0.012, v - self.edge)
        self.covers = above
        width = a.face_width + (0.04 if a.hat == "headscarf" else 0.035)
        height = {"cap": 0.66, "beanie": 0.70, "brim": 0.70, "headscarf": 0.60}[a.hat]
        power = 3.2 if a.hat == "brim" else 2.4
        crown = superellipse(head, 0, -0.30, width, height, power)
        self.crown = smoothstep(1.04, 0.98, crown) * above
        turned = 0.12 * float(np.sin(a.yaw))
        if a.hat == "cap":
            visor = superellipse(head, turned * 1.5, -0.35, 0.60, 0.13, 2.2)
            self.brim = smoothstep(1.05, 0.93, visor) * smoothstep(-0.10, -0.07, v - self.edge)
        elif a.hat == "brim":
            disc = superellipse(head, turned, -0.37, 1.02, 0.12, 2.0)
            self.brim = smoothstep(1.05, 0.95, disc)
        elif a.hat == "beanie":
            self.brim = self.crown * smoothstep(0.0, 0.02, v - self.edge + 0.19)
        else:
            self.brim = np.zeros_like(u)

    def paint_(
        self, picture: Picture, a: PortraitAttributes, head: Head, light: Light, folds: Field
    ) -> None:
        """Paint the hat and its shadow on the forehead."""
        below = head.v - self.edge - (0.06 if a.hat in ("cap", "brim") else 0)
        darken_(picture, 0.45 * np.exp(-np.clip(below, 0, 1) / 0.08) * (below > 0) * head.face)
        right, down = (
            np.clip(head.u / 0.75, -1, 1) * 0.8,
            np.clip((head.v + 0.5) / 0.5, -1, 1) * 0.6,
        )
        out = np.sqrt(np.clip(1 - right**2 - down**2, 0.05, 1))
        colour = np.array(a.hat_colour, np.float32)
        if a.hat == "beanie":
            texture = 0.10 * np.sin(42 * np.arcsin(np.clip(head.u / 0.9, -1, 1)))
        elif a.hat == "headscarf":
            texture = 0.12 * np.sin(9 * head.v + 5 * head.u + 2 * folds) + 0.05 * folds
        else:
            texture = 0.05 * folds
        lit = light.on(right, down, out) * (1 + texture)[..., None]
        paint_(picture, self.crown, colour * lit)
        if a.hat == "brim":  # a ribbon
            band = self.crown * smoothstep(0.02, 0, np.abs(head.v + 0.53) - 0.05)
            paint_(picture, 0.9 * band, colour * lit * np.float32(0.45))
        shade = 0.62 if a.hat == "cap" else 0.95
        flat = light.on(np.float32(0), np.float32(-0.6), np.float32(0.6)) * np.float32(shade)
        paint_(picture, self.brim, colour * flat * (1 + texture)[..., None])
        darken_(picture, 0.3 * self.brim * line(head.v - self.edge, 0.02))
