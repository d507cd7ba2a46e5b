"""The evaluator: a small network that reads a portrait's style and its sitter's attributes.

It is trained on synthetic portraits, where both are known (`trainer.evaluator`), and judges what a
generator makes of them (`trainer.evaluate`).
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from blendgan_core.layers import average_pool

from .small_network import Kind, load_network, save_network

KIND = Kind(
    format="blendgan-evaluator-1",
    prefix="evaluator",
    name="evaluator",
    maker="trainer.evaluator",
    flags="--portraits DIR --out runs/evaluator",
)
BUILT_IN = Path(__file__).with_name("evaluator.safetensors")
SIZE = 64  # pixels that it looks at
GROUPS = 8  # of the normalisation
AT_ONCE = 64  # pictures


@dataclass(frozen=True, kw_only=True)
class EvaluatorConfig:
    """Sizes and names of an evaluator."""

    styles: tuple[str, ...]
    attributes: tuple[str, ...]
    channels: tuple[int, ...] = (24, 48, 96, 160)
    num_features: int = 64


class Reading(NamedTuple):
    """What an evaluator reads off N pictures."""

    features: Tensor  # [N, F], what the two other readings are made of
    styles: Tensor  # [N, S], logits
    attributes: Tensor  # [N, A], in the units of `portrait_labels.attribute_values`


class Evaluator(nn.Module):
    """Convolutions with group normalisation, then one hidden layer and two linear readings.

    Batch normalisation would mix the pictures of a batch, and make what is read off one depend on
    the others beside it while training.
    """

    def __init__(self, config: EvaluatorConfig):
        super().__init__()
        self.config = config
        self.body, values = convolutions(config.channels)
        self.hidden = nn.Linear(values, config.num_features)
        self.style_head = nn.Linear(config.num_features, len(config.styles))
        self.attribute_head = nn.Linear(config.num_features, len(config.attributes))
        self.register_buffer("attribute_mean", torch.zeros(len(config.attributes)))
        self.register_buffer("attribute_std", torch.ones(len(config.attributes)))

    def forward(self, images: Tensor) -> Reading:
        """Pictures of any size [N, 3, H, W] in [-1, 1]; larger and smaller ones are resampled."""
        features = nn.functional.silu(self.hidden(self.body(average_pool(images, SIZE))))
        attributes = self.attribute_head(features) * self.attribute_std + self.attribute_mean
        return Reading(features, self.style_head(features), attributes)

    @torch.no_grad()
    def read(self, images: Tensor) -> Reading:
        """The same for many pictures, on the CPU in fp64."""
        device = self.hidden.weight.device
        parts = [self(chunk.clamp(-1, 1).to(device)) for chunk in images.split(AT_ONCE)]
        return Reading(*(torch.cat(values).double().cpu() for values in zip(*parts, strict=True)))


def convolutions(channels: tuple[int, ...]) -> tuple[nn.Sequential, int]:
    """[N, 3, SIZE, SIZE] -> [N, M], halved in size for each of `channels`; and M."""
    first, *others = channels
    layers, before = [_block(3, first, 2)], first
    for after in others:
        layers += [_block(before, after, 2), _block(after, after, 1)]
        before = after
    side = SIZE >> len(channels)
    return nn.Sequential(*layers, nn.Flatten()), before * side * side


def _block(before: int, after: int, stride: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(before, after, 3, stride, padding=1, bias=False),
        nn.GroupNorm(min(GROUPS, after), after),
        nn.SiLU(),
    )


def save_evaluator(evaluator: Evaluator, path: Path, test: dict[str, Any]) -> Path:
    """Write it in half precision, with what its test found in the header."""
    return save_network(evaluator, KIND, path, config=vars(evaluator.config), test=test)


def load_evaluator(path: Path) -> tuple[Evaluator, dict[str, Any]]:
    """An evaluator in eval mode, and what its test found. Raises CheckpointError if the file is
    missing, damaged or something else."""
    evaluator, texts = load_network(
        path, KIND, lambda sizes: Evaluator(EvaluatorConfig(**sizes)), ("test",)
    )
    return evaluator, texts["test"]
