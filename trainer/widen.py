"""`python -m trainer.widen`: give a trained generator, its discriminators and its pSp encoder more
channels, and the encoder more blocks.

What they compute stays the same: the new channels read the old ones with random weights, and
nothing reads them yet (Net2Net's idea, Chen et al. 2016, with zeros in the place of copies); new
residual blocks add nothing yet. A training that goes on from there has room for what did not fit.
"""

from dataclasses import dataclass, replace
from pathlib import Path

import torch
from torch import Tensor, nn

import blendgan_core
from blendgan_core.blendgan import BlendGAN
from blendgan_core.checkpoint import build, read
from blendgan_core.config import GeneratorConfig, PSPConfig
from blendgan_core.discriminators import Discriminator, ProjectionDiscriminator
from blendgan_core.errors import BlendGANError, CheckpointError
from blendgan_core.generator import Generator
from blendgan_core.psp_encoder import PSPEncoder, ResidualBlock

from .cli import run_cli
from .training_config import flag

DISCRIMINATORS = {
    "d_face": Discriminator,
    "d_style": Discriminator,
    "d_style_latent": ProjectionDiscriminator,
}


@dataclass(frozen=True, kw_only=True)
class WidenConfig:
    """Give the networks of a checkpoint more channels, without changing its pictures."""

    checkpoint: Path
    """a checkpoint with a generator"""
    channel_base: int | None = None
    """channels at resolution r become this / r, at most channel_max; left out, it stays"""
    channel_max: int | None = None
    """see channel_base"""
    channels: tuple[int, int, int, int] | None = None
    """channels of the four stages of the pSp encoder's trunk; left out, they stay"""
    blocks: tuple[int, int, int, int] | None = None
    """residual blocks of these stages; left out, they stay"""
    seed: int = 0
    """of the new weights"""
    out: Path
    """the file to write"""


def widen(config: WidenConfig) -> Path:
    """Write the wider checkpoint; return its path.

    Raises BlendGANError where nothing would become wider, or something narrower.
    """
    contents = read(config.checkpoint)
    model = build(contents, config.checkpoint)
    if model.generator is None:
        raise CheckpointError(f"{config.checkpoint} has no generator to widen")
    old, extras = model.generator.config, contents.extras
    sizes = wider(
        old, {"channel_base": config.channel_base, "channel_max": config.channel_max}, config
    )
    check_generator(old, sizes, set(DISCRIMINATORS) & set(extras))
    psp_sizes = None
    if model.psp_encoder:
        narrow = model.psp_encoder.config
        psp_sizes = wider(narrow, {"channels": config.channels, "blocks": config.blocks}, config)
        check_encoder(narrow, psp_sizes)
    elif config.channels or config.blocks:
        raise CheckpointError(f"{config.checkpoint} has no pSp encoder to widen")
    if (sizes, psp_sizes) == (old, model.psp_encoder and model.psp_encoder.config):
        raise BlendGANError(
            f"{config.checkpoint} has all of these channels and blocks already; give a larger "
            "--channel-base, --channel-max, --channels or --blocks"
        )
    torch.manual_seed(config.seed)
    generator = widened(model.generator, Generator(sizes))
    for name, network in DISCRIMINATORS.items():
        if name in extras:
            narrow = network(old)
            narrow.load_state_dict(extras[name])
            wide = widened(narrow, network(sizes))
            keep_verdicts_(narrow, wide)
            extras[name] = wide.state_dict()
    encoder = None
    if model.psp_encoder:
        encoder = widened(model.psp_encoder, PSPEncoder(psp_sizes))
    provenance = {
        "kind": "widened",
        "parent": model.provenance,
        "channel_base": sizes.channel_base,
        "channel_max": sizes.channel_max,
    }
    wide = BlendGAN.assemble(generator, model.style_encoder, encoder)
    return blendgan_core.save(wide, config.out, provenance, extras)


def wider(old, wanted: dict, config: WidenConfig):
    """The sizes `old` with those of `wanted` that are given. Raises BlendGANError for smaller."""
    given = {name: value for name, value in wanted.items() if value is not None}
    for name, value in given.items():
        before = getattr(old, name)
        pairs = zip(value, before, strict=True) if isinstance(value, tuple) else [(value, before)]
        if any(new < had for new, had in pairs):
            raise BlendGANError(
                f"{flag(name)} is {value}, expected at least the {before} of {config.checkpoint}"
            )
    return replace(old, **given)


def check_generator(old: GeneratorConfig, sizes: GeneratorConfig, judges: set[str]) -> None:
    """Raise BlendGANError where discriminators cannot follow: at 4 x 4 pixels they compare all
    channels of several pictures, and only copies leave the result as it is."""
    before, after = old.channels(4), sizes.channels(4)
    if judges and after % before:
        raise BlendGANError(
            f"the {before} channels at 4 x 4 pixels would become {after}; the discriminators "
            f"({', '.join(sorted(judges))}) need a multiple of {before}"
        )
    sides = [2**power for power in range(2, old.resolution.bit_length())]
    same = all(old.channels(side) == sizes.channels(side) for side in sides)
    if sizes != old and same:
        raise BlendGANError(
            f"channel_base {sizes.channel_base} and channel_max {sizes.channel_max} add nothing "
            f"to channel_base {old.channel_base} and channel_max {old.channel_max} at up to "
            f"{old.resolution} pixels; give more of both"
        )


def check_encoder(old: PSPConfig, sizes: PSPConfig) -> None:
    """Raise BlendGANError where a shortcut would have to begin or cease to mix channels."""
    mixes = [
        [a != b for a, b in zip(channels[:-1], channels[1:], strict=True)]
        for channels in (old.channels, sizes.channels)
    ]
    if mixes[0] != mixes[1]:
        raise BlendGANError(
            f"--channels is {sizes.channels}; expected stages of equal channels where "
            f"{old.channels} has them, and nowhere else"
        )


@torch.no_grad()
def widened(narrow: nn.Module, wide: nn.Module) -> nn.Module:
    """Fill a fresh network of more channels so that it computes what the narrow one does."""
    layers = dict(narrow.named_modules())
    for name, layer in wide.named_modules():
        if name not in layers:  # a new residual block, or a part of it
            if isinstance(layer, ResidualBlock):
                nn.init.zeros_(layer.residual[4].weight)  # the last normalisation's: adds nothing
            continue
        old = layers[name]
        # the run-time scale of a layer with more inputs is smaller
        gain = getattr(old, "scale", 1.0) / getattr(layer, "scale", 1.0)
        values = dict(layer.named_parameters(recurse=False)) | dict(
            layer.named_buffers(recurse=False)
        )
        for key, value in values.items():
            if key == "constant":  # [1, C, 4, 4], which reads nothing
                value[:, : old.constant.shape[1]] = old.constant
            else:
                fill_(value, getattr(old, key), gain if key == "weight" else 1.0)
    return wide


def fill_(value: Tensor, old: Tensor, gain: float) -> None:
    """Old outputs get the old weights, and nothing from new inputs; new outputs stay random.

    value: [O', I', ..] or [O'], fresh; old: [O, I, ..] or [O] with O <= O', I <= I'.
    """
    if value.ndim > 1:
        outputs, inputs = old.shape[:2]
        value[:outputs, inputs:] = 0
        value[:outputs, :inputs] = old * gain
    elif value.ndim == 1:
        value[: len(old)] = old
    else:
        value.copy_(old)


@torch.no_grad()
def keep_verdicts_(narrow: nn.Module, wide: nn.Module) -> None:
    """Undo what new channels at 4 x 4 pixels, a multiple of the old ones, do to a discriminator.

    Their part in the minibatch's deviation, a mean over the channels: new ones are copies of the
    old. And their part in the product with the style's code, which starts at nothing.
    """
    old, new = narrow.trunk.final_conv, wide.trunk.final_conv
    count = len(old.weight)
    last = wide.trunk.blocks[-1]
    for value in (*last.conv2.parameters(), *last.skip.parameters()):
        value.copy_(value[torch.arange(len(value)) % count])
    new.weight[:count, count] = 0  # a new channel, where the deviation was
    new.weight[:count, -1] = old.weight[:, -1] * old.scale / new.scale
    if isinstance(wide, ProjectionDiscriminator):
        wide.style.weight[count:] = 0


if __name__ == "__main__":
    run_cli(widen, WidenConfig)
