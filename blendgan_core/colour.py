"""The palette of one picture given to another."""

import torch
from torch import Tensor

from .errors import BlendGANError

FLOOR = 1e-4  # variance added to every channel, so that a picture of one colour has an inverse


def match_colours(
    images: Tensor, reference: Tensor, strength: float = 1.0, mask: Tensor | None = None
) -> Tensor:
    """Give images the mean and covariance that the colours of a reference have.

    images: [N, 3, H, W]; reference: [N or 1, 3, H', W'], both about [-1, 1]; strength: 0 (as they
    are) .. 1 (the reference's palette); mask: [N or 1, 1, H, W] in 0..1, which pixels of the images
    count (and, if the reference has their size, of the reference), all if None. -> [N, 3, H, W],
    not clamped, with the images' type.

    The map is linear in RGB, the optimal transport between two Gaussians (Pitie and Kokaram 2007,
    "The linear Monge-Kantorovitch linear colour mapping"): T = A^-1/2 (A^1/2 B A^1/2)^1/2 A^-1/2.
    """
    if not 0 <= strength <= 1:
        raise BlendGANError(f"the strength of the colours is {strength}, expected 0..1")
    same_size = mask is not None and mask.shape[2:] == reference.shape[2:]
    mean, covariance = _statistics(images, mask)
    wanted_mean, wanted = _statistics(reference, mask if same_size else None)
    root = _power(covariance, 0.5)
    inverse = _power(covariance, -0.5)
    transport = inverse @ _power(root @ wanted @ root, 0.5) @ inverse  # [N, 3, 3]
    identity = torch.eye(3, dtype=transport.dtype, device=transport.device)
    transport = torch.lerp(identity.expand_as(transport), transport, strength)
    centre = torch.lerp(mean, wanted_mean.expand_as(mean), strength)
    pixels = images.double().flatten(2)  # [N, 3, H * W]
    moved = transport @ (pixels - mean) + centre
    return moved.view_as(images).to(images.dtype)


def _statistics(images: Tensor, mask: Tensor | None) -> tuple[Tensor, Tensor]:
    """[N, 3, H, W] -> mean [N, 3, 1] and covariance [N, 3, 3] in fp64, of the masked pixels."""
    pixels = images.double().flatten(2)
    weight = torch.ones_like(pixels[:, :1])
    if mask is not None and mask.any():
        weight = mask.to(pixels).flatten(2).expand(len(pixels), -1, -1)
    weight = weight / weight.sum(dim=2, keepdim=True).clamp_min(1e-12)
    mean = (pixels * weight).sum(dim=2, keepdim=True)
    centred = pixels - mean
    covariance = (centred * weight) @ centred.mT
    return mean, covariance + FLOOR * torch.eye(3, dtype=pixels.dtype, device=pixels.device)


def _power(matrices: Tensor, exponent: float) -> Tensor:
    """[N, 3, 3], symmetric and positive -> their power."""
    values, vectors = torch.linalg.eigh(matrices)
    return (vectors * values.clamp_min(1e-12).pow(exponent)[:, None]) @ vectors.mT
