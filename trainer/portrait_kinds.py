"""What a synthetic portrait is drawn from: colours, and kinds of what is worn."""

import numpy as np

# From light to dark, RGB.
SKIN_TONES = np.array(
    [
        [0.95, 0.79, 0.70],
        [0.91, 0.71, 0.59],
        [0.83, 0.61, 0.47],
        [0.68, 0.46, 0.33],
        [0.50, 0.33, 0.24],
        [0.36, 0.23, 0.17],
    ]
)
# Hue, saturation, value.
HAIR_COLOURS = {
    "black": (0.06, 0.30, 0.09),
    "dark brown": (0.06, 0.60, 0.20),
    "brown": (0.07, 0.52, 0.36),
    "auburn": (0.04, 0.56, 0.36),
    "ginger": (0.065, 0.62, 0.62),
    "blond": (0.105, 0.42, 0.78),
    "ash": (0.09, 0.25, 0.55),
    "grey": (0.60, 0.04, 0.64),
}
EYE_COLOURS = {
    "brown": (0.07, 0.70, 0.32),
    "dark brown": (0.08, 0.70, 0.20),
    "blue": (0.58, 0.42, 0.52),
    "green": (0.25, 0.35, 0.44),
    "grey": (0.60, 0.14, 0.48),
}
HAIR_STYLES = ("round", "fringe", "peaked", "temples", "swept", "straight")
TIED = ("bun", "top knot", "ponytail")
FRAMES = ("thin", "thick", "round", "half", "sunglasses")
HATS = ("cap", "beanie", "brim", "headscarf")
CLOTHES = ("crew neck", "v-neck", "collar", "shirt", "suit", "turtleneck", "straps")
SCENES = ("gradient", "white", "black", "bokeh", "window", "foliage", "shelves")
# Stops, of eight photos: five near right, two dim, one that burns out.
EXPOSURES = 5 * ((-0.5, 0.3),) + ((-1.8, -0.5), (-1.6, -0.3), (0.3, 1.1))
