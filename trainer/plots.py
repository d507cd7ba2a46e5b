"""Plots of a run's log: losses.png, a panel for each kind of value; alpha.png, a curve a layer; and
metrics.png, what was measured now and then. And panels of any curves, for other reports.

Drawn with Pillow alone. Curves are drawn at twice the size and averaged down, which smooths them.
"""

import math
import os
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from statistics import fmean
from typing import Any

from PIL import Image, ImageDraw

from blendgan_core.captions import default_font

PANEL = 560, 330  # width and height in pixels
LEFT, RIGHT, TOP, BOTTOM = 64, 32, 48, 44  # the margins around a panel's axes
COLUMNS = 2
FINE = 2  # curves are drawn at this many times the size
POINTS = 200  # means that a curve goes through; what was logged shows faintly behind it
FAINT_POINTS = 4000  # of these at most, so that a long log is drawn in a moment
NOT_PLOTTED = {"step", "images", "alpha"}
METRIC = "metric_"  # begins the names of what is measured; between measurements a row repeats it
COLOURS = (
    *((31, 99, 181), (214, 95, 14), (22, 139, 84), (170, 51, 119), (110, 110, 110)),
    *((0, 160, 190), (150, 130, 0), (120, 80, 40)),
)
EARLY, LATE = (49, 32, 121), (250, 150, 40)  # of alpha's first and last layer
INK, GRID = (40, 40, 40), (222, 222, 222)
DECADES = 1.7  # an axis over more powers of ten than this is logarithmic
MOST_DECADES = 4  # that it shows; what is smaller lies on its lower end


@dataclass(frozen=True)
class Curve:
    """One value over the steps, or over whatever the plot's horizontal axis counts."""

    name: str
    steps: Sequence[float]
    values: Sequence[float]
    colour: tuple[int, int, int]
    band: tuple[Sequence[float], ...] = ()
    """more values at the same steps, drawn faintly: the ends of an interval"""


def plot_run(rows: Sequence[dict[str, Any]], folder: Path) -> None:
    """Write losses.png and, where the rows hold `alpha` or metrics, alpha.png and metrics.png into
    the run folder.

    rows: of log.jsonl; a value that is missing from a row is left out there.
    """
    if not rows:
        return
    losses = [
        {name: value for name, value in row.items() if not name.startswith(METRIC)} for row in rows
    ]
    _plot_values(losses, folder / "losses.png")
    metrics = measurements(rows)
    if metrics:
        _plot_values(metrics, folder / "metrics.png")
    layers = len(next((row["alpha"] for row in rows if "alpha" in row), ()))
    if layers:
        _write(folder / "alpha.png", [_alpha_curves(rows, layers)], ["alpha: the style's share"])


def plot_panels(
    path: Path, groups: Sequence[Sequence[Curve]], titles: Sequence[str], across: str
) -> None:
    """Write a panel for each group of curves, all with linear axes; across: what the horizontal one
    counts."""
    _write(path, groups, titles, across, decades=math.inf)


def measurements(rows: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """The rows in which a metric changed, without what repeats the former measurement: step and
    metrics, named without their prefix."""
    measured, before = [], {}
    for row in rows:
        now = {name[len(METRIC) :]: value for name, value in row.items() if name.startswith(METRIC)}
        if now != before:
            measured.append({"step": row["step"]} | now)
            before = now
    return measured


def grouped(names: Sequence[str]) -> list[list[str]]:
    """Names that share their first word belong together: d_face, d_style; path_length is alone."""
    first = sorted(names, key=lambda name: names.index(_first_of(name, names)))
    return [list(group) for _, group in groupby(first, key=lambda name: name.split("_")[0])]


def title(curves: Sequence[Curve]) -> str:
    """What a panel is called: its value, or the first word that its values share."""
    return curves[0].name if len(curves) == 1 else curves[0].name.split("_")[0]


def ticks(low: float, high: float, logarithmic: bool = False) -> list[float]:
    """Round numbers within low..high, three to six; powers of ten on a logarithmic axis."""
    if logarithmic:
        exponents = range(math.ceil(math.log10(low)), math.floor(math.log10(high)) + 1)
        return [10.0**exponent for exponent in exponents][:: max(1, len(exponents) // 5)]
    rough = (high - low) / 6
    unit = 10 ** math.floor(math.log10(rough))
    step = next(unit * factor for factor in (1, 2, 5, 10) if unit * factor >= rough)
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    return [number * step for number in range(first, last + 1)]


def _first_of(name: str, names: Sequence[str]) -> str:
    return next(other for other in names if other.split("_")[0] == name.split("_")[0])


def _plot_values(rows: Sequence[dict[str, Any]], path: Path) -> None:
    names = dict.fromkeys(name for row in rows for name in row if name not in NOT_PLOTTED)
    panels = [
        [_curve(rows, name, COLOURS[i % len(COLOURS)]) for i, name in enumerate(group)]
        for group in grouped(list(names))
    ]
    _write(path, panels, [title(curves) for curves in panels])


def _curve(rows: Sequence[dict[str, Any]], name: str, colour: tuple[int, int, int]) -> Curve:
    kept = [row for row in rows if name in row]
    return Curve(name, [row["step"] for row in kept], [row[name] for row in kept], colour)


def _alpha_curves(rows: Sequence[dict[str, Any]], layers: int) -> list[Curve]:
    kept = [row for row in rows if "alpha" in row]
    steps = [row["step"] for row in kept]
    return [
        Curve(str(layer), steps, [row["alpha"][layer] for row in kept], _between(layer, layers))
        for layer in range(layers)
    ]


def _between(layer: int, layers: int) -> tuple[int, int, int]:
    share = layer / max(1, layers - 1)
    return tuple(round(a + (b - a) * share) for a, b in zip(EARLY, LATE, strict=True))


class _Panel:
    """The axes of one panel: from steps and values to pixels."""

    def __init__(self, number: int, columns: int, curves: Sequence[Curve], decades: float):
        self.left = number % columns * PANEL[0]
        self.top = number // columns * PANEL[1]
        steps = [step for curve in curves for step in curve.steps]
        drawn = [values for curve in curves for values in (curve.values, *curve.band)]
        values = [value for values in drawn for value in values]
        self.first, self.last = min(steps), max(max(steps), min(steps) + 1)
        low, high = min(values), max(values)
        self.logarithmic = low > 0 and math.log10(high / low) > decades
        if self.logarithmic:
            low = max(low, high / 10**MOST_DECADES)
            self.low, self.high = 10 ** math.floor(math.log10(low)), high * 1.2
        else:
            room = (high - low or abs(high) or 1) * 0.06
            self.low, self.high = low - room, high + room

    def x(self, step: float) -> float:
        width = PANEL[0] - LEFT - RIGHT
        return self.left + LEFT + (step - self.first) / (self.last - self.first) * width

    def y(self, value: float) -> float:
        low, high = self.low, self.high
        if self.logarithmic:
            low, high, value = math.log(low), math.log(high), math.log(max(value, low))
        height = PANEL[1] - TOP - BOTTOM
        return self.top + TOP + (high - value) / (high - low) * height


def _write(
    path: Path,
    groups: Sequence[Sequence[Curve]],
    titles: Sequence[str],
    across: str = "step",
    decades: float = DECADES,
) -> None:
    columns = min(COLUMNS, len(groups))
    size = PANEL[0] * columns, PANEL[1] * -(-len(groups) // columns)
    panels = [_Panel(number, columns, curves, decades) for number, curves in enumerate(groups)]
    fine = Image.new("RGB", (size[0] * FINE, size[1] * FINE), "white")
    lines = ImageDraw.Draw(fine)
    for panel, curves in zip(panels, groups, strict=True):
        _draw_curves(lines, panel, curves)
    image = fine.reduce(FINE)
    words = ImageDraw.Draw(image)
    for panel, curves, name in zip(panels, groups, titles, strict=True):
        _draw_words(words, panel, curves, name, across)
    temporary = path.with_name(f".{path.name}.tmp")
    try:
        image.save(temporary, format="PNG")
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def _draw_curves(draw: ImageDraw.ImageDraw, panel: _Panel, curves: Sequence[Curve]) -> None:
    def line(points, colour, width):
        draw.line([(x * FINE, y * FINE) for x, y in points], colour, width, joint="curve")

    for value in ticks(panel.low, panel.high, panel.logarithmic):
        line([(panel.x(s), panel.y(value)) for s in (panel.first, panel.last)], GRID, 1)
    for step in ticks(panel.first, panel.last):
        line([(panel.x(step), panel.y(v)) for v in (panel.low, panel.high)], GRID, 1)
    corner = [(panel.first, panel.high), (panel.first, panel.low), (panel.last, panel.low)]
    line([(panel.x(s), panel.y(v)) for s, v in corner], INK, FINE)
    logged = [[*zip(map(panel.x, c.steps), map(panel.y, c.values), strict=True)] for c in curves]
    for points, curve in zip(logged, curves, strict=True):
        if len(points) > POINTS:
            spread = points[:: -(-len(points) // FAINT_POINTS)]
            line(spread, _faint(curve.colour), 1)
        for values in curve.band:
            ends = zip(map(panel.x, curve.steps), map(panel.y, values), strict=True)
            line(list(ends), _faint(curve.colour, 2), FINE)
    for points, curve in zip(logged, curves, strict=True):
        means = _means(points)
        line(means, curve.colour, 2 * FINE - 1)
        if len(means) == 1:  # a line of one point would not show
            (x, y), r = means[0], 3
            box = [(x - r) * FINE, (y - r) * FINE, (x + r) * FINE, (y + r) * FINE]
            draw.ellipse(box, curve.colour)


def _faint(colour: tuple[int, int, int], divisor: int = 4) -> tuple[int, int, int]:
    return tuple(255 - (255 - part) // divisor for part in colour)


def _means(points: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
    """At most POINTS means of neighbouring points."""
    size = -(-len(points) // POINTS)
    chunks = [points[start : start + size] for start in range(0, len(points), size)]
    return [(fmean(x for x, _ in chunk), fmean(y for _, y in chunk)) for chunk in chunks]


def _draw_words(
    draw: ImageDraw.ImageDraw, panel: _Panel, curves: Sequence[Curve], name: str, across_axis: str
) -> None:
    font, bold = default_font(13), default_font(16)

    def write(x, y, text, colour=INK, font=font, across=0.0, down=0.5):
        """across, down: which part of the text lies at x, y; 0 is its left or top, 1 the other."""
        left, top, right, bottom = font.getbbox(text)
        position = x - left - (right - left) * across, y - top - (bottom - top) * down
        draw.text(position, text, colour, font=font)
        return right - left

    for value in ticks(panel.low, panel.high, panel.logarithmic):
        write(panel.x(panel.first) - 8, panel.y(value), f"{value:.4g}", across=1)
    for step in ticks(panel.first, panel.last):
        if step == int(step):
            write(panel.x(step), panel.y(panel.low) + 14, f"{int(step)}", across=0.5)
    write(panel.left + LEFT + (PANEL[0] - LEFT - RIGHT) / 2, panel.top + PANEL[1] - 12, across_axis)
    note = " (logarithmic)" if panel.logarithmic else ""
    x = panel.left + LEFT
    write(x, panel.top + 16, name + note, font=bold)
    if len(curves) > 1:
        if curves[0].name == "0":
            x += write(x, panel.top + 36, "layer") + 10
        for curve in curves:
            x += write(x, panel.top + 36, curve.name, curve.colour) + 12
