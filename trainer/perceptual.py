"""LPIPS, version 0.1 with AlexNet (Zhang et al. 2018): how different two pictures look."""

from pathlib import Path

import torch
from torch import Tensor, nn

from blendgan_core.contents import State
from blendgan_core.errors import CheckpointError
from blendgan_core.layers import average_pool

from .weight_files import fill_, read_weights

SIZE = 256  # pixels at which pSp compares
CHANNELS = (64, 192, 384, 256, 256)  # of AlexNet's five convolutions
TAPS = (1, 4, 7, 9, 11)  # the layers that LPIPS looks at, their ReLUs, in torchvision's numbering
EPS = 1e-10
LINEAR_WEIGHTS = "LPIPS's linear weights for AlexNet, alex.pth of the lpips package's v0.1"
ALEXNET = "torchvision's alexnet weights, alexnet-owt-7be5be79.pth"
DOWNLOAD = "torchvision"  # said instead of a path


def build_alexnet() -> nn.Sequential:
    """AlexNet's convolutions up to the last ReLU; the indices, so the keys, are torchvision's."""
    first, second, third, fourth, fifth = CHANNELS
    return nn.Sequential(
        nn.Conv2d(3, first, 11, stride=4, padding=2),
        nn.ReLU(),
        nn.MaxPool2d(3, stride=2),
        nn.Conv2d(first, second, 5, padding=2),
        nn.ReLU(),
        nn.MaxPool2d(3, stride=2),
        nn.Conv2d(second, third, 3, padding=1),
        nn.ReLU(),
        nn.Conv2d(third, fourth, 3, padding=1),
        nn.ReLU(),
        nn.Conv2d(fourth, fifth, 3, padding=1),
        nn.ReLU(),
    )


class LPIPS(nn.Module):
    """Weighted squared distance of AlexNet's features, each pixel's brought to length 1.

    Frozen; fresh weights are noise until `load_lpips` fills them.
    """

    def __init__(self):
        super().__init__()
        self.features = build_alexnet()
        self.linear = nn.ParameterList(torch.rand(channels) for channels in CHANNELS)
        shift, scale = torch.tensor([[-0.030, -0.088, -0.188], [0.458, 0.448, 0.450]])
        self.register_buffer("shift", shift.view(3, 1, 1), persistent=False)
        self.register_buffer("scale", scale.view(3, 1, 1), persistent=False)
        self.eval().requires_grad_(False)

    def directions(self, images: Tensor) -> list[Tensor]:
        """images: [N, 3, H, W] in [-1, 1] -> five maps [N, C, h, w] of vectors of length 1."""
        maps = []
        x = (images - self.shift) / self.scale
        for index, layer in enumerate(self.features):
            x = layer(x)
            if index in TAPS:
                length = torch.linalg.vector_norm(x, dim=1, keepdim=True)
                maps.append(x / (length + EPS))
        return maps

    def forward(self, images: Tensor, target: Tensor) -> Tensor:
        """images, target: [N, 3, R, R] in [-1, 1], compared at 256 px -> scalar, mean over N."""
        pairs = zip(
            self.directions(average_pool(images, SIZE)),
            self.directions(average_pool(target, SIZE)),
            strict=True,
        )
        distances = [
            torch.einsum("nchw,c->nhw", (a - b).square(), weight).mean()
            for (a, b), weight in zip(pairs, self.linear, strict=True)
        ]
        return torch.stack(distances).sum()


def load_lpips(linear: Path, alexnet: str) -> LPIPS:
    """LPIPS from the files of --lpips and --alexnet; the word torchvision downloads the latter.

    Raises CheckpointError, which names the flag, if one holds something else.
    """
    lpips = LPIPS()
    state = read_weights("--lpips", linear)
    rules = ((r"(\d+)", "lin{}.model.1.weight", 0),)
    fill_(lpips.linear, state, rules, "--lpips", linear, LINEAR_WEIGHTS)
    if alexnet == DOWNLOAD:
        state = _download_alexnet()
    else:
        state = read_weights("--alexnet", Path(alexnet))
    rules = ((r"(.+)", "features.{}", 0),)
    fill_(lpips.features, state, rules, "--alexnet", alexnet, ALEXNET)
    return lpips


def _download_alexnet() -> State:
    from torchvision.models import AlexNet_Weights, alexnet

    try:
        return alexnet(weights=AlexNet_Weights.IMAGENET1K_V1).state_dict()
    except OSError as error:  # such as no network
        raise CheckpointError(
            f"--alexnet torchvision: the download failed ({error}); fetch {ALEXNET}, in another "
            "way, and give its path"
        ) from error
