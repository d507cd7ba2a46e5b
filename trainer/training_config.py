"""The flags that every training shares, and what all flags are checked for."""

from dataclasses import dataclass, fields
from pathlib import Path

from blendgan_core.errors import BlendGANError, CheckpointError
from blendgan_core.hub import is_address

POSITIVE = (
    *("batch", "save_every", "lr", "r1_every", "path_length_every", "ema_images"),
    *("queue_size", "temperature", "resolution", "image_size"),
    *("accumulate", "half_resolutions", "ada_images", "critic_lr"),
    *("encoder_rate", "num_features"),
)
SHARES = ("style_mixing", "alpha_init", "fine_share", "photo_share", "anneal")  # 0..1
FILE_WORDS = ("random", "torchvision")  # that some flags take in place of a file


@dataclass(frozen=True, kw_only=True)
class TrainingConfig:
    """The flags that every training shares."""

    out: Path
    """the run folder: config, log, plots, sample grids, resumable state, final.safetensors"""
    steps: int
    """optimiser steps; 0 writes what the training would start from"""
    batch: int
    """pictures a step, of all processes together"""
    seed: int = 0
    """seeds the weights, the data order and all noise"""
    save_every: int = 500
    """steps between saved states, sample grids and plots"""
    device: str = "auto"
    """cpu, cuda, mps, or auto for the best that is there; under torchrun each process takes a GPU
    of its own"""
    resume: bool = False
    """go on from the state in --out, to the weights of a run that was never stopped. --steps,
    --save-every and --device may change, nothing else"""
    dry_run: bool = False
    """only tell what would be trained: the configuration, the networks' sizes, and the memory and
    time that some real steps took; nothing is written"""


def check_values(config: TrainingConfig) -> None:
    """Raise BlendGANError for a number that its flag cannot have."""
    flags = {field.name: getattr(config, field.name) for field in fields(config)}
    for name in POSITIVE:
        if flags.get(name, 1) <= 0:
            raise BlendGANError(f"{flag(name)} is {flags[name]}, expected more than 0")
    if config.steps < 0:
        raise BlendGANError(f"--steps is {config.steps}, expected 0 or more")
    for name in SHARES:
        if not 0 <= (flags.get(name) or 0) <= 1:
            raise BlendGANError(f"{flag(name)} is {flags[name]}, expected 0..1")
    if config.resume and config.dry_run:
        raise BlendGANError(
            "--dry-run writes nothing and --resume goes on with a run; leave one of them out"
        )


def require_files(config: TrainingConfig, expected: dict[str, str]) -> None:
    """Raise CheckpointError, which names the flag, for a file that does not exist.

    expected: what each of some flags should name, in words. A flag that is not given, an address
    of the hub and a word in place of a file are left to who reads them.
    """
    for name, wanted in expected.items():
        path = getattr(config, name)
        known_later = path is None or path in FILE_WORDS or is_address(path)
        if not known_later and not Path(path).is_file():
            raise CheckpointError(f"{flag(name)} {path} is no file that exists; expected {wanted}")


def flag(name: str) -> str:
    """How a config's field is written on the command line."""
    return f"--{name.replace('_', '-')}"
