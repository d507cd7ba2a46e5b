"""Official checkpoints, or ours, into one of ours: `python -m trainer.convert IN.. --out OUT`.

For example blendgan.pt (generator and style encoder) with psp_encoder.pt, to stylise photos.
"""

from dataclasses import dataclass
from pathlib import Path

import torch
import tyro
from torch import Tensor, nn

from blendgan_core.blendgan import PARTS, BlendGAN, BlendGANConfig
from blendgan_core.checkpoint import build, read, save
from blendgan_core.errors import CheckpointError

from .cli import run_cli

Extras = dict[str, dict[str, Tensor]]


@dataclass(frozen=True, kw_only=True)
class ConvertConfig:
    """Turn official BlendGAN files into one safetensors file, or merge parts of several files."""

    inputs: tyro.conf.Positional[tuple[Path, ...]]
    """official blendgan.pt, psp_encoder.pt or style_encoder.pt, or files of this project"""
    out: Path
    """the .safetensors file to write"""
    half: bool = False
    """store 16-bit weights, for half the size; the precision of the computing stays free"""


def convert(config: ConvertConfig) -> Path:
    """Write the merged checkpoint; return its path.

    Raises CheckpointError if a file is unusable, two bring the same part, or parts do not fit.
    """
    if not config.inputs:
        raise CheckpointError("no input file was given; name at least one checkpoint to convert")
    if config.out.suffix != ".safetensors":
        raise CheckpointError(f"--out is {config.out}; expected a name that ends in .safetensors")
    merged = BlendGAN()
    brought_by: dict[str, Path] = {}
    extras: Extras = {}
    sources = []
    for path in config.inputs:
        contents = read(path)
        parts: dict[str, nn.Module] = dict(build(contents, path).named_children())
        for name in (*parts, *contents.extras):
            if name in brought_by:
                raise CheckpointError(
                    f"{brought_by[name]} and {path} both hold the part '{name}'; "
                    "leave one of them out"
                )
            brought_by[name] = path
        for name, module in parts.items():
            setattr(merged, name, module)
        extras |= contents.extras
        source = {"file": path.name, "parts": [*parts, *contents.extras]}
        if contents.provenance:
            source["provenance"] = contents.provenance
        sources.append(source)
    merged.config = BlendGANConfig(**{name: m.config for name, m in merged.named_children()})
    _check_fit(merged.config, brought_by)
    if config.half:
        _check_half(merged, extras)
    save(
        merged,
        config.out,
        metadata={"kind": "converted", "sources": sources},
        extras=extras,
        dtype=torch.float16 if config.half else None,
    )
    labels = ", ".join(PARTS[name][0] for name in PARTS if name in brought_by)
    print(f"wrote {config.out} ({config.out.stat().st_size / 1e6:.1f} MB): {labels}")
    return config.out


def _check_fit(config: BlendGANConfig, brought_by: dict[str, Path]) -> None:
    """Encoders must speak the generator's codes."""
    generator, style, psp = config.generator, config.style_encoder, config.psp_encoder
    if not generator:
        return
    if style and style.z_dim != generator.z_dim:
        raise CheckpointError(
            f"{brought_by['style_encoder']} makes style codes of {style.z_dim} values, but "
            f"{brought_by['generator']} takes {generator.z_dim}; use files of the same model"
        )
    if psp and (psp.num_layers, psp.w_dim) != (generator.num_layers, generator.w_dim):
        raise CheckpointError(
            f"{brought_by['psp_encoder']} makes face codes of [{psp.num_layers}, {psp.w_dim}], but "
            f"{brought_by['generator']} takes [{generator.num_layers}, {generator.w_dim}]; "
            "use files of the same model"
        )


def _check_half(merged: BlendGAN, extras: Extras) -> None:
    """No weight may become infinite."""
    largest = torch.finfo(torch.float16).max
    for prefix, state in [("model", merged.state_dict()), *extras.items()]:
        for key, tensor in state.items():
            if tensor.is_floating_point() and tensor.abs().amax() > largest:
                raise CheckpointError(
                    f"'{prefix}.{key}' holds values up to {tensor.abs().amax():.3g}, beyond what "
                    f"16 bits can hold ({largest:.3g}); convert without --half"
                )


if __name__ == "__main__":
    run_cli(convert, ConvertConfig)
