"""Picture sets: pictures at the training's resolution, drawn evenly by style and decoded ahead of
the step that needs them."""

import hashlib
import os
import warnings
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import torch
from torch import Tensor
from torch.nn import functional as F

from blendgan_core.errors import BlendGANError, ImageError
from blendgan_core.images import center_square

from .draws import Draws
from .picture_sources import open_source

CACHE_BYTES = 2 << 30  # decoded pictures kept in memory
DECODERS = min(8, os.cpu_count() or 1)  # threads; Pillow decodes without Python's lock


class ImageSet:
    """All pictures of some sources; each folder that holds pictures is one style.

    Pictures are decoded when first drawn, cropped to their centre square, averaged to the
    resolution and kept as uint8 while the cache has room. An unreadable one is named once and
    another of its style stands in for it.
    """

    def __init__(self, sources: Path | Iterable[Path], resolution: int, at_least: int = 1):
        """sources: folders, searched to any depth, single pictures, zips, WebDataset shards.

        A picture that is there twice is drawn twice as often, no more. Raises BlendGANError for a
        source that is missing or empty, and for fewer than `at_least` pictures in all.
        """
        sources = [sources] if isinstance(sources, Path) else list(sources)
        self.resolution = resolution
        self._sources = [open_source(source) for source in sources]
        self._places = [(s, i) for s in self._sources for i in range(len(s.names))]
        if not self._places:
            raise BlendGANError("no folder of pictures was given; name one or more")
        if len(self) < at_least:
            raise BlendGANError(
                f"{', '.join(map(str, sources))}: expected {at_least} pictures or more, "
                f"found {len(self)}; add some, or take a smaller --batch"
            )
        self.paths = [source.label / source.names[i] for source, i in self._places]
        folders = [str(path.parent) for path in self.paths]
        self.styles = sorted(set(folders))
        number = {style: place for place, style in enumerate(self.styles)}
        self.style_of = [number[folder] for folder in folders]
        members: list[list[int]] = [[] for _ in self.styles]
        for index, style in enumerate(self.style_of):
            members[style].append(index)
        self.members = [torch.tensor(indices) for indices in members]
        self._cache: dict[int, Tensor] = {}
        self._unreadable: set[int] = set()
        self._coming: dict[int, Future[Tensor | ImageError]] = {}
        self._decoders = ThreadPoolExecutor(DECODERS, "decoder")

    def __len__(self) -> int:
        return len(self._places)

    def __getitem__(self, index: int) -> Tensor:
        """Picture `index`, or the next readable one of its style -> [3, R, R] uint8."""
        for candidate in self._candidates(index):
            if candidate in self._cache:
                return self._cache[candidate]
            if candidate in self._unreadable:
                continue
            coming = self._coming.pop(candidate, None)
            result = coming.result() if coming else self._decode(candidate)
            if isinstance(result, Tensor):
                if (len(self._cache) + 1) * result.numel() <= CACHE_BYTES:
                    self._cache[candidate] = result
                return result
            self._unreadable.add(candidate)
            warnings.warn(f"left out: {result}", stacklevel=2)
        style = self.style_of[index]
        raise BlendGANError(
            f"{self.styles[style]}: none of the {len(self.members[style])} pictures can be read; "
            "remove the folder, or replace them"
        )

    def batch(self, indices: Tensor) -> Tensor:
        """indices: [N] -> float [N, 3, R, R] in [-1, 1]."""
        self.prefetch(indices)
        pictures = {index: self[index] for index in indices.unique().tolist()}
        images = torch.stack([pictures[index].permute(1, 2, 0) for index in indices.tolist()])
        return images.permute(0, 3, 1, 2).float().div_(127.5).sub_(1)  # stays channels_last

    def prefetch(self, indices: Tensor) -> None:
        """Start decoding pictures [N] in the background; a later batch() takes them over."""
        for index in indices.unique().tolist():
            known = index in self._cache or index in self._unreadable
            if not known and index not in self._coming:
                self._coming[index] = self._decoders.submit(self._decode, index)

    def draw(self, count: int, generator: torch.Generator | None = None) -> Tensor:
        """Indices [count] of pictures drawn evenly over the styles, by a CPU generator, torch's
        own seeded one if none is given."""
        styles = torch.randint(len(self.members), (count,), generator=generator)
        places = torch.rand(count, generator=generator)
        chosen = [self.members[s] for s in styles.tolist()]
        return torch.stack([m[int(p * len(m))] for m, p in zip(chosen, places, strict=True)])

    def _candidates(self, index: int) -> Iterator[int]:
        """The picture itself, then the others of its style, in a circle."""
        yield index
        members = self.members[self.style_of[index]].tolist()
        place = members.index(index)
        yield from members[place + 1 :]
        yield from members[:place]

    def _decode(self, index: int) -> Tensor | ImageError:
        source, number = self._places[index]
        try:
            image, _ = center_square(source.read(number))
        except ImageError as error:
            return error
        if image.shape[-1] != self.resolution:
            image = F.adaptive_avg_pool2d(image[None], self.resolution)[0]
        levels = ((image + 1) * 127.5).round().clamp(0, 255).to(torch.uint8)
        return levels.permute(1, 2, 0).contiguous().permute(2, 0, 1)  # channels last in memory


class Feed:
    """The batches of a training by step, the next one decoded while this one is learnt from.

    What a step sees is a function of (name, seed, step) alone, so a resumed run sees the same; the
    processes of a distributed run draw the same indices, and each decodes those of its samples.
    """

    def __init__(self, images: ImageSet, name: str, batch: int, seed: int, samples: Sequence[int]):
        """name: sets the draws of one training apart; batch: pictures a step, of all processes;
        samples: the numbers, within the batch, of those that are wanted here."""
        self.images = images
        self.batch = batch
        self._key = f"{name} {seed}"
        self._samples = torch.tensor(samples)

    def indices(self, step: int) -> Tensor:
        """The pictures [N] of a step that are wanted here."""
        digest = hashlib.sha256(f"{self._key} {step}".encode()).digest()
        generator = torch.Generator().manual_seed(int.from_bytes(digest[:8], "little") >> 1)
        return self.images.draw(self.batch, generator)[self._samples]

    def __call__(self, step: int) -> tuple[Tensor, Tensor]:
        """Step number -> float [N, 3, R, R] in [-1, 1], indices [N]."""
        indices = self.indices(step)
        batch = self.images.batch(indices)
        self.images.prefetch(self.indices(step + 1))
        return batch, indices


def random_flip(images: Tensor, draws: Draws) -> Tensor:
    """Mirror each picture with a probability of one half. [N, 3, H, W] -> the same."""
    flipped = draws.uniform() < 0.5
    return torch.where(flipped[:, None, None, None], images.flip(3), images)
