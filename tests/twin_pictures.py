"""People drawn natural and in two styles, as simply as can be."""

from pathlib import Path

import numpy as np
from PIL import Image

STYLES = {"dark": -60, "light": 60}  # levels added to a picture


def draw_twins(root: Path) -> Path:
    """Six people of 32 pixels, whose number is their grey level, natural and in two styles."""
    styled = {f"styled/{style}": added for style, added in STYLES.items()}
    for folder, added in ({"natural": 0} | styled).items():
        (root / folder).mkdir(parents=True)
        for person in range(6):
            pixels = np.full((32, 32, 3), 100 + 5 * person + added, np.uint8)
            pixels[8:24, 8:24] += np.uint8(10)
            Image.fromarray(pixels).save(root / folder / f"{person}.png")
    return root
