"""People who are drawn natural and in many styles, so that the right answer is known."""

from pathlib import Path

import torch
from torch import Tensor

from blendgan_core.errors import BlendGANError

from .data import ImageSet


class Twins:
    """natural/NAME and styled/STYLE/NAME: the same person under one name.

    Of the sorted names in a style, the first and second, the third and fourth, .. share the look:
    paper, palette, strokes. So either is the other's reference.
    """

    def __init__(self, folder: Path, resolution: int):
        """Raises BlendGANError where a person or its neighbour is missing."""
        self.natural = ImageSet(folder / "natural", resolution)
        self.styled = ImageSet(folder / "styled", resolution)
        by_name = {path.name: number for number, path in enumerate(self.natural.paths)}
        self._style = torch.tensor(self.styled.style_of)
        self._photo = torch.full((len(self.styled),), -1)
        self._neighbour = torch.full((len(self.styled),), -1)
        for style, members in zip(self.styled.styles, self.styled.members, strict=True):
            ordered = sorted(members.tolist(), key=lambda number: self.styled.paths[number].name)
            if len(ordered) % 2:
                raise BlendGANError(
                    f"{style} holds {len(ordered)} pictures; expected pairs that share a look, so "
                    "an even number: make them by trainer.synthesize --twins"
                )
            for place, number in enumerate(ordered):
                name = self.styled.paths[number].name
                if name not in by_name:
                    raise BlendGANError(
                        f"{style}/{name} has no natural version {folder}/natural/{name}; make both "
                        "by trainer.synthesize --twins"
                    )
                self._photo[number] = by_name[name]
                self._neighbour[number] = ordered[place ^ 1]

    def batch(self, indices: Tensor, device: torch.device | str) -> tuple[Tensor, Tensor, Tensor]:
        """Numbers of styled pictures [N] -> the natural pictures of the same people, the styled
        ones, and their neighbours in that style, [N, 3, R, R] each."""
        return (
            self.natural.batch(self._photo[indices]).to(device),
            self.styled.batch(indices).to(device),
            self.styled.batch(self._neighbour[indices]).to(device),
        )

    def looks(self, indices: Tensor) -> Tensor:
        """Numbers of styled pictures [N] -> numbers of their looks [N], one for both neighbours."""
        return torch.minimum(indices, self._neighbour[indices])

    def people(self, indices: Tensor) -> Tensor:
        """Numbers of styled pictures [N] -> numbers of the people in them [N], which are those of
        their natural pictures."""
        return self._photo[indices]

    def style_numbers(self, indices: Tensor) -> Tensor:
        """Numbers of styled pictures [N] -> numbers of their styles [N]."""
        return self._style[indices]
