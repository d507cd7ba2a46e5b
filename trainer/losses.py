"""The losses of the trainings: pure functions, tensors in, scalar out."""

import torch
from torch import Tensor
from torch.nn import functional as F

from .draws import Draws


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


def path_lengths(images: Tensor, w: Tensor, draws: Draws) -> Tensor:
    """How far a picture moves with its latent (StyleGAN2, section 3.2).

    images: [N, 3, H, W], computed from w: [N, L, W], requires grad -> lengths [N].
    """
    (noise,) = draws.noise([images[:1].shape])
    noise = noise / (images.shape[2] * images.shape[3]) ** 0.5
    (grad,) = torch.autograd.grad((images * noise).sum(), w, create_graph=True)
    return (grad.square().sum(dim=2).mean(dim=1) + 1e-12).sqrt()  # a root has no slope at 0


def nt_xent_loss(
    first: Tensor, second: Tensor, pictures: Tensor, temperature: float = 0.1
) -> Tensor:
    """NT-Xent over the two views of N pictures (BlendGAN, eq. 2; SimCLR).

    first, second: [N, D], row n of both from picture number pictures[n]; a picture that was drawn
    twice is no negative of itself -> scalar, the mean over all 2N views.
    """
    n = len(first)
    views = F.normalize(torch.cat([first, second]).float(), dim=1)  # [2N, D]
    similarity = views @ views.t() / temperature
    partner = torch.arange(2 * n, device=views.device).roll(n)
    twice = pictures.to(views.device).repeat(2)
    same = twice[:, None] == twice  # [2N, 2N], a view and itself included
    same[torch.arange(2 * n, device=views.device), partner] = False
    return F.cross_entropy(similarity.masked_fill(same, -torch.inf), partner)


def supervised_contrastive_loss(vectors: Tensor, groups: Tensor, temperature: float) -> Tensor:
    """Each vector is to be near those of its group, and far from the others (Khosla et al. 2020,
    L_out).

    vectors: [N, D]; groups: [N] numbers, each there twice or more -> scalar.
    """
    vectors = F.normalize(vectors.float(), dim=1)
    similarity = vectors @ vectors.t() / temperature
    itself = torch.eye(len(vectors), dtype=torch.bool, device=vectors.device)
    log_shares = similarity.masked_fill(itself, -torch.inf).log_softmax(dim=1)
    others = (groups[:, None] == groups) & ~itself
    return -(log_shares.masked_fill(~others, 0).sum(dim=1) / others.sum(dim=1)).mean()
