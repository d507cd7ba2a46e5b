"""`python -m trainer.average`: the mean of two checkpoints that went on from the same one.

Weights of one lineage can be averaged (Izmailov et al. 2018; Wortsman et al. 2022, model soups):
between a model that keeps faces and one that has strokes lies one that has much of both.
"""

from dataclasses import dataclass
from pathlib import Path

import torch
from torch import nn

import blendgan_core
from blendgan_core.checkpoint import build, read
from blendgan_core.errors import BlendGANError

from .cli import run_cli
from .data import ImageSet
from .latent_prior import fit_face_mapping_
from .pretrain import latents_of

PARTS = ("generator", "psp_encoder")  # that are averaged; the style encoder must be the same


@dataclass(frozen=True, kw_only=True)
class AverageConfig:
    """Average the weights of two checkpoints with a generator and a pSp encoder."""

    checkpoints: tuple[Path, Path]
    """two checkpoints of the same sizes and the same style encoder, trained from one start"""
    share: float = 0.5
    """0..1, of the second one"""
    natural: tuple[Path, ...]
    """aligned natural faces, whose latents the face mapping is fitted to again, unless both
    checkpoints have the same generator"""
    out: Path
    """the file to write; discriminators and style codes in it are the second one's"""


def average(config: AverageConfig) -> Path:
    """Write the average; return its path.

    Raises BlendGANError for a share out of range and for checkpoints that do not go together.
    """
    if not 0 <= config.share <= 1:
        raise BlendGANError(f"--share is {config.share}; give a number from 0 to 1")
    contents = [read(path) for path in config.checkpoints]
    first, second = map(build, contents, config.checkpoints)
    names = " and ".join(str(path) for path in config.checkpoints)
    for part in (*PARTS, "style_encoder"):
        ours, theirs = getattr(first, part), getattr(second, part)
        if ours is None or theirs is None or ours.config != theirs.config:
            raise BlendGANError(
                f"{names}: expected the {part.replace('_', ' ')} in both, of the same sizes; "
                "give two checkpoints that were trained from the same one"
            )
    if not _equal(first.style_encoder, second.style_encoder):
        raise BlendGANError(f"{names} have different style encoders, so styles mean other things")
    same_generator = _equal(first.generator, second.generator)
    for part in PARTS:
        _move_(getattr(first, part), getattr(second, part), config.share)
    if not same_generator:
        natural = ImageSet(config.natural, first.generator.config.resolution)
        fit_face_mapping_(first.generator.face_mapping, latents_of(first.psp_encoder, natural))
        first.generator.measure_w_mean_()
    provenance = dict(second.provenance) | {
        "kind": "average",
        "parents": [f"{path.parent.name}/{path.name}" for path in config.checkpoints],
        "share": config.share,
    }
    return blendgan_core.save(first, config.out, provenance, contents[1].extras)


def _equal(ours: nn.Module, theirs: nn.Module) -> bool:
    """Whether all weights and buffers are the same."""
    state = theirs.state_dict()
    return all(torch.equal(values, state[name]) for name, values in ours.state_dict().items())


@torch.no_grad()
def _move_(ours: nn.Module, theirs: nn.Module, share: float) -> None:
    """Move all weights and buffers towards another module's."""
    state = theirs.state_dict()
    for name, values in ours.state_dict().items():
        if values.is_floating_point():
            values.lerp_(state[name].to(values), share)


if __name__ == "__main__":
    run_cli(average, AverageConfig)
