"""Checkpoints of any kind into one of ours, or into an official one: `python -m trainer.convert
IN.. --out OUT`.

For example blendgan.pt (generator and style encoder) with psp_encoder.pt, to stylise photos.
"""

from dataclasses import dataclass, replace
from pathlib import Path

import torch
import tyro

from blendgan_core.blendgan import PARTS
from blendgan_core.checkpoint import assemble, read, write
from blendgan_core.contents import Contents
from blendgan_core.errors import BlendGANError, CheckpointError, short
from blendgan_core.files import appearing, stored_dtype
from blendgan_core.joined import check_fit
from blendgan_core.official_layout import left_out, official_layout

from .cli import run_cli


@dataclass(frozen=True, kw_only=True)
class ConvertConfig:
    """Turn upstream checkpoints into one safetensors file, merge parts of several files, or write
    an official .pt file."""

    inputs: tyro.conf.Positional[tuple[Path, ...]]
    """official blendgan.pt, psp_encoder.pt or style_encoder.pt, StyleGAN2, pSp or e4e checkpoints,
    or files of this project; also hf:// addresses"""
    out: Path
    """the file to write: NAME.safetensors, or NAME.pt for the layout of the official files"""
    parts: tuple[str, ...] = ()
    """only these of what the inputs hold: generator, style_encoder, psp_encoder, d_face, ..;
    everything if not given"""
    half: bool = False
    """store 16-bit weights, for half the size, but for tensors with values beyond what these can
    hold; the precision of the computing stays free"""


def convert(config: ConvertConfig) -> Path:
    """Write the merged checkpoint; return its path.

    Raises CheckpointError if a file is unusable, two bring the same part, parts do not fit, or the
    layout of --out cannot hold them.
    """
    if not config.inputs:
        raise CheckpointError("no input file was given; name at least one checkpoint to convert")
    if config.out.suffix not in (".safetensors", ".pt"):
        raise CheckpointError(
            f"--out is {config.out}; expected a name that ends in .safetensors (ours) or .pt (the "
            "official layout)"
        )
    merged = merge(config.inputs, config.parts)
    dtype = torch.float16 if config.half else None
    if config.out.suffix == ".pt":
        _write_official(merged, config.out, dtype)
    else:
        write(merged, config.out, dtype)
    names = ", ".join(PARTS[name][0] if name in PARTS else name for name in _holdings(merged))
    print(f"wrote {config.out} ({config.out.stat().st_size / 1e6:.1f} MB): {names}")
    return config.out


def merge(paths: tuple[Path, ...], wanted: tuple[str, ...] = ()) -> Contents:
    """The parts and extras of all files as one; `wanted` names some of them, () means all.

    A StyleGAN2 generator, which knows no styles, gives way to a BlendGAN generator.
    """
    found = [read(path) for path in paths]
    for path, contents in zip(paths, found, strict=True):
        assemble(contents, path)  # a file that does not fit its own sizes must not be written
    found = _without_plain_generators(paths, found)
    brought_by: dict[str, Path] = {}
    kept, sources = [], []
    for path, contents in zip(paths, found, strict=True):
        names = [name for name in _holdings(contents) if not wanted or name in wanted]
        for name in names:
            if name in brought_by:
                raise CheckpointError(
                    f"{brought_by[name]} and {path} both hold the part '{name}'; "
                    "leave one of them out"
                )
            brought_by[name] = path
        kept.append(_only(contents, names))
        source = {"file": path.name, "parts": names}
        if contents.provenance:
            source["provenance"] = contents.provenance
        sources.append(source)
    for name in wanted:
        if name not in brought_by:
            there = ", ".join(name for contents in found for name in _holdings(contents))
            raise BlendGANError(f"--parts names {short(name)}; the inputs hold: {there}")
    merged = Contents(
        kind="BlendGAN checkpoint",
        configs={name: config for c in kept for name, config in c.configs.items()},
        states={name: state for c in kept for name, state in c.states.items()},
        extras={name: state for c in kept for name, state in c.extras.items()},
        provenance={"kind": "converted", "sources": sources},
        knows_styles=all(c.knows_styles for c in kept if "generator" in c.states),
    )
    check_fit(merged, brought_by)
    return merged


def _without_plain_generators(paths: tuple[Path, ...], found: list[Contents]) -> list[Contents]:
    with_styles = [c.knows_styles for c in found if "generator" in c.states]
    if not any(with_styles):
        return found
    result = []
    for path, contents in zip(paths, found, strict=True):
        if "generator" in contents.states and not contents.knows_styles:
            print(f"left out: the generator of {path}, since another input's knows styles")
            names = [name for name in _holdings(contents) if name != "generator"]
            contents = _only(contents, names)
        result.append(contents)
    return result


def _holdings(contents: Contents) -> list[str]:
    return [*contents.states, *contents.extras]


def _only(contents: Contents, names: list[str]) -> Contents:
    def pick(mapping: dict) -> dict:
        return {name: value for name, value in mapping.items() if name in names}

    return replace(
        contents,
        configs=pick(contents.configs),
        states=pick(contents.states),
        extras=pick(contents.extras),
    )


def _write_official(merged: Contents, out: Path, dtype: torch.dtype | None) -> None:
    """A file for the official code, which torch.load(weights_only=True) takes too."""
    try:
        data = official_layout(merged)
    except CheckpointError as error:
        raise CheckpointError(f"{out} was not written: {error}") from error
    for state in data.values():
        if isinstance(state, dict):
            for key, value in state.items():
                state[key] = value.to(stored_dtype(value, dtype)).contiguous()
    with appearing(out) as temporary, open(temporary, "wb") as file:
        torch.save(data, file)  # given a path, it would hide why a disk refused
    if names := left_out(merged):
        print(f"left out, since the official layout has no place for it: {', '.join(names)}")


if __name__ == "__main__":
    run_cli(convert, ConvertConfig)
