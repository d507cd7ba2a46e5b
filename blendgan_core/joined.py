"""One model of several files: a checkpoint, a delta on top of it, a pSp encoder of its own."""

import os
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import torch

from .blendgan import PARTS, BlendGAN
from .checkpoint import build, read
from .contents import Contents
from .delta import read_delta
from .errors import CheckpointError


def load_joined(
    path: Path,
    psp: Path | None = None,
    delta: Path | None = None,
    device: str | torch.device = "cpu",
    dtype: torch.dtype | None = None,
) -> BlendGAN:
    """The model of the checkpoint `path`, see `load`, with what other files bring.

    psp: a file whose pSp encoder takes the place of the checkpoint's; delta: a fine-tune's delta,
    made from this very checkpoint. Raises CheckpointError for a file that is something else, a
    delta of another checkpoint, or an encoder that does not fit the generator.
    """
    if delta is not None:
        contents = read_delta(delta, extras=False, base_file=path)
    else:
        contents = read(path, extras=False)
    if psp is not None:
        encoder = read(psp, ["psp_encoder"], extras=False)
        contents = replace(
            contents,
            configs=contents.configs | encoder.configs,
            states=contents.states | encoder.states,
        )
        check_fit(contents, dict.fromkeys(PARTS, path) | {"psp_encoder": psp})
    return build(contents, path, device, dtype)


def check_fit(contents: Contents, brought_by: Mapping[str, str | os.PathLike]) -> None:
    """Raise CheckpointError unless the encoders speak the generator's codes; brought_by: the file
    of each part."""
    generator, style, psp = (contents.configs.get(name) for name in PARTS)
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
