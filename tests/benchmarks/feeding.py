"""How long a training waits for its pictures, from PNG files that it has not seen before."""

import tempfile
import time
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from trainer.data import Feed, ImageSet

from .timing import seconds

STEPS = 25


def milliseconds_a_batch(picture_size: int, resolution: int, batch: int) -> float:
    """Of Feed, called again and again with no step in between that could hide the decoding."""
    with tempfile.TemporaryDirectory() as folder:
        write_pictures(Path(folder), 4 * STEPS * batch, picture_size)
        feed = Feed(ImageSet(Path(folder), resolution), "natural", batch, 0, range(batch))
        total = seconds(lambda: [feed(step) for step in range(STEPS)])
    return 1000 * total / STEPS


def measure_decoding() -> None:
    """What a picture of 1024 px costs a core: that is what a GPU's step has to hide."""
    with tempfile.TemporaryDirectory() as folder:
        write_pictures(Path(folder), 12, 1024)
        size = sum(path.stat().st_size for path in Path(folder).iterdir()) / 12
        images = ImageSet(Path(folder), 1024)
        began = time.process_time()
        images.batch(torch.arange(12))
        each = (time.process_time() - began) / 12
    print(
        f"data, PNG of 1024 px and {size / 1e6:.1f} MB: {1000 * each:.0f} ms of one core a "
        f"picture, {1 / each:.0f} pictures/s a core"
    )


def write_pictures(folder: Path, count: int, size: int) -> None:
    """PNG files of soft shapes under a little noise, as large as those of photographs."""
    drawn = np.random.default_rng(0)
    for index in range(count):
        shapes = Image.fromarray(drawn.integers(0, 256, (8, 8, 3), dtype=np.uint8))
        smooth = np.asarray(shapes.resize((size, size), Image.Resampling.BICUBIC), dtype=np.int16)
        noisy = smooth + drawn.integers(-3, 4, smooth.shape)
        levels = np.clip(noisy, 0, 255).astype(np.uint8)
        Image.fromarray(levels).save(folder / f"{index:05}.png", compress_level=1)
