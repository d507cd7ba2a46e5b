"""Augmentation of what discriminators see, so that they do not learn a small set by rote.

Real and generated pictures both pass through it, G's gradient too, so that it does not show in what
G makes. ADA (Karras et al. 2020, Training Generative Adversarial Networks with Limited Data) does
as much as the discriminator's certainty asks for; DiffAugment (Zhao et al. 2020) always does all.
"""

import math
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from .draws import Draws

Kind = Literal["none", "ada", "diffaugment"]

# ADA, table 1 of its appendix B
INTEGER_SHIFT = 1 / 8  # at most, of the picture's size
SHIFT_DEVIATION = 1 / 8  # of the picture's size
SCALE_DEVIATION = 0.2  # of the logarithm to base 2, as are the following
BRIGHTNESS_DEVIATION = 0.2  # not a logarithm: of what is added
CONTRAST_DEVIATION = 0.5
SATURATION_DEVIATION = 1.0
OBSERVATIONS = 4  # of the discriminator's signs, between two moves of p

SHIFT_PART = 8  # DiffAugment shifts by up to an eighth of the picture's size


class Augmentation(nn.Module):
    """The augmentation of one discriminator's pictures.

    Where ADA is chosen, its probability p and what it has observed are buffers, hence part of a
    saved state; the other kinds have no state.
    """

    def __init__(self, kind: Kind, colour: bool, target: float = 0.6, images: float = 500_000):
        """colour: change colours, too; leave it out where style is judged.

        target: the mean sign of D(real) that ADA holds; images: those seen while p goes from 0 to
        1. Both defaults are the paper's.
        """
        super().__init__()
        self.kind, self.colour, self.target, self.images = kind, colour, target, images
        if kind == "ada":
            self.register_buffer("p", torch.zeros(()))  # 0..1
            self.register_buffer("signs_sum", torch.zeros(()))  # since p moved last, as the next
            self.register_buffer("pictures_seen", torch.zeros(()))
            self.register_buffer("observations", torch.zeros((), dtype=torch.long))

    def forward(self, images: Tensor, draws: Draws) -> Tensor:
        """[N, 3, R, R] in [-1, 1] -> the same shape; colours may leave the range.

        The very tensor comes back where nothing is to be done. Differentiable once by the images,
        not twice: take R1 by the augmented pictures.
        """
        if self.kind == "diffaugment":
            return differentiable_augmentation(images, self.colour, draws)
        if self.kind == "ada" and self.p > 0:
            return adaptive_augmentation(images, self.p, self.colour, draws)
        return images

    @torch.no_grad()
    def observe_(self, signs_mean: Tensor, count: int) -> None:
        """Let ADA move p after a discriminator step: up if D is too sure of the real pictures.

        signs_mean: scalar, the mean of sign(D(real)) over `count` pictures, all processes together.
        """
        if self.kind != "ada":
            return
        self.signs_sum += signs_mean.to(self.signs_sum) * count
        self.pictures_seen += count
        self.observations += 1
        if self.observations < OBSERVATIONS:
            return
        direction = torch.sign(self.signs_sum / self.pictures_seen - self.target)
        self.p.add_(direction * self.pictures_seen / self.images).clamp_(0, 1)
        for buffer in (self.signs_sum, self.pictures_seen, self.observations):
            buffer.zero_()


def adaptive_augmentation(images: Tensor, p: Tensor, colour: bool, draws: Draws) -> Tensor:
    """ADA's pixel blitting, geometric and, if asked for, colour operations, each at probability p.

    images: float32 [N, 3, R, R] -> the same; p: scalar, 0..1. The geometry is one bicubic sampling
    with reflected borders, exact for flips, quarter turns and whole pixels; the paper filters a
    picture of twice the size with a wavelet, which smooths better where the picture gets smaller.
    """
    n, channels, height, width = images.shape
    positions = sampled_positions(p, width, draws)[:, :2]  # [N, 2, 3]
    grid = F.affine_grid(positions, [n, channels, height, width], align_corners=False)
    images = F.grid_sample(images, grid, "bicubic", "reflection", align_corners=False)
    if not colour:
        return images
    matrices, brightness = colour_changes(p, draws)
    changed = matrices @ images.flatten(2) + brightness[:, None, None]  # [N, 3, R * R]
    return changed.view(n, channels, height, width)


def sampled_positions(p: Tensor, resolution: int, draws: Draws) -> Tensor:
    """ADA's geometry -> [N, 3, 3]: from a place in the result, -1..1, to the one it shows."""
    # two rotations, which together happen at probability p
    half = 1 - torch.sqrt(1 - p)
    odds = torch.stack([p, p, p, p, half, p, half, p])
    happens = (draws.uniform(len(odds)) < odds).float().unbind(1)  # eight of [N]
    flips, quarters, blits, scales, turns_before, stretches, turns_after, shifts = happens
    mirror, quarter, blit_x, blit_y, angle_before, angle_after = draws.uniform(6).unbind(1)
    scale, stretch, shift_x, shift_y = draws.normal(4).unbind(1)

    flip = 1 - 2 * flips * (2 * mirror).floor()
    scale = torch.exp2(-scales * scale * SCALE_DEVIATION)
    stretch = torch.exp2(-stretches * stretch * SCALE_DEVIATION)
    blit = [
        blits * torch.round((2 * each - 1) * INTEGER_SHIFT * resolution) / resolution
        for each in (blit_x, blit_y)
    ]
    shift = [shifts * each * SHIFT_DEVIATION for each in (shift_x, shift_y)]
    return (
        _scaling(flip, torch.ones_like(flip))
        @ _rotation(quarters * (4 * quarter).floor() * math.pi / 2)
        @ _shift(*blit)
        @ _scaling(scale, scale)
        @ _rotation(turns_before * (2 * angle_before - 1) * math.pi)
        @ _scaling(stretch, 1 / stretch)
        @ _rotation(turns_after * (2 * angle_after - 1) * math.pi)
        @ _shift(*shift)
    )


def colour_changes(p: Tensor, draws: Draws) -> tuple[Tensor, Tensor]:
    """ADA's colour operations -> matrices [N, 3, 3] and what is then added to all channels, [N].

    They scale, and may reverse, the grey part of a colour; they scale and turn the rest about it.
    """
    happens = (draws.uniform(5) < p).float().unbind(1)  # five of [N]
    brightens, contrasts, reversals, turns, saturations = happens
    reversal, angle = draws.uniform(2).unbind(1)
    brightness, contrast, saturation = draws.normal(3).unbind(1)

    contrast = torch.exp2(contrasts * contrast * CONTRAST_DEVIATION)
    grey = contrast * (1 - 2 * reversals * (2 * reversal).floor())
    vivid = contrast * torch.exp2(saturations * saturation * SATURATION_DEVIATION)
    angle = turns * (2 * angle - 1) * math.pi
    along = torch.full((3, 3), 1 / 3, device=p.device)  # the projection onto the grey axis
    across = torch.eye(3, device=p.device) - along
    turned = torch.tensor([[0.0, -1, 1], [1, 0, -1], [-1, 1, 0]], device=p.device) / math.sqrt(3)
    matrices = (
        _each(grey) * along
        + _each(vivid * torch.cos(angle)) * across
        + _each(vivid * torch.sin(angle)) * turned
    )
    return matrices, grey * brightens * brightness * BRIGHTNESS_DEVIATION


def differentiable_augmentation(images: Tensor, colour: bool, draws: Draws) -> Tensor:
    """DiffAugment: colour if asked for, a shift, and a square of half the size cut out.

    [N, 3, R, R] -> the same. What is uncovered or cut out is 0, mid-grey.
    """
    n, channels, size, _ = images.shape
    places = draws.uniform(4)  # [N, 4]
    if colour:
        brightness, saturation, contrast = draws.uniform(3)[..., None, None, None].unbind(1)
        images = images + brightness - 0.5
        images = torch.lerp(images.mean(dim=1, keepdim=True), images, 2 * saturation)
        images = torch.lerp(images.mean(dim=[1, 2, 3], keepdim=True), images, 0.5 + contrast)

    pixels = torch.arange(size, device=images.device)
    margin = size // SHIFT_PART
    starts = (places[:, :2] * (2 * margin + 1)).long()  # [N, 2]
    rows, columns = (starts[..., None] + pixels).unbind(1)  # [N, R] each
    padded = F.pad(images, [margin] * 4)
    rows = rows[:, None, :, None].expand(n, channels, size, padded.shape[3])
    columns = columns[:, None, None, :].expand(n, channels, size, size)
    shifted = padded.gather(2, rows).gather(3, columns)

    cut = size // 2
    starts = (places[:, 2:] * (size + 1 - cut % 2)).long() - cut // 2
    inside = (pixels >= starts[..., None]) & (pixels < starts[..., None] + cut)  # [N, 2, R]
    rows, columns = inside.unbind(1)
    return shifted * ~(rows[:, None, :, None] & columns[:, None, None, :])


def _each(values: Tensor) -> Tensor:
    return values[:, None, None]


def _scaling(x: Tensor, y: Tensor) -> Tensor:
    return torch.diag_embed(torch.stack([x, y, torch.ones_like(x)], dim=1))


def _rotation(angle: Tensor) -> Tensor:
    cos, sin, zero = torch.cos(angle), torch.sin(angle), torch.zeros_like(angle)
    rows = [cos, -sin, zero, sin, cos, zero, zero, zero, zero + 1]
    return torch.stack(rows, dim=1).view(-1, 3, 3)


def _shift(x: Tensor, y: Tensor) -> Tensor:
    """Move the picture right and down by these parts of its size."""
    zero, one = torch.zeros_like(x), torch.ones_like(x)
    rows = [one, zero, -2 * x, zero, one, -2 * y, zero, zero, one]
    return torch.stack(rows, dim=1).view(-1, 3, 3)
