"""What a run tells: log.jsonl, its plots and, where tensorboard is installed, its event files."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from .plots import plot_run
from .run_state import write_file


class RunLog:
    """The log of one run folder. Opened at a step, it forgets what a killed run wrote after it."""

    def __init__(self, folder: Path, step: int):
        self.folder = folder
        self.file = folder / "log.jsonl"
        if self.file.exists():
            kept = [json.dumps(row) + "\n" for row in read_rows(self.file) if row["step"] <= step]
            write_file(self.file, "".join(kept).encode())
        self._events = _event_writer(folder / "events", step)

    def write(self, row: dict[str, Any]) -> None:
        """row: numbers, or lists with one number a layer, by name; `step` among them."""
        with open(self.file, "a", encoding="utf-8") as lines:
            lines.write(json.dumps(row) + "\n")
        if self._events:
            for name, number in _scalars(row):
                self._events.add_scalar(name, number, row["step"])

    def plot(self) -> None:
        """Draw losses.png and, where there are such values, metrics.png and alpha.png."""
        plot_run(read_rows(self.file), self.folder)

    def add_grid(self, grid: Path, step: int) -> None:
        """Show a sample grid in TensorBoard as well."""
        if self._events:
            pixels = np.asarray(Image.open(grid).convert("RGB"))
            self._events.add_image("samples", pixels, step, dataformats="HWC")
            self._events.flush()


def read_rows(file: Path) -> list[dict[str, Any]]:
    """The rows of a log.jsonl, without a last one that a kill or a full disk cut off."""
    lines = file.read_text(encoding="utf-8").splitlines(keepends=True)
    return [json.loads(line) for line in lines if line.endswith("\n")]


def _scalars(row: dict[str, Any]) -> Iterator[tuple[str, float]]:
    for name, value in row.items():
        if isinstance(value, list):
            yield from ((f"{name}/layer_{layer:02}", part) for layer, part in enumerate(value))
        else:
            yield name, value


def _event_writer(folder: Path, step: int):
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError:
        print("no TensorBoard events: `pip install tensorboard` adds them")
        return None
    return SummaryWriter(str(folder), purge_step=step + 1)
