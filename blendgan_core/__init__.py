"""BlendGAN: implicit GAN blending for arbitrary stylised face generation (NeurIPS 2021)."""

from .blendgan import BlendGAN
from .checkpoint import STARTER, load, save
from .config import GeneratorConfig, PSPConfig, StyleEncoderConfig
from .errors import BlendGANError, CheckpointError, ImageError

__all__ = [
    "STARTER",
    "BlendGAN",
    "BlendGANError",
    "CheckpointError",
    "GeneratorConfig",
    "ImageError",
    "PSPConfig",
    "StyleEncoderConfig",
    "load",
    "save",
]
