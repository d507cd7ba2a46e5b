"""Half precision in a training: in the top resolutions alone, where most of the work is."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import nn

from blendgan_core.discriminators import Trunk
from blendgan_core.generator import SynthesisNetwork


def compute_top_in_(network: nn.Module, dtype: torch.dtype, resolutions: int) -> None:
    """Let the convolutions of a generator's or discriminator's highest resolutions compute in
    `dtype`; its weights stay as they are (Karras et al. 2020, StyleGAN2-ADA)."""
    for part in _computing(network):
        part.dtype = dtype
        part.half_from = part.config.resolution >> (resolutions - 1)


@contextmanager
def in_fp32(*networks: nn.Module) -> Iterator[None]:
    """All in fp32 for a while: the penalties square gradients, which half precision loses."""
    before = [(part, part.dtype) for network in networks for part in _computing(network)]
    try:
        for part, _ in before:
            part.dtype = torch.float32
        yield
    finally:
        for part, dtype in before:
            part.dtype = dtype


def _computing(network: nn.Module) -> list[nn.Module]:
    return [part for part in network.modules() if isinstance(part, (SynthesisNetwork, Trunk))]
