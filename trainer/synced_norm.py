"""Batch normalisation over the pictures of all processes, on any device.

PyTorch's own SyncBatchNorm needs a GPU, and each process's statistics alone would make two
processes with half a batch each another training than one with all of it.
"""

import torch
from torch import Tensor, nn

from . import processes


class _Mean(torch.autograd.Function):
    """The mean over the processes; so is its gradient, as each has a loss of its own share."""

    @staticmethod
    def forward(_context, value: Tensor) -> Tensor:
        return processes.mean(value)

    @staticmethod
    def backward(_context, gradient: Tensor) -> Tensor:
        return processes.mean(gradient)


class SyncedBatchNorm2d(nn.BatchNorm2d):
    """BatchNorm2d whose statistics in a training are those of every process's pictures."""

    def forward(self, x: Tensor) -> Tensor:
        """[N, C, H, W] -> the same. Computed in fp32, as PyTorch's own."""
        if not self.training:
            return super().forward(x)
        dtype, x = x.dtype, x.float()
        mean = _Mean.apply(x.mean(dim=(0, 2, 3), keepdim=True))
        centred = x - mean
        variance = _Mean.apply(centred.square().mean(dim=(0, 2, 3), keepdim=True))
        with torch.no_grad():
            values = processes.count() * x.numel() // x.shape[1]
            self.running_mean.lerp_(mean.flatten(), self.momentum)
            unbiased = variance.flatten() * (values / max(1, values - 1))
            self.running_var.lerp_(unbiased, self.momentum)
            self.num_batches_tracked += 1
        scale = self.weight[:, None, None] * torch.rsqrt(variance + self.eps)
        return (centred * scale + self.bias[:, None, None]).to(dtype)


def sync_norms_(network: nn.Module) -> None:
    """Let the batch normalisations of a network see all processes, where there are several."""
    if processes.count() > 1:
        for module in network.modules():
            if type(module) is nn.BatchNorm2d:
                module.__class__ = SyncedBatchNorm2d
