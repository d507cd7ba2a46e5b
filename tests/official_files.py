"""Official-layout files of tiny networks: the keys and ranks of the golden specs, thin channels."""

import json

import torch
from golden_weights import GOLDENS
from torch import Tensor

THIN = {
    "generator": {512: 8},
    "discriminator": {512: 8, 513: 9, 8192: 128},
    "projection_discriminator": {512: 8, 513: 9},
    # 596 = 2^2 + 4^2 + 8^2 + 16^2 + 16^2
    "style_encoder": {64: 2, 128: 4, 256: 8, 512: 16, 610304: 596},
    "psp_encoder": {64: 4, 128: 8, 256: 16, 512: 32, 4: 1, 8: 1, 16: 1, 32: 2},
}


def tiny(network: str, z_style: int = 8) -> dict[str, Tensor]:
    """A state dict with the keys of the official network at 64 px, random values, thin channels.

    z_style: the width of the style encoder's predictor, of pSp's heads and of the codes of both.
    """
    generator = torch.Generator().manual_seed(0)
    state = {}
    for key, rule in json.loads((GOLDENS / f"{network}.spec.json").read_text())["keys"].items():
        thin = THIN[network]
        shape = [thin.get(n, n) for n in rule["shape"]]
        if key.startswith(("embedder_mlp", "styles")):
            shape = [z_style if n == 512 else thin.get(n, n) for n in rule["shape"]]
        if key.startswith("styles") and key.endswith("convs.0.weight"):
            shape[1] = thin[512]  # these read the trunk
        values = rule.get("mean", 0) + rule.get("std", 0) * torch.randn(shape, generator=generator)
        state[key] = 0.5 + values.abs() if rule["kind"] == "abs" else values
    return state


def blendgan_file() -> dict:
    """blendgan.pt: generator and style encoder."""
    encoder = {f"embedder.{key}": value for key, value in tiny("style_encoder").items()}
    return {"g_ema": tiny("generator") | encoder, "latent_avg": torch.full((1, 8), 0.25)}


def psp_file() -> dict:
    """psp_encoder.pt."""
    state = {f"encoder.{key}": value for key, value in tiny("psp_encoder").items()}
    return {"state_dict": state, "latent_avg": torch.full((10, 8), 0.5)}
