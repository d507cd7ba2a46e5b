"""Which device a --device flag means."""

import torch

from .errors import BlendGANError


def choose_device(name: str) -> torch.device:
    """ "auto" takes the first that is there of cuda, mps and cpu; any other name must be there."""
    if name == "auto":
        if torch.cuda.is_available():
            return torch.device("cuda")
        return torch.device("mps" if torch.backends.mps.is_available() else "cpu")
    try:
        return torch.empty(0, device=name).device
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        first = str(error).splitlines()[0].rstrip(".")
        raise BlendGANError(
            f"--device {name} cannot be used here ({first}); use --device auto or cpu"
        ) from error
