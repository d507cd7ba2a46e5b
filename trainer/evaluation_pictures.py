"""The pictures that an evaluation compares: synthetic portraits drawn for it, and what a model
makes of them.

There are K groups. Each has P faces, and one reference in each of S styles, of S other people; all
P x S pairs are stylised. So groups are independent of one another, and within one every face is
seen in every style, and every reference with every face.
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from blendgan_core.blendgan import BlendGAN
from blendgan_core.images import from_uint8
from blendgan_core.layers import average_pool

from .evaluator_network import SIZE
from .portrait_labels import portrait_values
from .portraits import render_portrait
from .styles import STYLES
from .synthesize import HELD_OUT_SEED, Portrait, average_down

AT_ONCE = 8  # pictures of a model
# what sets the portraits of one purpose apart: the first of their indices; there are fewer than
# 100,000 for each
REFERENCES, REAL, OTHER_REAL, PAINTED = 0, 100_000, 200_000, 300_000

Tick = Callable[..., object]  # is told of every picture, or of how many


@dataclass(frozen=True)
class Design:
    """How many groups, faces in each, and what seeds them."""

    groups: int
    faces: int
    seed: int

    @property
    def pictures(self) -> int:
        """Stylised pictures of one indicator."""
        return self.groups * self.faces * len(STYLES)

    @property
    def count(self) -> int:
        """Faces in all."""
        return self.groups * self.faces

    def paired(self, of_references: Tensor) -> Tensor:
        """[K * S, ..] -> for each stylised picture, in order, its reference's [K * P * S, ..]."""
        shape = of_references.shape[1:]
        groups = of_references.view(self.groups, 1, len(STYLES), *shape)
        return groups.expand(-1, self.faces, *groups.shape[2:]).reshape(self.pictures, *shape)

    def portrait(self, style: str | None, index: int) -> Portrait:
        """A portrait that no folder of `trainer.synthesize` holds, whatever its seed."""
        return Portrait(HELD_OUT_SEED + self.seed, style, index, SIZE)

    def references(self) -> list[Portrait]:
        """K x S, group by group."""
        return [self.portrait(s, REFERENCES + k) for k in range(self.groups) for s in STYLES]

    def real(self, first: int) -> list[Portrait]:
        """As many styled portraits as there are stylised pictures, as even over the styles, group
        by group; first: REAL or OTHER_REAL."""
        return [
            self.portrait(style, first + number) for number in range(self.count) for style in STYLES
        ]

    def natural(self, first: int) -> list[Portrait]:
        """As many natural portraits."""
        return [self.portrait(None, first + number) for number in range(self.pictures)]

    def sitters(self) -> list[Portrait]:
        """K x P natural portraits, the faces of the pictures that are painted by rule."""
        return [self.portrait(None, PAINTED + number) for number in range(self.count)]


def render(portraits: list[Portrait], tick: Tick) -> Tensor:
    """Pictures [N, 3, R, R] in [-1, 1]."""
    pictures = []
    for portrait in portraits:
        pictures.append(from_uint8(portrait.render()))
        tick()
    return torch.stack(pictures)


def values_of(portraits: list[Portrait]) -> Tensor:
    """The true attributes [N, A]."""
    return portrait_values([portrait.draw()[0] for portrait in portraits])


def paint_by_rule(design: Design, tick: Tick) -> Tensor:
    """What a perfect model would make: every sitter, painted by the very function and random
    numbers that painted the reference. -> [K, P, S, 3, R, R] in [-1, 1]."""
    references, sitters = design.references(), design.sitters()
    pictures = []
    for number, sitter in enumerate(sitters):
        group = number // design.faces
        face = render_portrait(sitter.draw()[0], 2 * SIZE)
        for reference in references[group * len(STYLES) : (group + 1) * len(STYLES)]:
            image = STYLES[reference.style](face, reference.draw()[1])
            pictures.append(from_uint8(average_down(image)))
            tick()
    stacked = torch.stack(pictures)
    return stacked.view(design.groups, design.faces, len(STYLES), *stacked.shape[1:])


def face_codes(model: BlendGAN, count: int, seed: int, truncation: float) -> Tensor:
    """Faces drawn at random: w_face [count, L, W] on the CPU."""
    generator = torch.Generator().manual_seed(HELD_OUT_SEED + seed)
    z = torch.randn(count, model.generator.config.z_dim, generator=generator)
    return torch.cat([model.map_face(part, truncation).cpu() for part in z.split(AT_ONCE)])


def style_codes(model: BlendGAN, references: Tensor) -> Tensor:
    """[N, 3, R, R] -> z_style [N, S] on the CPU."""
    return torch.cat([model.encode_style(part).cpu() for part in references.split(AT_ONCE)])


def draw_faces(model: BlendGAN, w: Tensor, tick: Tick) -> Tensor:
    """w: [N, L, W] -> pictures [N, 3, R, R] of the size that the evaluator looks at, clamped; by
    the noise that is stored with the weights, as the nodes and the command line make them."""
    pictures = []
    for part in w.split(AT_ONCE):
        images = model.synthesize(part).float().clamp(-1, 1)
        pictures.append(average_pool(images, SIZE).cpu())
        for _ in part:
            tick()
    return torch.cat(pictures)


def stylise(
    model: BlendGAN,
    design: Design,
    w_face: Tensor,
    z_style: Tensor,
    indicator: int,
    theta: float,
    tick: Tick,
) -> Tensor:
    """All pairs within the groups. w_face: [K * P, L, W]; z_style: [K * S, Z] -> pictures
    [K * P * S, 3, R, R], faces in order, each in all the styles."""
    faces = w_face.repeat_interleave(len(STYLES), dim=0)
    pairs = zip(faces.split(AT_ONCE), design.paired(z_style).split(AT_ONCE), strict=True)
    pictures = [
        draw_faces(model, model.blend(face, code, indicator, theta), tick) for face, code in pairs
    ]
    return torch.cat(pictures)
