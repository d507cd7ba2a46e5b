"""Deltas: a fine-tune stored as what it changed, loaded on top of the checkpoint it began from.

One safetensors file. Its header holds `format`, `base` (sha256, size and name of the base's file)
and `provenance`; for each changed tensor of the generator it holds `difference.KEY`, 8 bits a
value, and `scale.KEY`, one number a row: new = base + difference * scale. The arithmetic is exact
in its order, so the same delta gives the same model everywhere, to the last bit.
"""

import hashlib
import json
import os
from collections.abc import Collection, Iterator
from dataclasses import asdict, dataclass, replace
from functools import lru_cache
from pathlib import Path

import torch
from torch import Tensor

from .checkpoint import (
    DELTA_FORMAT,
    LOCAL_MODELS,
    STARTER,
    is_safetensors,
    read,
    read_metadata,
    read_tensors,
)
from .contents import Contents, State
from .errors import CheckpointError, short
from .files import write_safetensors
from .hub import cached_path, is_address, local_path

LARGEST = 127  # of a difference, in its row's scale
SHOWN = 12  # digits of a hash in a message
CHECKPOINTS = {".safetensors", ".pt", ".pth", ".pkl"}


@dataclass(frozen=True, kw_only=True)
class Base:
    """The file that a delta lies on top of."""

    sha256: str
    bytes: int
    name: str
    """its file's name, or its address on the hub"""

    def __str__(self) -> str:
        size = f"{self.bytes / 1e6:.1f} MB"
        return f"{short(self.name)} ({size}, sha256 {self.sha256[:SHOWN]}..)"


def encode(new: State, old: State) -> State:
    """What changed from `old` to `new`, states of the same keys: the tensors of a delta file."""
    tensors = {}
    for key, value in new.items():
        change = value.float() - old[key].float()
        if not change.any():
            continue
        rows = tuple(range(1, change.ndim)) if change.ndim > 1 else ()
        scale = change.abs().amax(rows, keepdim=True) / LARGEST
        steps = (change / scale.clamp_min(1e-38)).round()
        tensors[f"difference.{key}"] = steps.to(torch.int8)
        tensors[f"scale.{key}"] = scale
    return tensors


def decode(old: State, tensors: State) -> State:
    """The state that `encode`'s tensors stand for, up to their rounding; fp32 where it changed."""
    new = dict(old)
    for name, steps in tensors.items():
        kind, _, key = name.partition(".")
        if kind == "difference":
            change = steps.float() * tensors[f"scale.{key}"]
            new[key] = old[key].float() + change
    return new


def write_delta(path: Path, base: Path, tensors: State, provenance: dict) -> Path:
    """Write `encode`'s tensors as a file on top of the checkpoint `base`, also an hf:// address."""
    file = local_path(base)
    name = str(base) if is_address(base) else base.name
    header = Base(sha256=sha256_of(file), bytes=file.stat().st_size, name=name)
    metadata = {
        "format": DELTA_FORMAT,
        "base": json.dumps(asdict(header)),
        "provenance": json.dumps(provenance),
    }
    write_safetensors(path, tensors, metadata, None)
    return path


def read_delta(
    path: Path,
    parts: Collection[str] | None = None,
    extras: bool = True,
    base_file: Path | None = None,
) -> Contents:
    """The whole model, see `checkpoint.read`. base_file: its base; looked for if None. Raises
    CheckpointError if the base is not found, or is another, or if the delta is damaged."""
    base, provenance, keys = _read_header(path)
    file = find_base(path) if base_file is None else base_file
    if file is base_file and not _is_base(file, base):
        raise CheckpointError(
            f"{path} is a delta on top of {base}, and {file} is another file; choose the "
            "checkpoint that it was made from, or no delta"
        )
    contents = read(file, parts, extras)
    states = dict(contents.states)
    if "generator" in states:
        tensors = {
            f"{prefix}.{key}": tensor
            for prefix in ("difference", "scale")
            for key, tensor in read_tensors(
                path, prefix, [key for key in keys if key.startswith(f"{prefix}.")]
            ).items()
        }
        _check_fit(path, tensors, keys, states["generator"])
        states["generator"] = decode(states["generator"], tensors)
    return replace(
        contents,
        kind=f"BlendGAN delta, {len(keys) // 2} tensors on top of {file}, sha256 {base.sha256}",
        states=states,
        provenance=provenance,
    )


def find_base(path: Path) -> Path:
    """The file that a delta lies on top of, recognised by its hash, whatever its name.

    Searched: the built-in starter, the delta's folder, the folders of the loader, and, for a base
    from the hub, its cache. Raises CheckpointError if it is in none of them.
    """
    base, _, _ = _read_header(path)
    for file in _candidates(path, base):
        if _is_base(file, base):
            return file
    raise CheckpointError(
        f"{path} is a delta on top of {base}, and no file with that hash was found among the "
        f"built-in starter, {path.parent} and {models_folder()}; put its base into one of them"
    )


def models_folder() -> Path:
    """Where the ComfyUI loader looks: ComfyUI's models/blendgan, or the pack's own outside of
    ComfyUI."""
    pack = Path(__file__).absolute().parents[1]  # not resolved: a linked pack lives in ComfyUI
    comfyui = pack.parent.parent
    if pack.parent.name == "custom_nodes" and (comfyui / "models").is_dir():
        return comfyui / "models" / "blendgan"
    return LOCAL_MODELS


def sha256_of(path: Path) -> str:
    """The SHA-256 of a file's content, in hex; asked again, it is read again only if it changed."""
    status = path.stat()
    return _hash_once(path, status.st_mtime_ns, status.st_size)


def _is_base(file: Path, base: Base) -> bool:
    return file.stat().st_size == base.bytes and sha256_of(file) == base.sha256


def _candidates(path: Path, base: Base) -> Iterator[Path]:
    yield STARTER
    if is_address(base.name) and (cached := cached_path(base.name)):
        yield cached
    yield from _checkpoints(path.absolute().parent.glob("*"))
    for folder in {models_folder(), LOCAL_MODELS}:
        yield from _checkpoints(folder.rglob("*"))


def _checkpoints(paths: Iterator[Path]) -> Iterator[Path]:
    return (path for path in paths if path.suffix.lower() in CHECKPOINTS and path.is_file())


@lru_cache(maxsize=64)
def _hash_once(path: Path, _changed: int, _size: int) -> str:
    with open(path, "rb") as file:
        digest = hashlib.sha256()
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def _read_header(path: str | os.PathLike) -> tuple[Base, dict, list[str]]:
    if not is_safetensors(path):
        raise CheckpointError(f"{path} is no delta; expected a file that `--delta` made")
    metadata, keys = read_metadata(path)
    if metadata.get("format") != DELTA_FORMAT:
        raise CheckpointError(
            f"{path} is a whole checkpoint, not a delta; choose it as the checkpoint"
        )
    try:
        base = Base(**json.loads(metadata["base"]))
        provenance = json.loads(metadata["provenance"])
        well_formed = all(isinstance(v, str) for v in (base.sha256, base.name))
        well_formed &= type(base.bytes) is int and isinstance(provenance, dict)
    except (KeyError, ValueError, TypeError, RecursionError) as error:
        raise CheckpointError(
            f"{path} has a damaged header ({short(str(error))}); fetch it again"
        ) from error
    if not well_formed:
        raise CheckpointError(f"{path} has a damaged header (unexpected JSON); fetch it again")
    return base, provenance, keys


def _check_fit(path: Path, tensors: State, keys: list[str], old: State) -> None:
    """Refuse what `decode` could not add to the base."""
    changed = {key.partition(".")[2] for key in keys}
    for key in sorted(changed):
        steps, scale = tensors.get(f"difference.{key}"), tensors.get(f"scale.{key}")
        if key not in old or steps is None or scale is None or len(tensors) != len(keys):
            raise CheckpointError(
                f"{path} is damaged: {short(key)} is no tensor of its base, or half of it is "
                "missing; fetch it again"
            )
        if not _adds_up(steps, scale, old[key]):
            raise CheckpointError(
                f"{path} is damaged: {short(key)} has the shape {list(steps.shape)} and a scale of "
                f"{list(scale.shape)}, its base's has {list(old[key].shape)}; fetch it again"
            )


def _adds_up(steps: Tensor, scale: Tensor, old: Tensor) -> bool:
    rows = (old.shape[0], *[1] * (old.ndim - 1)) if old.ndim > 1 else (1,) * old.ndim
    return steps.shape == old.shape and scale.shape == rows and scale.is_floating_point()
