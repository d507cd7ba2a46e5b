"""The random numbers of one training step, drawn for each sample of the batch on its own."""

import hashlib
import math
from collections.abc import Callable, Sequence

import torch
from torch import Tensor

# of the codes in grids and measurements: the built-in model's mapping network begins with the
# numbers of seed 0, and codes equal to weights make no usual faces
FIXED_SEED = 0x5EED0FACE


class Draws:
    """What chance gives to the samples of one step.

    Sample number n of the whole batch gets a function of (seed, step, n) and of the draws before,
    whichever process computes it and with whichever others: that makes two processes with half a
    batch each equal one with all of it. Numbers come from the CPU, so that they are the same on
    every device; noise maps, of which there are millions, from the device of the training.
    """

    def __init__(self, seed: int, step: int, samples: Sequence[int], device: torch.device | str):
        """samples: the numbers, within the step's whole batch, of those that are drawn for."""
        self.samples = list(samples)
        self.device = torch.device(device)
        seeds = [_seed(seed, step, sample) for sample in self.samples]
        self._numbers = [_generator("cpu", each) for each in seeds]
        own = self.device.type == "cuda"
        self._maps = [_generator(self.device, each) for each in seeds] if own else self._numbers

    def __len__(self) -> int:
        return len(self.samples)

    def split(self, parts: int) -> list["Draws"]:
        """Equal parts, one sample after the other."""
        size = len(self) // parts
        return [self.part(slice(start, start + size)) for start in range(0, len(self), size)]

    def part(self, places: slice) -> "Draws":
        """The draws of some of these samples, which go on where these are."""
        part = object.__new__(Draws)
        part.samples, part.device = self.samples[places], self.device
        part._numbers, part._maps = self._numbers[places], self._maps[places]
        return part

    def normal(self, *shape: int) -> Tensor:
        """Normal numbers [N, *shape] on the training's device."""
        return self._each(lambda generator: torch.randn(shape, generator=generator))

    def uniform(self, *shape: int) -> Tensor:
        """Numbers in 0..1, 1 left out, [N, *shape] on the training's device."""
        return self._each(lambda generator: torch.rand(shape, generator=generator))

    def noise(self, shapes: Sequence[Sequence[int]]) -> list[Tensor]:
        """Normal numbers for maps of the shapes [1, C, H, W] -> [N, C, H, W] each."""
        sizes = [math.prod(shape) for shape in shapes]
        flat = [
            torch.randn(sum(sizes), generator=generator, device=generator.device)
            for generator in self._maps
        ]
        flat = torch.stack(flat).to(self.device)
        return [
            maps.view(len(self), *shape[1:])
            for maps, shape in zip(flat.split(sizes, dim=1), shapes, strict=True)
        ]

    def _each(self, draw: Callable[[torch.Generator], Tensor]) -> Tensor:
        return torch.stack([draw(generator) for generator in self._numbers]).to(self.device)


def _generator(device: torch.device | str, seed: int) -> torch.Generator:
    return torch.Generator(device).manual_seed(seed)


def _seed(seed: int, step: int, sample: int) -> int:
    digest = hashlib.sha256(f"{seed} {step} {sample}".encode()).digest()
    return int.from_bytes(digest[:8], "little") >> 1
