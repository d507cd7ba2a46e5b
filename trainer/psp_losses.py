"""The losses of pSp (Richardson et al. 2021): how well a face was rebuilt from its latents."""

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from blendgan_core.blendgan import BlendGAN
from blendgan_core.layers import average_pool
from blendgan_core.psp_encoder import PSPEncoder
from blendgan_core.style_encoder import StyleEncoder, feature_distance

from .draws import Draws
from .identity import FaceRecognition, identity_loss
from .likeness_network import Likeness, likeness_loss, same_part
from .perceptual import LPIPS

COMPARED_SIZE = 256  # pixels, at most, at which a face and its reconstruction are compared (pSp)


@dataclass(frozen=True, kw_only=True)
class Criteria:
    """What a reconstruction is judged by: weights of losses, beside 1 for the squared error, and
    the frozen networks that were given."""

    perceptual_weight: float
    identity_weight: float
    regularization_weight: float
    lpips: LPIPS | None = None
    recognition: FaceRecognition | None = None
    likeness_weight: float = 0.0
    likeness: Likeness | None = None

    def networks(self) -> dict[str, nn.Module]:
        """Those that were given, by name."""
        named = {
            "LPIPS's AlexNet": self.lpips,
            "face recognition": self.recognition,
            "likeness network": self.likeness,
        }
        return {name: network for name, network in named.items() if network}

    def in_words(self) -> str:
        """The losses, for the provenance."""
        perceptual = "LPIPS" if self.lpips else "VGG features"
        names = ["L2", perceptual]
        names += ["identity"] if self.recognition else []
        names += ["likeness"] if self.likeness else []
        return f"{', '.join(names[:-1])} and {names[-1]}"


def compared_size(base: BlendGAN) -> int:
    """Pixels at which a face and its reconstruction are compared."""
    return min(base.resolution, COMPARED_SIZE)


def reconstruction_losses(
    criteria: Criteria,
    base: BlendGAN,
    encoder: PSPEncoder,
    w_face: Tensor,
    faces: Tensor,
    draws: Draws,
) -> dict[str, Tensor]:
    """w_face: [N, L, W], the encoder's; faces: [N, 3, H, W] in [-1, 1], N as in `draws` -> the
    weighted losses of rebuilding them at i = L.

    With the fixed noise of a later use, where pSp draws it anew.
    """
    rebuilt = base.generator.synthesis(w_face, base.generator.synthesis.fixed_noise())
    rebuilt = average_pool(rebuilt, compared_size(base))
    target = average_pool(faces, compared_size(base))
    losses = {"l2": F.mse_loss(rebuilt, target)}
    if criteria.lpips:
        losses["lpips"] = criteria.perceptual_weight * criteria.lpips(rebuilt, target)
    elif criteria.perceptual_weight:
        distance = perceptual_distance(base.style_encoder, rebuilt, target)
        losses["perceptual"] = criteria.perceptual_weight * distance
    if criteria.recognition:
        difference = identity_loss(criteria.recognition, rebuilt, target)
        losses["identity"] = criteria.identity_weight * difference
    if criteria.likeness:
        difference = likeness_loss(criteria.likeness, *same_part(draws, rebuilt, target))
        losses["likeness"] = criteria.likeness_weight * difference
    deviation = torch.linalg.vector_norm(w_face - encoder.latent_avg, dim=(1, 2)).mean()
    losses["deviation"] = criteria.regularization_weight * deviation
    return losses


def style_loss(base: BlendGAN, w_face: Tensor, references: Tensor) -> Tensor:
    """How far every second face at i = 0 is from its reference in style: 1 less the cosine of their
    codes. w_face: [N, L, W]; references: [N, 3, H, W] in [-1, 1] -> scalar."""
    w_face, references = w_face[::2], references[::2]
    generator, style_encoder = base.generator, base.style_encoder
    with torch.no_grad():
        z_style = style_encoder(references)
        w_style = generator.map_style(z_style)
    blended = generator.blending(w_face, w_style, 0)
    pictures = generator.synthesis(blended, generator.synthesis.fixed_noise())
    return 1 - F.cosine_similarity(style_encoder(pictures), z_style).mean()


def perceptual_distance(style_encoder: StyleEncoder, images: Tensor, target: Tensor) -> Tensor:
    """Mean squared distance of VGG features, each pixel's brought to length 1 (LPIPS without its
    weights).

    images, target: [N, 3, R, R] in [-1, 1] -> scalar.
    """
    return feature_distance(style_encoder.features(images), style_encoder.features(target))


def latent_loss(base: BlendGAN, encoder: PSPEncoder, draws: Draws) -> Tensor:
    """Squared error of the latents of generated faces, in units of the latents' own variance."""
    generator = base.generator
    with torch.no_grad():
        w_face = generator.map_face(draws.normal(generator.config.z_dim))
        faces = generator.synthesis(w_face, generator.synthesis.fixed_noise())
        variance = (w_face - generator.w_mean).square().mean()
    return F.mse_loss(encoder(faces), w_face) / variance
