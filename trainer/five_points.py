"""`python -m trainer.five_points`: train the networks that find faces and their five points.

They learn from synthetic portraits alone, whose points are exact. Each step gives the finder one
batch of faces anywhere and the refiner another of roughly centred ones.
"""

from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from blendgan_core.face_networks import CROP, STRIDE, FaceFinder, PointRefiner
from blendgan_core.face_points import EYES, FORMAT, load_networks
from blendgan_core.files import write_safetensors
from blendgan_core.precision import PRECISIONS
from blendgan_core.sheets import write_sheet

from . import processes
from .cli import run_cli
from .ema import early_decay, half_life_decay, update_ema_
from .five_points_cutouts import cached_cutouts
from .five_points_samples import Samples, draw_samples
from .five_points_scenes import make_scenes
from .run import Run, step_seed
from .training_config import TrainingConfig

HELD_OUT = 60  # people behind the metrics in the log
ROWS, COLUMNS = 6, 10  # of the sample grid
WARM_UP = 50  # steps in which the learning rate rises
SPREAD = 0.22  # deviation of the finder's target, in distances of the eyes
NEAR = 0.45  # so near to its middle the finder also tells a face's points
POINTS_WEIGHT = 4.0  # of the finder's points beside its map
SHARPNESS = 0.02  # weight of the variance of the refiner's maps
FACE_WEIGHT = 0.2  # of the refiner's word whether it is a face


@dataclass(frozen=True, kw_only=True)
class FivePointsConfig(TrainingConfig):
    """Train the finder of faces and the refiner of their five points."""

    photos: Path | None = None
    """folder of pictures without faces, as backgrounds beside painted ones"""
    people: int = 2600
    """synthetic portraits to learn from"""
    cutouts: Path = Path("runs/cutouts")
    """folder where these portraits are kept for the next run"""
    scenes: int = 900
    """backgrounds"""
    steps: int = 3000
    """optimiser steps"""
    batch: int = 64
    """pictures a step for each of the two networks, of all processes together"""
    lr: float = 0.002
    """AdamW's learning rate"""
    ema_images: int = 12_000
    """half-life, in pictures, of the average of the weights that is kept"""
    init: Path | None = None
    """weights to begin with, an earlier final.safetensors"""
    precision: Literal["fp32", "bf16"] = "fp32"
    """what convolutions compute in: bf16 takes half the time on newer CPUs"""


def train_five_points(config: FivePointsConfig) -> Path | None:
    """Run the training; return the weights' path, or None after a dry run."""
    run = Run(config)
    device = run.device
    cutouts = cached_cutouts(config.people, config.seed, config.cutouts)
    held_out = cached_cutouts(HELD_OUT, config.seed + 1, config.cutouts)
    halved = cutouts.halved()
    scenes = make_scenes(config.scenes, config.photos, config.seed)
    run.seed_weights()
    networks = nn.ModuleDict({"finder": FaceFinder(), "refiner": PointRefiner()})
    if config.init:
        finder, refiner = load_networks(config.init)
        networks = nn.ModuleDict({"finder": finder, "refiner": refiner}).requires_grad_(True)
    networks.train().to(device)
    average = deepcopy(networks)
    optimizer = torch.optim.AdamW(networks.parameters(), lr=config.lr, weight_decay=1e-3)
    half = PRECISIONS[config.precision]
    decay = half_life_decay(config.batch, config.ema_images)

    def draw(finding: bool) -> Samples:
        """This process's part of the step's batch."""
        seed = step_seed(config.seed, 2 * run.step + finding)
        samples = draw_samples(
            halved if finding else cutouts,
            scenes,
            config.batch,
            finding,
            torch.Generator().manual_seed(seed),
        )
        return Samples(*(part[run.samples].to(device) for part in vars(samples).values()))

    def step() -> dict[str, Tensor]:
        for group in optimizer.param_groups:
            group["lr"] = config.lr * min(1, (run.step + 1) / WARM_UP)
        anywhere, centred = draw(True), draw(False)
        with torch.autocast(device.type, half, enabled=half != torch.float32):
            losses = finder_losses(networks["finder"], anywhere)
            losses |= refiner_losses(networks["refiner"], centred)
        optimizer.zero_grad(set_to_none=True)
        sum(losses.values()).backward()
        processes.average_gradients_(networks.parameters())
        for network in networks.values():
            nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        optimizer.step()
        update_ema_(average, networks, early_decay(decay, run.step))
        return {name: loss.detach() for name, loss in losses.items()}

    def finish() -> Path:
        path = run.folder / "final.safetensors"
        metadata = {
            "format": FORMAT,
            "data": f"{config.people} synthetic portraits",
            "steps": str(run.step),
        }
        write_safetensors(path, average.cpu().state_dict(), metadata, torch.float16)
        return path

    def probe() -> Samples:
        generator = torch.Generator().manual_seed(step_seed(config.seed, -1))
        return draw_samples(held_out, scenes, 2 * HELD_OUT, False, generator)

    def measure() -> dict[str, float]:
        samples = probe()
        found = predict(average["refiner"], samples.images)
        error = (found - samples.points).norm(dim=2) / EYES
        return {"metric_error": error[samples.is_face].mean().item()}

    return run.loop(
        {"networks": networks, "average": average, "optimizer": optimizer},
        step,
        lambda path: sample(average["refiner"], probe(), path),
        finish,
        dict(networks.items()),
        measure,
    )


def finder_losses(finder: FaceFinder, samples: Samples) -> dict[str, Tensor]:
    """CenterNet's focal loss of the map, and the distance of the points, in those of the eyes."""
    logits, points = finder(samples.images)  # [N, h, w], [N, 5, 2, h, w]
    eyes = (samples.points[:, 1] - samples.points[:, 0]).norm(dim=1)[:, None, None]
    middle = samples.points.mean(dim=1)
    axis = (torch.arange(CROP // STRIDE, device=logits.device) + 0.5) * STRIDE
    places = torch.stack(torch.meshgrid(axis, axis, indexing="xy"))  # [2, h, w]
    away = (places - middle[:, :, None, None]).square().sum(dim=1) / eyes**2  # [N, h, w]
    inside = ((middle > 0) & (middle < CROP)).all(dim=1) & samples.is_face
    nearest = away == away.amin(dim=(1, 2), keepdim=True)
    shown = inside[:, None, None]
    target = torch.where(nearest, 1.0, torch.exp(-away / (2 * SPREAD**2))) * shown
    share = logits.sigmoid().clamp(1e-4, 1 - 1e-4)
    missed = (1 - share) ** 2 * -share.log()
    false = (1 - target) ** 4 * share**2 * -(1 - share).log()
    focal = torch.where(target == 1, missed, false).sum() / inside.sum().clamp(min=1)
    right = samples.points[..., None, None] - places  # [N, 5, 2, h, w]
    error = (points - right) / eyes[:, None, None]
    near = (nearest | (away < NEAR**2)) & shown
    error = error.permute(0, 3, 4, 1, 2)[near]
    distance = F.smooth_l1_loss(error, torch.zeros_like(error), beta=0.1)
    return {"find": focal, "find_points": POINTS_WEIGHT * distance}


def refiner_losses(refiner: PointRefiner, samples: Samples) -> dict[str, Tensor]:
    """The points' distance in those of the eyes, the spread of the maps, and face or not."""
    points, variance, logits = refiner(samples.images)
    error = (points - samples.points)[samples.is_face] / EYES
    distance = F.smooth_l1_loss(error, torch.zeros_like(error), beta=0.05)
    is_face = F.binary_cross_entropy_with_logits(logits, samples.is_face.float())
    return {
        "points": 5 * distance,
        "spread": SHARPNESS * variance[samples.is_face].mean() / EYES,
        "face": FACE_WEIGHT * is_face,
    }


@torch.no_grad()
def predict(refiner: PointRefiner, images: Tensor) -> Tensor:
    """images: [N, 3, 64, 64] in 0..1 -> points [N, 5, 2]."""
    device = refiner.maps.weight.device
    return torch.cat([refiner(part.to(device))[0].cpu() for part in images.split(64)])


def sample(refiner: PointRefiner, samples: Samples, path: Path) -> None:
    """A grid of held-out samples, with what the refiner finds in red."""
    shown = samples.images[: min(len(samples.images) // ROWS, COLUMNS) * ROWS]
    axis = torch.arange(CROP) + 0.5
    found = predict(refiner, shown)  # [N, 5, 2]
    across = (axis - found[..., :1]).abs() < 1  # [N, 5, 64]
    down = (axis - found[..., 1:]).abs() < 1
    marked = (down[..., None] & across[:, :, None]).any(dim=1)[:, None]  # [N, 1, 64, 64]
    red = torch.tensor([1.0, -1.0, -1.0])[:, None, None]
    write_sheet(path, list(torch.where(marked, red, shown * 2 - 1).split(ROWS)))


if __name__ == "__main__":
    run_cli(train_five_points, FivePointsConfig)
