"""Synthetic portraits: paint the person that `PortraitAttributes` describes, back to front.

Nobody is depicted: a face is formulas and random numbers, so that its pictures are free to use.
"""

import numpy as np

from .portrait_attributes import PortraitAttributes
from .portrait_background import background
from .portrait_body import paint_body_
from .portrait_eyes import paint_brows_, paint_eyes_
from .portrait_features import paint_ears_, paint_nose_, skin_albedo
from .portrait_hair import CROPPED, Hair
from .portrait_head import light_head, place_head, relief
from .portrait_mouth import Mouth, grow_beard_, paint_mouth_, redden_lips_
from .portrait_paint import darken_, paint_, superellipse
from .portrait_photo import develop
from .portrait_worn import Hat, paint_glasses_
from .texture import Picture, smooth_noise, smoothstep


def render_portrait(attributes: PortraitAttributes, size: int) -> Picture:
    """Paint one portrait: [size, size, 3] float32 RGB in 0..1.

    Nothing is smoothed against aliasing: paint at twice the size and average (`texture.halve`).
    """
    rng = np.random.default_rng(attributes.seed)
    return develop(paint_portrait(attributes, size, rng), attributes, rng)


def paint_portrait(
    attributes: PortraitAttributes,
    size: int,
    rng: np.random.Generator,
    backdrop: float | None = None,
) -> Picture:
    """The scene before the camera: [size, size, 3] of about 0..1.

    backdrop: a level of grey in place of what is behind; the person is the same.
    """
    a = attributes
    head = place_head(a, size)
    light = light_head(a, relief(a, head, rng))
    hair = Hair(a, head, light, rng)
    hat = Hat(a, head) if a.hat else None
    mouth = Mouth(a, head)
    fine = smooth_noise(rng, size, 80)
    showing = 1 - hat.covers if hat else np.float32(1)

    picture = background(a, head, float(light.direction[0]), rng)
    if backdrop is not None:
        picture[:] = backdrop  # painted before, to draw the same numbers for what follows
    if not a.bald:
        paint_(picture, hair.back * showing, hair.colour * np.float32(0.62))
    paint_body_(picture, a, head, light, rng)
    if a.hair_length < CROPPED or a.bald:
        paint_ears_(picture, a, head, light)

    skin = skin_albedo(a, head, rng)
    grow_beard_(skin, a, head, fine)
    redden_lips_(skin, a, head, mouth)
    if a.beard > 0.7:  # a full beard stands out below the chin
        tuft = superellipse(head, 0, a.face_height - 0.16, 0.40, 0.14 + 0.10 * a.beard, 2.2)
        beard = smoothstep(1.08, 0.92, tuft + 0.05 * fine) * (1 - head.face)
        paint_(picture, beard, np.clip(hair.colour * (0.7 + 0.1 * fine[..., None]), 0, 1))
    paint_(picture, head.face, light.shade(skin))
    paint_mouth_(picture, a, head, light, mouth)
    paint_nose_(picture, a, head)
    paint_eyes_(picture, a, head, light)
    paint_brows_(picture, a, head, light, hair.strands)
    if not a.bald:
        darken_(picture, hair.shadow * head.face * showing)
        paint_(picture, hair.front * showing, hair.colour)
    if hat:
        hat.paint_(picture, a, head, light, hair.waves)
    if a.glasses:
        paint_glasses_(picture, a, head, light)
    return picture
