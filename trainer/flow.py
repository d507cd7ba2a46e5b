"""Flow matching (Lipman et al. 2023; Liu et al. 2023): noise that moves along straight lines to
data teaches a network the mean velocity at each place and time; who follows it turns noise into
data of the same distribution, in curves that never cross."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

FREQUENCIES = 8  # of the time's sines and cosines
STEPS = 16  # of the integration


class Velocity(nn.Module):
    """Where to, from x at the time t: what is right for Gaussian data of variance 1, and what a
    linear layer, two residual ones and a linear one learn to add to it."""

    def __init__(self, size: int, hidden: int):
        super().__init__()
        self.input = nn.Linear(size + 2 * FREQUENCIES, hidden)
        self.blocks = nn.ModuleList(nn.Linear(hidden, hidden) for _ in range(2))
        self.output = nn.Linear(hidden, size)
        nn.init.zeros_(self.output.weight)
        nn.init.zeros_(self.output.bias)
        octaves = torch.arange(1, FREQUENCIES + 1) * (torch.pi / 2)
        self.register_buffer("octaves", octaves, persistent=False)

    def forward(self, x: Tensor, t: Tensor) -> Tensor:
        """x: [N, D]; t: [N, 1] in 0..1 -> [N, D]."""
        waves = t * self.octaves
        hidden = F.silu(self.input(torch.cat([x, waves.sin(), waves.cos()], dim=1)))
        for block in self.blocks:
            hidden = hidden + F.silu(block(hidden))
        gaussian = (2 * t - 1) / (t.square() + (1 - t).square())
        return gaussian * x + self.output(hidden)


def flow_loss(velocity: Velocity, noise: Tensor, data: Tensor, t: Tensor) -> Tensor:
    """Squared error of the velocity at a random place of each line. noise, data: [N, D]; t: [N, 1]
    in 0..1 -> scalar."""
    return F.mse_loss(velocity(torch.lerp(noise, data, t), t), data - noise)


@torch.no_grad()
def follow(velocity: Velocity, noise: Tensor) -> Tensor:
    """From noise at the time 0 to data at 1, by the midpoint rule. [N, D] -> [N, D]."""
    x, step = noise, 1 / STEPS
    for number in range(STEPS):
        t = x.new_full((len(x), 1), number * step)
        halfway = x + step / 2 * velocity(x, t)
        x = x + step * velocity(halfway, t + step / 2)
    return x
