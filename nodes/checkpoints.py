"""Which checkpoints the loader takes: the starter, models/blendgan, every extra search path, and
addresses on the hub."""

import os
from collections.abc import Callable
from pathlib import Path

import comfy.utils
import folder_paths

from ..blendgan_core import STARTER, CheckpointError
from ..blendgan_core.checkpoint import LOCAL_MODELS
from ..blendgan_core.hub import download, parse_address

FOLDER = "blendgan"
EXTENSIONS = {".safetensors", ".pt", ".pth", ".pkl"}
BUILT_IN = "starter (built in)"
NONE = "none"


def register_folder() -> None:
    """Make models/blendgan known to ComfyUI, and the pack's own, where fine-tunes may lie.

    A folder of extra_model_paths.yaml is known already, but with no extensions, which would list
    every file in it; hence the union.
    """
    folder_paths.add_model_folder_path(FOLDER, os.path.join(folder_paths.models_dir, FOLDER))
    folder_paths.add_model_folder_path(FOLDER, str(LOCAL_MODELS))
    paths, extensions = folder_paths.folder_names_and_paths[FOLDER]
    folder_paths.folder_names_and_paths[FOLDER] = (paths, EXTENSIONS | set(extensions))


def list_checkpoints() -> list[str]:
    """The starter, then the user's files by name."""
    return [BUILT_IN, *folder_paths.get_filename_list(FOLDER)]


def list_files() -> list[str]:
    """ "none", then the user's files by name."""
    return [NONE, *folder_paths.get_filename_list(FOLDER)]


def checkpoint_path(name: str, address: str = "") -> Path:
    """Where a listed checkpoint lies; if nowhere, a CheckpointError names the folders searched.

    address: on the hub, in place of the name unless it is empty; downloaded now if need be, shown
    on the node's bar.
    """
    if address.strip():
        return download(parse_address(address.strip()), _progress())
    if name == BUILT_IN:
        return STARTER
    try:
        return Path(folder_paths.get_full_path_or_raise(FOLDER, name))
    except FileNotFoundError:
        folders = ", ".join(folder_paths.get_folder_paths(FOLDER))
        raise CheckpointError(
            f"{name} is not in {folders}: put the file there, or press R and choose another one"
        ) from None


def file_path(name: str) -> Path | None:
    """Where a file of `list_files` lies; None for "none"."""
    return None if name == NONE else checkpoint_path(name)


def fingerprint(name: str, address: str = "") -> list[int | str]:
    """Changes when the file does: its modification time in ns and its size in bytes.

    Of an address it is the address itself, since asking the hub would take a connection; of "none"
    it is nothing.
    """
    if address.strip():
        return [address.strip()]
    if name == NONE:
        return []
    status = checkpoint_path(name).stat()
    return [status.st_mtime_ns, status.st_size]


def _progress() -> Callable[[int, int], None]:
    """Moves the bar of the node that runs; the user's Cancel takes effect there too."""
    bar = comfy.utils.ProgressBar(100)

    def show(here: int, whole: int) -> None:
        if whole:
            bar.update(max(0, 100 * here // whole - bar.current))

    return show
