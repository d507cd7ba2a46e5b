"""The photograph of a synthetic portrait: exposure, white balance, contrast, haze, blur and grain.

They act on the whole picture at the end, so that light skin in dim light and dark skin in bright
light differ as they do in photos: by everything else that is in the picture.
"""

import numpy as np
from scipy.ndimage import gaussian_filter

from .portrait_attributes import PortraitAttributes
from .texture import Picture, luminance

MIDDLE = 0.45  # the level that contrast leaves alone


def develop(picture: Picture, a: PortraitAttributes, rng: np.random.Generator) -> Picture:
    """What a camera makes of a scene [S, S, 3] of about 0..1: [S, S, 3] in 0..1."""
    blue = 1 - a.white_balance
    balance = np.array([1 + a.white_balance, 1 + a.green_tint, blue], np.float32)
    balance /= balance @ np.array([0.299, 0.587, 0.114], np.float32)
    gain = balance * np.float32(2 ** (a.exposure / 2.2))  # stops count in linear light
    picture = np.maximum(picture, 0) * (gain / MIDDLE)
    picture = MIDDLE * picture ** np.float32(a.contrast)
    # Above 0.75 approach 1 smoothly: film and sensors keep some drawing in what burns out.
    picture = np.where(picture > 0.75, 1 - 0.25 * np.exp((0.75 - picture) / 0.25), picture)
    grey = luminance(picture)[..., None]
    picture = grey + (picture - grey) * np.float32(a.saturation)
    picture = a.haze * 0.75 + picture * np.float32(1 - a.haze)
    size = len(picture)
    spread = size * np.hypot(0.0025, 0.001 * a.blur)  # no lens is sharper than the first
    picture = gaussian_filter(picture, (spread, spread, 0), truncate=2.5)
    if a.grain:
        picture += rng.normal(0, a.grain, picture.shape[:2]).astype(np.float32)[..., None]
    return np.clip(picture, 0, 1).astype(np.float32)
