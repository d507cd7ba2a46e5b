"""`python -m trainer.vgg`: train a small VGG-19 on twins, for style encoders without a better.

The paper's VGG-19 learnt ImageNet's classes. Random weights of a few channels do without, but see
little of texture. This one learns, from its Gram matrices alone, to tell the drawn styles apart
(cross-entropy) and to tell which two people were drawn with the same paper, palette and strokes
(NT-Xent). The style encoder then learns on top of it as on any other.
"""

from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor
from torch.nn import functional as F

import blendgan_core
from blendgan_core.blendgan import BlendGAN
from blendgan_core.config import StyleEncoderConfig
from blendgan_core.layers import EqualLinear
from blendgan_core.style_encoder import StyleEncoder

from . import processes
from .annealing import anneal_, cosine
from .augment import random_affine
from .cli import run_cli
from .data import Feed, ImageSet
from .losses import nt_xent_loss
from .run import Run
from .style_encoder import fit_grams_, retrieval, sample
from .training_config import TrainingConfig
from .twins import Twins


@dataclass(frozen=True, kw_only=True)
class VGGConfig(TrainingConfig):
    """Train a small VGG-19 on twins."""

    twins: Path
    """a folder with natural/ and styled/STYLE/, where two people next to each other share the look
    of a style: the twins/ of trainer.synthesize"""
    test: Path | None = None
    """pictures that the training never sees, a folder for each style: the styled/ of
    trainer.synthesize. How often the nearest other one by Gram codes has the same style goes into
    the log and the file"""
    steps: int = 3000
    """optimiser steps"""
    batch: int = 32
    """pairs of pictures a step, of all processes together"""
    lr: float = 0.002
    """Adam's learning rate, which falls to 0 along a cosine"""
    temperature: float = 0.1
    """tau of NT-Xent"""
    vgg_width: int = 8
    """channels of VGG's first stage; the official VGG-19 has 64"""
    image_size: int = 64
    """pictures are averaged to this size"""
    hidden_dim: int = 128
    """width of what reads the Gram matrices"""


def train_vgg(config: VGGConfig) -> Path | None:
    """Run the training; return the path of a checkpoint whose style encoder holds the VGG, or None
    after a dry run."""
    run = Run(config)
    device = run.device
    twins = Twins(config.twins, config.image_size)
    num_styles = len(twins.styled.styles)
    style_of = torch.tensor(twins.styled.style_of)
    test = ImageSet(config.test, config.image_size, at_least=2) if config.test else None
    feed = Feed(twins.styled, "twins", config.batch, config.seed, run.samples)
    run.seed_weights()
    encoder = make_encoder(config, twins.styled).to(device, memory_format=torch.channels_last)
    head = EqualLinear(config.hidden_dim, num_styles).to(device)
    trained = [*encoder.parameters(), *head.parameters()]
    optimizer = torch.optim.Adam(trained, lr=config.lr, betas=(0.9, 0.99))

    def step() -> dict[str, Tensor]:
        anneal_(optimizer, cosine(run.step, config.steps))
        draws, indices = run.draws(), feed.indices(run.step)
        pair = twins.batch(indices, device)[1:]
        codes = encoder(torch.cat([random_affine(images, draws) for images in pair]))
        first, second = (processes.gather(half) for half in codes.chunk(2))
        looks = processes.gather(twins.looks(indices).to(device))
        look = nt_xent_loss(first, second, looks, config.temperature)
        style = F.cross_entropy(head(codes), style_of[indices].to(device).repeat(2))
        optimizer.zero_grad(set_to_none=True)
        # every process has the look's loss of the whole batch, with the gradient of its own part
        (look * processes.count() + style).backward()
        processes.average_gradients_(trained)
        optimizer.step()
        return {"look": look.detach(), "style": style.detach()}

    def measure() -> dict[str, float]:
        return {"metric_retrieval": retrieval(encoder, test)[0]} if test else {}

    def finish() -> Path:
        provenance = {
            "kind": "vgg",
            "twins": f"{len(twins.styled)} pictures in {num_styles} styles",
            "steps": run.step,
            "seed": config.seed,
        }
        if test:
            correct, chance = retrieval(encoder, test)
            provenance |= {"retrieval": round(correct, 4), "retrieval_chance": round(chance, 4)}
            print(
                f"the nearest test picture is of its style in {correct:.1%}, by chance {chance:.1%}"
            )
        model = BlendGAN.assemble(style_encoder=encoder.cpu().requires_grad_(False))
        return blendgan_core.save(model, run.folder / "final.safetensors", provenance)

    return run.loop(
        {"encoder": encoder, "head": head, "optimizer": optimizer},
        step,
        lambda path: sample(encoder, twins.styled, path),
        finish,
        {"VGG-19": encoder.vgg, "predictor": encoder.predictor, "head": head},
        measure,
    )


def make_encoder(config: VGGConfig, art: ImageSet) -> StyleEncoder:
    """A style encoder with random weights, all of which can be trained."""
    sizes = StyleEncoderConfig(
        image_size=config.image_size,
        vgg_width=config.vgg_width,
        standardize=True,
        hidden_dim=config.hidden_dim,
        z_dim=config.hidden_dim,
    )
    encoder = StyleEncoder(sizes)
    encoder.random_vgg_(config.seed)
    fit_grams_(encoder, art)
    return encoder.requires_grad_(True)


if __name__ == "__main__":
    run_cli(train_vgg, VGGConfig)
