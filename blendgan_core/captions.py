"""Words above the columns of a sheet."""

from collections.abc import Sequence

import numpy as np
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor

from .images import from_uint8

HEIGHT = 0.11  # of a column's width, the size of the letters
FULL = 0.94  # of a column's width, what a line may take


def captions(texts: Sequence[str], width: int) -> Tensor:
    """A white strip with one text a column, black and centred. -> [3, H, len(texts) * width].

    width: of a column in pixels; the letters go with it, and are smaller where the longest line
    would not fit. A text may have several lines. Values in [-1, 1].
    """
    rows = [text.split("\n") for text in texts]
    font = default_font(round(HEIGHT * width))
    widest = max(font.getbbox(line)[2] for row in rows for line in row)
    if widest > FULL * width:
        font = default_font(int(HEIGHT * width * FULL * width / widest))
    line_height = round(1.3 * font.getbbox("Ag")[3])
    height = line_height * max(map(len, rows)) + line_height // 2
    strip = Image.new("RGB", (width * len(texts), height), "white")
    draw = ImageDraw.Draw(strip)
    for column, row in enumerate(rows):
        top = (height - line_height * len(row)) / 2
        for number, line in enumerate(row):
            left = (column + 0.5) * width - font.getbbox(line)[2] / 2
            draw.text((left, top + number * line_height), line, fill="black", font=font)
    return from_uint8(np.array(strip))


def default_font(size: int) -> ImageFont.ImageFont | ImageFont.FreeTypeFont:
    """Pillow's own font, of that many pixels; before Pillow 10.1 it has one small size."""
    try:
        return ImageFont.load_default(max(size, 6))
    except TypeError:
        return ImageFont.load_default()
