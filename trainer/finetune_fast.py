"""The fast fine-tune: one style from one picture without discriminators.

What a discriminator would have to find out from one picture is computed from it: the statistics of
its patches, the Gram matrices of the frozen VGG, and its style code. Faces of the frozen start
model hold the rest in place: natural ones (i = L) must stay what they were, and stylised ones keep
their face's layout and the places of its edges. Only the style mapping, alpha, and the synthesis
from 16 pixels on are trained; what lies below decides pose and shape.
"""

from copy import deepcopy

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from blendgan_core.generator import Generator
from blendgan_core.layers import average_pool
from blendgan_core.style_encoder import StyleEncoder, gram_upper

from .ema import update_ema_

SMALLEST_TRAINED = 16  # pixels
WEIGHTS = {
    "patches": 8.0,
    "gram": 0.5,
    "code": 1.0,
    "layout": 0.3,
    "edges": 0.3,
    "natural": 30.0,
}
MAPPING_LR = 5.0  # times the learning rate: the mapping's layers have a hundredth of the others'
AVERAGE_DECAY = 0.9  # of the averaged generator, a step
PATCH = 5  # pixels a side
PATCH_SCALES = 3
PATCHES_FROM = 256  # pixels a side
FILTERS = 32
EDGE_SIDE = 32  # pixels
LAYOUT_TAP = 2  # relu3_4
LAYOUT_SIDE = 8  # places a side


class FastFinetune(nn.Module):
    """The networks of a fast fine-tune, their optimiser, and one step of it."""

    def __init__(
        self,
        lr: float,
        generator: Generator,
        start: Generator,
        style_encoder: StyleEncoder,
        references: Tensor,
    ):
        """generator: to be trained, equal to start, which stays as it is; references: [M, 3, R, R]
        in [-1, 1]; all on one device."""
        super().__init__()
        self.generator = generator.requires_grad_(False)
        self.average = deepcopy(generator).eval()
        # in a tuple, hence no submodules: they never change, and would swell every saved state
        self._frozen = (start.requires_grad_(False), style_encoder.eval().requires_grad_(False))
        self._references = references
        with torch.no_grad():
            self._codes = torch.cat([style_encoder(reference[None]) for reference in references])
        mapping, others = trained_weights(generator)
        self.optimizer = torch.optim.Adam(
            [{"params": others, "lr": lr}, {"params": mapping, "lr": lr * MAPPING_LR}],
            betas=(0.5, 0.99),
        )
        for weight in mapping + others:
            weight.requires_grad_(True)

    @property
    def style_encoder(self) -> StyleEncoder:
        """The frozen style encoder."""
        return self._frozen[1]

    def parts(self) -> dict:
        """Everything that changes while training, for a state file."""
        return {"networks": self, "optimizer": self.optimizer}

    def networks(self) -> dict[str, nn.Module]:
        """All networks that take part, to be counted."""
        start, style_encoder = self._frozen
        return {
            "generator": self.generator,
            "averaged generator": self.average,
            "start model": start,
            "style encoder": style_encoder,
        }

    def step(self, picture: int, count: int) -> dict[str, Tensor]:
        """One step towards reference number `picture`, with `count` random faces -> the losses to
        log."""
        start, encoder = self._frozen
        synthesis, blending = self.generator.synthesis, self.generator.blending
        reference, z_style = self._references[picture, None], self._codes[picture, None]
        w_face = start.map_face(torch.randn(count, start.config.z_dim).to(z_style))
        noise = synthesis.draw_noise(count, torch.default_generator)
        with torch.no_grad():
            natural = start.synthesis(w_face, noise)
            wanted = self._features(torch.cat([reference, natural]))
        w_style = self.generator.map_style(z_style)
        w = torch.cat([w_face, blending(w_face, w_style, indicator=0)])
        kept, stylised = synthesis(w, [torch.cat([maps, maps]) for maps in noise]).split(count)
        features = self._features(stylised)
        grams = encoder.grams(features)
        code = encoder.predictor(encoder.standardize(grams))
        losses = {
            "patches": patch_loss(stylised, reference),
            "gram": gram_loss(features, [tap[:1] for tap in wanted]),
            "code": (1 - F.cosine_similarity(code, z_style)).mean(),
            "layout": layout_loss(features[LAYOUT_TAP], wanted[LAYOUT_TAP][1:]),
            "edges": edge_loss(stylised, natural),
            "natural": F.mse_loss(kept, natural),
        }
        self.optimizer.zero_grad(set_to_none=True)
        sum(WEIGHTS[name] * loss for name, loss in losses.items()).backward()
        self.optimizer.step()
        blending.project_()
        update_ema_(self.average, self.generator, AVERAGE_DECAY)
        return {name: loss.detach() for name, loss in losses.items()} | {
            "alpha": blending.alpha.detach().clone()
        }

    def _features(self, images: Tensor) -> list[Tensor]:
        encoder = self._frozen[1]
        return encoder.features(average_pool(images, encoder.config.image_size))


def trained_weights(generator: Generator) -> tuple[list[nn.Parameter], list[nn.Parameter]]:
    """What a fast fine-tune changes: the style mapping; alpha, and the synthesis network from
    SMALLEST_TRAINED pixels on."""
    synthesis = generator.synthesis
    sizes = [shape[-1] for shape in synthesis.noise_shapes()]
    layers = [
        conv for conv, size in zip(synthesis.convs, sizes, strict=True) if size >= SMALLEST_TRAINED
    ]
    layers += [
        to_rgb for index, to_rgb in enumerate(synthesis.to_rgbs) if 4 << index >= SMALLEST_TRAINED
    ]
    others = [weight for layer in layers for weight in layer.parameters()]
    return list(generator.style_mapping.parameters()), [generator.blending.alpha, *others]


def patch_loss(images: Tensor, reference: Tensor) -> Tensor:
    """Sliced Wasserstein distance of all patches (Elnekave and Weiss 2022): the values of random
    filters, sorted, must be those of the reference. At three sizes of the picture, the largest at
    most PATCHES_FROM pixels. [N, 3, R, R], [1, 3, R, R] -> scalar."""
    side = min(PATCHES_FROM, images.shape[-1])
    images, reference = average_pool(images, side), average_pool(reference, side)
    losses = []
    for _ in range(PATCH_SCALES):
        filters = torch.randn(FILTERS, 3, PATCH, PATCH).to(images)
        filters = filters / filters.flatten(1).norm(dim=1)[:, None, None, None]
        ours, theirs = (F.conv2d(x, filters).flatten(2).sort().values for x in (images, reference))
        losses.append((ours - theirs).abs().mean())
        images, reference = F.avg_pool2d(images, 2), F.avg_pool2d(reference, 2)
    return torch.stack(losses).mean()


def gram_loss(features: list[Tensor], wanted: list[Tensor]) -> Tensor:
    """Mean squared difference of the logarithms of Gram matrices, whose values span orders of
    magnitude. Lists of [N, C, H, W], and of [1, C, H, W] for the reference -> scalar."""
    losses = []
    for tap, reference in zip(features, wanted, strict=True):
        gram, target = gram_upper(tap), gram_upper(reference)
        small = 1e-3 * target.mean()
        losses.append(((gram + small).log() - (target + small).log()).square().mean())
    return torch.stack(losses).mean()


def layout_loss(features: Tensor, wanted: Tensor) -> Tensor:
    """How differently the places of two pictures resemble one another, whatever their colours
    (self-similarity). [N, C, H, W] each -> scalar."""
    return (self_similarity(features) - self_similarity(wanted)).abs().mean()


def edge_loss(images: Tensor, faces: Tensor) -> Tensor:
    """1 - correlation of how strong the edges are, place by place: eyes and mouths stay where they
    are, whatever they are drawn with. [N, 3, R, R] each -> scalar."""
    ours, theirs = (edge_strength(x).flatten(1) for x in (images, faces))
    ours, theirs = (x - x.mean(dim=1, keepdim=True) for x in (ours, theirs))
    return (1 - F.cosine_similarity(ours, theirs, eps=1e-6)).mean()


def edge_strength(images: Tensor) -> Tensor:
    """[N, 3, R, R] -> [N, E - 1, E - 1], E at most EDGE_SIDE pixels."""
    grey = average_pool(images.mean(dim=1, keepdim=True), min(EDGE_SIDE, images.shape[-1]))[:, 0]
    down = grey[:, 1:, :-1] - grey[:, :-1, :-1]
    right = grey[:, :-1, 1:] - grey[:, :-1, :-1]
    return (down.square() + right.square() + 1e-4).sqrt()


def self_similarity(features: Tensor) -> Tensor:
    """Cosines between all pairs of places. [N, C, H, W] -> [N, P, P]."""
    places = F.adaptive_avg_pool2d(features, LAYOUT_SIDE).flatten(2)  # [N, C, P]
    places = F.normalize(places - places.mean(dim=2, keepdim=True), dim=1)
    return places.mT @ places
