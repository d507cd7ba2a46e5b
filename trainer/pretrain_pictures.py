"""The pictures that a step of `trainer.pretrain` is given."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from .camera import as_photographed
from .data import Feed, ImageSet, random_flip
from .draws import Draws
from .pretrain_config import PretrainConfig
from .twins import Twins


@dataclass(frozen=True)
class Pictures:
    """All [N, 3, R, R] in [-1, 1]."""

    faces: Tensor
    """natural ones, which are to be rebuilt"""
    seen: Tensor
    """the same, as the pSp encoder sees them: a part as a bad camera takes them"""
    people: Tensor
    """other natural faces"""
    wanted: Tensor
    """these people in a style"""
    looks: Tensor
    """others in that style: its references"""
    shown: Tensor
    """references of random faces: looks of twins, then art or, without a style, `faces`"""
    drawn_rows: slice
    """which of `faces` are drawn ones, not of --photos"""
    look_rows: slice
    """which of `shown` are looks of twins"""
    art_rows: slice
    """which of `shown` are art; those behind them are without a style"""


class Sources:
    """Where they come from: what a step sees is a function of (seed, step) alone."""

    def __init__(
        self,
        config: PretrainConfig,
        resolution: int,
        samples: Sequence[int],
        device: torch.device | str,
    ):
        """samples: the numbers, within the batch, of this process's; raises BlendGANError where a
        folder has too few pictures, or twins do not match."""

        def optional(sources: tuple[Path, ...]) -> ImageSet | None:
            return ImageSet(sources, resolution) if sources else None

        self.natural = ImageSet(config.natural, resolution, at_least=config.batch)
        self.twins = Twins(config.twins, resolution)
        self.art, self.photos = optional(config.art), optional(config.photos)
        self._share, self._device = config.photo_share, device
        sets = {
            "natural": self.natural,
            "twins": self.twins.styled,
            "art": self.art,
            "photos": self.photos,
        }
        self._feeds = {
            name: Feed(pictures, name, config.batch, config.seed, samples)
            for name, pictures in sets.items()
            if pictures
        }

    def of_step(self, step: int, draws: Draws) -> Pictures:
        """Photos come in even steps, in which every layer has its own latent; art in odd ones."""
        faces, num_photos = self._feeds["natural"](step)[0], 0
        if self.photos and step % 2 == 0:
            num_photos = round(self._share * len(faces))
            faces[:num_photos] = self._feeds["photos"](step)[0][:num_photos]
        faces = random_flip(faces.to(self._device), draws)
        seen, faces = as_photographed(faces, self._share)
        people, wanted, looks = self.twins.batch(self._feeds["twins"].indices(step), self._device)
        people, wanted = random_flip(torch.cat([people, wanted], dim=1), draws).split(3, dim=1)
        looks = random_flip(looks, draws)
        num_looks, others = -(-len(looks) // 2), faces
        with_art = self.art is not None and step % 2 == 1
        if with_art:
            others = random_flip(self._feeds["art"](step)[0].to(self._device), draws)
        return Pictures(
            faces=faces,
            seen=seen,
            people=people,
            wanted=wanted,
            looks=looks,
            shown=torch.cat([looks[:num_looks], others[num_looks:]]),
            drawn_rows=slice(num_photos, None),
            look_rows=slice(num_looks),
            art_rows=slice(num_looks, len(looks) if with_art else num_looks),
        )
