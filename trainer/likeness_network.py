"""A small network that tells who is in a portrait, whatever style it is drawn in; or in which
style it is drawn, whoever is in it.

The first is to synthetic portraits what ArcFace is to photos (`identity`): a loss that asks for the
face and leaves the style alone; the second is the other way round. `trainer.likeness` trains them,
`trainer.pretrain --likeness` and `--style-likeness` use them.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from blendgan_core.errors import CheckpointError
from blendgan_core.layers import average_pool

from .augment import resample
from .draws import Draws
from .evaluator_network import SIZE, convolutions
from .small_network import Kind, load_network, save_network

KIND = Kind(
    format="blendgan-likeness-1",
    prefix="likeness",
    name="likeness network",
    maker="trainer.likeness",
    flags="--twins DIR --out runs/likeness",
)
Of = Literal["face", "style"]  # what a network tells
NARROWEST = 0.45  # of the picture's side
FARTHEST = 0.5  # of the room that a part has to move in


@dataclass(frozen=True, kw_only=True)
class LikenessConfig:
    """Sizes of the network."""

    channels: tuple[int, ...] = (24, 48, 96, 160)
    num_features: int = 128


class Likeness(nn.Module):
    """Convolutions with group normalisation, then one linear layer."""

    def __init__(self, config: LikenessConfig):
        super().__init__()
        self.config = config
        self.body, values = convolutions(config.channels)
        self.output = nn.Linear(values, config.num_features)

    def forward(self, images: Tensor) -> Tensor:
        """[N, 3, H, W] in [-1, 1], or the same part of all -> [N, F] of length 1."""
        return F.normalize(self.output(self.body(average_pool(images, SIZE))))


def same_part(draws: Draws, *pictures: Tensor) -> list[Tensor]:
    """A part of each sample, the same of all its `pictures`, enlarged: from the whole to less than
    a half of each side. Wholes alone would be told apart by their hair, and eyes would not count.

    pictures: [N, 3, R, R] each, N as in `draws` -> the same shapes.
    """
    side = 1 - draws.uniform() * (1 - NARROWEST)  # [N]
    place = (draws.uniform(2) * 2 - 1) * FARTHEST * (1 - side[:, None])  # [N, 2]
    zero = torch.zeros_like(side)
    rows = [torch.stack([side, zero, place[:, 0]], 1), torch.stack([zero, side, place[:, 1]], 1)]
    matrices = torch.stack(rows, 1)
    return [resample(images, matrices) for images in pictures]


def likeness_loss(network: Likeness, made: Tensor, wanted: Tensor) -> Tensor:
    """1 less the cosine of what the network sees in pictures and in wanted ones, such as natural
    pictures of their sitters.

    made, wanted: [N, 3, R, R]; wanted ones are not learnt from -> scalar.
    """
    with torch.no_grad():
        seen = network(wanted)
    return 1 - (network(made) * seen).sum(dim=1).mean()


def save_likeness(network: Likeness, path: Path, found: float | None, of: Of = "face") -> Path:
    """Write it in half precision; found: the share that its test found, for the header."""
    return save_network(network, KIND, path, config=vars(network.config), found=found, of=of)


def load_likeness(path: Path, of: Of = "face") -> Likeness:
    """A frozen network that tells faces, or styles. Raises CheckpointError if the file is missing,
    damaged or another's, and if its network tells the other."""
    network, texts = load_network(
        path, KIND, lambda sizes: Likeness(LikenessConfig(**sizes)), ("of",)
    )
    if texts["of"] != of:
        raise CheckpointError(
            f"{path} tells {texts['of']}s, expected one that tells {of}s: `python -m {KIND.maker} "
            f"--of {of}` makes one"
        )
    return network
