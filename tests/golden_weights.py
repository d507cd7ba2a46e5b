"""Draws the weights that the golden vectors were made with; goldens/README.md has the rule."""

import json
from functools import cache
from pathlib import Path
from zlib import crc32

import numpy as np
import torch
from torch import Tensor

GOLDENS = Path(__file__).parent / "goldens"


def draw(network: str) -> dict[str, Tensor]:
    """The official state dict of a network: fp32, keys in the official order.

    network: the name of a spec: "generator", "discriminator", "projection_discriminator",
    "style_encoder", "psp_encoder", "nvidia_generator" or "nvidia_discriminator".
    """
    spec = json.loads((GOLDENS / f"{network}.spec.json").read_text())
    return {key: tensor_by_rule(spec["seed"], key, rule) for key, rule in spec["keys"].items()}


def tensor_by_rule(seed: int, key: str, rule: dict) -> Tensor:
    """One tensor of a spec, drawn by its rule."""
    if rule["kind"] == "const":
        return torch.tensor(rule["value"]).reshape(rule["shape"])
    rng = np.random.default_rng([seed, crc32(key.encode())])
    values = rng.standard_normal(rule["shape"], dtype=np.float32)
    values *= np.float32(rule["std"])  # in place: one of them has 312 million values
    values += np.float32(rule["mean"])
    if rule["kind"] == "abs":
        values = 0.5 + np.abs(values)
    return torch.from_numpy(values)


@cache
def vectors(name: str) -> dict[str, Tensor]:
    """Inputs and outputs of a golden file: "generator_discriminators", "encoders", .."""
    with np.load(GOLDENS / f"{name}.npz") as file:
        return {key: torch.from_numpy(file[key]) for key in file.files}


def relative_error(found: Tensor, expected: Tensor) -> float:
    """L2 norm of the difference over that of the expected values."""
    return ((found - expected).norm() / expected.norm()).item()
