"""The file that a run is resumed from: the last good one stays until the next is whole on disk."""

import os
from pathlib import Path
from typing import Any

import torch

from blendgan_core.errors import BlendGANError
from blendgan_core.files import put_in_place, reason
from blendgan_core.pickles import DAMAGED


def save_state(path: Path, state: dict[str, Any]) -> None:
    """Write a state and put it in the place of the former one, so that neither a kill nor a power
    cut at any moment leaves less than one whole state.

    state: tensors and plain values, nested in dicts and lists. Raises BlendGANError where the disk
    is full; the former state is then untouched.
    """
    temporary = path.with_suffix(".tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with open(temporary, "wb") as file:
            torch.save(state, file)
        put_in_place(temporary, path)
    except (OSError, RuntimeError) as error:  # torch.save hides an OSError behind its own
        temporary.unlink(missing_ok=True)
        kept = "The last good state is kept" if path.exists() else "No state was saved before"
        raise BlendGANError(
            f"the state could not be written to {path} ({reason(error)}). {kept}; "
            "free some space, then --resume"
        ) from error


def load_state(path: Path) -> dict[str, Any] | None:
    """The state that was saved last; None where a run ended before its first save."""
    if not path.exists():
        return None
    try:
        return torch.load(path, map_location="cpu", weights_only=True)
    except DAMAGED as error:
        raise BlendGANError(
            f"{path} is damaged; delete {path.parents[1]} or choose another --out"
        ) from error


def write_file(path: Path, content: bytes) -> None:
    """Write a small file that appears whole or not at all."""
    temporary = path.with_name(path.name + ".tmp")
    try:
        temporary.write_bytes(content)
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)
