"""`python -m trainer.face_mapping`: teach the face mapping to draw latents as they really lie.

Not in the paper, whose face mapping comes with its StyleGAN2. `trainer.pretrain` leaves one that
draws latents of the right mean and covariance, so of two people with and without glasses it may
draw the one between. Here a flow learns the distribution of the latents that the pSp encoder finds
in natural faces, and the mapping learns what the flow makes of each z. All else stays as it is.
"""

from copy import deepcopy
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import torch
from torch import Tensor

import blendgan_core
from blendgan_core.checkpoint import build, read
from blendgan_core.errors import BlendGANError, CheckpointError
from blendgan_core.generator import MappingNetwork
from blendgan_core.layers import pixel_norm
from blendgan_core.psp_encoder import PSPEncoder
from blendgan_core.sheets import write_sheet

from .annealing import anneal_, cosine
from .cli import run_cli
from .data import ImageSet
from .draws import FIXED_SEED
from .ema import early_decay, update_ema_
from .flow import Velocity, flow_loss, follow
from .latent_prior import axes_of, fit_face_mapping_
from .pretrain import of_pictures
from .progress import measure_progress
from .run import Run
from .training_config import TrainingConfig, require_files

GRID_ROWS, GRID_COLUMNS = 4, 8
PAIRS = 131_072  # of a z and its latent, that the mapping learns from
MAPPING_RATE = 2.5  # of its learning rate, to the flow's
TINY = 1e-8
EMA_DECAY = 0.99
FLATTEST = 0.02  # of the largest deviation: axes in which faces differ less are not enlarged more


@dataclass(frozen=True, kw_only=True)
class FaceMappingConfig(TrainingConfig):
    """Teach a model's face mapping to draw faces like given ones."""

    checkpoint: Path
    """a checkpoint with a generator and a pSp encoder; its other parts are carried over"""
    natural: tuple[Path, ...]
    """aligned natural faces: folders, zips or shards of them. All are read, and mirrored"""
    steps: int = 12_000
    """optimiser steps, of the flow and then of the mapping"""
    flow_steps: int = 6_000
    """those of the flow"""
    batch: int = 512
    """latents a step"""
    lr: float = 0.002
    """Adam's learning rate of the flow; the mapping's is 2.5 times it. Both fall to 0 along a
    cosine"""
    hidden: int = 512
    """width of the flow's network"""
    measured: int = 512
    """faces from which metric_frechet_natural is measured beside each grid"""


def train_face_mapping(config: FaceMappingConfig) -> Path | None:
    """Run the training; return the final checkpoint's path, or None after a dry run."""
    require_files(config, {"checkpoint": "a checkpoint with a generator and a pSp encoder"})
    if 0 < config.steps <= config.flow_steps:
        raise BlendGANError(
            f"--flow-steps is {config.flow_steps}, which leaves none of {config.steps} --steps for "
            "the mapping; take fewer, such as half"
        )
    run = Run(config)
    contents = read(config.checkpoint)
    model = build(contents, config.checkpoint)
    if model.generator is None or model.psp_encoder is None:
        raise CheckpointError(
            f"{config.checkpoint} lacks a generator or a pSp encoder; expected both"
        )
    model.to(run.device)
    generator, mapping = model.generator, model.generator.face_mapping
    if generator.config.z_dim != generator.config.w_dim:
        raise BlendGANError(
            f"{config.checkpoint} draws faces from {generator.config.z_dim} numbers, expected as "
            f"many as a latent has, {generator.config.w_dim}"
        )
    natural = ImageSet(config.natural, generator.config.resolution, at_least=2)
    found = all_latents(model.psp_encoder, natural).to(run.device)
    fit_face_mapping_(mapping, found)
    mapping.requires_grad_(True)
    mean, axes, deviations = axes_of(found)
    scales = deviations.clamp_min(FLATTEST * deviations.max())
    weights = deviations / deviations.mean()  # an error counts by what it is of a face

    def whitened(w: Tensor) -> Tensor:
        return (w - mean) @ axes / scales

    latents = whitened(found)
    run.seed_weights()
    velocity = Velocity(latents.shape[1], config.hidden).to(run.device)
    average = deepcopy(velocity).requires_grad_(False)
    flow_optimizer = torch.optim.Adam(velocity.parameters(), lr=config.lr)
    optimizer = torch.optim.Adam(rates_of(mapping, MAPPING_RATE * config.lr))

    def noise(count: int) -> Tensor:
        return pixel_norm(torch.randn(count, generator.config.z_dim)).to(run.device)

    @cache
    def pairs() -> tuple[Tensor, Tensor]:
        """Each z and what the flow, which learns no more, makes of it; the same after a resume."""
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(FIXED_SEED + config.seed)
            z = noise(PAIRS)
        made = torch.cat([follow(average, part) for part in z.split(4096)])
        return z, with_moments_of(latents, made)

    def learn_flow() -> dict[str, Tensor]:
        anneal_(flow_optimizer, cosine(run.step, config.flow_steps))
        data = latents[torch.randint(len(latents), (config.batch,))]
        t = torch.rand(config.batch, 1).to(run.device)
        loss = flow_loss(velocity, noise(config.batch), data, t)
        descend(flow_optimizer, loss)
        update_ema_(average, velocity, early_decay(EMA_DECAY, run.step))
        return {"flow": loss.detach()}

    def learn_mapping() -> dict[str, Tensor]:
        anneal_(optimizer, cosine(run.step - config.flow_steps, config.steps - config.flow_steps))
        chosen = torch.randint(PAIRS, (config.batch,))
        z, wanted = (part[chosen] for part in pairs())
        loss = (weights * (whitened(mapping(z)) - wanted).square()).mean()
        descend(optimizer, loss)
        return {"mapping": loss.detach()}

    def step() -> dict[str, Tensor]:
        return learn_flow() if run.step < config.flow_steps else learn_mapping()

    def measure() -> dict[str, float]:
        return measure_progress(generator, None, None, natural, config.measured)

    def finish() -> Path:
        generator.measure_w_mean_()
        provenance = model.provenance | {
            "face_mapping": f"a flow of {len(latents)} latents, {run.step} steps, seed "
            f"{config.seed}"
        }
        path = run.folder / "final.safetensors"
        return blendgan_core.save(model.cpu(), path, provenance, contents.extras)

    return run.loop(
        {
            **{"velocity": velocity, "average": average, "mapping": mapping},
            **{"flow_optimizer": flow_optimizer, "optimizer": optimizer},
        },
        step,
        lambda path: sample(model, path),
        finish,
        {"flow": velocity, "face mapping": mapping},
        measure,
    )


def descend(optimizer: torch.optim.Optimizer, loss: Tensor) -> None:
    """One step of an optimiser."""
    optimizer.zero_grad(set_to_none=True)
    loss.backward()
    optimizer.step()


def with_moments_of(latents: Tensor, found: Tensor) -> Tensor:
    """Move and stretch what a flow found to the mean and covariance that it was to have: one that
    has not learnt all keeps too near to the middle. [M, W], [N, W] -> [N, W]."""
    mean, axes, deviations = axes_of(latents)
    found_mean, found_axes, found_deviations = axes_of(found)
    narrow = found_axes / found_deviations.clamp_min(TINY) @ found_axes.T
    return mean + (found - found_mean) @ narrow @ (axes * deviations) @ axes.T


def rates_of(mapping: MappingNetwork, lr: float) -> list[dict]:
    """Parameter groups in which a step of `lr` is one of the weights as they are used, which are
    the stored ones times a small number."""
    groups = []
    for layer in mapping.layers:
        groups.append({"params": [layer.weight], "lr": lr / layer.scale})
        groups.append({"params": [layer.bias], "lr": lr / layer.lr_multiplier})
    return groups


def all_latents(encoder: PSPEncoder, natural: ImageSet) -> Tensor:
    """The mean over the layers of every face's latents, and of its mirror image's -> [M, W]."""

    def both(faces: Tensor) -> Tensor:
        return torch.cat([encoder(images).mean(dim=1) for images in (faces, faces.flip(3))])

    return of_pictures(both, encoder, natural, torch.arange(len(natural)))


@torch.no_grad()
def sample(model: blendgan_core.BlendGAN, path: Path) -> None:
    """A grid of random faces."""
    generator = model.generator
    seeded = torch.Generator("cpu").manual_seed(FIXED_SEED)
    z = torch.randn(GRID_ROWS * GRID_COLUMNS, generator.config.z_dim, generator=seeded)
    w_face = generator.map_face(z.to(generator.w_mean))
    faces = generator.synthesis(w_face, generator.synthesis.fixed_noise())
    write_sheet(path, list(faces.split(GRID_ROWS)))


if __name__ == "__main__":
    run_cli(train_face_mapping, FaceMappingConfig)
