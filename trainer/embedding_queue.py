"""The queue of style codes from which D_style_latent's negatives are drawn (paper, section 3.3)."""

import torch
from torch import Tensor, nn

from .draws import Draws


class EmbeddingQueue(nn.Module):
    """The last `size` style codes, first in first out, each with the number of its picture."""

    def __init__(self, size: int, z_dim: int):
        super().__init__()
        self.register_buffer("codes", torch.zeros(size, z_dim))
        self.register_buffer("pictures", torch.full((size,), -1, dtype=torch.long))
        self.register_buffer("pushed", torch.zeros((), dtype=torch.long))

    def __len__(self) -> int:
        return min(int(self.pushed), len(self.codes))

    def push_(self, z_style: Tensor, pictures: Tensor) -> None:
        """z_style: [N, S]; pictures: [N], the numbers of the pictures they come from."""
        pictures = pictures.to(self.pictures.device)
        slots = (self.pushed + torch.arange(len(z_style), device=pictures.device)) % len(self.codes)
        self.codes[slots] = z_style.detach().to(self.codes)
        self.pictures[slots] = pictures
        self.pushed += len(z_style)

    def draw(self, pictures: Tensor, draws: Draws) -> Tensor:
        """A code of another picture for each of `pictures` [N] -> [N, S].

        Where the queue holds none (a set of one picture), a normal vector of the codes' RMS serves:
        a negative that equals the positive would teach the opposite.
        """
        filled = len(self)
        other = self.pictures[:filled] != pictures.to(self.pictures.device)[:, None]  # [N, filled]
        others = other.sum(dim=1)
        wanted = (draws.uniform() * others).long() + 1  # the first of the others is number 1
        place = (other.cumsum(dim=1) >= wanted[:, None]).int().argmax(dim=1)
        drawn = self.codes[place]
        rms = self.codes[:filled].square().mean().sqrt()
        instead = draws.normal(self.codes.shape[1]) * rms
        return torch.where((others > 0)[:, None], drawn, instead)
