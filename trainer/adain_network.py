"""AdaIN style transfer (Huang and Belongie 2017), a rival that `trainer.evaluate` measures beside a
model.

A frozen encoder sees a face and a style picture; the face's features get, channel by channel, the
style's mean and deviation; a decoder, the only part that is learnt, paints the result. The encoder
is the VGG of the model's own style encoder, so both rivals see styles through the same eyes.
"""

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from blendgan_core.errors import BlendGANError
from blendgan_core.style_encoder import StyleEncoder, stage_channels

from .fingerprint import fingerprint
from .small_network import Kind, load_network, save_network

KIND = Kind(
    format="blendgan-adain-1",
    prefix="decoder",
    name="decoder of AdaIN",
    maker="trainer.adain",
    flags="--checkpoint FILE --natural DIR --art DIR --out runs/adain",
)
EPS = 1e-5  # added to a variance, so that a channel of one value can be divided by its deviation
WIDEST = 8  # channels of a stage, in units of the first's, as in VGG


@dataclass(frozen=True, kw_only=True)
class DecoderConfig:
    """Sizes of a decoder, and whose features it decodes."""

    vgg_width: int
    stage: int
    """the features' stage of VGG, 2 to 5; every stage halves the picture once more"""
    width: int
    """channels at the picture's own resolution, twice as many at every halving"""
    encoder: str
    """the fingerprint of the VGG"""

    def channels(self, stage: int) -> int:
        return min(self.width << (stage - 1), WIDEST * self.width)


class Decoder(nn.Module):
    """Two convolutions and a doubling for every stage, and no normalisation, which would take the
    style away again (section 6 of the paper). Reflected borders, as there."""

    def __init__(self, config: DecoderConfig):
        super().__init__()
        self.config = config
        layers: list[nn.Module] = []
        before = stage_channels(config.vgg_width)[config.stage - 1]
        for stage in range(config.stage, 1, -1):
            here, after = config.channels(stage), config.channels(stage - 1)
            layers += [_conv(before, here), nn.ReLU(), _conv(here, after), nn.ReLU()]
            layers.append(nn.Upsample(scale_factor=2))
            before = after
        layers += [_conv(before, before), nn.ReLU(), _conv(before, 3)]
        self.layers = nn.Sequential(*layers)

    def forward(self, features: Tensor) -> Tensor:
        """features: [N, C, h, w] of the stage -> pictures [N, 3, H, W], about [-1, 1]."""
        return self.layers(features)


def _conv(before: int, after: int) -> nn.Conv2d:
    return nn.Conv2d(before, after, 3, padding=1, padding_mode="reflect")


def statistics(features: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and deviation of every channel over its places. [N, C, h, w] -> [N, C, 1, 1] each."""
    variance, mean = torch.var_mean(features, dim=(2, 3), correction=0, keepdim=True)
    return mean, (variance + EPS).sqrt()


def adain(content: Tensor, style: Tensor) -> Tensor:
    """Content features with the mean and deviation of the style's, channel by channel (eq. 8).

    content: [N, C, h, w]; style: [N or 1, C, h', w'] -> [N, C, h, w].
    """
    mean, deviation = statistics(content)
    wanted_mean, wanted_deviation = statistics(style)
    return (content - mean) / deviation * wanted_deviation + wanted_mean


@torch.no_grad()
def transfer(encoder: StyleEncoder, decoder: Decoder, faces: Tensor, styles: Tensor) -> Tensor:
    """faces, styles: [N, 3, H, W] in [-1, 1], H and W multiples of 2^(stage - 1) -> [N, 3, H, W] in
    [-1, 1]."""
    tap = decoder.config.stage - 1
    target = adain(encoder.features(faces)[tap], encoder.features(styles)[tap])
    return decoder(target).float().clamp(-1, 1)


def save_decoder(decoder: Decoder, path: Path, provenance: dict[str, Any]) -> Path:
    """Write it, with its sizes, the fingerprint of its encoder and where it comes from."""
    return save_network(decoder, KIND, path, config=asdict(decoder.config), provenance=provenance)


def load_decoder(path: Path) -> Decoder:
    """A decoder in eval mode. Raises CheckpointError if the file is missing, damaged or something
    else."""
    return load_network(path, KIND, lambda sizes: Decoder(DecoderConfig(**sizes)), ())[0]


def check_encoder(decoder: Decoder, encoder: StyleEncoder, path: Path, checkpoint: str) -> None:
    """Raise BlendGANError for a decoder that learnt to read another VGG's features."""
    config, found = decoder.config, fingerprint(encoder.vgg)
    if (config.vgg_width, config.encoder) != (encoder.config.vgg_width, found):
        raise BlendGANError(
            f"{path} decodes features of a VGG of width {config.vgg_width}, sha256 "
            f"{config.encoder[:12]}..; the style encoder of {checkpoint} has one of width "
            f"{encoder.config.vgg_width}, sha256 {found[:12]}... Train a decoder for it by "
            f"`python -m trainer.adain --checkpoint {checkpoint}`"
        )
