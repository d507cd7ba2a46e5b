"""Sizes of every network, as frozen dataclasses that travel in a checkpoint's header.

The defaults are the official 1024 px model (BlendGAN, section 4.1 and its released code).
"""

from dataclasses import dataclass
from math import log2

from .errors import short

LARGEST_SIDE = 4096  # pixels
LARGEST_WIDTH = 16384  # of any layer; with the others a bound on what a checkpoint may claim
MOST_LAYERS = 64


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
        for name in ("z_dim", "w_dim", "channel_max"):
            _check_number(name, getattr(self, name), 1, LARGEST_WIDTH)
        _check_number("mapping_layers", self.mapping_layers, 1, MOST_LAYERS)
        _check_power_of_two("resolution", self.resolution, 8)
        # at least one channel at the full resolution
        most = LARGEST_WIDTH * LARGEST_SIDE
        _check_number("channel_base", self.channel_base, self.resolution, most)

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

    def __post_init__(self):
        _check_number("image_size", self.image_size, 16, LARGEST_SIDE)
        _check_number("vgg_width", self.vgg_width, 1, LARGEST_WIDTH // 8)
        _check_number("predictor_layers", self.predictor_layers, 1, MOST_LAYERS)
        for name in ("hidden_dim", "z_dim"):
            _check_number(name, getattr(self, name), 1, LARGEST_WIDTH)
        _check_flag("standardize", self.standardize)


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
    deltas: bool = False
    """heads after the first one give differences to its latent, as in e4e (Tov et al. 2021)"""

    def __post_init__(self):
        _check_power_of_two("image_size", self.image_size, 32)
        for name, most in (("channels", LARGEST_WIDTH), ("blocks", MOST_LAYERS)):
            values = getattr(self, name)
            if not isinstance(values, tuple) or len(values) != 4:
                raise ValueError(f"{name} {short(values)} are not four whole numbers")
            for value in values:
                _check_number(name, value, 1, most)
        _check_number("w_dim", self.w_dim, 1, LARGEST_WIDTH)
        _check_number("num_layers", self.num_layers, 1, MOST_LAYERS)
        _check_flag("deltas", self.deltas)


def _check_number(name: str, value: object, least: int, most: int) -> None:
    """ValueError unless it is a whole number in least..most."""
    if type(value) is not int or not least <= value <= most:
        raise ValueError(f"{name} {short(value)} is no whole number in {least}..{most}")


def _check_power_of_two(name: str, value: object, least: int) -> None:
    _check_number(name, value, least, LARGEST_SIDE)
    if value & (value - 1):
        raise ValueError(
            f"{name} {value} is not a power of two from {least} on; use 64, 128, 256, .."
        )


def _check_flag(name: str, value: object) -> None:
    if not isinstance(value, bool):
        raise ValueError(f"{name} {short(value)} is neither true nor false")
