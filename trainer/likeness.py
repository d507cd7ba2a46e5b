"""`python -m trainer.likeness`: learn from twins to tell who is in a portrait, in any style.

Not in the paper, whose faces come from a generator that has seen millions. Each person's natural
picture and a styled one are to have one vector, other people another (NT-Xent); what is left is
what a style does not change: pose, hair, glasses, beard, light.
"""

from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from blendgan_core.sheets import write_sheet

from . import processes
from .annealing import anneal_, cosine
from .cli import run_cli
from .data import Feed, ImageSet, random_flip
from .ema import early_decay, half_life_decay, update_ema_
from .likeness_network import Likeness, LikenessConfig, same_part, save_likeness
from .losses import nt_xent_loss
from .run import Run
from .training_config import TrainingConfig
from .twins import Twins

CROWD = 100  # people of the test, or fewer
GRID_ROWS, GRID_COLUMNS = 8, 6
AT_ONCE = 64  # pictures


@dataclass(frozen=True, kw_only=True)
class LikenessTrainingConfig(TrainingConfig):
    """Train a network that tells who is in a portrait, in any style."""

    twins: Path
    """a folder with natural/ and styled/STYLE/, where one file name is one person: the twins/ of
    trainer.synthesize"""
    steps: int = 2000
    """optimiser steps"""
    batch: int = 64
    """people a step, of all processes together"""
    lr: float = 0.001
    """Adam's learning rate, which falls to 0 along a cosine"""
    temperature: float = 0.1
    """tau of NT-Xent"""
    ema_images: float = 3_000
    """half-life of the averaged network, in people"""
    channels: tuple[int, ...] = (24, 48, 96, 160)
    """channels, each half the size of the one before"""
    num_features: int = 128
    """length of the vectors"""
    resolution: int = 64
    """pixels to which the pictures are averaged"""
    test: Path | None = None
    """a folder like that of --twins, of people that the training never sees. How often, among 100
    of them, the one found nearest to a styled picture is the one in it goes into the log and the
    file"""


def train_likeness(config: LikenessTrainingConfig) -> Path | None:
    """Run the training; return the network's path, or None after a dry run."""
    run = Run(config)
    device = run.device
    twins = Twins(config.twins, config.resolution)
    test = Twins(config.test, config.resolution) if config.test else None
    feed = Feed(twins.styled, "twins", config.batch, config.seed, run.samples)
    run.seed_weights()
    sizes = LikenessConfig(channels=config.channels, num_features=config.num_features)
    network = Likeness(sizes).to(device, memory_format=torch.channels_last)
    average = deepcopy(network).requires_grad_(False)
    optimizer = torch.optim.Adam(network.parameters(), lr=config.lr, betas=(0.9, 0.99))
    decay = half_life_decay(config.batch, config.ema_images)

    def step() -> dict[str, Tensor]:
        anneal_(optimizer, cosine(run.step, config.steps))
        draws, indices = run.draws(), feed.indices(run.step)
        pair = torch.cat(twins.batch(indices, device)[:2], dim=1)
        pair = same_part(draws, *random_flip(pair, draws).split(3, dim=1))
        vectors = [processes.gather(network(images)) for images in pair]
        people = processes.gather(twins.people(indices).to(device))
        loss = nt_xent_loss(*vectors, people, config.temperature)
        optimizer.zero_grad(set_to_none=True)
        # every process has the loss of the whole batch, with the gradient of its own part
        (loss * processes.count()).backward()
        processes.average_gradients_(network.parameters())
        optimizer.step()
        update_ema_(average, network, early_decay(decay, run.step))
        return {"nt_xent": loss.detach()}

    def measure() -> dict[str, float]:
        return {"metric_found": found(average, test)} if test else {}

    def finish() -> Path:
        right = found(average, test) if test else None
        if right is not None:
            print(f"of people that were not learnt from, {right:.1%} are found among {CROWD}")
        return save_likeness(average.cpu(), run.folder / "final.safetensors", right)

    return run.loop(
        {"network": network, "average": average, "optimizer": optimizer},
        step,
        lambda path: sample(average, test or twins, path),
        finish,
        {"likeness network": network},
        measure,
    )


@torch.no_grad()
def search(network: Likeness, twins: Twins) -> tuple[Tensor, Tensor]:
    """Look for the people in styled pictures among the natural ones of the first 100.

    -> numbers of the styled pictures of these people [M], and of the natural ones, nearest first,
    [M, P].
    """
    device = network.output.weight.device

    def read(images: ImageSet, numbers: Tensor) -> Tensor:
        parts = (images.batch(part).to(device) for part in numbers.split(AT_ONCE))
        return torch.cat([network(part).cpu() for part in parts])

    everyone = torch.arange(len(twins.styled))
    styled = everyone[twins.people(everyone) < CROWD]
    crowd = read(twins.natural, torch.arange(min(CROWD, len(twins.natural))))
    likeness = read(twins.styled, styled) @ crowd.T
    return styled, likeness.argsort(dim=1, descending=True)


def found(network: Likeness, twins: Twins) -> float:
    """How often the first one that `search` finds is the right one."""
    styled, nearest = search(network, twins)
    return (nearest[:, 0] == twins.people(styled)).double().mean().item()


def sample(network: Likeness, twins: Twins, path: Path) -> None:
    """A grid: styled pictures, and beside each the natural ones found nearest."""
    styled, nearest = search(network, twins)
    rows = torch.linspace(0, len(styled) - 1, GRID_ROWS).long()
    columns = [twins.styled.batch(styled[rows])]
    for column in nearest[rows, : GRID_COLUMNS - 1].T:
        columns.append(twins.natural.batch(column))
    write_sheet(path, columns)


if __name__ == "__main__":
    run_cli(train_likeness, LikenessTrainingConfig)
