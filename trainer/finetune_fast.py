"""The fast fine-tune: one style from one picture without discriminators.

What a discriminator would have to find out from one picture is computed from it: which of its
patches belongs where (nearby_patches.py), the statistics of all of them, the Gram matrices of the
frozen VGG, and its style code. That the faces stay is asked for too: what is light and dark in a
stylised one is to be so where the natural one has it (structure_loss.py), and the frozen start
model holds the natural faces (i = L) where they are. Only the style mapping, alpha, and the
synthesis from 16 pixels on are trained; what lies below decides pose and shape.
"""

from copy import deepcopy

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from blendgan_core.generator import Generator
from blendgan_core.layers import average_pool
from blendgan_core.style_encoder import StyleEncoder, gram_upper

from .ema import update_ema_
from .nearby_patches import nearby_patch_loss
from .structure_loss import structure_loss

SMALLEST_TRAINED = 16  # pixels
WEIGHTS = {
    "nearby": 2.0,
    "patches": 25.0,
    "gram": 0.5,
    "code": 1.0,
    "structure": 4.0,
    "natural": 50.0,
}
MAPPING_LR = 6.0  # times the learning rate: the mapping's layers have a hundredth of the others'
AVERAGE_DECAY = 0.96  # of the averaged generator, a step
PATCH = 5  # pixels a side
PATCH_SCALES = 3
PATCHES_FROM = 256  # pixels a side
FILTERS = 16


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
            self._grams = [self._gram_matrices(reference[None]) for reference in references]
        mapping, others = trained_weights(generator)
        self.optimizer = torch.optim.Adam(
            [{"params": others, "lr": lr}, {"params": mapping, "lr": lr * MAPPING_LR}],
            betas=(0.9, 0.99),
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
        w_style = self.generator.map_style(z_style)
        w = torch.cat([w_face, blending(w_face, w_style, indicator=0)])
        kept, stylised = synthesis(w, [torch.cat([maps, maps]) for maps in noise]).split(count)
        grams = self._gram_matrices(stylised)
        code = encoder.predictor(encoder.standardize(torch.cat(grams, dim=1)))
        losses = {
            "nearby": nearby_patch_loss(stylised, reference),
            "patches": patch_loss(stylised, reference),
            "gram": gram_loss(grams, self._grams[picture]),
            "code": (1 - F.cosine_similarity(code, z_style)).mean(),
            "structure": structure_loss(stylised, natural),
            "natural": F.l1_loss(kept, natural),
        }
        self.optimizer.zero_grad(set_to_none=True)
        sum(WEIGHTS[name] * loss for name, loss in losses.items()).backward()
        self.optimizer.step()
        blending.project_()
        update_ema_(self.average, self.generator, AVERAGE_DECAY)
        return {name: loss.detach() for name, loss in losses.items()} | {
            "alpha": blending.alpha.detach().clone()
        }

    def _gram_matrices(self, images: Tensor) -> list[Tensor]:
        """[N, 3, R, R] -> the upper triangle of each stage, [N, G]."""
        encoder = self._frozen[1]
        features = encoder.features(average_pool(images, encoder.config.image_size))
        return [gram_upper(tap) for tap in features]


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


def gram_loss(grams: list[Tensor], wanted: list[Tensor]) -> Tensor:
    """Mean squared difference of the logarithms of Gram matrices, whose values span orders of
    magnitude. A list of [N, G], and of [1, G] for the reference -> scalar."""
    losses = []
    for gram, target in zip(grams, wanted, strict=True):
        small = 1e-3 * target.mean()
        losses.append(((gram + small).log() - (target + small).log()).square().mean())
    return torch.stack(losses).mean()
