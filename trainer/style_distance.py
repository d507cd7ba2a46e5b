"""How far a generator's stylised faces are from the references' style, and its natural ones from
where they began: the figures that a fine-tune prints before and after."""

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from blendgan_core.config import StyleEncoderConfig
from blendgan_core.generator import Generator
from blendgan_core.layers import average_pool
from blendgan_core.style_encoder import StyleEncoder, gram_upper

from .draws import FIXED_SEED

FACES = 16  # always the same ones
TRUNCATION = 0.75  # what the nodes and the command line use
JUDGE_WIDTH = 16
JUDGE_SEED = 77
AT_ONCE = 4  # pictures, so that 1024 px fit


@dataclass(frozen=True, kw_only=True)
class StyleFigures:
    """What one generator does with some references."""

    code: float
    """mean 1 - cosine of the style codes of stylised faces (i = 0) and of the reference"""
    gram: float
    """mean relative distance of their Gram matrices, over five stages of a random VGG that no
    training uses, so that no mode is judged by what it optimised alone"""
    drift: float
    """root mean square change of the natural faces (i = L), as a share of the distance between two
    of them"""
    spread: float
    """how far faces of one style differ, as a share of how far natural ones do: 0 is one face"""

    def __str__(self) -> str:
        return (
            f"style distance {self.code:.3f} (codes), {self.gram:.3f} (Gram matrices); "
            f"natural faces moved by {self.drift:.1%}; faces of one style differ by "
            f"{self.spread:.0%} of what natural ones do"
        )


@torch.no_grad()
def measure(
    generator: Generator, start: Generator, encoder: StyleEncoder, references: Tensor
) -> StyleFigures:
    """references: [M, 3, R, R] in [-1, 1]; start: the generator before the fine-tune, for the drift
    of the natural branch. Faces and noise are fixed."""
    device = generator.w_mean.device
    seeded = torch.Generator("cpu").manual_seed(FIXED_SEED)
    z = torch.randn(FACES, generator.config.z_dim, generator=seeded).to(device)
    paired = references.to(device)[torch.arange(FACES, device=device) % len(references)]
    z_style = torch.cat([encoder(chunk) for chunk in paired.split(AT_ONCE)])
    w_face = generator.map_face(z, TRUNCATION)
    w = generator.blending(w_face, generator.map_style(z_style), indicator=0)
    stylised, natural = draw_pictures(generator, w), draw_pictures(generator, w_face)
    before = draw_pictures(start, start.map_face(z, TRUNCATION))
    codes = torch.cat([encoder(chunk) for chunk in stylised.split(AT_ONCE)])
    apart = spread(before)
    moved = (natural - before).square().mean().sqrt()
    return StyleFigures(
        code=(1 - F.cosine_similarity(codes, z_style)).mean().item(),
        gram=gram_distance(stylised, paired).item(),
        drift=(moved / (2**0.5 * apart)).item(),
        spread=(spread(stylised) / apart).item(),
    )


def gram_distance(images: Tensor, references: Tensor) -> Tensor:
    """Relative distance of Gram matrices in a random VGG. Both [N, 3, H, W] -> mean, scalar."""
    judge = random_judge(images.shape[-1]).to(images)
    distances = []
    for pair in zip(images.split(AT_ONCE), references.split(AT_ONCE), strict=True):
        ours, theirs = (
            [gram_upper(tap) for tap in judge.features(average_pool(x, judge.config.image_size))]
            for x in pair
        )
        for a, b in zip(ours, theirs, strict=True):
            distances.append((a - b).norm(dim=1) / b.norm(dim=1))
    return torch.cat(distances).mean()


def random_judge(resolution: int) -> StyleEncoder:
    """A random VGG that no training uses, always the same, for pictures of `resolution` pixels."""
    sizes = StyleEncoderConfig(
        image_size=min(256, resolution), vgg_width=JUDGE_WIDTH, predictor_layers=1, z_dim=1
    )
    with torch.random.fork_rng(devices=[]):  # a training goes on as if nothing had been measured
        judge = StyleEncoder(sizes)
    judge.random_vgg_(JUDGE_SEED)
    return judge


def draw_pictures(generator: Generator, w: Tensor) -> Tensor:
    """Pictures with the noise that belongs to the weights. w: [N, L, W] -> [N, 3, R, R] in
    [-1, 1]."""
    noise = generator.synthesis.fixed_noise()
    pictures = [generator.synthesis(chunk, noise) for chunk in w.split(AT_ONCE)]
    return torch.cat(pictures).clamp(-1, 1)


def spread(images: Tensor) -> Tensor:
    """Standard deviation of a pixel over the pictures. [N, 3, H, W] -> scalar."""
    return (images - images.mean(dim=0)).square().mean().sqrt()
