"""Stand-in for ComfyUI's `folder_paths`: which files of models/ a combo may list."""

import os
import tempfile

models_dir = os.path.join(tempfile.gettempdir(), "comfyui-stub-without-models")
folder_names_and_paths: dict[str, tuple[list[str], set[str]]] = {}


def get_temp_directory() -> str:
    """ComfyUI's folder for what may be gone after a restart; it need not exist."""
    return os.path.join(tempfile.gettempdir(), "comfyui-stub-temp")


def add_model_folder_path(
    folder_name: str, full_folder_path: str, is_default: bool = False
) -> None:
    """Adds a search path. A folder that is new here has no extensions, which means all of them."""
    paths, _ = folder_names_and_paths.setdefault(folder_name, ([], set()))
    if full_folder_path not in paths:
        paths.insert(0 if is_default else len(paths), full_folder_path)


def get_folder_paths(folder_name: str) -> list[str]:
    return list(folder_names_and_paths[folder_name][0])


def get_filename_list(folder_name: str) -> list[str]:
    """Files below the search paths, by their path from there. KeyError for an unknown folder."""
    paths, extensions = folder_names_and_paths[folder_name]
    found = set()
    for path in paths:
        for parent, _, names in os.walk(path, followlinks=True):
            for name in names:
                if not extensions or os.path.splitext(name)[1].lower() in extensions:
                    found.add(os.path.relpath(os.path.join(parent, name), path))
    return sorted(found)


def get_full_path_or_raise(folder_name: str, filename: str) -> str:
    """The first search path that has the file; `..` cannot leave it."""
    inside = os.path.relpath(os.path.join("/", filename), "/")
    for path in folder_names_and_paths[folder_name][0]:
        if os.path.isfile(os.path.join(path, inside)):
            return os.path.join(path, inside)
    raise FileNotFoundError(f"no {filename} in {folder_name}")
