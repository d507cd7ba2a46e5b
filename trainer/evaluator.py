"""`python -m trainer.evaluator`: train the network that `trainer.evaluate` judges pictures by.

It learns, on synthetic portraits, to tell the style and to read the sitter's attributes in every
style, with those of portraits that it never saw as its test.
"""

from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from blendgan_core.sheets import write_sheet

from . import processes
from .augment import resample
from .cli import run_cli
from .data import Feed
from .draws import Draws
from .ema import early_decay, half_life_decay, update_ema_
from .evaluator_network import SIZE, Evaluator, EvaluatorConfig, Reading, save_evaluator
from .measures import confusion, r2
from .portrait_labels import ATTRIBUTES, NATURAL, LabelledPortraits, mirror
from .run import Run
from .training_config import TrainingConfig

PROBE = 600  # held-out portraits behind the metrics in the log
GRID_COLUMNS = 13
MOST_PIXELS = 3  # that a picture is moved by
SURE = 0.5  # glasses from here on
AT_ONCE = 64


@dataclass(frozen=True, kw_only=True)
class EvaluatorTrainingConfig(TrainingConfig):
    """Train the evaluator on synthetic portraits."""

    portraits: Path
    """a folder of `python -m trainer.synthesize`, with its attributes.jsonl"""
    steps: int = 2300
    """optimiser steps"""
    batch: int = 64
    """pictures a step, of all processes together: half natural, half even over the styles"""
    lr: float = 0.002
    """Adam's learning rate"""
    attribute_weight: float = 1.0
    """weight of the attributes' squared error beside the styles' cross-entropy; an attribute counts
    by its own standard deviation"""
    ema_images: int = 20_000
    """half-life, in pictures, of the average of the weights that is kept"""
    channels: tuple[int, ...] = (24, 48, 96, 160)
    """channels after each halving of the 64 pixels"""
    num_features: int = 64
    """size of the layer before the readings, whose values are the features of all distances"""


def train_evaluator(config: EvaluatorTrainingConfig) -> Path | None:
    """Run the training; return the evaluator's path, or None after a dry run."""
    run = Run(config)
    device = run.device
    portraits = LabelledPortraits(config.portraits, SIZE)
    batch_of = Feed(portraits, "portraits", config.batch, config.seed, run.samples)
    run.seed_weights()
    evaluator = make_evaluator(config, portraits).to(device, memory_format=torch.channels_last)
    average = deepcopy(evaluator)
    optimizer = torch.optim.Adam(evaluator.parameters(), lr=config.lr, betas=(0.9, 0.99))
    decay = half_life_decay(config.batch, config.ema_images)

    def step() -> dict[str, Tensor]:
        images, numbers = batch_of(run.step)
        styles, targets = portraits.style_of[numbers], portraits.targets[numbers]
        images, targets = shift_and_mirror(images.to(device), targets.to(device), run.draws())
        styles = styles.to(device)
        reading = evaluator(images)
        style = F.cross_entropy(reading.styles, styles)
        attributes = attribute_loss(reading.attributes, targets, evaluator.attribute_std)
        optimizer.zero_grad(set_to_none=True)
        (style + config.attribute_weight * attributes).backward()
        processes.average_gradients_(evaluator.parameters())
        optimizer.step()
        update_ema_(average, evaluator, early_decay(decay, run.step))
        return {"style": style.detach(), "attributes": attributes.detach()}

    def finish() -> Path:
        figures = test(average, portraits, portraits.held_out) | {
            "portraits": len(portraits),
            "steps": run.step,
            "batch": config.batch,
            "seed": config.seed,
        }
        print(in_words(figures))
        return save_evaluator(average.cpu(), run.folder / "final.safetensors", figures)

    def measure() -> dict[str, float]:
        some = portraits.held_out[:: max(1, len(portraits.held_out) // PROBE)]
        figures = test(average, portraits, some)
        kinds = ("natural", "styled")
        means = {f"metric_r2_{kind}": sum(figures["r2"][kind].values()) for kind in kinds}
        means = {name: total / len(ATTRIBUTES) for name, total in means.items()}
        return {"metric_accuracy": figures["style_accuracy"]["styled"]} | means

    return run.loop(
        {"evaluator": evaluator, "average": average, "optimizer": optimizer},
        step,
        lambda path: sample(average, portraits, path),
        finish,
        {"evaluator": evaluator},
        measure,
    )


def make_evaluator(config: EvaluatorTrainingConfig, portraits: LabelledPortraits) -> Evaluator:
    """A new evaluator that starts by reading the mean of every attribute."""
    evaluator = Evaluator(
        EvaluatorConfig(
            styles=portraits.styles,
            attributes=ATTRIBUTES,
            channels=config.channels,
            num_features=config.num_features,
        )
    )
    known = portraits.targets[portraits.learnt]
    mean = known.nanmean(dim=0)
    evaluator.attribute_mean.copy_(mean)
    evaluator.attribute_std.copy_((known - mean).square().nanmean(dim=0).sqrt().clamp_min(1e-3))
    return evaluator


def shift_and_mirror(images: Tensor, targets: Tensor, draws: Draws) -> tuple[Tensor, Tensor]:
    """Move each picture by some whole pixels, and mirror every other one with its attributes.

    images: [N, 3, R, R]; targets: [N, A] -> the same.
    """
    sign = 1 - 2 * (draws.uniform() < 0.5).float()  # [N]
    # whole pixels, so that nothing is blurred; half the sides of the grid are 1
    shift = ((draws.uniform(2) * 2 - 1) * MOST_PIXELS).round() * (2 / images.shape[-1])
    zero, one = torch.zeros_like(sign), torch.ones_like(sign)
    rows = [torch.stack([sign, zero, shift[:, 0]], 1), torch.stack([zero, one, shift[:, 1]], 1)]
    moved = resample(images, torch.stack(rows, 1))
    return moved, torch.where(sign[:, None] < 0, mirror(targets), targets)


def attribute_loss(found: Tensor, targets: Tensor, std: Tensor) -> Tensor:
    """Mean squared error in standard deviations; a target that is nan counts as met.

    found, targets: [N, A]; std: [A] -> scalar.
    """
    error = (found - targets) / std
    return torch.where(targets.isfinite(), error, 0.0).square().mean()


def read_portraits(evaluator: Evaluator, portraits: LabelledPortraits, numbers: Tensor) -> Reading:
    """Readings of pictures [N], by number."""
    parts = [evaluator.read(portraits.batch(chunk)) for chunk in numbers.split(AT_ONCE)]
    return Reading(*(torch.cat(values) for values in zip(*parts, strict=True)))


def test(evaluator: Evaluator, portraits: LabelledPortraits, numbers: Tensor) -> dict[str, Any]:
    """How well held-out pictures [N] are read, natural and styled ones apart: accuracies, R2 of
    each attribute, and the styles' confusion (row: the true style)."""
    reading = read_portraits(evaluator, portraits, numbers)
    truth, styles = portraits.targets[numbers].double(), portraits.style_of[numbers]
    read_style = reading.styles.argmax(dim=1)
    glasses = ATTRIBUTES.index("glasses")
    right = {
        "style_accuracy": read_style == styles,
        "glasses_accuracy": (reading.attributes[:, glasses] > SURE) == (truth[:, glasses] > SURE),
    }
    natural = styles == portraits.styles.index(NATURAL)
    figures: dict[str, Any] = {name: {} for name in (*right, "r2")}
    for kind, which in {"natural": natural, "styled": ~natural}.items():
        for name, correct in right.items():
            figures[name][kind] = round(correct[which].double().mean().item(), 4)
        values = r2(truth[which], reading.attributes[which]).tolist()
        figures["r2"][kind] = dict(
            zip(ATTRIBUTES, [round(value, 4) for value in values], strict=True)
        )
    figures["styles"] = list(portraits.styles)
    figures["confusion"] = confusion(styles, read_style, len(portraits.styles)).tolist()
    figures["held_out"] = len(numbers)
    return figures


def in_words(figures: dict[str, Any]) -> str:
    """What the test found, as a table."""
    lines = [f"{figures['held_out']} portraits that were not learnt from:", ""]
    lines.append(f"{'':24}{'natural':>9}{'styled':>9}")
    for name in ("style_accuracy", "glasses_accuracy"):
        values = figures[name]
        label = name.replace("_", " ")
        lines.append(f"{label:24}{values['natural']:9.1%}{values['styled']:9.1%}")
    for name in ATTRIBUTES:
        natural, styled = (figures["r2"][kind][name] for kind in ("natural", "styled"))
        lines.append(f"{'R2 of ' + name.replace('_', ' '):24}{natural:9.3f}{styled:9.3f}")
    lines += ["", "read as (columns in the order of the rows):"]
    for style, row in zip(figures["styles"], figures["confusion"], strict=True):
        lines.append(f"{style:14}" + "".join(f"{count:5}" for count in row))
    return "\n".join(lines)


def sample(evaluator: Evaluator, portraits: LabelledPortraits, path: Path) -> None:
    """A grid: two rows for each attribute, held-out portraits from its smallest to its largest
    reading, natural ones and then styled ones."""
    numbers = portraits.held_out
    natural = portraits.style_of[numbers] == portraits.styles.index(NATURAL)
    rows = []
    for which in (numbers[natural], numbers[~natural]):
        some = which[:: max(1, len(which) // PROBE)]
        read = read_portraits(evaluator, portraits, some).attributes
        places = torch.linspace(0, len(some) - 1, GRID_COLUMNS).long()
        rows.append([some[column.argsort()[places]] for column in read.T])
    numbered = torch.stack([row for pair in zip(*rows, strict=True) for row in pair])  # [2A, C]
    write_sheet(path, [portraits.batch(column) for column in numbered.T])


if __name__ == "__main__":
    run_cli(train_evaluator, EvaluatorTrainingConfig)
