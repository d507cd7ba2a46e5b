"""Writing checkpoint files: they appear only when they are whole, and need no second copy of the
weights in memory."""

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch
from torch import Tensor

from .errors import CheckpointError

SAFETENSORS_DTYPES = {
    torch.float64: "F64",
    torch.float32: "F32",
    torch.float16: "F16",
    torch.bfloat16: "BF16",
    torch.int64: "I64",
    torch.int32: "I32",
    torch.int16: "I16",
    torch.int8: "I8",
    torch.uint8: "U8",
    torch.bool: "BOOL",
}


@contextmanager
def appearing(path: Path) -> Iterator[Path]:
    """A temporary path beside `path` to write to, which becomes `path` if nothing is raised.

    Folders are made if need be. Raises CheckpointError where the disk is full or may not be written
    to; whatever is raised, nothing stays behind.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield temporary
        os.replace(temporary, path)
    except (OSError, RuntimeError) as error:  # torch.save raises the latter on a full disk
        reason = getattr(error, "strerror", None) or (str(error) or repr(error)).splitlines()[0]
        raise CheckpointError(
            f"{path} could not be written ({reason}); choose a folder that you may write to, on a "
            "disk with space left"
        ) from error
    finally:
        if path.parent.is_dir():
            temporary.unlink(missing_ok=True)


def write_safetensors(
    path: Path, tensors: dict[str, Tensor], metadata: dict[str, str], dtype: torch.dtype | None
) -> None:
    """Write a safetensors file, tensor after tensor; floating ones in `dtype` if that is given.

    The library's own writer holds a copy of all tensors, which is much for files of gigabytes.
    """
    header: dict[str, dict] = {"__metadata__": metadata}
    end = 0
    for name, tensor in tensors.items():
        stored = stored_dtype(tensor, dtype)
        start, end = end, end + tensor.numel() * stored.itemsize
        header[name] = {
            "dtype": SAFETENSORS_DTYPES[stored],
            "shape": list(tensor.shape),
            "data_offsets": [start, end],
        }
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)  # the format wants the tensors aligned
    with appearing(path) as temporary, open(temporary, "wb") as file:
        file.write(len(text).to_bytes(8, "little") + text)
        for tensor in tensors.values():
            flat = tensor.detach().cpu().to(stored_dtype(tensor, dtype)).reshape(-1)
            file.write(memoryview(flat.view(torch.uint8).numpy()))


def stored_dtype(tensor: Tensor, dtype: torch.dtype | None) -> torch.dtype:
    """The precision in which a file keeps a tensor, if `dtype` is wanted for floating ones."""
    return dtype if dtype is not None and tensor.is_floating_point() else tensor.dtype
