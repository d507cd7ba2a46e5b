"""Picture sets: folders of pictures, loaded at the training's resolution and drawn evenly by
style."""

import warnings
from collections.abc import Iterable
from pathlib import Path

import torch
from torch import Tensor
from torch.nn import functional as F

from blendgan_core.errors import BlendGANError, ImageError
from blendgan_core.images import READABLE, center_square, read_image

CACHE_BYTES = 2 << 30  # decoded pictures kept in memory


class ImageSet:
    """All pictures below some folders; each folder that holds pictures is one style.

    Pictures are decoded when first drawn, cropped to their centre square, averaged to the
    resolution and kept as uint8 while the cache has room. An unreadable one is named once and left
    out.
    """

    def __init__(self, sources: Path | Iterable[Path], resolution: int):
        """sources: folders, searched to any depth, and single pictures."""
        sources = [sources] if isinstance(sources, Path) else list(sources)
        self.resolution = resolution
        self.paths = [path for source in sources for path in find_pictures(source)]
        if not self.paths:
            raise BlendGANError("no folder of pictures was given; name one or more")
        folders = [str(path.parent) for path in self.paths]
        self.styles = sorted(set(folders))
        self.style_of = [self.styles.index(folder) for folder in folders]
        self.members = [
            torch.tensor([i for i, s in enumerate(self.style_of) if s == style])
            for style in range(len(self.styles))
        ]
        self._cache: dict[int, Tensor] = {}
        self._replaced: dict[int, int] = {}  # unreadable picture -> the one that stands in for it

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, index: int) -> Tensor:
        """Picture `index` -> [3, R, R] uint8."""
        while index in self._replaced:
            index = self._replaced[index]
        if index in self._cache:
            return self._cache[index]
        try:
            image, _ = center_square(read_image(self.paths[index]))
        except ImageError as error:
            return self._replace(index, error)
        image = F.adaptive_avg_pool2d(image[None], self.resolution)[0]
        image = ((image + 1) * 127.5).round().clamp(0, 255).to(torch.uint8)
        if len(self._cache) * image.numel() < CACHE_BYTES:
            self._cache[index] = image
        return image

    def _replace(self, index: int, error: ImageError) -> Tensor:
        warnings.warn(f"left out: {error}", stacklevel=2)
        if len(self._replaced) + 1 == len(self):
            raise BlendGANError(f"none of the {len(self)} pictures can be read; the last: {error}")
        self._replaced[index] = (index + 1) % len(self)
        return self[index]

    def batch(self, indices: Tensor) -> Tensor:
        """indices: [N] -> float [N, 3, R, R] in [-1, 1]."""
        images = torch.stack([self[int(i)] for i in indices])
        return images.float().div_(127.5).sub_(1).contiguous(memory_format=torch.channels_last)

    def draw(self, count: int) -> Tensor:
        """Indices [count] of pictures drawn evenly over the styles, by torch's seeded CPU
        generator."""
        styles = torch.randint(len(self.members), (count,))
        places = torch.rand(count)
        chosen = [self.members[s] for s in styles.tolist()]
        return torch.stack([m[int(p * len(m))] for m, p in zip(chosen, places, strict=True)])


def find_pictures(source: Path) -> list[Path]:
    """A picture itself, or all below a folder in a fixed order; BlendGANError if there is none."""
    if source.is_file():
        return [source]
    if not source.is_dir():
        raise BlendGANError(f"{source} does not exist; expected a folder of pictures, or a picture")
    found = sorted(path for path in source.rglob("*") if path.suffix.lower() in READABLE)
    if not found:
        raise BlendGANError(
            f"{source} holds no pictures; expected files ending in {', '.join(READABLE)}"
        )
    return found


def random_flip(images: Tensor) -> Tensor:
    """Mirror each picture with a probability of one half. [N, 3, H, W] -> the same."""
    flipped = torch.rand(len(images)) < 0.5
    return torch.where(flipped.to(images.device)[:, None, None, None], images.flip(3), images)
