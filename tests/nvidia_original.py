"""Runs NVIDIA's own code in a checkout of it: a network pickle, and what its networks compute.

`python tests/nvidia_original.py CHECKOUT OUT [--goldens]` writes network.pkl, as a training of that
code does, and network.npz into the folder OUT; with --goldens also the files in tests/goldens that
test_nvidia.py needs. CHECKOUT is NVlabs' stylegan2-ada-pytorch or stylegan3. Weights are drawn by
the rule in goldens/README.md.
"""

import argparse
import copy
import importlib.util
import json
import pickle
import sys
from pathlib import Path
from types import ModuleType
from zlib import crc32

import numpy as np
import torch
from golden_weights import GOLDENS, tensor_by_rule

SIZES = {"img_resolution": 32, "img_channels": 3, "c_dim": 0}
CHANNELS = {"channel_base": 512, "channel_max": 24, "num_fp16_res": 4, "conv_clamp": 256}
SEEDS = {"nvidia_generator": 1, "nvidia_discriminator": 2}


def rule(key: str, tensor: torch.Tensor) -> dict:
    """How to draw one tensor: nothing that a network multiplies with, or adds, may be 0."""
    shape = list(tensor.shape)
    name = key.rpartition(".")[2]
    if name == "resample_filter":  # what it is belongs to the architecture
        return {"kind": "const", "value": tensor.flatten().tolist(), "shape": shape}
    if name == "noise_strength":
        return {"kind": "const", "value": 0.1 + crc32(key.encode()) % 100 / 200, "shape": shape}
    mapping = ".fc" in key and key.startswith("mapping")  # a learning rate of 0.01 scales these
    mean = 1.0 if key.endswith("affine.bias") else 0.0
    std = {"bias": 30.0 if mapping else 0.2, "w_avg": 0.3}.get(name, 100.0 if mapping else 1.0)
    return {"kind": "normal", "mean": mean, "std": std, "shape": shape}


def spec(module: torch.nn.Module, seed: int) -> dict:
    """Rules for all weights of a network, and the plain attributes of all its modules."""
    attributes = {
        path: {k: v for k, v in vars(part).items() if type(v) in (str, int, float, bool)}
        for path, part in module.named_modules()
    }
    keys = {key: rule(key, tensor) for key, tensor in module.state_dict().items()}
    return {"seed": seed, "keys": keys, "attributes": attributes}


def import_networks(checkout: Path):
    """The checkout's module of StyleGAN2 networks; stand-ins serve for what these need not."""
    sys.path.insert(0, str(checkout))
    for name in ("requests", "pkg_resources"):
        if importlib.util.find_spec(name) is None:
            sys.modules[name] = stand_in = ModuleType(name)
            stand_in.parse_version = lambda text: tuple(map(int, text.split("+")[0].split(".")[:2]))
    try:
        from training import networks_stylegan2 as networks
    except ImportError:
        from training import networks
    return networks


def main(checkout: Path, out: Path, goldens: bool) -> None:
    networks = import_networks(checkout)
    from dnnlib import EasyDict

    mapping = EasyDict(num_layers=2)
    if networks.__name__.endswith("networks_stylegan2"):
        G = networks.Generator(z_dim=16, w_dim=20, mapping_kwargs=mapping, **SIZES, **CHANNELS)
    else:
        G = networks.Generator(
            z_dim=16, w_dim=20, mapping_kwargs=mapping, synthesis_kwargs=EasyDict(CHANNELS), **SIZES
        )
    D = networks.Discriminator(epilogue_kwargs=EasyDict(mbstd_group_size=4), **SIZES, **CHANNELS)
    G_ema = copy.deepcopy(G)  # G itself keeps random weights, which nobody wants
    for name, module in {"nvidia_generator": G_ema, "nvidia_discriminator": D}.items():
        rules = spec(module, SEEDS[name])
        for key, tensor in module.state_dict().items():
            tensor.copy_(tensor_by_rule(rules["seed"], key, rules["keys"][key]))
        if goldens:
            (GOLDENS / f"{name}.spec.json").write_text(json.dumps(rules) + "\n")
    training_set = {"class_name": "training.dataset.ImageFolderDataset", "path": "faces.zip"}
    data = {"training_set_kwargs": training_set, "G": G, "D": D, "G_ema": G_ema}
    for name in ("G", "D", "G_ema"):
        data[name] = copy.deepcopy(data[name]).eval().requires_grad_(False).cpu()
    with open(out / "network.pkl", "wb") as file:
        pickle.dump(data, file)
    rng = np.random.default_rng(3)
    z = torch.from_numpy(rng.standard_normal((2, 16), dtype=np.float32))
    images = torch.from_numpy(rng.uniform(-1, 1, (4, 3, 32, 32)).astype(np.float32))
    images[1] *= 0.1  # pictures that differ, so that the logits do
    images[2] = images[2] * 0.2 + 0.5
    with torch.no_grad():
        full = {"noise_mode": "const", "force_fp32": True}
        outputs = {
            "in/z": z,
            "in/images": images,
            "picture": data["G_ema"](z, None, **full),
            "picture_trunc0.5": data["G_ema"](z, None, truncation_psi=0.5, **full),
            "logits": data["D"](images, None, force_fp32=True),
        }
    arrays = {name: value.numpy() for name, value in outputs.items()}
    np.savez_compressed(out / "network.npz", **arrays)
    if goldens:
        np.savez_compressed(GOLDENS / "nvidia.npz", **arrays)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("checkout", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--goldens", action="store_true")
    options = parser.parse_args()
    main(options.checkout, options.out, options.goldens)
