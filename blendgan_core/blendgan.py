"""The assembled model: a face and a piece of art in, a stylised portrait out."""

import os
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn

from .config import GeneratorConfig, PSPConfig, StyleEncoderConfig
from .errors import BlendGANError, CheckpointError
from .generator import Generator
from .psp_encoder import PSPEncoder
from .refinement import KEEP_CLOSE, Report, refine
from .style_encoder import StyleEncoder


@dataclass(frozen=True, kw_only=True)
class BlendGANConfig:
    """The configs of the parts that a model has; None for a part that it lacks."""

    generator: GeneratorConfig | None = None
    style_encoder: StyleEncoderConfig | None = None
    psp_encoder: PSPConfig | None = None


class BlendGAN(nn.Module):
    """Generator, style encoder and pSp encoder (paper, figure 2). Any part may be missing.

    All public methods take and return float RGB NCHW in [-1, 1], compute without gradients, and
    move their input to the device of the part that takes it. Codes and pictures are fp32, whatever
    precision the networks compute in.
    """

    def __init__(
        self,
        generator: GeneratorConfig | None = None,
        style_encoder: StyleEncoderConfig | None = None,
        psp_encoder: PSPConfig | None = None,
    ):
        super().__init__()
        self.provenance: dict = {}  # what a checkpoint's header says of where it comes from
        self.config = BlendGANConfig(
            generator=generator, style_encoder=style_encoder, psp_encoder=psp_encoder
        )
        self.generator = Generator(generator) if generator else None
        self.style_encoder = StyleEncoder(style_encoder) if style_encoder else None
        self.psp_encoder = PSPEncoder(psp_encoder) if psp_encoder else None

    @classmethod
    def assemble(
        cls,
        generator: Generator | None = None,
        style_encoder: StyleEncoder | None = None,
        psp_encoder: PSPEncoder | None = None,
    ) -> "BlendGAN":
        """A model of networks that exist already, which it then shares with the caller."""
        model = cls()
        model.generator, model.style_encoder, model.psp_encoder = (
            generator,
            style_encoder,
            psp_encoder,
        )
        model.config = BlendGANConfig(
            **{
                name: getattr(model, name).config
                for name in PARTS
                if getattr(model, name) is not None
            }
        )
        return model

    @property
    def num_layers(self) -> int:
        """L, the number of layers that an indicator counts."""
        return self._need("generator").config.num_layers

    @property
    def resolution(self) -> int:
        """Height and width of a result in pixels."""
        return self._need("generator").config.resolution

    @torch.no_grad()
    def sample_face(self, seeds: list[int], truncation: float = 0.75) -> Tensor:
        """One random face a seed -> w_face [N, L, W]; the same on every device."""
        generator = self._need("generator")
        return generator.map_face(_move(self._normal(seeds), generator), truncation)

    @torch.no_grad()
    def sample_style(self, seeds: list[int]) -> Tensor:
        """One random style a seed -> z_style [N, S]; the same on every device."""
        generator = self._need("generator")
        return generator.style_from_normal(_move(self._normal(seeds), generator))

    @torch.no_grad()
    def map_face(self, z: Tensor, truncation: float = 1.0) -> Tensor:
        """z: [N, Z], normal -> w_face [N, L, W]."""
        generator = self._need("generator")
        return generator.map_face(_move(z, generator), truncation)

    @torch.no_grad()
    def map_style(self, z_style: Tensor) -> Tensor:
        """z_style: [N, S] -> w_style [N, L, W]. A code of another model raises BlendGANError."""
        generator = self._need("generator")
        if z_style.ndim != 2 or z_style.shape[1] != generator.config.z_dim:
            raise BlendGANError(
                f"the style code has the shape {tuple(z_style.shape)}, this model needs "
                f"[N, {generator.config.z_dim}]; make it with the same checkpoint"
            )
        return generator.map_style(_move(z_style, generator))

    @torch.no_grad()
    def encode_style(self, images: Tensor) -> Tensor:
        """Pictures of any size [N, 3, H, W] in [-1, 1] -> z_style [N, S]."""
        style_encoder = self._need("style_encoder")
        return style_encoder(_move(images, style_encoder))

    @torch.no_grad()
    def invert(self, images: Tensor) -> Tensor:
        """Aligned faces of any size [N, 3, H, W] in [-1, 1] -> w_face [N, L, W] (pSp)."""
        psp_encoder = self._need("psp_encoder")
        return psp_encoder(_move(images, psp_encoder))

    def refine(
        self,
        images: Tensor,
        w_face: Tensor,
        steps: int,
        keep_close: float = KEEP_CLOSE,
        report: Report | None = None,
    ) -> Tensor:
        """What `invert` made of the same pictures [N, 3, H, H], moved by some steps towards what
        regenerates them best; see refinement.py. w_face: [N, L, W] -> the same shape."""
        generator = self._need("generator")
        self._check_w("face", w_face)
        images, w_face = _move(images, generator), _move(w_face, generator)
        return refine(generator, self.style_encoder, images, w_face, steps, keep_close, report)

    def blend(
        self,
        w_face: Tensor,
        z_style: Tensor,
        indicator: int = 6,
        theta: float = 1.0,
        strength: float = 1.0,
        curve: Sequence[float] | None = None,
    ) -> Tensor:
        """w_face: [N, L, W]; z_style: [N or 1, S] -> w [N, L, W] (eq. 3-5).

        indicator: 0 (strongest style) .. L (the face as it is); theta: 0..1, the style's share in
        layer `indicator`; strength: 0..1, a factor on all shares; curve: L shares in place of the
        model's own. Codes of another model, or values out of range, raise BlendGANError.
        """
        return self.blend_w(w_face, self.map_style(z_style), indicator, theta, strength, curve)

    @torch.no_grad()
    def blend_w(
        self,
        w_face: Tensor,
        w_style: Tensor,
        indicator: int = 6,
        theta: float = 1.0,
        strength: float = 1.0,
        curve: Sequence[float] | None = None,
    ) -> Tensor:
        """`blend` with a style that is mapped already: w_style [N or 1, L, W]."""
        generator = self._need("generator")
        for name, w in (("face", w_face), ("style", w_style)):
            self._check_w(name, w)
        if len(w_face) != len(w_style) and 1 not in (len(w_face), len(w_style)):
            raise BlendGANError(
                f"{len(w_face)} faces and {len(w_style)} styles do not pair up: "
                "give one of either, or as many styles as faces"
            )
        w_face, w_style = _move(w_face, generator), _move(w_style, generator)
        return generator.blending(w_face, w_style, indicator, theta, strength, curve)

    @torch.no_grad()
    def synthesize(self, w: Tensor, noise: Literal["fixed", "random"] | int = "fixed") -> Tensor:
        """w: [N, L, W] -> images [N, 3, R, R], about [-1, 1], not clamped.

        noise: "fixed" is stored with the weights; "random" differs for every picture; a number
        seeds one noise that all pictures share, the same on every device.
        """
        synthesis = self._need("generator").synthesis
        if noise == "fixed":
            maps = synthesis.fixed_noise()
        elif noise == "random":
            maps = synthesis.draw_noise(len(w))
        else:
            maps = synthesis.draw_noise(1, torch.Generator("cpu").manual_seed(noise))
        return synthesis(_move(w, synthesis), maps)

    def stylize(
        self, faces: Tensor, styles: Tensor, indicator: int = 6, theta: float = 1.0
    ) -> Tensor:
        """Aligned faces [N, 3, H, W], pictures [N or 1, 3, H', W'] -> [N, 3, R, R]."""
        w = self.blend(self.invert(faces), self.encode_style(styles), indicator, theta)
        return self.synthesize(w)

    def _need(self, part: str) -> nn.Module:
        require_parts((part,), [name for name in PARTS if getattr(self, name)], "the checkpoint")
        return getattr(self, part)

    def _check_w(self, name: str, w: Tensor) -> None:
        """BlendGANError unless w is [N, L, W] with this generator's L and W; name: whose it is."""
        layers, size = self.generator.config.num_layers, self.generator.config.w_dim
        if w.ndim != 3 or w.shape[1:] != (layers, size):
            raise BlendGANError(
                f"the {name} code has the shape {tuple(w.shape)}, this model needs "
                f"[N, {layers}, {size}]; make it with the same checkpoint"
            )

    def _normal(self, seeds: list[int]) -> Tensor:
        z_dim = self.config.generator.z_dim
        draws = [torch.randn(z_dim, generator=torch.Generator("cpu").manual_seed(s)) for s in seeds]
        return torch.stack(draws)  # [N, Z]


def require_parts(parts: Iterable[str], found: Collection[str], source: str | os.PathLike) -> None:
    """Raise CheckpointError for the first of these parts that is not found; source: what lacks
    it."""
    for part in parts:
        if part not in found:
            label, upstream_file = PARTS[part]
            raise CheckpointError(
                f"this needs a {label}, but {source} holds only: {', '.join(found)}. Give a "
                f"checkpoint that has one, or join the one of {upstream_file} to it with "
                "`python -m trainer.convert`"
            )


def _move(x: Tensor, module: nn.Module) -> Tensor:
    """x in fp32 on the device of a module."""
    return x.to(next(module.parameters()).device, torch.float32)


# each part's name for people, and the upstream file that brings it
PARTS = {
    "generator": ("generator", "blendgan.pt"),
    "style_encoder": ("style encoder", "blendgan.pt or style_encoder.pt"),
    "psp_encoder": ("pSp encoder", "psp_encoder.pt"),
}
