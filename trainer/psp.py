"""`python -m trainer.psp`: train the pSp encoder that turns a face into latents (paper, A.3).

The generator is frozen at i = L, so it makes natural faces only, and the encoder learns to find the
latents from which it rebuilds its input. Losses and weights are those of pSp (Richardson et al.
2021), which the paper takes as it is; LPIPS and identity need files that their authors publish.
"""

from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

import blendgan_core
from blendgan_core.blendgan import BlendGAN
from blendgan_core.checkpoint import read
from blendgan_core.config import PSPConfig
from blendgan_core.errors import BlendGANError, CheckpointError
from blendgan_core.layers import average_pool
from blendgan_core.psp_encoder import PSPEncoder
from blendgan_core.sheets import write_sheet

from . import processes
from .annealing import anneal_, late
from .camera import as_photographed
from .cli import run_cli
from .data import Feed, ImageSet, random_flip
from .draws import FIXED_SEED
from .gan import load_stylizer
from .identity import EXPECTED as RECOGNITION
from .identity import IR_SE50, load_face_recognition, load_trunk_
from .likeness_network import load_likeness
from .perceptual import ALEXNET, DOWNLOAD, LINEAR_WEIGHTS, load_lpips
from .psp_losses import (
    Criteria,
    compared_size,
    latent_loss,
    reconstruction_losses,
    style_loss,
)
from .run import Run
from .shard_downloads import as_url
from .synced_norm import sync_norms_
from .training_config import TrainingConfig, flag, require_files

GRID_ROWS = 8
WEIGHTS = (
    *("perceptual_weight", "identity_weight", "likeness_weight"),
    *("regularization_weight", "latent_weight", "style_weight"),
)
FILES = {
    "generator": "a checkpoint that stylises",
    "lpips": LINEAR_WEIGHTS,
    "alexnet": f"{ALEXNET}, or the word {DOWNLOAD}",
    "identity": RECOGNITION,
    "likeness": "a network of trainer.likeness",
    "trunk": RECOGNITION,
    "init": "a checkpoint with a pSp encoder to start from",
}


@dataclass(frozen=True, kw_only=True)
class PSPTrainingConfig(TrainingConfig):
    """Train the pSp encoder for a generator."""

    generator: Path
    """the checkpoint whose generator is to be inverted, or its hf:// address; its other parts are
    carried over"""
    natural: tuple[Path, ...]
    """aligned natural faces: folders, zips or shards of them"""
    lpips: Path | None = None
    """LPIPS's linear weights, alex.pth of the lpips package's v0.1; with --alexnet the pictures are
    compared by LPIPS (pSp). Without both by VGG features of --generator's style encoder, all
    weighed equally: not pSp's loss, but a training then needs no file from elsewhere"""
    alexnet: str | None = None
    """torchvision's alexnet weights for --lpips: a file, or the word torchvision, which downloads
    them (pSp)"""
    identity: Path | None = None
    """ArcFace's IR-SE50, model_ir_se50.pth as pSp publishes it: adds the loss of identity (pSp).
    Left out without it, since a file from elsewhere must never be required"""
    likeness: Path | None = None
    """a network of trainer.likeness, which sees who is in a drawn portrait, where ArcFace knows
    photos only; not in the paper"""
    trunk: Path | None = None
    """the same file: the encoder's trunk starts from it (pSp), not from random weights"""
    init: Path | None = None
    """a checkpoint whose pSp encoder to start from, or its hf:// address; its sizes are taken"""
    steps: int = 500_000
    """optimiser steps (pSp's limit; the paper is silent)"""
    batch: int = 8
    """pictures a step, of all processes together (pSp; the paper is silent)"""
    lr: float = 0.0001
    """Adam's learning rate (pSp, whose optimiser is Ranger; the paper is silent)"""
    anneal: float = 0.0
    """0..1, the last part of the steps, over which the learning rate falls to 0; not in the
    paper"""
    perceptual_weight: float = 0.8
    """weight of LPIPS, or of what stands in for it, beside 1 for the squared error of the pixels
    (pSp)"""
    identity_weight: float = 0.1
    """weight of the loss of identity, 1 - the cosine of the two faces' embeddings (pSp)"""
    likeness_weight: float = 0.1
    """weight of that loss, 1 - the cosine of what it sees in a part of both faces"""
    regularization_weight: float = 0.005
    """weight of the norm of the latents' distance from the mean face's (pSp where it regularises;
    its published command for FFHQ faces goes without, which is 0 here)"""
    latent_weight: float = 0.0
    """weight of the latents' error on generated faces, whose latents are known; not in the paper,
    but it guides a short training"""
    art: tuple[Path, ...] = ()
    """aligned artistic faces, in whose styles the faces are to come out at i = 0: latents that
    rebuild a face well may leave those that styles go with. Folders, zips or shards; not in the
    paper"""
    style_weight: float = 0.15
    """weight of the distance of style codes of these, 1 less their cosine"""
    photo_share: float = 0.0
    """0..1, of the faces: these the encoder sees as a bad camera takes them, so that it knows
    photos though it learns on drawings; not in the paper"""
    image_size: int = 256
    """faces are averaged to this size (pSp)"""
    channels: tuple[int, int, int, int] = (64, 128, 256, 512)
    """channels of the trunk's four stages; the default is IR-SE50"""
    blocks: tuple[int, int, int, int] = (3, 4, 14, 3)
    """residual blocks of the trunk's four stages; the default is IR-SE50"""


def train_psp(config: PSPTrainingConfig) -> Path | None:
    """Run the training; return the final checkpoint's path, or None after a dry run."""
    check_flags(config)
    run = Run(config)
    device = run.device
    criteria = load_criteria(config, device)
    run.seed_weights()
    base = load_stylizer(config.generator)
    carried = read(config.generator).extras  # for a later fine-tune
    base.to(device, memory_format=torch.channels_last)
    encoder = make_encoder(config, base).to(device, memory_format=torch.channels_last)
    sync_norms_(encoder)
    size = max(config.image_size, compared_size(base))
    natural = ImageSet(config.natural, size, at_least=config.batch)
    faces_of = Feed(natural, "natural", config.batch, config.seed, run.samples)
    art = ImageSet(config.art, compared_size(base)) if config.art else None
    references_of = Feed(art, "art", config.batch, config.seed, run.samples) if art else None
    optimizer = torch.optim.Adam(encoder.parameters(), lr=config.lr)

    def step() -> dict[str, Tensor]:
        anneal_(optimizer, late(run.step, config.steps, config.anneal))
        faces, _ = faces_of(run.step)
        draws = run.draws()
        faces = random_flip(faces.to(device), draws)
        seen, faces = as_photographed(faces, config.photo_share)
        w_face = encoder(seen)
        losses = reconstruction_losses(criteria, base, encoder, w_face, faces, draws)
        if references_of:
            references = references_of(run.step)[0].to(device)
            losses["style"] = config.style_weight * style_loss(base, w_face, references)
        if config.latent_weight:
            losses["latent"] = config.latent_weight * latent_loss(base, encoder, draws)
        optimizer.zero_grad(set_to_none=True)
        sum(losses.values()).backward()
        processes.average_gradients_(encoder.parameters())
        optimizer.step()
        return {name: loss.detach() for name, loss in losses.items()}

    def finish() -> Path:
        base.cpu()
        model = BlendGAN.assemble(base.generator, base.style_encoder, encoder.cpu())
        provenance = base.provenance | {
            "psp": f"{len(natural)} pictures, {run.step} x {config.batch}, seed {config.seed}, "
            f"compared by {criteria.in_words()}"
        }
        return blendgan_core.save(model, run.folder / "final.safetensors", provenance, carried)

    return run.loop(
        {"encoder": encoder, "optimizer": optimizer},
        step,
        lambda path: sample(base, encoder, natural, path),
        finish,
        {"encoder": encoder, "generator": base.generator, "style encoder": base.style_encoder}
        | criteria.networks(),
    )


def check_flags(config: PSPTrainingConfig) -> None:
    """Raise BlendGANError for flags that contradict each other, or name a file that is missing."""
    for name in WEIGHTS:
        if getattr(config, name) < 0:
            raise BlendGANError(f"{flag(name)} is {getattr(config, name)}, expected 0 or more")
    for given, missing in (("lpips", "alexnet"), ("alexnet", "lpips")):
        if getattr(config, given) and not getattr(config, missing):
            raise BlendGANError(
                f"{flag(given)} needs {flag(missing)}: {FILES[missing]}; give both or neither"
            )
    if config.lpips and not config.perceptual_weight:
        raise BlendGANError(
            "--lpips has no effect when --perceptual-weight is 0; leave one of them out"
        )
    if config.identity and not config.identity_weight:
        raise BlendGANError(
            "--identity has no effect when --identity-weight is 0; leave one of them out"
        )
    for given, weight in (
        ("identity", "identity_weight"),
        ("likeness", "likeness_weight"),
        ("art", "style_weight"),
    ):
        value = getattr(config, weight)
        if not getattr(config, given) and value != getattr(PSPTrainingConfig, weight):
            raise BlendGANError(
                f"{flag(weight)} is {value}, but there is no {flag(given)} to weigh; "
                "give both or neither"
            )
    if config.trunk and config.init:
        raise BlendGANError("--trunk and --init both say where to start; leave one of them out")
    sizes = (config.channels, config.blocks)
    if config.trunk and sizes != (IR_SE50.channels, IR_SE50.blocks):
        raise BlendGANError(
            f"--trunk brings IR-SE50, with --channels {_words(IR_SE50.channels)} --blocks "
            f"{_words(IR_SE50.blocks)}, but they are {_words(config.channels)} and "
            f"{_words(config.blocks)}; leave these out, or --trunk"
        )
    require_files(config, FILES)
    for source in config.natural:
        is_pattern = set("*{") & set(str(source))
        if not (is_pattern or as_url(source) or source.exists()):
            raise BlendGANError(f"--natural {source} does not exist; expected pictures of faces")


def _words(numbers: tuple[int, ...]) -> str:
    return " ".join(map(str, numbers))


def load_criteria(config: PSPTrainingConfig, device: torch.device) -> Criteria:
    """The networks of --lpips, --alexnet, --identity and --likeness, where they are given."""
    criteria = Criteria(
        perceptual_weight=config.perceptual_weight,
        identity_weight=config.identity_weight,
        regularization_weight=config.regularization_weight,
        lpips=load_lpips(config.lpips, config.alexnet) if config.lpips else None,
        recognition=load_face_recognition(config.identity) if config.identity else None,
        likeness_weight=config.likeness_weight,
        likeness=load_likeness(config.likeness) if config.likeness else None,
    )
    for network in criteria.networks().values():
        network.to(device, memory_format=torch.channels_last)
    return criteria


def make_encoder(config: PSPTrainingConfig, base: BlendGAN) -> PSPEncoder:
    """A new encoder whose codes start around the generator's mean face, or that of --init."""
    if config.init:
        return load_encoder(config.init, base)
    sizes = PSPConfig(
        image_size=config.image_size,
        channels=config.channels,
        blocks=config.blocks,
        w_dim=base.generator.config.w_dim,
        num_layers=base.num_layers,
    )
    encoder = PSPEncoder(sizes)
    encoder.latent_avg.copy_(base.generator.w_mean)
    if config.trunk:
        load_trunk_(encoder, config.trunk)
    return encoder


def load_encoder(path: Path, base: BlendGAN) -> PSPEncoder:
    """The pSp encoder of a checkpoint, checked against the generator that it is to invert."""
    encoder = blendgan_core.load(path).psp_encoder
    if encoder is None:
        raise CheckpointError(
            f"{path} has no pSp encoder to start from; give a checkpoint that has one, "
            "or leave --init out"
        )
    wanted = (base.num_layers, base.generator.config.w_dim)
    found = (encoder.config.num_layers, encoder.config.w_dim)
    if found != wanted:
        raise CheckpointError(
            f"the pSp encoder in {path} gives {found[0]} latents of size {found[1]}, the generator "
            f"takes {wanted[0]} of size {wanted[1]}; leave --init out"
        )
    return encoder.requires_grad_(True).train()


@torch.no_grad()
def sample(base: BlendGAN, encoder: PSPEncoder, natural: ImageSet, path: Path) -> None:
    """A grid: faces and, beside each, what the generator makes of its latents."""
    torch.manual_seed(FIXED_SEED)
    encoder.eval()
    columns = []
    for _ in range(4):
        faces = natural.batch(natural.draw(GRID_ROWS)).to(base.generator.w_mean)
        rebuilt = base.generator.synthesis(encoder(faces), base.generator.synthesis.fixed_noise())
        columns += [average_pool(image, compared_size(base)) for image in (faces, rebuilt)]
    encoder.train()
    write_sheet(path, columns)


if __name__ == "__main__":
    run_cli(train_psp, PSPTrainingConfig)
