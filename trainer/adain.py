"""`python -m trainer.adain`: train the decoder of AdaIN style transfer, a rival that
`trainer.evaluate --adain` measures beside a model (Huang and Belongie 2017)."""

from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional as F

import blendgan_core
from blendgan_core.blendgan import PARTS, require_parts
from blendgan_core.errors import BlendGANError
from blendgan_core.sheets import write_sheet
from blendgan_core.style_encoder import StyleEncoder

from . import processes
from .adain_network import Decoder, DecoderConfig, adain, save_decoder, statistics, transfer
from .cli import run_cli
from .data import Feed, ImageSet, random_flip
from .draws import FIXED_SEED
from .ema import early_decay, half_life_decay, update_ema_
from .evaluator_network import SIZE
from .fingerprint import fingerprint
from .run import Run
from .training_config import TrainingConfig

GRID_ROWS, GRID_COLUMNS = 8, 8
STAGES = range(2, 6)
STYLE_STAGES = 4  # whose statistics are to become the style picture's (paper)


@dataclass(frozen=True, kw_only=True)
class AdainConfig(TrainingConfig):
    """Train the decoder of AdaIN style transfer on the features of a checkpoint's style encoder."""

    checkpoint: str
    """a checkpoint with the style encoder whose VGG is the encoder, or its hf:// address"""
    natural: tuple[Path, ...]
    """natural faces, the content: folders, zips or shards of them"""
    art: tuple[Path, ...]
    """style pictures: folders, zips or shards; each (sub)folder of pictures is a style, drawn
    evenly"""
    steps: int = 2400
    """optimiser steps"""
    batch: int = 8
    """faces a step, each with a style picture, of all processes together (paper)"""
    lr: float = 0.003
    """Adam's learning rate; the paper's 0.0001 is for many more steps"""
    style_weight: float = 10.0
    """weight of the style loss beside the content loss (paper)"""
    reconstruction_weight: float = 10.0
    """weight of the error with which the decoder gives faces and style pictures back from their own
    features. Not in the paper, whose trained VGG needs none: features of a random one hardly tell
    colours apart"""
    stage: int = 2
    """VGG's stage, 2 to 5, whose last features get the style's mean and deviation. The paper's is
    4, of a trained VGG; of a random one the third stage has lost the face's details already"""
    width: int = 16
    """the decoder's channels at the picture's resolution, twice as many at every halving; 64
    mirrors the official VGG (paper)"""
    image_size: int = SIZE
    """pixels to train at; the evaluation compares pictures of 64"""
    ema_images: float = 1_000
    """half-life, in pictures, of the average of the weights that is kept"""


def train_adain(config: AdainConfig) -> Path | None:
    """Run the training; return the decoder's path, or None after a dry run."""
    if config.stage not in STAGES:
        raise BlendGANError(f"--stage is {config.stage}, expected 2 to 5")
    if config.image_size % 16:
        raise BlendGANError(f"--image-size is {config.image_size}, expected a multiple of 16")
    run = Run(config)
    encoder = load_encoder(config.checkpoint).to(run.device)
    natural = ImageSet(config.natural, config.image_size, at_least=config.batch)
    art = ImageSet(config.art, config.image_size)
    faces_of, styles_of = (
        Feed(images, name, config.batch, config.seed, run.samples)
        for name, images in (("natural", natural), ("art", art))
    )
    run.seed_weights()
    decoder = make_decoder(config, encoder).to(run.device, memory_format=torch.channels_last)
    average = deepcopy(decoder).eval().requires_grad_(False)
    optimizer = torch.optim.Adam(decoder.parameters(), lr=config.lr)
    decay = half_life_decay(config.batch, config.ema_images)

    def step() -> dict[str, Tensor]:
        draws = run.draws()
        faces = random_flip(faces_of(run.step)[0].to(run.device), draws)
        styles = random_flip(styles_of(run.step)[0].to(run.device), draws)
        losses = decoder_losses(encoder, decoder, faces, styles)
        optimizer.zero_grad(set_to_none=True)
        total = losses["content"] + config.style_weight * losses["style"]
        (total + config.reconstruction_weight * losses["reconstruction"]).backward()
        processes.average_gradients_(decoder.parameters())
        optimizer.step()
        update_ema_(average, decoder, early_decay(decay, run.step))
        return {name: loss.detach() for name, loss in losses.items()}

    def finish() -> Path:
        provenance = {
            "kind": "adain",
            "parent": Path(config.checkpoint).name,
            "natural": f"{len(natural)} pictures",
            "art": f"{len(art)} pictures in {len(art.styles)} styles",
            "steps": run.step,
            "images": run.step * config.batch,
            "seed": config.seed,
        }
        return save_decoder(average, run.folder / "final.safetensors", provenance)

    networks: dict[str, nn.Module] = {"decoder": decoder, "style encoder": encoder}
    return run.loop(
        {"decoder": decoder, "average": average, "optimizer": optimizer},
        step,
        lambda path: sample(encoder, average, natural, art, path),
        finish,
        networks,
    )


def load_encoder(checkpoint: str) -> StyleEncoder:
    """The frozen style encoder of a checkpoint. Raises CheckpointError if it has none."""
    model = blendgan_core.load(checkpoint)
    found = [name for name in PARTS if getattr(model, name)]
    require_parts(("style_encoder",), found, checkpoint)
    return model.style_encoder.requires_grad_(False)


def make_decoder(config: AdainConfig, encoder: StyleEncoder) -> Decoder:
    """A new decoder for the features of this encoder."""
    return Decoder(
        DecoderConfig(
            vgg_width=encoder.config.vgg_width,
            stage=config.stage,
            width=config.width,
            encoder=fingerprint(encoder.vgg),
        )
    )


def decoder_losses(
    encoder: StyleEncoder, decoder: Decoder, faces: Tensor, styles: Tensor
) -> dict[str, Tensor]:
    """Content (eq. 12): mean squared distance of the result's features from those that were
    decoded. Style (eq. 13): that of the means and deviations of the first four stages' features
    from the style picture's. Reconstruction: mean distance of both pictures' pixels from what the
    decoder makes of their own features. faces, styles: [N, 3, H, W] in [-1, 1] -> scalars."""
    stage = decoder.config.stage
    with torch.no_grad():
        wanted, own = encoder.features(styles), encoder.features(faces)[stage - 1]
        target = adain(own, wanted[stage - 1])
    made, *again = decoder(torch.cat([target, own, wanted[stage - 1]])).chunk(3)
    found = encoder.features(made)
    style = [
        F.mse_loss(ours, theirs)
        for tap, other in list(zip(found, wanted, strict=True))[:STYLE_STAGES]
        for ours, theirs in zip(statistics(tap), statistics(other), strict=True)
    ]
    return {
        "content": F.mse_loss(found[stage - 1], target),
        "style": torch.stack(style).sum(),
        "reconstruction": F.l1_loss(torch.cat(again), torch.cat([faces, styles])),
    }


@torch.no_grad()
def sample(
    encoder: StyleEncoder, decoder: Decoder, natural: ImageSet, art: ImageSet, path: Path
) -> None:
    """A grid: faces on the left, style pictures above, each face in each style."""
    seeded = torch.Generator().manual_seed(FIXED_SEED)
    device = next(decoder.parameters()).device
    faces = natural.batch(natural.draw(GRID_ROWS, seeded)).to(device)
    styles = art.batch(art.draw(GRID_COLUMNS, seeded)).to(device)
    columns: list[list[Tensor | None]] = [[None, *faces]]
    for style in styles:
        columns.append([style, *transfer(encoder, decoder, faces, style.expand_as(faces))])
    write_sheet(path, columns)


if __name__ == "__main__":
    run_cli(train_adain, AdainConfig)
