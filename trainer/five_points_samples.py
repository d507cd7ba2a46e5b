"""Pictures that teach where the five points of a face are: cut-out portraits in front of scenes.

What differs between a painted portrait and a photo (colour, light, shadow, texture, sharpness,
grain, what hides a part) is drawn far more widely than photos have it, so that nothing but the face
itself tells where it is (domain randomisation, Tobin et al. 2017). Points are in pixels, 0 the
picture's left or upper edge.
"""

import math
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from blendgan_core.face_networks import CROP
from blendgan_core.face_points import EYES, similarity

from .camera import degrade, recolour, smooth_field

CELLS = 5  # of the field that warps a portrait
# Painted faces are longer than real ones: from eyes to mouth 1.19 times as far as from eye to eye
LONG = 0.11
WARP_AT = 32  # side at which it is kept


@dataclass(frozen=True)
class Cutouts:
    """Portraits without their background, and their points."""

    pictures: Tensor  # [M, 4, S, S] uint8, RGB times alpha, and alpha
    points: Tensor  # [M, 5, 2] in units of the side

    def __len__(self) -> int:
        return len(self.points)

    def halved(self) -> "Cutouts":
        """The same at half the side."""
        halves = [F.avg_pool2d(part.float(), 2).round().byte() for part in self.pictures.split(64)]
        return Cutouts(torch.cat(halves), self.points)


@dataclass(frozen=True)
class Samples:
    images: Tensor  # [N, 3, 64, 64] in 0..1
    points: Tensor  # [N, 5, 2]
    is_face: Tensor  # [N] bool


@dataclass(frozen=True)
class Placement:
    """Where a face lies in each sample."""

    centre: Tensor  # [N] complex, of the template's origin
    eyes: Tensor  # [N] pixels between the eyes
    angle: Tensor  # [N] radians
    is_face: Tensor  # [N] bool: it is one whose points can be told


def draw_samples(
    cutouts: Cutouts, scenes: Tensor, count: int, finding: bool, generator: torch.Generator
) -> Samples:
    """cutouts: of about twice the size that faces shall have; scenes: [M, 3, H, W] uint8;
    finding: faces anywhere and smaller, for the finder, in place of centred ones for the refiner.
    """
    draw = _Draw(count, generator)
    place = _anywhere(draw) if finding else _near_the_middle(draw)
    face, alpha, points = _place_portraits(cutouts, place, draw)
    behind = _place_scenes(scenes, draw)
    empty = draw.chance(0.25 if finding else 0.12)
    face = recolour(face / alpha.clamp(min=0.02), generator, 0.5)
    face = _shade(face, behind, place, draw)
    alpha = torch.where(empty[:, None, None, None], 0.0, alpha)
    images = torch.lerp(behind, face, alpha)
    images = _hide_parts(images, behind.roll(1, 0), place, draw)
    images = degrade(recolour(images, generator, 1.0), generator)
    return Samples(images.clamp(0, 1), points, place.is_face & ~empty)


class _Draw:
    """Numbers [N] for the samples of a batch."""

    def __init__(self, count: int, generator: torch.Generator):
        self.count, self.generator = count, generator

    def uniform(self, low: float, high: float) -> Tensor:
        return torch.rand(self.count, generator=self.generator) * (high - low) + low

    def log_uniform(self, low: float, high: float) -> Tensor:
        return self.uniform(math.log(low), math.log(high)).exp()

    def normal(self, deviation: float = 1.0) -> Tensor:
        return torch.randn(self.count, generator=self.generator) * deviation

    def chance(self, probability: float) -> Tensor:
        return torch.rand(self.count, generator=self.generator) < probability

    def of(self, total: int) -> Tensor:
        return torch.randint(total, (self.count,), generator=self.generator)

    def turned(self, length: Tensor) -> Tensor:
        """Complex numbers of this length, in any direction."""
        return torch.polar(length, self.uniform(0, 2 * math.pi))


def _anywhere(draw: _Draw) -> Placement:
    centre = torch.complex(draw.uniform(0, CROP), draw.uniform(0, CROP))
    upright = torch.where(draw.chance(0.5), 0.4, 1.0)
    angle = draw.uniform(-0.9, 0.9) * upright
    return Placement(centre, draw.log_uniform(7.5, 15), angle, draw.chance(1))


def _near_the_middle(draw: _Draw) -> Placement:
    centre = torch.complex(draw.normal(4), draw.normal(4)) + complex(CROP / 2, CROP / 2)
    eyes = EYES * draw.normal(0.16).exp()
    angle = draw.normal(0.22).clamp(-0.6, 0.6)
    # Some that the finder should not have sent: a piece of a head, a far smaller one, one beside
    wrong, kind = draw.chance(0.12), draw.uniform(0, 1)
    piece, beside, small = (
        wrong & (kind > low) & (kind <= low + 1 / 3) for low in (0, 1 / 3, 2 / 3)
    )
    eyes = torch.where(piece, eyes * draw.uniform(2, 5), eyes)
    centre = torch.where(piece, centre + draw.turned(eyes * draw.uniform(0, 1.3)), centre)
    centre = torch.where(beside, centre + draw.turned(draw.uniform(22, 40)), centre)
    eyes = torch.where(small, eyes * draw.uniform(0.25, 0.5), eyes)
    return Placement(centre, eyes, angle, ~wrong)


def _place_portraits(
    cutouts: Cutouts, place: Placement, draw: _Draw
) -> tuple[Tensor, Tensor, Tensor]:
    """RGB times alpha [N, 3, 64, 64], alpha [N, 1, 64, 64] and points [N, 5, 2]; what lies below
    and beside a portrait goes on as its edge is."""
    chosen = draw.of(len(cutouts))
    pictures = cutouts.pictures[chosen].float() / 255  # [N, 4, S, S]
    side = pictures.shape[-1]
    known = cutouts.points[chosen] * side
    mirrored = draw.chance(0.5)
    pictures = torch.where(mirrored[:, None, None, None], pictures.flip(3), pictures)
    swapped = torch.stack([side - known[..., 0], known[..., 1]], dim=-1)[:, [1, 0, 2, 4, 3]]
    known = torch.where(mirrored[:, None, None], swapped, known)

    # The template's middle lies at the middle of the refiner's crop, and here at place.centre.
    turn, move = similarity(known)
    face_centre = turn * complex(CROP / 2, CROP / 2) + move
    turn = turn / torch.polar(place.eyes / EYES, place.angle)
    move = face_centre - turn * place.centre
    warp = _Warp(torch.view_as_real(face_centre), side, draw)
    grid = torch.view_as_real(turn[:, None, None] * _pixels() + move[:, None, None])
    unit = warp(grid) * (2 / side) - 1
    sampled = F.grid_sample(pictures, unit, padding_mode="border", align_corners=False)
    points = known
    for _ in range(6):  # the warp is mild: each round leaves a small share of the error
        points = points - (warp(points[:, None])[:, 0] - known)
    points = (torch.view_as_complex(points.contiguous()) - move[:, None]) / turn[:, None]
    return sampled[:, :3], sampled[:, 3:], torch.view_as_real(points)


class _Warp:
    """Bends portraits: other proportions, faces askew, no two features quite in their place."""

    def __init__(self, centre: Tensor, side: int, draw: _Draw):
        self.centre = centre[:, None, None]  # [N, 1, 1, 2]
        self.side = side
        stretch = torch.stack([draw.normal(0.08), LONG + draw.normal(0.11)], dim=-1)
        self.stretch = stretch[:, None, None]
        self.shear = draw.normal(0.05)[:, None, None]
        reach = draw.uniform(0, 0.024)[:, None, None, None] * side
        self.field = reach * smooth_field(draw.count, 2, WARP_AT, CELLS, draw.generator)

    def __call__(self, places: Tensor) -> Tensor:
        """Places [N, h, w, 2] of the bent portrait -> of the straight one, in pixels."""
        away = places - self.centre
        unit = places * (2 / self.side) - 1
        bent = F.grid_sample(self.field, unit, padding_mode="border", align_corners=False)
        moved = places + away * self.stretch + bent.permute(0, 2, 3, 1)
        return torch.stack([moved[..., 0] + self.shear * away[..., 1], moved[..., 1]], dim=-1)


def _place_scenes(scenes: Tensor, draw: _Draw) -> Tensor:
    """A part of a scene behind each sample, some of them out of focus: [N, 3, 64, 64]."""
    chosen = scenes[draw.of(len(scenes))].float() / 255
    turn = torch.polar(draw.log_uniform(0.32, 0.9), draw.uniform(-0.3, 0.3))
    move = torch.complex(draw.uniform(-0.5, 0.5), draw.uniform(-0.5, 0.5)) * (1 - turn.abs())
    unit = turn[:, None, None] * (_pixels() * (2 / CROP) - complex(1, 1)) + move[:, None, None]
    unit = torch.view_as_real(unit)
    behind = F.grid_sample(chosen, unit, padding_mode="reflection", align_corners=False)
    blurred = F.avg_pool2d(F.pad(behind, (3, 3, 3, 3), mode="reflect"), 7, 1)
    return torch.where(draw.chance(0.3)[:, None, None, None], blurred, behind)


def _shade(face: Tensor, behind: Tensor, place: Placement, draw: _Draw) -> Tensor:
    """Uneven light, a shadow with an edge, and a texture: face [N, 3, 64, 64] -> the same."""
    gain = 0.28 * draw.uniform(0, 1)[:, None, None, None]
    gain = (gain * smooth_field(draw.count, 1, CROP, 4, draw.generator)).exp()
    away = (_pixels() - place.centre[:, None, None]) / place.eyes[:, None, None]
    towards = torch.polar(torch.ones(draw.count), draw.uniform(0, 2 * math.pi))[:, None, None]
    across = (away * towards.conj()).real - draw.uniform(-0.8, 0.8)[:, None, None]
    edge = (draw.log_uniform(2, 20)[:, None, None] * across).sigmoid()
    depth = (draw.chance(0.45) * draw.uniform(0, 0.75))[:, None, None]
    grey = behind.flip(0).mean(dim=1, keepdim=True)
    relief = grey - F.avg_pool2d(F.pad(grey, (4, 4, 4, 4), mode="reflect"), 9, 1)
    strength = (draw.chance(0.4) * draw.uniform(0, 0.6))[:, None, None, None]
    return face * gain * (1 - depth * edge)[:, None] * (1 + strength * relief)


def _hide_parts(images: Tensor, others: Tensor, place: Placement, draw: _Draw) -> Tensor:
    """Lay an ellipse of another picture over the side of some faces."""
    centre = place.centre + draw.turned(place.eyes * draw.uniform(0.5, 1.3))
    radius = draw.turned(place.eyes * draw.uniform(0.15, 0.5))
    away = (_pixels() - centre[:, None, None]) / radius[:, None, None]
    oval = away.real.square() + (away.imag * draw.uniform(0.3, 1)[:, None, None]).square() < 1
    hidden = oval & draw.chance(0.2)[:, None, None]
    return torch.where(hidden[:, None], others, images)


def _pixels() -> Tensor:
    """Complex [64, 64]: x + iy of every pixel's middle."""
    axis = torch.arange(CROP) + 0.5
    return torch.complex(*torch.meshgrid(axis, axis, indexing="xy"))
