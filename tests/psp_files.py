"""What the tests of `trainer.psp` train on: a tiny generator, and faces of noise."""

from dataclasses import replace
from pathlib import Path

import torch
from PIL import Image
from tiny_model import tiny_model

import blendgan_core
from blendgan_core.config import PSPConfig
from trainer.psp import PSPTrainingConfig

TINY_TRUNK = PSPConfig(channels=(4, 4, 8, 8), blocks=(1, 2, 1, 1), w_dim=1, num_layers=1)


def write_psp_files(root: Path) -> None:
    """base.safetensors and natural/ in a folder."""
    model = tiny_model(blendgan_core, parts=("generator", "style_encoder"))
    blendgan_core.save(model, root / "base.safetensors")
    (root / "natural").mkdir()
    generator = torch.Generator().manual_seed(3)
    for number in range(4):
        pixels = torch.randint(0, 256, (32, 32, 3), dtype=torch.uint8, generator=generator)
        Image.fromarray(pixels.numpy()).save(root / "natural" / f"{number}.png")


def psp_config(root: Path, out: Path, **changes) -> PSPTrainingConfig:
    """Two steps on what `write_psp_files` wrote into `root`."""
    config = PSPTrainingConfig(
        generator=root / "base.safetensors",
        natural=(root / "natural",),
        image_size=32,
        channels=TINY_TRUNK.channels,
        blocks=TINY_TRUNK.blocks,
        out=out,
        steps=2,
        batch=2,
        save_every=2,
        device="cpu",
    )
    return replace(config, **changes)
