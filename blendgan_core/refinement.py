"""Refinement: move the latent that pSp found until the generator regenerates the photo better.

Optimisation in W+ (Abdal et al. 2019), started from the encoder's answer and held near it: latents
far from those that the mapping network makes, or that differ from layer to layer, regenerate a
photo well and take a style badly (Tov et al. 2021, "Designing an encoder").
"""

from collections.abc import Callable
from copy import deepcopy

import torch
from torch import Tensor
from torch.nn import functional as F
from torch.optim.lr_scheduler import CosineAnnealingLR

from .generator import Generator
from .layers import average_pool
from .style_encoder import StyleEncoder, feature_distance, vgg_features

KEEP_CLOSE = 0.1  # chosen by eye: below it faces get blots, from 0.3 on they stay strangers
LEARNING_RATE = 0.05  # of values with the deviation 1
PIXEL_SCALES = 3
FEATURE_WEIGHT = 1.0
MEASURED_FACES = 1024

Report = Callable[[int, Tensor], None]


def refine(
    generator: Generator,
    style_encoder: StyleEncoder | None,
    images: Tensor,
    w_face: Tensor,
    steps: int,
    keep_close: float = KEEP_CLOSE,
    report: Report | None = None,
) -> Tensor:
    """What pSp made of aligned faces, w_face [N, L, W] -> the same refined, [N, L, W].

    images: the faces, [N, 3, H, H] in [-1, 1], fp32 on the generator's device like w_face; where
    there is a style encoder, its VGG compares them too. steps: of Adam for each picture;
    keep_close: weight of how far the latent moved, 0 or more. report(steps done of all pictures,
    the picture as it is, [1, 3, R, R]) is called after each step; what it raises ends the work.

    Each picture is refined alone, in fp32 and with the fixed noise, so the result depends neither
    on the others nor on random numbers. Works under inference mode, too.
    """
    if steps == 0:
        return w_face
    unit = w_deviation(generator)
    with torch.inference_mode(False), torch.enable_grad():
        # copies: what was made under inference mode cannot be differentiated
        likeness = Likeness(generator, style_encoder)
        unit, images, w_face = unit.clone(), images.clone(), w_face.clone()
        refined = []
        for number, (image, start) in enumerate(zip(images, w_face, strict=True)):
            likeness.aim_at(image[None])
            descent = Descent(likeness, start[None], unit, steps, keep_close)
            for done in range(1, steps + 1):
                picture = descent.step()
                if report is not None:
                    report(number * steps + done, picture)
            refined.append(descent.w())
    return torch.cat(refined)


@torch.no_grad()
def w_deviation(generator: Generator) -> Tensor:
    """The deviation of each value of a random face's latent, from seeded faces: [W]."""
    seeded = torch.Generator("cpu").manual_seed(0)
    z = torch.randn(MEASURED_FACES, generator.config.z_dim, generator=seeded)
    deviation = generator.face_mapping(z.to(generator.w_mean)).std(dim=0)
    return deviation.clamp_min(0.1 * deviation.mean())


class Descent:
    """The way of one latent, [1, L, W], towards a photo."""

    def __init__(
        self, likeness: "Likeness", start: Tensor, unit: Tensor, steps: int, keep_close: float
    ):
        self._likeness, self._start, self._unit = likeness, start, unit
        self._keep_close = keep_close
        self._moved = torch.zeros_like(start, requires_grad=True)  # in units of the deviation
        self._optimizer = torch.optim.Adam([self._moved], lr=LEARNING_RATE)
        # falls to 0: the last steps settle
        self._schedule = CosineAnnealingLR(self._optimizer, steps)

    def w(self) -> Tensor:
        """The latent as it is."""
        return self._start + self._moved.detach() * self._unit

    def step(self) -> Tensor:
        """One step of Adam -> the picture that led to it, [1, 3, R, R]."""
        picture = self._likeness.synthesize(self._start + self._moved * self._unit)
        loss = self._likeness(picture) + self._keep_close * distance(self._moved)
        (self._moved.grad,) = torch.autograd.grad(loss, [self._moved])
        self._optimizer.step()
        self._schedule.step()
        return picture.detach()


def distance(moved: Tensor) -> Tensor:
    """How far a latent moved, and how differently its layers did. [1, L, W] -> scalar."""
    apart = moved - moved.mean(dim=1, keepdim=True)
    return moved.square().mean() + apart.square().mean()


class Likeness:
    """How far a picture is from a photo; holds copies of the networks it takes, in fp32."""

    def __init__(self, generator: Generator, style_encoder: StyleEncoder | None):
        self.synthesis = deepcopy(generator.synthesis).float().requires_grad_(False)
        self.synthesis.dtype = torch.float32
        self._noise = self.synthesis.fixed_noise()
        self._vgg = None
        if style_encoder is not None:
            self._vgg = deepcopy(style_encoder.vgg).float().requires_grad_(False)
            self._vgg_size = style_encoder.config.image_size

    def synthesize(self, w: Tensor) -> Tensor:
        """w: [1, L, W] -> [1, 3, R, R], with gradients."""
        return self.synthesis(w, self._noise)

    @torch.no_grad()
    def aim_at(self, photo: Tensor) -> None:
        """The photo to be compared with, [1, 3, H, H], at its own size if that is below R."""
        self._side = min(photo.shape[-1], self.synthesis.config.resolution)
        self._pyramid = self._scales(photo)
        self._features = self._look(photo)

    def __call__(self, picture: Tensor) -> Tensor:
        """[1, 3, R, R] -> scalar: the mean difference of the pixels at several sizes, and of VGG's
        features (see feature_distance)."""
        pixels = [
            F.l1_loss(ours, theirs)
            for ours, theirs in zip(self._scales(picture), self._pyramid, strict=True)
        ]
        loss = torch.stack(pixels).mean()
        if self._vgg is None:
            return loss
        return loss + FEATURE_WEIGHT * feature_distance(self._look(picture), self._features)

    def _scales(self, images: Tensor) -> list[Tensor]:
        sides = [max(1, self._side >> scale) for scale in range(PIXEL_SCALES)]
        return [average_pool(images, side) for side in sides]

    def _look(self, images: Tensor) -> list[Tensor]:
        if self._vgg is None:
            return []
        # both at the side that the smaller of them has
        seen = average_pool(average_pool(images, self._side), self._vgg_size)
        return vgg_features(self._vgg, seen)
