"""`python -m trainer.psp`: train the pSp encoder that turns a face into latents (paper, A.3).

The generator is frozen at i = L, so it makes natural faces only, and the encoder learns to find the
latents from which it rebuilds its input.
"""

from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor
from torch.nn import functional as F

import blendgan_core
from blendgan_core.blendgan import BlendGAN
from blendgan_core.checkpoint import read
from blendgan_core.config import PSPConfig
from blendgan_core.devices import choose_device
from blendgan_core.layers import average_pool
from blendgan_core.psp_encoder import PSPEncoder
from blendgan_core.sheets import write_sheet
from blendgan_core.style_encoder import StyleEncoder

from .cli import run_cli
from .data import Feed, ImageSet, random_flip
from .gan import load_stylizer
from .run import Run, TrainingConfig

GRID_ROWS = 8


@dataclass(frozen=True, kw_only=True)
class PSPTrainingConfig(TrainingConfig):
    """Train the pSp encoder for a generator."""

    generator: Path
    """the checkpoint whose generator is to be inverted, or its hf:// address; its other parts are
    carried over"""
    natural: tuple[Path, ...]
    """aligned natural faces: folders, zips or shards of them"""
    steps: int = 300_000
    """optimiser steps (pSp; the paper is silent)"""
    batch: int = 8
    """pictures a step (pSp; the paper is silent)"""
    lr: float = 0.0001
    """Adam's learning rate (pSp; the paper is silent)"""
    perceptual_weight: float = 0.8
    """weight of the distance in VGG features, beside 1 for the squared error of the pixels (pSp)"""
    regularization_weight: float = 0.005
    """weight of the latents' mean squared distance from the mean face; pSp takes their norm"""
    latent_weight: float = 0.0
    """weight of the latents' error on generated faces, whose latents are known; not in the paper,
    but it guides a short training"""
    image_size: int = 256
    """faces are averaged to this size (paper)"""
    channels: tuple[int, int, int, int] = (64, 128, 256, 512)
    """channels of the trunk's four stages; the default is IR-SE50"""
    blocks: tuple[int, int, int, int] = (3, 4, 14, 3)
    """residual blocks of the trunk's four stages; the default is IR-SE50"""


def train_psp(config: PSPTrainingConfig) -> Path | None:
    """Run the training; return the final checkpoint's path, or None after a dry run."""
    run = Run(config)
    device = choose_device(config.device)
    torch.manual_seed(config.seed)
    base = load_stylizer(config.generator)
    carried = read(config.generator).extras  # for a later fine-tune
    base.to(device, memory_format=torch.channels_last)
    encoder = make_encoder(config, base).to(device, memory_format=torch.channels_last)
    size = max(config.image_size, base.resolution)
    natural = ImageSet(config.natural, size, at_least=config.batch)
    faces_of = Feed(natural, "natural", config.batch, config.seed)
    optimizer = torch.optim.Adam(encoder.parameters(), lr=config.lr)

    def step() -> dict[str, Tensor]:
        faces, _ = faces_of(run.step)
        faces = random_flip(faces.to(device))
        losses = reconstruction_losses(config, base, encoder, faces)
        if config.latent_weight:
            losses["latent"] = config.latent_weight * latent_loss(base, encoder, config.batch)
        optimizer.zero_grad(set_to_none=True)
        sum(losses.values()).backward()
        optimizer.step()
        return {name: loss.detach() for name, loss in losses.items()}

    def finish() -> Path:
        base.cpu()
        model = BlendGAN.assemble(base.generator, base.style_encoder, encoder.cpu())
        provenance = base.provenance | {
            "psp": f"{len(natural)} pictures, {run.step} x {config.batch}, seed {config.seed}"
        }
        return blendgan_core.save(model, run.folder / "final.safetensors", provenance, carried)

    return run.loop(
        {"encoder": encoder, "optimizer": optimizer},
        step,
        lambda path: sample(base, encoder, natural, path),
        finish,
        {"encoder": encoder, "generator": base.generator, "style encoder": base.style_encoder},
    )


def make_encoder(config: PSPTrainingConfig, base: BlendGAN) -> PSPEncoder:
    """A new encoder whose codes start around the generator's mean face."""
    sizes = PSPConfig(
        image_size=config.image_size,
        channels=config.channels,
        blocks=config.blocks,
        w_dim=base.generator.config.w_dim,
        num_layers=base.num_layers,
    )
    encoder = PSPEncoder(sizes)
    encoder.latent_avg.copy_(base.generator.w_mean)
    return encoder


def reconstruction_losses(
    config: PSPTrainingConfig, base: BlendGAN, encoder: PSPEncoder, faces: Tensor
) -> dict[str, Tensor]:
    """faces: [N, 3, H, W] in [-1, 1] -> the weighted losses of rebuilding them at i = L."""
    w_face = encoder(faces)
    rebuilt = base.generator.synthesis(w_face, base.generator.synthesis.fixed_noise())
    target = average_pool(faces, base.resolution)
    deviation = (w_face - encoder.latent_avg).square().mean()
    distance = perceptual_distance(base.style_encoder, rebuilt, target)
    return {
        "l2": F.mse_loss(rebuilt, target),
        "perceptual": config.perceptual_weight * distance,
        "deviation": config.regularization_weight * deviation,
    }


def perceptual_distance(style_encoder: StyleEncoder, images: Tensor, target: Tensor) -> Tensor:
    """Mean squared distance of VGG features, each pixel's brought to length 1 (LPIPS without its
    weights).

    images, target: [N, 3, R, R] in [-1, 1] -> scalar.
    """
    distances = []
    for a, b in zip(style_encoder.features(images), style_encoder.features(target), strict=True):
        difference = F.normalize(a, dim=1) - F.normalize(b, dim=1)
        distances.append(difference.square().sum(dim=1).mean())
    return torch.stack(distances).mean()


def latent_loss(base: BlendGAN, encoder: PSPEncoder, count: int) -> Tensor:
    """Squared error of the latents of generated faces, in units of the latents' own variance."""
    generator = base.generator
    with torch.no_grad():
        z = torch.randn(count, generator.config.z_dim).to(generator.w_mean)
        w_face = generator.map_face(z)
        faces = generator.synthesis(w_face, generator.synthesis.fixed_noise())
        variance = (w_face - generator.w_mean).square().mean()
    return F.mse_loss(encoder(faces), w_face) / variance


@torch.no_grad()
def sample(base: BlendGAN, encoder: PSPEncoder, natural: ImageSet, path: Path) -> None:
    """A grid: faces and, beside each, what the generator makes of its latents."""
    torch.manual_seed(0)
    encoder.eval()
    columns = []
    for _ in range(4):
        faces = natural.batch(natural.draw(GRID_ROWS)).to(base.generator.w_mean)
        rebuilt = base.generator.synthesis(encoder(faces), base.generator.synthesis.fixed_noise())
        columns += [average_pool(faces, base.resolution), rebuilt]
    encoder.train()
    write_sheet(path, columns)


if __name__ == "__main__":
    run_cli(train_psp, PSPTrainingConfig)
