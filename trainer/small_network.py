"""Small networks in files of their own: what judges or guides a training and is no part of a
checkpoint."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn

from blendgan_core.checkpoint import read_tensors
from blendgan_core.errors import CheckpointError, short
from blendgan_core.files import write_safetensors
from blendgan_core.network_files import read_network_header


@dataclass(frozen=True)
class Kind:
    """A kind of such files."""

    format: str  # as the header names it
    prefix: str  # of the tensors' names
    name: str  # as in "a decoder"
    maker: str  # the command that makes one
    flags: str  # and what it is to be given

    @property
    def article(self) -> str:
        return "an" if self.name[0] in "aeiou" else "a"


def save_network(network: nn.Module, kind: Kind, path: Path, **texts: Any) -> Path:
    """Write it in half precision; texts: go into the header as JSON, `config` among them."""
    metadata = {"format": kind.format} | {name: json.dumps(text) for name, text in texts.items()}
    tensors = {f"{kind.prefix}.{name}": value for name, value in network.state_dict().items()}
    write_safetensors(path, tensors, metadata, torch.float16)
    return path


def load_network(
    path: Path, kind: Kind, build: Callable[[dict[str, Any]], nn.Module], wanted: tuple[str, ...]
) -> tuple[nn.Module, dict[str, Any]]:
    """A frozen network in eval mode, and the `wanted` texts of its header.

    build: makes the network from its config, whose lists are tuples again. Raises CheckpointError
    if the file is missing, damaged or something else.
    """
    if not path.is_file():
        raise CheckpointError(
            f"{path} does not exist; {kind.article} {kind.name} is made by `python -m {kind.maker} "
            f"{kind.flags}`, as its final.safetensors"
        )
    advice = f"; `python -m {kind.maker}` makes one"
    is_not = f"is not {kind.article} {kind.name}"
    metadata, keys = read_network_header(path, kind.format, is_not, advice)
    try:
        config = json.loads(metadata["config"])
        sizes = {k: tuple(v) if isinstance(v, list) else v for k, v in config.items()}
        network = build(sizes)
        network.load_state_dict(read_tensors(path, kind.prefix, keys))
        texts = {name: json.loads(metadata[name]) for name in wanted}
    except (AttributeError, IndexError, KeyError, TypeError, ValueError, RuntimeError) as error:
        raise CheckpointError(
            f"{path} is a damaged {kind.name} ({short(str(error))}); make or fetch it anew"
        ) from error
    network.to(memory_format=torch.channels_last)
    return network.eval().requires_grad_(False), texts
