"""Checkpoints: one safetensors file with the networks, their sizes and where they come from.

Tensors are prefixed with their part: `generator.`, `style_encoder.`, `psp_encoder.`, and what a
fine-tune needs besides: `d_face.`, `d_style.`, `d_style_latent.`, `queue.`. Any subset may be
present. The header holds `format`, `config` and `provenance` as JSON.
"""

import json
import os
from collections.abc import Collection
from dataclasses import asdict
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from .blendgan import PARTS, BlendGAN, require_parts
from .config import GeneratorConfig, PSPConfig, StyleEncoderConfig
from .contents import Contents
from .errors import CheckpointError, short
from .files import require_file, write_safetensors
from .finite import warn_of_broken_weights
from .hub import local_path
from .precision import prepare_
from .upstream import read_upstream

FORMAT = "blendgan-1"
DELTA_FORMAT = "blendgan-delta-1"  # see delta.py
STARTER = Path(__file__).parent / "weights" / "starter.safetensors"
LOCAL_MODELS = Path(__file__).parents[1] / "models" / "blendgan"  # a user's own, beside ComfyUI's
CONFIGS = {
    "generator": GeneratorConfig,
    "style_encoder": StyleEncoderConfig,
    "psp_encoder": PSPConfig,
}
MAPPED_AT_ONCE = 1 << 26  # bytes

Header = tuple[dict[str, str], list[str]]  # of a safetensors file: its texts, its tensors' names


def load(
    path: str | os.PathLike,
    device: str | torch.device = "cpu",
    dtype: torch.dtype | None = None,
    parts: Collection[str] | None = None,
) -> BlendGAN:
    """A model in eval mode from one of our files or an upstream one, recognised by its content.

    path: a file, or the address of one on the hub, hf://owner/repo[@revision]/file.safetensors;
    dtype: what the convolutions compute in (see precision.py), float32 if None, whatever the file
    stores; parts: names of `blendgan.PARTS` that are needed, the others stay in the file; all that
    it has if None. Runs no code from the file. Raises CheckpointError if it is missing, damaged,
    something else, or lacks a part.
    """
    return build(read(path, parts, extras=False), path, device, dtype)


def read(
    path: str | os.PathLike, parts: Collection[str] | None = None, extras: bool = True
) -> Contents:
    """Sizes, weights and provenance of a checkpoint, ours or upstream; see `load`.

    extras: also what only a training needs.
    """
    path = _existing(path)
    header = read_metadata(path) if is_safetensors(path) else None
    if header is None:
        contents = read_upstream(path)
        require_parts(parts or (), contents.configs, path)
    elif _is_delta(header):
        from .delta import read_delta  # it reads its base by this very function

        contents = read_delta(path, parts, extras)
    else:
        contents = _read_ours(path, header, parts, extras)
    warn_of_broken_weights(contents, path)
    return contents


def _read_ours(path: Path, header: Header, parts: Collection[str] | None, extras: bool) -> Contents:
    found = read_header(path, header)
    configs = {name: _config(path, name, sizes) for name, sizes in found["config"].items()}
    if parts is not None:
        require_parts(parts, configs, path)
        configs = {name: configs[name] for name in parts}
    states = {
        prefix: read_tensors(path, prefix, keys)
        for prefix, keys in found["keys"].items()
        if prefix in configs or (extras and prefix not in found["config"])
    }
    return Contents(
        kind="BlendGAN checkpoint",
        configs=configs,
        states={name: states.pop(name, {}) for name in configs},
        extras=states,
        provenance=found["provenance"],
        knows_styles=found["knows_styles"],
    )


def found_parts(path: str | os.PathLike) -> list[str]:
    """The names of the parts in a file, for ours without reading them."""
    path = _existing(path)
    if not is_safetensors(path):
        return list(read(path).configs)
    header = read_metadata(path)
    if _is_delta(header):
        from .delta import find_base

        return found_parts(find_base(path))
    return list(read_header(path, header)["config"])


def build(
    contents: Contents,
    path: str | os.PathLike,
    device: str | torch.device = "cpu",
    dtype: torch.dtype | None = None,
) -> BlendGAN:
    """The model of what `read` found at `path`; it takes over the tensors."""
    model = assemble(contents, path)
    prepare_(model, dtype or torch.float32)
    return model.to(device).eval().requires_grad_(False)


def assemble(contents: Contents, path: str | os.PathLike) -> BlendGAN:
    """The same in the file's own precision, around the tensors of `contents`, so that it takes no
    memory. Raises CheckpointError if they do not fit the sizes."""
    with torch.device("meta"):  # the file brings every value, so none is drawn first
        model = BlendGAN(**contents.configs)
    model.provenance = contents.provenance
    for name, state in contents.states.items():
        _fill(path, name, getattr(model, name), state)
    return model


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
    present = [name for name in PARTS if getattr(model, name)]
    contents = Contents(
        kind="BlendGAN checkpoint",
        configs={name: getattr(model.config, name) for name in present},
        states={name: getattr(model, name).state_dict() for name in present},
        extras=extras or {},
        provenance=metadata or {},
    )
    return write(contents, path, dtype)


def write(contents: Contents, path: str | os.PathLike, dtype: torch.dtype | None = None) -> Path:
    """Write what `read` found, or what was made of it; see `save`."""
    states = contents.states | contents.extras
    tensors = {
        f"{prefix}.{key}": value for prefix, state in states.items() for key, value in state.items()
    }
    metadata = {
        "format": FORMAT,
        "config": json.dumps({name: asdict(sizes) for name, sizes in contents.configs.items()}),
        "provenance": json.dumps(contents.provenance),
        "knows_styles": json.dumps(contents.knows_styles),
    }
    write_safetensors(Path(path), tensors, metadata, dtype)
    return Path(path)


def is_safetensors(path: Path) -> bool:
    """Whether the file starts as safetensors do: a header length, then JSON."""
    with open(path, "rb") as file:
        start = file.read(9)
    return len(start) == 9 and start[8:] == b"{"


def read_metadata(path: Path) -> Header:
    """The texts in the header of any safetensors file, and the names of its tensors."""
    try:
        with safe_open(path, framework="pt") as file:
            return file.metadata() or {}, list(file.keys())
    except (SafetensorError, ValueError) as error:
        raise CheckpointError(
            f"{path} is damaged or cut short ({short(str(error))}); fetch it again"
        ) from error


def read_header(path: Path, header: Header | None = None) -> dict:
    """What one of our files says of itself: `config` by part, `provenance`, `knows_styles`, and
    `keys` by prefix.

    header: of `read_metadata`, where the file was asked already.
    """
    metadata, keys = header or read_metadata(path)
    if metadata.get("format") != FORMAT:
        raise CheckpointError(
            f"{path} is a safetensors file, but not a BlendGAN checkpoint: its header says format "
            f"{short(metadata.get('format'))}, expected {FORMAT!r}; it holds {short(sorted(keys))}"
        )
    try:
        config, provenance = json.loads(metadata["config"]), json.loads(metadata["provenance"])
    except (KeyError, ValueError, RecursionError) as error:
        raise CheckpointError(
            f"{path} has a damaged header ({short(str(error))}); fetch it again"
        ) from error
    if not all(isinstance(v, dict) for v in (config, provenance)) or not all(
        isinstance(sizes, dict) for sizes in config.values()
    ):
        raise CheckpointError(f"{path} has a damaged header (unexpected JSON); fetch it again")
    unknown = set(config) - set(CONFIGS)
    if unknown or not config:
        raise CheckpointError(
            f"{path} holds the parts {short(sorted(config))}, expected some of {sorted(CONFIGS)}; "
            "a newer version of this project may have written it"
        )
    prefixes: dict[str, list[str]] = {}
    for key in keys:
        prefixes.setdefault(key.split(".")[0], []).append(key)
    return {
        "config": config,
        "provenance": provenance,
        "knows_styles": metadata.get("knows_styles") != "false",
        "keys": prefixes,
    }


def _is_delta(header: Header) -> bool:
    """Whether the file holds only what a fine-tune changed."""
    return header[0].get("format") == DELTA_FORMAT


def read_tensors(path: Path, prefix: str, keys: list[str]) -> dict[str, Tensor]:
    """The tensors of one part, without their prefix, in memory of their own.

    A mapped file could not be replaced on Windows, and cutting it would crash the process. It is
    opened anew now and then, since its pages count as ours for as long as it stays open.
    """
    tensors: dict[str, Tensor] = {}
    file, mapped = None, 0
    for key in keys:
        try:
            if file is None or mapped > MAPPED_AT_ONCE:
                file, mapped = safe_open(path, framework="pt"), 0
            tensor = file.get_tensor(key)
            # convolutions' weights as `prepare_` wants them, so that it needs no second copy
            layout = torch.channels_last if tensor.ndim == 4 else torch.contiguous_format
            tensor = tensor.clone(memory_format=layout)
        except (SafetensorError, RuntimeError) as error:  # such as a dtype that PyTorch lacks
            raise CheckpointError(
                f"{path} is damaged: {short(key)} cannot be read ({short(str(error))})"
            ) from error
        tensors[key[len(prefix) + 1 :]] = tensor
        mapped += tensor.nbytes
    return tensors


def _existing(path: str | os.PathLike) -> Path:
    """The file itself, or what an hf:// address names once it is downloaded."""
    path = local_path(path)
    require_file(path)
    return path


def _config(path: Path, name: str, sizes: dict):
    sizes = {
        key: tuple(value) if isinstance(value, list) else value for key, value in sizes.items()
    }
    try:
        return CONFIGS[name](**sizes)
    except TypeError as error:  # a key that this version does not know
        raise CheckpointError(
            f"{path} has a damaged config for its {name}: {short(str(error))}"
        ) from error
    except ValueError as error:
        raise CheckpointError(
            f"{path} has impossible sizes in its header: its {PARTS[name][0]}'s {error}"
        ) from error


def _fill(
    path: str | os.PathLike, name: str, module: torch.nn.Module, state: dict[str, Tensor]
) -> None:
    """Let a module of the meta device take over tensors that have its keys, shapes and kinds."""
    wanted = module.state_dict()
    for key in (*wanted, *state):
        if key not in state:
            problem = f"'{key}' is missing"
        elif key not in wanted:
            problem = f"{short(key)} is no part of it"
        elif _look(state[key]) != _look(wanted[key]):
            problem = f"'{key}' is {_look(state[key])}, expected {_look(wanted[key])}"
        else:
            continue
        raise CheckpointError(
            f"{path}: its {PARTS[name][0]} does not fit the sizes in its header: {problem}"
        )
    module.load_state_dict(state, assign=True)


def _look(tensor: Tensor) -> str:
    kind = "numbers" if tensor.is_floating_point() else "other values"
    return f"{kind} of the shape {list(tensor.shape)}"
