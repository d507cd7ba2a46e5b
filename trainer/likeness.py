"""`python -m trainer.likeness`: learn from twins to tell who is in a portrait, in any style; or,
with `--of style`, in which style anyone is drawn.

Not in the paper, whose faces come from a generator that has seen millions. Each person's natural
picture and a styled one are to have one vector, other people another (NT-Xent); what is left is
what a style does not change: pose, hair, glasses, beard, light. Of styles, all that is drawn in one
is to have one vector, and natural pictures one of their own (supervised contrastive loss).
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
from .draws import Draws
from .ema import early_decay, half_life_decay, update_ema_
from .likeness_network import Likeness, LikenessConfig, Of, same_part, save_likeness
from .losses import nt_xent_loss, supervised_contrastive_loss
from .run import Run
from .training_config import TrainingConfig
from .twins import Twins

CROWD = 100  # people of the test, or fewer
GRID_ROWS, GRID_COLUMNS = 8, 6
AT_ONCE = 64  # pictures
NATURAL = 4  # styled pictures to a natural one


@dataclass(frozen=True, kw_only=True)
class LikenessTrainingConfig(TrainingConfig):
    """Train a network that tells who is in a portrait, in any style, or how anyone is drawn."""

    twins: Path
    """a folder with natural/ and styled/STYLE/, where one file name is one person: the twins/ of
    trainer.synthesize"""
    of: Of = "face"
    """what is to be told: the person, or the style"""
    steps: int = 2000
    """optimiser steps"""
    batch: int = 64
    """people a step, of all processes together"""
    lr: float = 0.001
    """Adam's learning rate, which falls to 0 along a cosine"""
    temperature: float = 0.1
    """of the contrastive losses, tau"""
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

    def face_loss(draws: Draws, indices: Tensor) -> Tensor:
        photos, styled, _ = twins.batch(indices, device)
        pair = random_flip(torch.cat([styled, photos], dim=1), draws).split(3, dim=1)
        vectors = [processes.gather(network(part)) for part in same_part(draws, *pair)]
        people = processes.gather(twins.people(indices).to(device))
        return nt_xent_loss(*vectors, people, config.temperature)

    def style_loss(draws: Draws, indices: Tensor) -> Tensor:
        mirrored = random_flip(torch.cat(twins.batch(indices, device), dim=1), draws)
        photos, styled, neighbours = mirrored.split(3, dim=1)
        photos = photos[: -(-len(photos) // NATURAL)]  # one style more
        styles = twins.style_numbers(indices)
        styles = torch.cat([styles, styles, torch.full((len(photos),), -1)]).to(device)
        vectors = processes.gather(network(torch.cat([styled, neighbours, photos])))
        return supervised_contrastive_loss(vectors, processes.gather(styles), config.temperature)

    loss_of = face_loss if config.of == "face" else style_loss

    def step() -> dict[str, Tensor]:
        anneal_(optimizer, cosine(run.step, config.steps))
        loss = loss_of(run.draws(), feed.indices(run.step))
        optimizer.zero_grad(set_to_none=True)
        # every process has the loss of the whole batch, with the gradient of its own part
        (loss * processes.count()).backward()
        processes.average_gradients_(network.parameters())
        optimizer.step()
        update_ema_(average, network, early_decay(decay, run.step))
        return {"contrastive": loss.detach()}

    def measure() -> dict[str, float]:
        return {"metric_found": found(average, test, config.of)} if test else {}

    def finish() -> Path:
        right = found(average, test, config.of) if test else None
        if right is not None:
            print(f"{right:.1%} of what it never saw is found, among {CROWD} people")
        return save_likeness(average.cpu(), run.folder / "final.safetensors", right, config.of)

    return run.loop(
        {"network": network, "average": average, "optimizer": optimizer},
        step,
        lambda path: sample(average, test or twins, config.of, path),
        finish,
        {"likeness network": network},
        measure,
    )


@torch.no_grad()
def search(network: Likeness, twins: Twins, of: Of) -> tuple[Tensor, Tensor]:
    """Look for what styled pictures show in other pictures, all of the first 100 people: for faces
    in natural pictures, for styles in styled ones of other people.

    -> numbers of the styled pictures [M], and of the others, nearest first, [M, P]; one's own
    neighbour, whose look it has, comes last.
    """
    device = network.output.weight.device

    def read(images: ImageSet, numbers: Tensor) -> Tensor:
        parts = (images.batch(part).to(device) for part in numbers.split(AT_ONCE))
        return torch.cat([network(part).cpu() for part in parts])

    everyone = torch.arange(len(twins.styled))
    styled = everyone[twins.people(everyone) < CROWD]
    if of == "face":
        crowd = torch.arange(min(CROWD, len(twins.natural)))
    else:  # the second of two neighbours among the first ones of others
        first = twins.looks(styled) == styled
        styled, crowd = styled[~first], styled[first]
    likeness = read(twins.styled, styled) @ read(crowd_of(twins, of), crowd).T
    if of == "style":
        likeness[twins.looks(styled)[:, None] == crowd] = -torch.inf
    return styled, crowd[likeness.argsort(dim=1, descending=True)]


def crowd_of(twins: Twins, of: Of) -> ImageSet:
    """The pictures among which `search` looks."""
    return twins.natural if of == "face" else twins.styled


def found(network: Likeness, twins: Twins, of: Of) -> float:
    """How often the first one that `search` finds is the right one."""
    styled, nearest = search(network, twins, of)
    if of == "face":
        right = nearest[:, 0] == twins.people(styled)
    else:
        right = twins.style_numbers(nearest[:, 0]) == twins.style_numbers(styled)
    return right.double().mean().item()


def sample(network: Likeness, twins: Twins, of: Of, path: Path) -> None:
    """A grid: styled pictures, and beside each what is found nearest."""
    styled, nearest = search(network, twins, of)
    rows = torch.linspace(0, len(styled) - 1, GRID_ROWS).long()
    columns = [twins.styled.batch(styled[rows])]
    for column in nearest[rows, : GRID_COLUMNS - 1].T:
        columns.append(crowd_of(twins, of).batch(column))
    write_sheet(path, columns)


if __name__ == "__main__":
    run_cli(train_likeness, LikenessTrainingConfig)
