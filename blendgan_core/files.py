"""Checkpoint files on the disk: what can be read at all, and files that appear only when they are
whole, written without a second copy of the weights in memory."""

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from stat import S_ISDIR, S_ISREG

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


def require_file(path: Path) -> None:
    """Raise CheckpointError unless this is a file that may be read."""
    try:
        mode = path.stat().st_mode
        if S_ISREG(mode):
            with open(path, "rb"):
                return
        found = "is a folder" if S_ISDIR(mode) else "is a device or a pipe"
    except (FileNotFoundError, NotADirectoryError, ValueError):  # the last for a null in its name
        found = "does not exist"
    except OSError as error:
        found = f"cannot be read ({reason(error)})"
    raise CheckpointError(f"{path} {found}; expected a checkpoint file")


@contextmanager
def appearing(path: Path) -> Iterator[Path]:
    """A temporary path beside `path` to write to, which becomes `path` if nothing is raised.

    Folders are made if need be. Raises CheckpointError where the disk is full or may not be written
    to; whatever is raised, nothing stays behind.
    """
    temporary = path.parent / f".{path.name}.{os.getpid()}.tmp"
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield temporary
        put_in_place(temporary, path)
    except (OSError, RuntimeError) as error:  # torch.save raises the latter on a full disk
        raise CheckpointError(
            f"{path} could not be written ({reason(error)}); choose a folder that you may write "
            "to, on a disk with space left"
        ) from error
    finally:
        with suppress(OSError):  # such as a folder that could not be made
            temporary.unlink()


def put_in_place(temporary: Path, path: Path) -> None:
    """Rename a written file of the same folder to `path`, so that after a power cut at any moment
    `path` is what it was before or the whole new file. Raises OSError."""
    with open(temporary, "r+b") as file:
        os.fsync(file.fileno())  # or the new name could be left with no content
    os.replace(temporary, path)
    with suppress(OSError):  # Windows and some network drives cannot; the file is there anyway
        descriptor = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def reason(error: BaseException) -> str:
    """Why a file could not be read or written, in a few words.

    torch.save closes its archive after a failed write and raises anew; the cause comes first.
    """
    while error.__context__ is not None and not isinstance(error, OSError):
        error = error.__context__
    return getattr(error, "strerror", None) or (str(error) or repr(error)).splitlines()[0]


def write_safetensors(
    path: Path, tensors: dict[str, Tensor], metadata: dict[str, str], dtype: torch.dtype | None
) -> None:
    """Write a safetensors file, tensor after tensor; floating ones in `dtype` if that is given.

    The library's own writer holds a copy of all tensors, which is much for files of gigabytes.
    """
    header: dict[str, dict] = {"__metadata__": metadata}
    stored = {name: stored_dtype(tensor, dtype) for name, tensor in tensors.items()}
    end = 0
    for name, tensor in tensors.items():
        start, end = end, end + tensor.numel() * stored[name].itemsize
        header[name] = {
            "dtype": SAFETENSORS_DTYPES[stored[name]],
            "shape": list(tensor.shape),
            "data_offsets": [start, end],
        }
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)  # the format wants the tensors aligned
    with appearing(path) as temporary, open(temporary, "wb") as file:
        file.write(len(text).to_bytes(8, "little") + text)
        for name, tensor in tensors.items():
            flat = tensor.detach().cpu().to(stored[name]).reshape(-1)
            file.write(memoryview(flat.view(torch.uint8).numpy()))


def stored_dtype(tensor: Tensor, dtype: torch.dtype | None) -> torch.dtype:
    """The precision in which a file keeps a tensor, if `dtype` is wanted for floating ones: its own
    where values lie beyond what that can hold, and would become infinite."""
    if dtype is None or not tensor.is_floating_point() or tensor.numel() == 0:
        return tensor.dtype
    lowest, highest = tensor.aminmax()
    largest = max(abs(lowest.item()), abs(highest.item()))
    return tensor.dtype if largest > torch.finfo(dtype).max else dtype
