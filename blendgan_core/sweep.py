"""The columns of a sweep over the indicator, as in the paper's figure 5."""

import math
from collections.abc import Iterable

from .errors import BlendGANError


def indicator_steps(
    num_layers: int, first: float = 0, last: float | None = None, step: float = 2
) -> list[tuple[int, float]]:
    """(indicator, theta) of each column, from position `first` to `last` (None: num_layers).

    A position p is the indicator with its theta as one number: i at theta 1 is the position i, and
    as theta falls to 0 it moves on to i + 1, which gives the same blend. So 2.25 is indicator 2
    with theta 0.75. The last column is `last` itself, whether the steps meet it or not.
    """
    last = num_layers if last is None else last
    if not 0 <= first <= last <= num_layers:
        raise BlendGANError(
            f"the sweep from {first:g} to {last:g} is outside 0..{num_layers}, this model's "
            "layers, or runs backwards; let it go from a lower indicator to a higher one"
        )
    if step <= 0:
        raise BlendGANError(f"the step is {step:g}: expected more than 0")
    count = math.ceil(round((last - first) / step, 6))
    positions = [round(first + index * step, 6) for index in range(count)] + [last]
    return [_split(position) for position in positions]


def column_labels(steps: Iterable[tuple[int, float]], num_layers: int) -> list[str]:
    """What stands above each column; a second line for a theta below 1."""
    return [
        "natural" if i == num_layers else f"i = {i}" + (f"\ntheta {theta:g}" if theta < 1 else "")
        for i, theta in steps
    ]


def _split(position: float) -> tuple[int, float]:
    indicator = math.floor(position)
    return indicator, round(1 - (position - indicator), 6)
