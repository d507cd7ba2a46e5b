"""What a checkpoint file holds, whatever its format: read first, built into a model afterwards."""

from dataclasses import dataclass, field

from torch import Tensor

from .config import GeneratorConfig, PSPConfig, StyleEncoderConfig

Config = GeneratorConfig | StyleEncoderConfig | PSPConfig
State = dict[str, Tensor]


@dataclass(frozen=True, kw_only=True)
class Contents:
    """Sizes and weights of the parts in a file; the names are those of `blendgan.PARTS`."""

    kind: str
    """what the file is, for people: "BlendGAN checkpoint", "official BlendGAN checkpoint", .."""
    configs: dict[str, Config]
    """the sizes of each part that the file holds"""
    states: dict[str, State]
    """the weights of the same parts, by our keys, in the file's precision"""
    extras: dict[str, State] = field(default_factory=dict)
    """what only a training needs, by prefix: d_face, d_style, d_style_latent, queue"""
    provenance: dict = field(default_factory=dict)
    """where it comes from, as the file itself states it"""
    knows_styles: bool = True
    """False if its generator is a plain StyleGAN2, whose style mapping we made up"""
