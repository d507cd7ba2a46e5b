"""The head of a synthetic portrait: where it lies in the picture, its relief, and the light on it.

A head is 2.5-D: picture coordinates are bent over an ellipsoid by yaw and pitch, features are
bumps of a height field in face coordinates (u to the right, v down, 0 just below the eyes' middle),
and the normals of that field are lit by one lamp and an ambient term.
"""

from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

from .portrait_attributes import PortraitAttributes
from .texture import Field, Picture, fractal_noise, smoothstep

VIEW = 1.15  # half the picture's side in head units: eyes 0.24 of the side apart, as in FFHQ
EYE_LINE = 0.015  # puts the eyes at 0.47 of the height and the mouth at 0.73
SKULL_CENTRE = 0.1  # v where the skull's ellipse meets the jaw


@dataclass(frozen=True)
class Head:
    """Coordinates and masks of one head, each [S, S], or some rows of it."""

    x: Field  # picture coordinates, -VIEW..VIEW
    y: Field
    body_x: Field  # x, y turned by roll, before yaw and pitch bend them
    body_y: Field
    u: Field  # face coordinates
    v: Field
    half_width: Field  # of the face at this v
    face: Field  # mask of skin, 0..1

    @property
    def size(self) -> int:
        """S, the side in pixels."""
        return self.x.shape[1]

    def rows_near(self, v: float, reach: float) -> slice:
        """The rows of the picture in which the face comes within `reach` of height v."""
        near = np.flatnonzero((np.abs(self.v - v) < reach).any(axis=1))
        return slice(near[0], near[-1] + 1) if len(near) else slice(0, 0)

    def crop(self, rows: slice) -> "Head":
        """The same head, a few rows of it: a small feature costs that much less."""
        return Head(*(getattr(self, field.name)[rows] for field in fields(self)))


class Pose:
    """How roll, yaw, pitch and placement bend picture coordinates into face coordinates."""

    def __init__(self, attributes: PortraitAttributes):
        a = attributes
        self.shift = a.shift_x * 2 * VIEW, a.shift_y * 2 * VIEW
        self.zoom = a.zoom
        self.cos, self.sin = float(np.cos(a.roll)), float(np.sin(a.roll))
        self.radius_x, self.radius_y = a.face_width * 1.12, 1.1
        self.turn_x = float(np.sin(a.yaw)) * self.radius_x * 0.55
        self.turn_y = float(np.sin(a.pitch)) * self.radius_y * 0.4
        self.foreshortening = float(np.cos(a.yaw)) * 0.35 + 0.65
        # Most of the shift by yaw and pitch is taken back: an aligned crop follows eyes and mouth.
        self.offset = 0.75 * self.turn_x, EYE_LINE + 0.75 * self.turn_y

    def to_body(self, x: NDArray, y: NDArray) -> tuple[NDArray, NDArray]:
        """Picture coordinates -> those of the body, upright and in half heads."""
        x, y = (x - self.shift[0]) / self.zoom, (y - self.shift[1]) / self.zoom
        return (
            self.cos * x + self.sin * y + self.offset[0],
            -self.sin * x + self.cos * y + self.offset[1],
        )

    def to_picture(self, body_x: NDArray, body_y: NDArray) -> tuple[NDArray, NDArray]:
        """The inverse of `to_body`."""
        x, y = body_x - self.offset[0], body_y - self.offset[1]
        x, y = self.cos * x - self.sin * y, self.sin * x + self.cos * y
        return x * self.zoom + self.shift[0], y * self.zoom + self.shift[1]

    def depth(self, body_x: NDArray, body_y: NDArray) -> NDArray:
        """How far the ellipsoid of the head bulges towards the viewer, 0..1."""
        inside = 1 - (body_x / self.radius_x) ** 2 - (body_y / self.radius_y) ** 2
        return np.sqrt(np.clip(inside, 0, 1))


def place_head(attributes: PortraitAttributes, size: int) -> Head:
    """Lay the head into a picture of `size` x `size` pixels."""
    axis = ((np.arange(size, dtype=np.float32) + 0.5) / size * 2 - 1) * np.float32(VIEW)
    x, y = np.meshgrid(axis, axis)
    pose = Pose(attributes)
    body_x, body_y = pose.to_body(x, y)
    depth = pose.depth(body_x, body_y)
    u = (body_x - pose.turn_x * depth) / pose.foreshortening
    v = body_y - pose.turn_y * depth

    half_width = _half_width(attributes, v)
    edge = 2 * VIEW / size
    face = smoothstep(-edge, edge, half_width - np.abs(u)) * (half_width > 0)
    return Head(x, y, body_x, body_y, u, v, half_width, face)


def _half_width(attributes: PortraitAttributes, v: Field) -> Field:
    """Half the width of the face at height v: an ellipse above, a tapering jaw below."""
    below = (v - SKULL_CENTRE) / (attributes.face_height - SKULL_CENTRE)
    rising = np.clip(np.abs(v - SKULL_CENTRE) / (attributes.face_height * 1.04), 0, 1)
    skull = (1 - rising**2.8) ** (1 / 2.6)
    taper = np.clip(below, 0, 1)
    jaw = np.clip(1 - taper ** (1.5 + 1.2 * attributes.jaw), 0, 1) ** 0.6 * (1 - 0.08 * taper)
    return attributes.face_width * np.where(below < 0, skull, jaw)


def bump(head: Head, u: float, v: float, width: float, height: float) -> Field:
    """A Gaussian of height 1 at (u, v) on the face."""
    return np.exp(-(((head.u - u) / width) ** 2) - ((head.v - v) / height) ** 2)


def relief(attributes: PortraitAttributes, head: Head, rng: np.random.Generator) -> Field:
    """Height of the face towards the viewer."""
    a, u, v = attributes, head.u, head.v
    eye, nose = a.eye_height, a.eye_height + a.nose_length
    across = np.clip(np.abs(u) / (head.half_width + 1e-3), 0, 1)
    height = 0.62 * np.sqrt(1 - across**2.2) * np.sqrt(np.clip(1 - (v / 1.12) ** 2, 0.02, 1))

    along_nose = np.clip((v - eye + 0.06) / (a.nose_length + 0.06), 0, 1)
    ridge_u = a.nose_turn * along_nose  # it stands out, so it turns further than the face
    ridge = np.exp(-(((u - ridge_u) / (0.055 + 0.045 * along_nose)) ** 2))
    below_tip = smoothstep(nose + 0.085, nose - 0.03, v + 2.5 * (u - a.nose_turn) ** 2)
    height += a.nose_relief * 0.33 * along_nose**1.2 * ridge * below_tip
    height += 0.09 * bump(head, a.nose_turn, nose - 0.005, a.nose_width * 0.68, 0.062)

    for side in (-1, 1):
        socket = side * a.eye_distance
        height += 0.05 * bump(
            head, a.nose_turn * 0.8 + side * a.nose_width * 0.8, nose + 0.01, 0.042, 0.042
        )
        height -= 0.085 * bump(head, socket * 0.98, eye, 0.15, 0.085)
        height += (0.035 + 0.03 * a.sex) * bump(head, socket, eye - 0.135, 0.17, 0.045)  # brow
        cheek, rise = 0.05 + 0.035 * max(a.smile, 0), 0.02 * max(a.smile, 0)
        height += cheek * bump(head, socket * 1.15, eye + 0.24 - rise, 0.17, 0.13)
        height += 0.055 * bump(head, socket, eye, 0.085, 0.06)  # eyeball
        fold = 0.006 * min(1.5, max(a.smile, 0) + a.age)
        height -= fold * bump(
            head, side * (a.mouth_half_width + 0.07), a.mouth_height - 0.06, 0.035, 0.09
        )

    height += 0.05 * bump(head, 0, a.mouth_height, 0.2, 0.1)
    height -= 0.03 * bump(head, 0, a.mouth_height + 0.115, 0.12, 0.03)
    height += 0.06 * bump(head, 0, a.face_height - 0.1, 0.13, 0.08)  # chin
    height -= 0.012 * bump(head, 0, nose + 0.085, 0.02, 0.05)
    height += 0.002 * a.age * fractal_noise(rng, head.size, 8)
    return gaussian_filter(height, head.size * 0.004)


@dataclass(frozen=True)
class Light:
    """The light that falls on a head."""

    direction: NDArray[np.float32]  # [3], unit length, towards the lamp
    colour: NDArray[np.float32]  # [3], of the lamp
    ambient: NDArray[np.float32]  # [3]
    key: float  # strength of the lamp
    diffuse: Field  # [S, S] 0..1
    gloss: Field  # [S, S] 0..1
    cavity: Field  # [S, S] 0..1, dark in hollows
    rim: Field  # [S, S] 0..1, of a lamp behind the head

    @property
    def level(self) -> Field:
        """How brightly the head is lit [S, S], about 1 where the lamp shines straight."""
        return self.diffuse * np.float32(self.key) + self.cavity * self.ambient.mean()

    def on(self, right: Field, down: Field, out: Field) -> Picture:
        """What a surface of unit normal (right, down, out) receives: [S, S, 3]."""
        facing = right * self.direction[0] + down * self.direction[1] + out * self.direction[2]
        diffuse = np.clip((facing + 0.18) / 1.18, 0, 1) * np.float32(self.key)
        return (diffuse[..., None] * self.colour + self.ambient).astype(np.float32)

    def shade(self, albedo: Picture) -> Picture:
        """Light a surface: albedo [S, S, 3] -> [S, S, 3], highlights rolled off below 1."""
        lit = self.diffuse[..., None] * (self.colour * np.float32(self.key))
        lit = lit + self.cavity[..., None] * self.ambient
        shaded = albedo * lit + 0.06 * self.gloss[..., None] * self.colour
        shaded = shaded + self.rim[..., None] * (0.1 + 0.4 * albedo)
        # Above 0.75 approach 1 smoothly, else light skin burns out to white.
        return np.where(shaded > 0.75, 1 - 0.25 * np.exp((0.75 - shaded) / 0.25), shaded)


def light_head(attributes: PortraitAttributes, height: Field) -> Light:
    """Light the relief of `relief`."""
    a, size = attributes, len(height)
    slope_y, slope_x = np.gradient(height, 2 * VIEW / size)
    steepness = np.sqrt(slope_x**2 + slope_y**2 + 1)

    def facing(direction: NDArray[np.float32]) -> Field:
        """Cosine [S, S] between the surface's normal and `direction` [3]."""
        right, down, out = (float(part) for part in direction)
        return (out - right * slope_x - down * slope_y) / steepness

    direction = np.array([np.sin(a.light_azimuth) * 0.9, -a.light_elevation, 0.75], np.float32)
    direction /= np.linalg.norm(direction)
    half_way = direction + np.array([0, 0, 1], np.float32)
    half_way /= np.linalg.norm(half_way)

    # Hollows lie below their blurred surroundings.
    hollow = gaussian_filter(height, size * 0.035, truncate=2.5) - height
    tint = np.array(a.background, np.float32)
    dim = np.float32(1 - 0.5 * a.backlight)
    return Light(
        direction=direction,
        colour=np.array([1 + a.light_warmth, 1, 1 - a.light_warmth], np.float32),
        ambient=dim * np.float32(a.ambient) * (0.8 + 0.2 * tint / (tint.mean() + np.float32(0.1))),
        key=float(dim) * (1.08 - 0.62 * a.ambient),
        diffuse=np.clip((facing(direction) + 0.18) / 1.18, 0, 1),
        gloss=np.clip(facing(half_way), 0, 1) ** 22,
        cavity=np.clip(1 - 2.6 * np.clip(hollow, 0, 1), 0.45, 1),
        rim=np.float32(a.backlight)
        * np.clip(1.25 - 1.9 / steepness, 0, 1)
        * smoothstep(0.42, 0.2, height),
    )
