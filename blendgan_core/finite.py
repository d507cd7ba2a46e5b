"""A warning for weights that are not numbers: such a model loads, and paints black pictures."""

import logging
import os
from math import isfinite

from torch import Tensor

from .contents import Contents

logger = logging.getLogger(__name__)


def warn_of_broken_weights(contents: Contents, path: str | os.PathLike) -> None:
    """Log one line that names the first tensor with NaN or infinite values."""
    states = contents.states | contents.extras
    broken = [
        f"{part}.{key}"
        for part, state in states.items()
        for key, tensor in state.items()
        if not is_finite(tensor)
    ]
    if broken:
        others = len(broken) - 1
        also = f" and {others} other tensor{'s' if others > 1 else ''}" if others else ""
        logger.warning(
            f"{path} holds NaN or infinite weights in {broken[0]}{also}: its pictures will be "
            "broken; fetch the file again, or go back to an earlier checkpoint of the training"
        )


def is_finite(tensor: Tensor) -> bool:
    """Whether a tensor has no NaN and no infinity; its extremes tell in one pass without a copy."""
    if not tensor.is_floating_point() or tensor.numel() == 0:
        return True
    lowest, highest = (tensor if tensor.itemsize > 1 else tensor.float()).aminmax()
    return isfinite(lowest.item()) and isfinite(highest.item())
