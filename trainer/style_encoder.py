"""`python -m trainer.style_encoder`: train the style encoder on art, self-supervised (paper,
section 3.1).

SimCLR: two affine views of a picture have the same style, those of other pictures another one. VGG
stays frozen; the predictor and a projection head, thrown away at the end, are trained.
"""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import torch
from torch import Tensor, nn

import blendgan_core
from blendgan_core.blendgan import BlendGAN
from blendgan_core.checkpoint import is_safetensors
from blendgan_core.config import StyleEncoderConfig
from blendgan_core.errors import BlendGANError, CheckpointError
from blendgan_core.layers import EqualLinear, average_pool
from blendgan_core.sheets import write_sheet
from blendgan_core.style_encoder import StyleEncoder, load_pretrained_vgg_

from . import processes
from .augment import random_affine
from .cli import run_cli
from .data import Feed, ImageSet
from .embedding_figure import draw_embedding
from .gram_codes import project_grams_
from .losses import nt_xent_loss
from .run import Run
from .training_config import FILE_WORDS, TrainingConfig, require_files

STATISTICS_PICTURES = 4096  # for the statistics of the Gram values and of the codes
RETRIEVAL_PICTURES = 512
VGG_BATCH = 64  # pictures through VGG at once, to bound its memory
RIDGE = 0.003  # of the largest variance; directions far below it hold noise, not style
THUMBNAIL = 64  # pixels
GRID_QUERIES, GRID_NEIGHBOURS = 8, 7


@dataclass(frozen=True, kw_only=True)
class StyleEncoderTrainingConfig(TrainingConfig):
    """Train the style encoder on artistic faces."""

    art: tuple[Path, ...]
    """folders of art; each (sub)folder with pictures is one style, drawn evenly. The names of the
    styles only measure retrieval, the loss never sees them"""
    vgg: str
    """weights of the frozen VGG-19: a file of torchvision's weights, `torchvision` to download
    them, a checkpoint of trainer.vgg, or `random` for seeded random weights, whose Gram values
    carry style as well"""
    steps: int = 500_000
    """optimiser steps (paper)"""
    batch: int = 256
    """pictures a step, of all processes together (paper)"""
    lr: float = 0.002
    """Adam's learning rate (paper)"""
    temperature: float = 0.1
    """tau of NT-Xent; SimCLR's, the paper is silent"""
    vgg_width: int = 64
    """channels of VGG's first stage; 64 is VGG-19, smaller ones need --vgg random"""
    image_size: int = 256
    """pictures are averaged to this size (paper)"""
    hidden_dim: int = 512
    """width of the predictor (paper)"""
    z_dim: int = 512
    """size of a style code (paper)"""
    projection_layers: int = 2
    """layers of the projection head (paper; the released code has 4)"""
    codes: Literal["learned", "gram"] = "learned"
    """what a style code is. learned: what the predictor makes of the Gram values. gram: their first
    principal components as they are, for the ablation of the paper's figure 11; nothing is learnt,
    so --steps does not count"""


def train_style_encoder(config: StyleEncoderTrainingConfig) -> Path | None:
    """Run the training; return the final checkpoint's path, or None after a dry run."""
    if config.batch < 2:
        raise BlendGANError(
            f"--batch is {config.batch}; contrastive learning needs 2 pictures or more"
        )
    if config.vgg != "random" and config.vgg_width != StyleEncoderTrainingConfig.vgg_width:
        raise BlendGANError(
            f"--vgg-width is {config.vgg_width}, but weights of a VGG-19 have width "
            f"{StyleEncoderTrainingConfig.vgg_width}; leave it out, or give --vgg random"
        )
    require_files(
        config, {"vgg": "weights of a VGG-19, of torchvision or trainer.vgg, random or torchvision"}
    )
    if config.codes == "gram":
        config = replace(config, steps=0)
    run = Run(config)
    device = run.device
    run.seed_weights()
    art = ImageSet(config.art, config.image_size, at_least=2)
    pictures_of = Feed(art, "art", config.batch, config.seed, run.samples)
    encoder = make_encoder(config, art).to(device, memory_format=torch.channels_last)
    if config.codes == "gram":
        project_grams_(encoder, art)
    head = projection_head(config.z_dim, config.projection_layers).to(device)
    trained = [*encoder.predictor.parameters(), *head.parameters()]
    optimizer = torch.optim.Adam(trained, lr=config.lr, betas=(0.0, 0.99))

    def step() -> dict[str, Tensor]:
        images, pictures = pictures_of(run.step)
        images, draws = images.to(device), run.draws()
        views = torch.cat([random_affine(images, draws), random_affine(images, draws)])
        with torch.no_grad():
            grams = torch.cat([encoder.gram_features(part) for part in views.split(VGG_BATCH)])
        z_style = encoder.predictor(grams)
        first, second = (processes.gather(half) for half in head(z_style).chunk(2))
        pictures = processes.gather(pictures.to(device))
        loss = nt_xent_loss(first, second, pictures, config.temperature)
        optimizer.zero_grad(set_to_none=True)
        # every process has the loss of the whole batch, with the gradient of its own pictures
        (loss * processes.count()).backward()
        processes.average_gradients_(trained)
        optimizer.step()
        return {"nt_xent": loss.detach(), "z_rms": z_style.detach().square().mean().sqrt()}

    parts = {"encoder": encoder, "head": head, "optimizer": optimizer}

    def finish() -> Path:
        whiten_(encoder, encode_evenly(encoder, art, STATISTICS_PICTURES)[0])
        correct, chance = retrieval(encoder, art)
        draw_map(encoder, art, run.folder / "embedding.png")
        provenance = {
            "kind": "style encoder",
            "art": f"{len(art)} pictures in {len(art.styles)} styles",
            "vgg": config.vgg,
            "codes": config.codes,
            "steps": run.step,
            "seed": config.seed,
            "retrieval": round(correct, 4),
            "retrieval_chance": round(chance, 4),
        }
        print(f"the nearest picture is of the same style in {correct:.1%} (chance {chance:.1%})")
        model = BlendGAN.assemble(style_encoder=encoder.cpu())
        return blendgan_core.save(model, run.folder / "final.safetensors", provenance)

    networks = {"VGG-19": encoder.vgg, "predictor": encoder.predictor, "projection head": head}
    return run.loop(
        parts,
        step,
        lambda path: sample(encoder, art, path),
        finish,
        networks,
        lambda: {"metric_retrieval": retrieval(encoder, art)[0]},
    )


def drawn_vgg(source: str) -> StyleEncoder | None:
    """The style encoder of a checkpoint of `trainer.vgg`; None for any other kind of --vgg."""
    if source in FILE_WORDS or not is_safetensors(Path(source)):
        return None
    encoder = blendgan_core.load(source).style_encoder
    if encoder is None:
        raise CheckpointError(f"--vgg {source} holds no VGG; `python -m trainer.vgg` makes one")
    return encoder


def make_encoder(config: StyleEncoderTrainingConfig, art: ImageSet) -> StyleEncoder:
    """An encoder with its VGG filled and, for a random VGG, its Gram statistics measured."""
    drawn = drawn_vgg(config.vgg)
    sizes = StyleEncoderConfig(
        image_size=config.image_size,
        vgg_width=drawn.config.vgg_width if drawn else config.vgg_width,
        standardize=config.vgg == "random" or drawn is not None,
        hidden_dim=config.hidden_dim,
        predictor_layers=1 if config.codes == "gram" else StyleEncoderConfig.predictor_layers,
        z_dim=config.z_dim,
    )
    encoder = StyleEncoder(sizes)
    if config.vgg == "random":
        encoder.random_vgg_(config.seed)
    elif drawn:
        encoder.vgg.load_state_dict(drawn.vgg.state_dict())
    else:
        load_pretrained_vgg_(encoder, config.vgg)
    if sizes.standardize:
        fit_grams_(encoder, art)
    return encoder


@torch.no_grad()
def fit_grams_(encoder: StyleEncoder, art: ImageSet) -> None:
    """Measure the Gram values of art, by which the encoder then standardises them."""
    chunks = art.draw(min(STATISTICS_PICTURES, 4 * len(art))).split(VGG_BATCH)
    encoder.fit_standardization_(torch.cat([encoder.raw_gram(art.batch(c)) for c in chunks]))


def projection_head(z_dim: int, num_layers: int) -> nn.Sequential:
    """z_style [N, S] -> the vectors that NT-Xent compares [N, S]."""
    return nn.Sequential(
        *(EqualLinear(z_dim, z_dim, activate=i < num_layers - 1) for i in range(num_layers))
    )


@torch.no_grad()
def encode_evenly(encoder: StyleEncoder, art: ImageSet, count: int) -> tuple[Tensor, Tensor]:
    """Codes of `count` pictures drawn evenly over the styles, doubles left out.

    -> z_style [M, S], picture numbers [M], M <= count.
    """
    torch.manual_seed(0)
    pictures = art.draw(count).unique()
    device = encoder.predictor[0].weight.device
    codes = [encoder(art.batch(chunk).to(device)).cpu() for chunk in pictures.split(VGG_BATCH)]
    return torch.cat(codes), pictures


@torch.no_grad()
def whiten_(encoder: StyleEncoder, z_style: Tensor) -> None:
    """Give the codes mean 0, an RMS of 1 and about equal variance in all directions.

    NT-Xent looks at angles only and leaves most of the codes' variance in a few directions around a
    large common mean; the generator and D_style_latent then see styles that hardly differ. The map
    is linear, so it goes into the weights of the last layer. z_style: [M, S], codes of many
    pictures.
    """
    z_style = z_style.double()
    mean = z_style.mean(dim=0)
    centred = z_style - mean
    variances, directions = torch.linalg.eigh(centred.t() @ centred / len(z_style))
    gains = (variances + RIDGE * variances.max()).rsqrt()
    transform = directions * gains @ directions.t()  # [S, S]
    transform /= (centred @ transform).square().mean().sqrt()
    last = encoder.predictor[-1]
    last.bias.copy_(transform @ (last.bias.cpu().double() - mean))
    last.weight.copy_(transform @ last.weight.cpu().double())


def neighbours(z_style: Tensor) -> Tensor:
    """Nearest first, by cosine, itself left out. z_style: [M, S] -> indices [M, M - 1]."""
    unit = torch.nn.functional.normalize(z_style, dim=1)
    similarity = (unit @ unit.t()).fill_diagonal_(-2)
    return similarity.argsort(dim=1, descending=True)[:, :-1]


def retrieval(encoder: StyleEncoder, art: ImageSet) -> tuple[float, float]:
    """How often the nearest other picture has the same style, and how often a random one would."""
    z_style, pictures = encode_evenly(encoder, art, RETRIEVAL_PICTURES)
    styles = torch.tensor(art.style_of)[pictures]
    same = styles[neighbours(z_style)] == styles[:, None]  # [M, M - 1]
    return same[:, 0].float().mean().item(), same.float().mean().item()


def sample(encoder: StyleEncoder, art: ImageSet, path: Path) -> None:
    """A grid: a picture in the first column, the nearest others beside it."""
    z_style, pictures = encode_evenly(encoder, art, RETRIEVAL_PICTURES)
    queries = torch.linspace(0, len(pictures) - 1, min(GRID_QUERIES, len(pictures))).long()
    nearest = neighbours(z_style)[queries, :GRID_NEIGHBOURS]
    columns = [pictures[queries], *pictures[nearest].t()]
    write_sheet(path, [art.batch(column) for column in columns])


def draw_map(encoder: StyleEncoder, art: ImageSet, path: Path) -> None:
    """The pictures laid out by their codes (paper, figure 8)."""
    z_style, pictures = encode_evenly(encoder, art, RETRIEVAL_PICTURES)
    thumbnails = [average_pool(art.batch(part), THUMBNAIL) for part in pictures.split(VGG_BATCH)]
    styles = [art.style_of[picture] for picture in pictures.tolist()]
    draw_embedding(path, z_style, torch.cat(thumbnails), styles)


if __name__ == "__main__":
    run_cli(train_style_encoder, StyleEncoderTrainingConfig)
