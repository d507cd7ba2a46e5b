"""`python -m trainer.layer_swap`: fine-tune a generator to every style, for the rival by layer
swapping that `trainer.evaluate --layer-swap` measures beside a model (Pinkney and Adler 2020).

Each is `trainer.gan --init` on the pictures of one style: the natural branch, against its
discriminator, learns that style's portraits in place of natural faces.
"""

from dataclasses import dataclass
from pathlib import Path

import torch
from tqdm import tqdm

import blendgan_core
from blendgan_core.checkpoint import read_header
from blendgan_core.errors import BlendGANError
from blendgan_core.generator import Generator

from .adversarial_config import Precision
from .cli import run_cli
from .fingerprint import fingerprint
from .gan import GanConfig, train_gan
from .styles import STYLES
from .swapping import PARENT
from .training_config import TrainingConfig, check_values, require_files

RUNS = "runs"  # the folder of the run folders
SHARED = (  # flags of every style's training
    *("steps", "batch", "seed", "save_every", "device", "dry_run"),
    *("lr", "r1_gamma", "ema_images", "precision"),
)
PLACES = ("styled", "twins/styled")  # of a style's pictures, in a folder of trainer.synthesize


@dataclass(frozen=True, kw_only=True)
class LayerSwapConfig(TrainingConfig):
    """Fine-tune a checkpoint's generator to each style, one after the other."""

    out: Path
    """the folder for a STYLE.safetensors for every style, and their run folders below runs/"""
    checkpoint: Path
    """a checkpoint with a generator, and best with its discriminator of faces"""
    portraits: Path
    """a folder of `python -m trainer.synthesize`, with styled/ or twins/styled/"""
    steps: int = 110
    """optimiser steps for each style"""
    batch: int = 8
    """pictures a step, of all processes together"""
    lr: float = 0.005
    """Adam's learning rate, of the generator and of its discriminator; higher than that of
    `trainer.gan`, as the training is short and starts from faces"""
    r1_gamma: float = 0.5
    """weight of R1; suits 64 pixels, see `trainer.gan`"""
    ema_images: float = 80
    """half-life of the averaged generator, in pictures"""
    precision: Precision = "fp32"
    """of the convolutions, see `trainer.gan`"""


def layer_swap(config: LayerSwapConfig) -> list[Path]:
    """Run the trainings that are left; return the files, none after a dry run.

    A training that is done is not run again: it writes its generator from its last state.
    """
    check_values(config)
    require_files(config, {"checkpoint": "a checkpoint with a generator"})
    sources = {style: pictures_of(config.portraits, style) for style in STYLES}
    parent = blendgan_core.load(config.checkpoint, parts=("generator",)).generator
    files = []
    for number, (style, pictures) in enumerate(sources.items(), start=1):
        tqdm.write(f"{style}, {number} of {len(sources)}")
        final = train_gan(gan_config(config, style, pictures))
        if config.dry_run:  # the others are alike
            break
        if final is not None:  # it is None in a process that is not the first
            files.append(write_tuned(final, config.out / f"{style}.safetensors", style, parent))
    return files


def pictures_of(portraits: Path, style: str) -> tuple[Path, ...]:
    """The folders with a style's pictures. Raises BlendGANError if there is none."""
    folders = tuple(portraits / place / style for place in PLACES)
    found = tuple(folder for folder in folders if folder.is_dir())
    if not found:
        raise BlendGANError(
            f"--portraits {portraits} has no pictures in the style {style}; expected "
            f"{' or '.join(map(str, folders))}. `python -m trainer.synthesize` draws them"
        )
    return found


def gan_config(config: LayerSwapConfig, style: str, pictures: tuple[Path, ...]) -> GanConfig:
    """The training of one style; it goes on where its run folder has a state and --resume asks."""
    folder = config.out / RUNS / style
    return GanConfig(
        natural=pictures,
        init=config.checkpoint,
        out=folder,
        resume=config.resume and folder.exists(),
        path_length_weight=0.0,  # its price is a third of a training that is too short to need it
        metric_pictures=0,
        **{name: getattr(config, name) for name in SHARED},
    )


def write_tuned(final: Path, path: Path, style: str, parent: Generator) -> Path:
    """The generator of a training's result alone, in half precision."""
    model = blendgan_core.load(final, parts=("generator",))
    provenance = read_header(final)["provenance"]
    provenance |= {"kind": "layer swap", "style": style, PARENT: fingerprint(parent.synthesis)}
    return blendgan_core.save(model, path, provenance, dtype=torch.float16)


if __name__ == "__main__":
    run_cli(layer_swap, LayerSwapConfig)
