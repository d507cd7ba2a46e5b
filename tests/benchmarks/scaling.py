"""Cost must grow as its work does: time per picture by batch, time and memory per pixel by size."""

import ctypes
import math
from pathlib import Path

from blendgan_core import BlendGAN

from .networks import prepared, random_model
from .timing import seconds


def measure_scaling(runs: int) -> None:
    model = prepared(random_model(256, "generator"), "fp32")
    times = [picture_seconds(model, batch, runs) for batch in (1, 2, 4, 8, 16)]
    line = ", ".join(f"{time / times[0]:.2f}" for time in times)
    print(f"256 px synthesis, time per picture at batch 1, 2, 4, 8, 16 over batch 1: {line}")
    times, memory = [], []
    for resolution in (256, 512, 1024):
        model = prepared(random_model(resolution, "generator"), "fp32")
        memory.append(peak_growth(model) / resolution**2)
        times.append(picture_seconds(model, 1, runs) / resolution**2)
    line = ", ".join(f"{time / times[0]:.2f}" for time in times)
    print(f"synthesis, time per pixel at 256, 512, 1024 px over 256 px: {line}")
    line = ", ".join(f"{peak:.0f}" for peak in memory)
    print(f"synthesis, bytes of working memory per pixel at 256, 512, 1024 px: {line}")


def picture_seconds(model: BlendGAN, batch: int, runs: int) -> float:
    """The fastest of some runs, for one picture of a batch."""
    w = model.sample_face(list(range(batch)))
    model.synthesize(w)
    return min(seconds(lambda: model.synthesize(w)) for _ in range(runs)) / batch


def peak_growth(model: BlendGAN) -> float:
    """By how many bytes the process grows at most for one picture; NaN but on Linux."""
    w = model.sample_face([0])
    reset = Path("/proc/self/clear_refs")
    if not reset.exists():
        return math.nan
    ctypes.CDLL(None).malloc_trim(0)  # what earlier pictures left free would serve this one
    reset.write_text("5")  # forgets the peak so far
    before = _status("VmRSS")
    model.synthesize(w)
    return _status("VmHWM") - before


def _status(field: str) -> int:
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(field))
