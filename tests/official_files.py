"""Upstream files of tiny networks: the keys and ranks of the golden specs, thin channels."""

import argparse
import json
import pickle
import sys
from collections import OrderedDict
from pathlib import Path
from types import ModuleType

import numpy as np
import torch
from golden_weights import GOLDENS, draw
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


def stylegan2_file() -> dict:
    """What rosinality's training saves: raw and averaged generator, discriminator, and the rest."""
    added = ("embedding.", "add_weight")
    state = {key: value for key, value in tiny("generator").items() if not key.startswith(added)}
    raw = {key: torch.zeros_like(value) for key, value in state.items()}
    rest = {"g_optim": {"state": {}, "param_groups": []}, "args": argparse.Namespace(lr=0.002)}
    return {"g": raw, "d": tiny("discriminator"), "g_ema": state, **rest}


def encoder_file(encoder_type: str) -> dict:
    """A pSp or e4e checkpoint, with a StyleGAN2 as its decoder and the options of its training."""
    data = psp_file()
    decoder = stylegan2_file()["g_ema"]
    data["state_dict"] |= {f"decoder.{key}": value for key, value in decoder.items()}
    return data | {"opts": {"encoder_type": encoder_type, "start_from_latent_avg": True}}


class Persistent:
    """Pickles as modules do under NVIDIA's torch_utils.persistence: with source and state."""

    def __init__(self, source: str, class_name: str, state: dict):
        self.meta = {
            "type": "class",
            "version": 6,
            "module_src": source,
            "class_name": class_name,
            "state": state,
        }

    def __reduce__(self):
        return PERSISTENCE._reconstruct_persistent_obj, (self.meta,)


def _reconstruct_persistent_obj(meta):
    raise AssertionError("a reader ran it")


PERSISTENCE = ModuleType("torch_utils.persistence")  # exists only while a test writes a pickle
PERSISTENCE._reconstruct_persistent_obj = _reconstruct_persistent_obj
_reconstruct_persistent_obj.__module__ = PERSISTENCE.__name__


def persistent(
    tensors: dict[str, Tensor],
    attributes: dict[str, dict],
    source: str = "",
    name: str = "Generator",
) -> Persistent:
    """A tree of modules out of a state dict, and of plain attributes by the module's path."""

    def build(path: str) -> Persistent:
        prefix = f"{path}." if path else ""
        below = [key.removeprefix(prefix) for key in tensors if key.startswith(prefix)]
        own = {key: tensors[prefix + key] for key in below if "." not in key}
        buffers = ("resample_filter", "noise_const", "w_avg")
        children = dict.fromkeys(key.partition(".")[0] for key in below if "." in key)
        state = {
            "training": False,
            "_parameters": {
                key: torch.nn.Parameter(value, requires_grad=False)
                for key, value in own.items()
                if key not in buffers
            },
            "_buffers": OrderedDict((key, own[key]) for key in buffers if key in own),
            "_non_persistent_buffers_set": set(),
            "_forward_hooks": OrderedDict(),
            "_modules": OrderedDict((key, build(prefix + key)) for key in children),
            "act_gain": np.sqrt(2),  # a numpy scalar, as the real ones have
        }
        return Persistent(source, name, state | attributes.get(path, {}))

    return build("")


def nvidia_network(network: str, source: str = "", **changes) -> Persistent:
    """One of the golden networks, "nvidia_generator" or "nvidia_discriminator", to be pickled.

    changes: attributes by path, with "" and "." written as "root" and "__".
    """
    attributes = json.loads((GOLDENS / f"{network}.spec.json").read_text())["attributes"]
    for path, values in changes.items():
        path = "" if path == "root" else path.replace("__", ".")
        attributes[path] = attributes[path] | values
    return persistent(draw(network), attributes, source)


def write_pickle(path: Path, data, protocol: int = 4) -> Path:
    """pickle.dump, in a world where NVIDIA's modules seem to exist."""
    names = {"torch_utils": ModuleType("torch_utils"), "torch_utils.persistence": PERSISTENCE}
    sys.modules.update(names)
    try:
        path.write_bytes(pickle.dumps(data, protocol=protocol))
    finally:
        for name in names:
            del sys.modules[name]
    return path
