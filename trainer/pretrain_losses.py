"""What `trainer.pretrain` asks of the pictures that it makes, but for deceiving its critic."""

from typing import NamedTuple

import torch
from torch import Tensor

from blendgan_core.style_encoder import StyleEncoder

from .draws import Draws
from .likeness_network import likeness_loss, load_likeness, same_part
from .picture_losses import picture_losses
from .pretrain_config import PretrainConfig
from .pretrain_pictures import Pictures

TINY = 1e-8


class Made(NamedTuple):
    """What was made of `Pictures`, [N, 3, R, R] each."""

    natural: Tensor
    """its faces, rebuilt"""
    styled: Tensor
    """its people, drawn like its looks"""
    strangers: Tensor
    """random faces, drawn like what is shown"""


def layer_spread(w_face: Tensor) -> Tensor:
    """How far faces' latents lie apart from layer to layer, squared, as a share of how far the
    faces' means do, so that it cannot be lowered by latents that shrink. [M, L, W] -> scalar."""
    means = w_face.mean(dim=1)
    faces = (means - means.mean(dim=0)).square().mean()
    return (w_face - means[:, None]).square().mean() / faces.clamp_min(TINY)


class Losses:
    """Weighted losses, scalars by name."""

    def __init__(
        self, config: PretrainConfig, style_encoder: StyleEncoder, device: torch.device | str
    ):
        """Raises BlendGANError where a file is no network of trainer.likeness."""
        self._config = config
        self._style_encoder = style_encoder
        self._likeness, self._style_likeness = (
            load_likeness(path, of).to(device) if path else None
            for path, of in ((config.likeness, "face"), (config.style_likeness, "style"))
        )

    def pictures(self, given: Pictures, made: Made) -> dict[str, Tensor]:
        """How far the pictures are from those wanted."""
        config, looks, art = self._config, given.look_rows, given.art_rows
        scales = {
            "pixels": 1,
            "perceptual": config.perceptual_weight,
            "gram": config.gram_weight,
            "code": config.code_weight,
        }
        wants = [
            ("natural", ("pixels", "perceptual", "gram"), made.natural, given.faces, 1.0),
            ("styled", tuple(scales), made.styled, given.wanted, config.fine_share),
            # a twin's colours are its own, so its Gram matrices are not asked of another face
            ("stranger", ("code",), made.strangers[looks], given.shown[looks], 1.0),
            ("art", ("gram", "code"), made.strangers[art], given.shown[art], 1.0),
        ]
        losses = {}
        for kind, names, ours, theirs, fine in wants:
            if len(ours):
                found = picture_losses(self._style_encoder, ours, theirs, fine)
                losses |= {f"{kind}_{name}": scales[name] * found[name] for name in names}
        return losses

    def faces(
        self, draws: Draws, given: Pictures, made: Made, unstyled: Tensor
    ) -> dict[str, Tensor]:
        """How far the people are from those wanted, as --likeness sees them. unstyled: the natural
        pictures of those random faces that were drawn in a style."""
        losses = {}
        for kind, rows, ours, people in (
            ("natural", given.drawn_rows, made.natural, given.faces),  # it knows drawn people alone
            ("styled", slice(None), made.styled, given.people),
            ("stranger", slice(len(unstyled)), made.strangers, unstyled),
        ):
            loss = likeness_loss(
                self._likeness, *same_part(draws.part(rows), ours[rows], people[rows])
            )
            losses[f"{kind}_likeness"] = self._config.likeness_weight * loss
        return losses

    def styles(self, given: Pictures, made: Made) -> dict[str, Tensor]:
        """How far the styles are from those wanted, as --style-likeness sees them, which knows the
        twins' alone."""
        looks = given.look_rows
        losses = {}
        for kind, ours, theirs in (
            ("styled", made.styled, given.wanted),
            ("stranger", made.strangers[looks], given.shown[looks]),
        ):
            loss = likeness_loss(self._style_likeness, ours, theirs)
            losses[f"{kind}_style"] = self._config.style_likeness_weight * loss
        return losses
