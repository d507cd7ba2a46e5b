"""The losses of the trainings: pure functions, tensors in, scalar out."""

import torch
from torch import Tensor
from torch.nn import functional as F


def d_logistic_loss(real_logits: Tensor, fake_logits: Tensor) -> Tensor:
    """Non-saturating logistic loss of a discriminator (eq. 6-8 with eq. 10). [N, 1] each ->
    scalar."""
    return F.softplus(-real_logits).mean() + F.softplus(fake_logits).mean()


def g_logistic_loss(fake_logits: Tensor) -> Tensor:
    """Non-saturating logistic loss of the generator. [N, 1] -> scalar."""
    return F.softplus(-fake_logits).mean()


def r1_penalty(real: Tensor, logits: Tensor) -> Tensor:
    """R1 (Mescheder et al. 2018) without its gamma/2: mean over N of |dD/dx|^2.

    real: [N, 3, H, W], requires grad; logits: [N, 1] -> scalar.
    """
    (grad,) = torch.autograd.grad(logits.sum(), real, create_graph=True)
    return grad.square().sum(dim=[1, 2, 3]).mean()


def path_lengths(images: Tensor, w: Tensor) -> Tensor:
    """How far a picture moves with its latent (StyleGAN2, section 3.2).

    images: [N, 3, H, W], computed from w: [N, L, W], requires grad -> lengths [N].
    """
    noise = torch.randn_like(images) / (images.shape[2] * images.shape[3]) ** 0.5
    (grad,) = torch.autograd.grad((images * noise).sum(), w, create_graph=True)
    return (grad.square().sum(dim=2).mean(dim=1) + 1e-12).sqrt()  # a root has no slope at 0


def nt_xent_loss(first: Tensor, second: Tensor, temperature: float = 0.1) -> Tensor:
    """NT-Xent over the two views of N pictures (BlendGAN, eq. 2; SimCLR).

    first, second: [N, D], row n of both from picture n -> scalar, the mean over all 2N views.
    """
    views = F.normalize(torch.cat([first, second]).float(), dim=1)  # [2N, D]
    similarity = views @ views.t() / temperature
    similarity.fill_diagonal_(-torch.inf)  # a view is no negative of itself
    n = len(first)
    partner = torch.arange(2 * n, device=views.device).roll(n)
    return F.cross_entropy(similarity, partner)
