"""What a bad camera makes of a picture: colour, contrast, blur, noise and JPEG, at random.

Pictures are [N, 3, H, W], about 0..1 if not said otherwise; every sample draws its own numbers.
"""

import math

import torch
from torch import Tensor
from torch.nn import functional as F

BLOCK = 8  # of JPEG
STRENGTH = 0.7  # of a training's colours and light


def as_photographed(faces: Tensor, share: float) -> tuple[Tensor, Tensor]:
    """What the encoder sees of faces and what they should become: the first `share` of them in the
    colours and the light of a bad camera, which both have, with its blur, noise and blocks, which
    the encoder alone sees. faces: [N, 3, R, R] in [-1, 1] -> the same, twice."""
    count = round(share * len(faces))
    if not count:
        return faces, faces
    # the same in every process, as torch's own numbers are, and after a resume
    numbers = torch.Generator().manual_seed(int(torch.randint(2**31, ())))
    recoloured = recolour((faces[:count].cpu() + 1) / 2, numbers, STRENGTH).clamp(0, 1)
    taken = degrade(recoloured, numbers).clamp(0, 1)
    first = (part.to(faces) * 2 - 1 for part in (taken, recoloured))
    return tuple(torch.cat([part, faces[count:]]) for part in first)


def recolour(images: Tensor, generator: torch.Generator, strength: float) -> Tensor:
    """Other saturation, tint, gamma, contrast and exposure; some become grey."""
    count = len(images)

    def normal(deviation: float, channels: int = 1) -> Tensor:
        numbers = torch.randn(count, channels, 1, 1, generator=generator)
        return (strength * deviation * numbers).exp()

    saturation = torch.rand(count, 1, 1, 1, generator=generator) * 1.3 + 0.3
    is_grey = torch.rand(count, 1, 1, 1, generator=generator) < 0.2 * strength
    weights = torch.tensor([0.299, 0.587, 0.114])[:, None, None]
    grey = (images * weights).sum(dim=1, keepdim=True)
    images = torch.lerp(grey, images, torch.where(is_grey, 0.0, saturation))
    images = (images * normal(0.18, 3)).clamp(1e-3, 1.2) ** normal(0.3)
    mean = images.mean(dim=(1, 2, 3), keepdim=True)
    return (images - mean) * normal(0.3) + mean * normal(0.25)


def degrade(images: Tensor, generator: torch.Generator) -> Tensor:
    """Blur, coarsen or sharpen half of them; add noise to half, and JPEG's blocks to a third."""
    count = len(images)
    kind = torch.rand(count, 1, 1, 1, generator=generator)
    near = F.avg_pool2d(F.pad(images, (1, 1, 1, 1), mode="replicate"), 3, 1)
    coarse = F.interpolate(F.avg_pool2d(images, 2), scale_factor=2.0, mode="bilinear")
    sharp = images + 1.5 * (images - near)
    for start, end, changed in ((0, 0.25, near), (0.25, 0.4, coarse), (0.4, 0.5, sharp)):
        images = torch.where((kind >= start) & (kind < end), changed, images)
    amount = 0.06 * torch.rand(count, 1, 1, 1, generator=generator)
    amount = amount * (torch.rand(count, 1, 1, 1, generator=generator) < 0.5)
    noise = torch.randn(images.shape, generator=generator)
    is_grey = torch.rand(count, 1, 1, 1, generator=generator) < 0.5
    images = images + amount * torch.where(is_grey, noise[:, :1], noise)
    chosen = torch.rand(count, generator=generator) < 0.3
    coarseness = torch.rand(count, generator=generator) * 0.22 + 0.03
    images[chosen] = jpeg(images[chosen], coarseness[chosen])
    return images


def jpeg(images: Tensor, coarseness: Tensor) -> Tensor:
    """Round the cosines of blocks of 8 x 8, fine ones more coarsely, as JPEG does.

    coarseness: [N], the step of the finest at about four times this.
    """
    blocks = images.unfold(2, BLOCK, BLOCK).unfold(3, BLOCK, BLOCK)  # [N, 3, h, w, 8, 8]
    row = torch.arange(BLOCK)
    cosines = ((2 * row + 1) * row[:, None] * (math.pi / 16)).cos() / 2  # [8, 8]
    cosines[0] /= math.sqrt(2)
    step = coarseness[:, None, None, None, None, None] * (row[:, None] + row + 1) / 4
    rounded = (cosines @ blocks @ cosines.T / step).round() * step
    blocks = cosines.T @ rounded @ cosines
    return blocks.permute(0, 1, 2, 4, 3, 5).reshape(images.shape)


def smooth_field(
    count: int, channels: int, side: int, cells: int, generator: torch.Generator
) -> Tensor:
    """Normal numbers on a coarse grid, interpolated: [N, C, side, side]."""
    knots = torch.randn(count, channels, cells, cells, generator=generator)
    return F.interpolate(knots, (side, side), mode="bicubic", align_corners=True)
