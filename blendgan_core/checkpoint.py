"""Checkpoints: one safetensors file with the networks, their sizes and where they come from.

Tensors are prefixed with their part: `generator.`, `style_encoder.`, `psp_encoder.`, and what a
fine-tune needs besides: `d_face.`, `d_style.`, `d_style_latent.`, `queue.`. Any subset may be
present. The header holds `format`, `config` and `provenance` as JSON.
"""

import json
import os
from dataclasses import asdict
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from .blendgan import PARTS, BlendGAN
from .config import GeneratorConfig, PSPConfig, StyleEncoderConfig
from .contents import Contents
from .errors import CheckpointError
from .upstream import read_upstream

FORMAT = "blendgan-1"
STARTER = Path(__file__).parent / "weights" / "starter.safetensors"
LOCAL_MODELS = Path(__file__).parents[1] / "models" / "blendgan"  # a user's own, beside ComfyUI's
CONFIGS = {
    "generator": GeneratorConfig,
    "style_encoder": StyleEncoderConfig,
    "psp_encoder": PSPConfig,
}


def load(
    path: str | os.PathLike, device: str | torch.device = "cpu", dtype: torch.dtype | None = None
) -> BlendGAN:
    """A model in eval mode from one of our files or an upstream one, recognised by its content.

    dtype: float32 if None, whatever the file stores. Runs no code from the file. Raises
    CheckpointError if it is missing, damaged, or something else.
    """
    return build(read(path), path, device, dtype)


def read(path: str | os.PathLike) -> Contents:
    """Sizes, weights and provenance of a checkpoint, ours or upstream; see `load`."""
    path = _existing(path)
    if not is_safetensors(path):
        return read_upstream(path)
    header = read_header(path)
    states = {prefix: _read_tensors(path, prefix, keys) for prefix, keys in header["keys"].items()}
    return Contents(
        kind="BlendGAN checkpoint",
        configs={name: _config(path, name, sizes) for name, sizes in header["config"].items()},
        states={name: states.pop(name, {}) for name in header["config"]},
        extras=states,
        provenance=header["provenance"],
    )


def build(
    contents: Contents,
    path: str | os.PathLike,
    device: str | torch.device = "cpu",
    dtype: torch.dtype | None = None,
) -> BlendGAN:
    """The model of what `read` found at `path`; it takes over the tensors."""
    try:
        with torch.device("meta"):  # the file brings every value, so none is drawn first
            model = BlendGAN(**contents.configs)
    except (TypeError, ValueError, RuntimeError) as error:
        reason = str(error).splitlines()[0]
        raise CheckpointError(f"{path} has impossible sizes in its header: {reason}") from error
    model.provenance = contents.provenance
    for name, state in contents.states.items():
        _fill(path, name, getattr(model, name), state)
    return model.to(device, dtype or torch.float32).eval().requires_grad_(False)


def save(
    model: BlendGAN,
    path: str | os.PathLike,
    metadata: dict | None = None,
    extras: dict[str, dict[str, Tensor]] | None = None,
    dtype: torch.dtype | None = None,
) -> Path:
    """Write a model's parts; the file appears only when it is whole.

    metadata: the provenance (kind, data and licence, steps, seed, parent, ..), plain JSON values;
    extras: further state dicts by prefix, such as the discriminators for a fine-tune; dtype: store
    floating tensors in this precision.
    """
    states = {name: getattr(model, name).state_dict() for name in PARTS if getattr(model, name)}
    tensors = {}
    for prefix, state in (states | (extras or {})).items():
        for key, value in state.items():
            value = value.detach().cpu()
            if dtype is not None and value.is_floating_point():
                value = value.to(dtype)
            tensors[f"{prefix}.{key}"] = value.contiguous().clone()
    header = {
        "format": FORMAT,
        "config": json.dumps({name: asdict(getattr(model.config, name)) for name in states}),
        "provenance": json.dumps(metadata or {}),
    }
    path = Path(path)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary.touch()
        usual_mode = temporary.stat().st_mode  # safetensors makes a file that others cannot read
        save_file(tensors, temporary, metadata=header)
        temporary.chmod(usual_mode)
        os.replace(temporary, path)
    except (OSError, SafetensorError) as error:
        reason = getattr(error, "strerror", None) or error
        raise CheckpointError(
            f"{path} could not be written ({reason}); choose a folder that you may write to, on a "
            "disk with space left"
        ) from error
    finally:
        if path.parent.is_dir():
            temporary.unlink(missing_ok=True)
    return path


def is_safetensors(path: Path) -> bool:
    """Whether the file starts as safetensors do: a header length, then JSON."""
    with open(path, "rb") as file:
        start = file.read(9)
    return len(start) == 9 and start[8:] == b"{"


def read_header(path: str | os.PathLike) -> dict:
    """The header of one of our files: `format`, `config` by part, `provenance`, and `keys` by
    prefix."""
    path = _existing(path)
    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
            keys = list(file.keys())
    except SafetensorError as error:
        raise CheckpointError(
            f"{path} is damaged or cut short ({error}); fetch it again"
        ) from error
    if metadata.get("format") != FORMAT:
        raise CheckpointError(
            f"{path} is a safetensors file, but not a BlendGAN checkpoint: its header says "
            f"format {metadata.get('format')!r}, expected {FORMAT!r}; it holds {sorted(keys)[:3]}"
        )
    try:
        config, provenance = json.loads(metadata["config"]), json.loads(metadata["provenance"])
    except (KeyError, json.JSONDecodeError) as error:
        raise CheckpointError(f"{path} has a damaged header ({error}); fetch it again") from error
    if not all(isinstance(v, dict) for v in (config, provenance)) or not all(
        isinstance(sizes, dict) for sizes in config.values()
    ):
        raise CheckpointError(f"{path} has a damaged header (unexpected JSON); fetch it again")
    unknown = set(config) - set(CONFIGS)
    if unknown or not config:
        raise CheckpointError(
            f"{path} holds the parts {sorted(config)}, expected some of {sorted(CONFIGS)}; "
            "a newer version of this project may have written it"
        )
    prefixes: dict[str, list[str]] = {}
    for key in keys:
        prefixes.setdefault(key.split(".")[0], []).append(key)
    return {"format": FORMAT, "config": config, "provenance": provenance, "keys": prefixes}


def _read_tensors(path: Path, prefix: str, keys: list[str]) -> dict[str, Tensor]:
    """The tensors of one part, without their prefix, in memory of their own.

    A mapped file could not be replaced on Windows, and cutting it would crash the process. It is
    opened for each tensor, since its pages count as ours for as long as it stays open.
    """
    tensors = {}
    for key in keys:
        with safe_open(path, framework="pt") as file:
            tensors[key[len(prefix) + 1 :]] = file.get_tensor(key).clone()
    return tensors


def _existing(path: str | os.PathLike) -> Path:
    path = Path(path)
    if path.is_dir():
        raise CheckpointError(f"{path} is a folder, expected a checkpoint file")
    if not path.exists():
        raise CheckpointError(f"{path} does not exist; expected a checkpoint file")
    return path


def _config(path: Path, name: str, sizes: dict):
    sizes = {
        key: tuple(value) if isinstance(value, list) else value for key, value in sizes.items()
    }
    try:
        return CONFIGS[name](**sizes)
    except (TypeError, ValueError) as error:
        raise CheckpointError(f"{path} has a damaged config for its {name}: {error}") from error


def _fill(path: str | os.PathLike, name: str, module: torch.nn.Module, state: dict[str, Tensor]) -> None:
    try:
        module.load_state_dict(state, assign=True)
    except RuntimeError as error:
        first = str(error).splitlines()[1].strip() if "\n" in str(error) else str(error)
        raise CheckpointError(
            f"{path}: its {PARTS[name][0]} does not fit the sizes in its header: {first}"
        ) from error
