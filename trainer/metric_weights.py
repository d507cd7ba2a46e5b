"""The weights of the networks that metrics look with, fetched from their official addresses.

Only `--download` does that. They go into the cache of torch.hub, where torchvision and
torch-fidelity keep theirs, under the names that these give them, and are fetched once.
"""

import os
from dataclasses import dataclass
from pathlib import Path

import torch

from blendgan_core.errors import BlendGANError
from blendgan_core.files import reason


@dataclass(frozen=True)
class Download:
    """A file that is published somewhere."""

    url: str
    sha256: str
    """the first digits of the checksum, or all of them"""
    name: str
    """what it is called in the cache"""


DOWNLOADS = {
    # the address in torch-fidelity's source
    "inception": Download(
        "https://github.com/toshas/torch-fidelity/releases/download/v0.2.0/"
        "weights-inception-2015-12-05-6726825d.pth",
        "6726825d0af5f729cebd5821db510b11b1cfad8faad88a03f1befd49fb9129b2",
        "weights-inception-2015-12-05-6726825d.pth",
    ),
    # the same file as in the lpips package 0.1.4, from which the checksum is
    "lpips": Download(
        "https://raw.githubusercontent.com/richzhang/PerceptualSimilarity/master/"
        "lpips/weights/v0.1/alex.pth",
        "df73285e35b22355a2df87cdb6b70b343713b667eddbda73e1977e0c860835c0",
        "lpips-0.1-alex.pth",
    ),
    # torchvision's address; the digits in its names are the checksum's first
    "alexnet": Download(
        "https://download.pytorch.org/models/alexnet-owt-7be5be79.pth",
        "7be5be79",
        "alexnet-owt-7be5be79.pth",
    ),
}


def cached(name: str) -> Path:
    """Where the weights of a flag lie once they are fetched."""
    return Path(torch.hub.get_dir()) / "checkpoints" / DOWNLOADS[name].name


def fetch(name: str) -> Path:
    """The weights of a flag, from the cache or from their address.

    Raises BlendGANError if they cannot be fetched, or are not what they were when published; then
    nothing is kept.
    """
    wanted, path = DOWNLOADS[name], cached(name)
    if path.is_file():
        return path
    print(f"fetching {wanted.url} to {path}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        torch.hub.download_url_to_file(wanted.url, os.fspath(path), wanted.sha256)
    except (OSError, RuntimeError) as error:  # the latter for another checksum
        raise BlendGANError(
            f"--download: {wanted.url} could not be fetched ({reason(error)}); fetch it in another "
            f"way, with the sha256 {wanted.sha256}, and give its path to --{name}, or put it at "
            f"{path}"
        ) from error
    return path
