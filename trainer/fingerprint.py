"""A hash that tells whether two files hold the same network."""

import hashlib

import torch
from torch import nn


def fingerprint(network: nn.Module) -> str:
    """SHA-256, in hex, of a network's weights in half precision and their names: the same for a
    file and its copy by `trainer.convert --half`, on every device."""
    digest = hashlib.sha256()
    for name, tensor in sorted(network.state_dict().items()):
        rounded = tensor.detach().cpu().to(torch.float16).contiguous()
        digest.update(f"{name} {list(rounded.shape)}".encode())
        digest.update(rounded.numpy().tobytes())
    return digest.hexdigest()
