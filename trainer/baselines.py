"""Rivals that `trainer.evaluate` measures beside a model, on the same faces and references: AdaIN
and layer swapping, the two that the paper compares with which can be made without its weights."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from blendgan_core.blendgan import BlendGAN
from blendgan_core.errors import BlendGANError

from .adain_network import check_encoder, load_decoder, transfer
from .evaluation_pictures import AT_ONCE, Design, Tick, draw_faces
from .styles import STYLES
from .swapping import check_swap_from, find_tuned, load_tuned, swap_layers

ADAIN, LAYER_SWAP = "AdaIN", "layer swap"


@dataclass(frozen=True, kw_only=True)
class BaselinesConfig:
    """Rivals to measure beside the checkpoint."""

    adain: Path | None = None
    """a decoder of `python -m trainer.adain` for this checkpoint: adds AdaIN's results"""
    layer_swap: Path | None = None
    """a folder of `python -m trainer.layer_swap` for this checkpoint, with a STYLE.safetensors for
    every style: adds the results of layer swapping"""
    swap_from: int | None = None
    """the first layer that --layer-swap takes from the fine-tuned generator: 0 takes all of them, L
    none; the middle unless it is given"""


@dataclass(frozen=True)
class Subjects:
    """What a rival is given: the very faces and references that the model gets."""

    design: Design
    w_face: Tensor  # [K * P, L, W]
    faces: Tensor  # their natural pictures [K * P, 3, R, R]
    references: Tensor  # [K * S, 3, R, R]


@dataclass(frozen=True)
class Baseline:
    """A rival, and how it makes its pictures [K * P * S, 3, R, R], ordered as `stylise`'s."""

    name: str
    note: str
    """what it is, for the report"""
    results: Callable[[Subjects, Tick], Tensor]


def load_baselines(config: BaselinesConfig, model: BlendGAN, checkpoint: str) -> list[Baseline]:
    """Those that the flags name. Raises BlendGANError for files that are missing, or were made for
    another checkpoint."""
    if config.swap_from is not None and config.layer_swap is None:
        raise BlendGANError("--swap-from is of use with --layer-swap only; give both or neither")
    baselines = []
    if config.adain:
        baselines.append(adain_baseline(config.adain, model, checkpoint))
    if config.layer_swap:
        baselines.append(layer_swap_baseline(config.layer_swap, config.swap_from, model))
    return baselines


def adain_baseline(path: Path, model: BlendGAN, checkpoint: str) -> Baseline:
    """AdaIN of every face's natural picture and every reference, see `adain_network`."""
    decoder = load_decoder(path)
    check_encoder(decoder, model.style_encoder, path, checkpoint)
    device = model.generator.w_mean.device
    decoder.to(device)

    def results(subjects: Subjects, tick: Tick) -> Tensor:
        faces = subjects.faces.repeat_interleave(len(STYLES), dim=0)
        styles = subjects.design.paired(subjects.references)
        pictures = []
        for face, style in zip(faces.split(AT_ONCE), styles.split(AT_ONCE), strict=True):
            made = transfer(model.style_encoder, decoder, face.to(device), style.to(device))
            pictures.append(made.cpu())
            tick(len(face))
        return torch.cat(pictures)

    note = (
        "*AdaIN* (Huang and Belongie 2017) paints the faces' natural pictures with the references, "
        f"on stage {decoder.config.stage} of the style encoder's own VGG."
    )
    return Baseline(ADAIN, note, results)


def layer_swap_baseline(folder: Path, swap_from: int | None, model: BlendGAN) -> Baseline:
    """Every face by a generator of each style, see `swapping`."""
    swap_from = check_swap_from(swap_from, model.num_layers)
    natural, files = model.generator, find_tuned(folder)
    for path in files.values():
        load_tuned(path, natural)  # which tells what is wrong before the work starts

    def results(subjects: Subjects, tick: Tick) -> Tensor:
        of_styles = []
        for style in STYLES:
            tuned = load_tuned(files[style], natural)
            swapped = BlendGAN.assemble(swap_layers(natural, tuned, swap_from))
            of_styles.append(draw_faces(swapped, subjects.w_face, tick))
        return torch.stack(of_styles, dim=1).flatten(0, 1)

    note = (
        "*Layer swap* (Pinkney and Adler 2020) takes the layers from "
        f"{swap_from} on from a generator that was fine-tuned to the style; it has seen hundreds "
        "of its pictures and never looks at the reference."
    )
    return Baseline(LAYER_SWAP, note, results)
