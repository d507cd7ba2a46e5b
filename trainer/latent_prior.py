"""Teach a face mapping to draw latents like given ones: the last step of `trainer.pretrain`."""

import torch
from torch import Tensor

from blendgan_core.generator import MappingNetwork

from .draws import FIXED_SEED

STEPS, BATCH, DIRECTIONS = 800, 512, 128
LR = 0.6  # the mapping's layers learn at a hundredth of it
RIDGE = 0.01  # of the mean variance: directions far below it hold noise


def fit_face_mapping_(mapping: MappingNetwork, latents: Tensor) -> float:
    """Bring the distribution of mapping(z), z ~ N(0, I), to that of `latents` [M, W].

    By the sliced Wasserstein distance (Bonneel et al. 2015) of the whitened latents: along random
    directions the sorted values are compared. Seeded. -> the last distance.
    """
    seeded = torch.Generator().manual_seed(FIXED_SEED)
    mean = latents.mean(dim=0)
    variances, axes = torch.linalg.eigh((latents - mean).t().cov())
    scale = (variances.clamp_min(0) + RIDGE * variances.mean()).sqrt()
    wanted = (latents - mean) @ axes / scale  # [M, W], white
    z_dim = mapping.layers[0].weight.shape[1]
    optimizer = torch.optim.Adam(mapping.parameters(), lr=LR, betas=(0.9, 0.99))
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, STEPS)
    mapping.requires_grad_(True)
    for _ in range(STEPS):
        z = torch.randn(BATCH, z_dim, generator=seeded)
        some = wanted[torch.randint(len(wanted), (BATCH,), generator=seeded)]
        directions = torch.randn(wanted.shape[1], DIRECTIONS, generator=seeded)
        directions = directions / directions.norm(dim=0)
        ours = ((mapping(z) - mean) @ axes / scale) @ directions  # [BATCH, DIRECTIONS]
        theirs = some @ directions
        distance = (ours.sort(dim=0).values - theirs.sort(dim=0).values).square().mean()
        optimizer.zero_grad(set_to_none=True)
        distance.backward()
        optimizer.step()
        schedule.step()
    mapping.requires_grad_(False)
    return distance.item()
