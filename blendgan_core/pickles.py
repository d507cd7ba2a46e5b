"""Read PyTorch's pickled checkpoints without running code from the file."""

import argparse
import pickle
import re
import struct
import zipfile
from pathlib import Path

import torch
from safetensors import SafetensorError

from .errors import CheckpointError
from .files import require_file
from .pickle_scan import check_legacy, check_tensors, check_zip

# all that torch.load was seen to raise on files cut off, with flipped bytes, or of another format
DAMAGED = (
    pickle.UnpicklingError,
    zipfile.BadZipFile,
    struct.error,
    ArithmeticError,
    AssertionError,
    AttributeError,
    EOFError,
    LookupError,
    MemoryError,
    OSError,
    RuntimeError,
    TypeError,
    ValueError,
    SafetensorError,  # torch.load hands over every file that is named *.safetensors
)

DAMAGED_MESSAGE = (
    "is cut off, damaged or not a checkpoint: expected a file that torch.save wrote. "
    "Download it again."
)


def read_pickle(path: Path) -> dict:
    """The dictionary in a file that torch.save wrote: tensors and plain values, nothing else.

    argparse.Namespace, a bag of plain values that pSp files carry, is the one class that is let in.
    Raises CheckpointError if the file is missing, may not be read, is damaged, is no checkpoint, or
    holds other objects.
    """
    require_file(path)
    try:
        is_zip = zipfile.is_zipfile(path)
        (check_zip if is_zip else check_legacy)(path)
        with torch.serialization.safe_globals([argparse.Namespace]):
            # mapped, since the official style encoder's file holds 1.3 GB that shrink on conversion
            data = torch.load(path, map_location="cpu", weights_only=True, mmap=is_zip)
        check_tensors(data, path.stat().st_size)
    except DAMAGED as error:
        if forbidden := re.search(r"GLOBAL (\S+)", str(error)):
            raise CheckpointError(
                f"{path} was not loaded: it holds the Python object '{forbidden[1]}', which could "
                "run code; expected tensors and plain values. Save its weights as a state_dict."
            ) from error
        raise CheckpointError(f"{path} {DAMAGED_MESSAGE}") from error
    if not isinstance(data, dict):
        raise CheckpointError(
            f"{path} is not a checkpoint: found a {type(data).__name__}, "
            "expected a dictionary of tensors"
        )
    return data
