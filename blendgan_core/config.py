"""Sizes of every network, as frozen dataclasses that travel in a checkpoint's header.

The defaults are the official 1024 px model (BlendGAN, section 4.1 and its released code).
"""

from dataclasses import dataclass
from math import log2


@dataclass(frozen=True, kw_only=True)
class GeneratorConfig:
    """Generator and discriminators; the discriminators mirror the generator's channels."""

    resolution: int = 1024
    """output height and width in pixels, a power of two from 8 on"""
    z_dim: int = 512
    """size S of z_face and of z_style"""
    w_dim: int = 512
    """size W of one layer's latent"""
    mapping_layers: int = 8
    """fully connected layers in each of the two mapping networks"""
    channel_base: int = 32768
    """channels at resolution r are channel_base / r ..."""
    channel_max: int = 512
    """... but never more than this"""

    def __post_init__(self):
        if self.resolution < 8 or self.resolution & (self.resolution - 1):
            raise ValueError(
                f"resolution {self.resolution} is not a power of two from 8 on; "
                "use 64, 128, 256, .."
            )

    def channels(self, resolution: int) -> int:
        """Feature channels of the block that works at this resolution."""
        return min(self.channel_max, self.channel_base // resolution)

    @property
    def num_layers(self) -> int:
        """L, the number of latents that the synthesis network takes: 18 at 1024 px."""
        return 2 * int(log2(self.resolution)) - 2


@dataclass(frozen=True, kw_only=True)
class StyleEncoderConfig:
    """VGG-19 Gram features and the predictor on top of them (paper, section 3.1)."""

    image_size: int = 256
    """pictures are average-pooled to this height and width first"""
    vgg_width: int = 64
    """channels of VGG's first stage; the five stages have 1, 2, 4, 8 and 8 times as many"""
    standardize: bool = False
    """feed log Gram values, standardised by stored statistics, to the predictor; small random VGGs
    need it, because their Gram values span orders of magnitude"""
    hidden_dim: int = 512
    """width of the predictor"""
    predictor_layers: int = 4
    """fully connected layers of the predictor"""
    z_dim: int = 512
    """size S of z_style"""


@dataclass(frozen=True, kw_only=True)
class PSPConfig:
    """pSp inversion encoder: an SE-ResNet trunk, a feature pyramid and one head per layer
    (Richardson et al. 2021)."""

    image_size: int = 256
    """faces are average-pooled to this height and width first"""
    channels: tuple[int, int, int, int] = (64, 128, 256, 512)
    """channels of the trunk's four stages"""
    blocks: tuple[int, int, int, int] = (3, 4, 14, 3)
    """residual blocks in each stage; the default is IR-SE50"""
    w_dim: int = 512
    """size W of one layer's latent, and the width of the heads"""
    num_layers: int = 18
    """L of the generator that the codes are for"""
