"""Twelve non-photorealistic styles: each a function of a picture and a random generator.

Every function takes an image [H, W, 3] (square, RGB in 0..1) and returns one of the same shape and
range; the generator chooses paper, palette, direction and strength, so no two pictures of a style
are quite alike. Sizes of strokes, dots and hatching are shares of the picture's side, in units of
1/64: at 64 pixels a unit is a pixel. Give twice the wanted size and average down for clean edges.
"""

from collections.abc import Callable

import numpy as np

from .styles_drawings import engraving, ink, pencil, woodcut
from .styles_paintings import mosaic, oil, pastel, watercolour
from .styles_prints import cel, halftone, neon, poster
from .texture import Picture

Style = Callable[[Picture, np.random.Generator], Picture]

STYLES: dict[str, Style] = {
    "pencil": pencil,
    "ink": ink,
    "engraving": engraving,
    "woodcut": woodcut,
    "halftone": halftone,
    "cel": cel,
    "poster": poster,
    "neon": neon,
    "oil": oil,
    "pastel": pastel,
    "watercolour": watercolour,
    "mosaic": mosaic,
}
