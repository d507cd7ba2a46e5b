"""`python -m trainer.widen`: give a trained generator, and its discriminators, more channels.

What they compute stays the same: the new channels read the old ones with random weights, and
nothing reads them yet (Net2Net's idea, Chen et al. 2016, with zeros in the place of copies). A
training that goes on from there has room for what did not fit.
"""

from dataclasses import dataclass, replace
from pathlib import Path

import torch
from torch import Tensor, nn

import blendgan_core
from blendgan_core.blendgan import BlendGAN
from blendgan_core.checkpoint import build, read
from blendgan_core.config import GeneratorConfig
from blendgan_core.discriminators import Discriminator, ProjectionDiscriminator
from blendgan_core.errors import BlendGANError, CheckpointError
from blendgan_core.generator import Generator

from .cli import run_cli

DISCRIMINATORS = {
    "d_face": Discriminator,
    "d_style": Discriminator,
    "d_style_latent": ProjectionDiscriminator,
}


@dataclass(frozen=True, kw_only=True)
class WidenConfig:
    """Give the generator of a checkpoint more channels, without changing its pictures."""

    checkpoint: Path
    """a checkpoint with a generator"""
    channel_base: int
    """channels at resolution r become this / r, at most the checkpoint's channel_max"""
    seed: int = 0
    """of the new weights"""
    out: Path
    """the file to write"""


def widen(config: WidenConfig) -> Path:
    """Write the wider checkpoint; return its path.

    Raises BlendGANError where nothing would become wider, or the 4 x 4 pixels would, at which the
    discriminators compare all channels of several pictures.
    """
    contents = read(config.checkpoint)
    model = build(contents, config.checkpoint)
    if model.generator is None:
        raise CheckpointError(f"{config.checkpoint} has no generator to widen")
    old = model.generator.config
    sizes = replace(old, channel_base=config.channel_base)
    check_(config, old, sizes)
    torch.manual_seed(config.seed)
    generator = widened(model.generator, Generator(sizes))
    extras = contents.extras
    for name, network in DISCRIMINATORS.items():
        if name in extras:
            narrow = network(old)
            narrow.load_state_dict(extras[name])
            extras[name] = widened(narrow, network(sizes)).state_dict()
    provenance = {"kind": "widened", "parent": model.provenance, "channel_base": sizes.channel_base}
    wide = BlendGAN.assemble(generator, model.style_encoder, model.psp_encoder)
    return blendgan_core.save(wide, config.out, provenance, extras)


def check_(config: WidenConfig, old: GeneratorConfig, sizes: GeneratorConfig) -> None:
    """Raise BlendGANError for sizes that cannot be reached."""
    if config.channel_base <= old.channel_base:
        raise BlendGANError(
            f"--channel-base is {config.channel_base}, expected more than the checkpoint's "
            f"{old.channel_base}"
        )
    if sizes.channels(4) != old.channels(4):
        raise BlendGANError(
            f"--channel-base {config.channel_base} would change the {old.channels(4)} channels at "
            f"4 x 4 pixels to {sizes.channels(4)}; this tool widens higher resolutions only"
        )
    if sizes.channels(sizes.resolution) == old.channels(old.resolution):
        raise BlendGANError(
            f"--channel-base {config.channel_base} adds nothing, as all resolutions have their "
            f"{old.channel_max} channels (channel_max) already"
        )


@torch.no_grad()
def widened(narrow: nn.Module, wide: nn.Module) -> nn.Module:
    """Fill a fresh network of more channels so that it computes what the narrow one does."""
    layers = dict(narrow.named_modules())
    for name, layer in wide.named_modules():
        old = layers[name]
        # the run-time scale of a layer with more inputs is smaller
        gain = getattr(old, "scale", 1.0) / getattr(layer, "scale", 1.0)
        values = dict(layer.named_parameters(recurse=False)) | dict(
            layer.named_buffers(recurse=False)
        )
        for key, value in values.items():
            fill_(value, getattr(old, key), gain if key == "weight" else 1.0)
    return wide


def fill_(value: Tensor, old: Tensor, gain: float) -> None:
    """Old outputs get the old weights, and nothing from new inputs; new outputs stay random.

    value: [O', I', ..] or [O'], fresh; old: [O, I, ..] or [O] with O <= O', I <= I'.
    """
    if value.ndim > 1:
        value[: old.shape[0], old.shape[1] :] = 0
        value[: old.shape[0], : old.shape[1]] = old * gain
    else:
        value[: old.shape[0]] = old


if __name__ == "__main__":
    run_cli(widen, WidenConfig)
