"""The weighted blending module (WBM), which decides layer by layer how much style a face takes."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from .errors import BlendGANError


class WeightedBlendingModule(nn.Module):
    """Blend style and face latents layer by layer (BlendGAN, eq. 3-5).

    w = w_style * a + w_face * (1 - a),  a = alpha * m(i; theta),
    m = 0 below layer i, theta at i, 1 above it.
    """

    def __init__(self, num_layers: int, alpha: float = 0.5):
        super().__init__()
        self.alpha = nn.Parameter(torch.full((num_layers,), float(alpha)))  # style share, 0..1

    def forward(
        self,
        w_face: Tensor,
        w_style: Tensor,
        indicator: int = 6,
        theta: float = 1.0,
        strength: float = 1.0,
        curve: Sequence[float] | None = None,
    ) -> Tensor:
        """w_face, w_style: [N, L, W] -> [N, L, W]; either may have N = 1, which serves all.

        indicator: 0 (all layers take style) .. L (none does: the result is w_face, bit for bit);
        theta: 0..1, the share that layer `indicator` takes; strength and curve as in `share`.
        Values out of range raise BlendGANError.
        """
        share = self.share(indicator, theta, strength, curve).to(w_face)[:, None]  # [L, 1]
        return torch.lerp(*torch.broadcast_tensors(w_face, w_style), share)

    def share(
        self,
        indicator: int = 6,
        theta: float = 1.0,
        strength: float = 1.0,
        curve: Sequence[float] | None = None,
    ) -> Tensor:
        """a of eq. 3, times strength: the style's share in each layer, [L], 0..1.

        strength: 0 (the face, bit for bit) .. 1 (the paper's blend); curve: L shares, 0..1, that
        stand in place of alpha * m, so that indicator and theta have no effect. Neither is in the
        paper.
        """
        mask = self.mask(indicator, theta)
        if not 0 <= strength <= 1:
            raise BlendGANError(
                f"strength {strength} is outside 0..1: 0 leaves the face as it is, 1 is the "
                "whole blend"
            )
        if curve is not None:
            return strength * self._checked(curve)
        # the value of a clamp with the gradient of none: newer PyTorch gives a clamp's bounds the
        # gradient 0, which would hold an alpha of 0 or 1 there for ever
        alpha = self.alpha + (self.alpha.clamp(0, 1) - self.alpha).detach()
        return strength * (alpha * mask)

    def mask(self, indicator: int = 6, theta: float = 1.0) -> Tensor:
        """m(i; theta) of eq. 4-5: [L], 0..1."""
        num_layers = len(self.alpha)
        if not 0 <= indicator <= num_layers:
            raise BlendGANError(
                f"indicator {indicator} is outside 0..{num_layers}, this model's layers; "
                f"0 is the strongest style, {num_layers} leaves the face as it is"
            )
        if not 0 <= theta <= 1:
            raise BlendGANError(
                f"theta {theta} is outside 0..1: 0 gives the layer no style, 1 all of it"
            )
        layer = torch.arange(num_layers, device=self.alpha.device)
        return (layer > indicator) + theta * (layer == indicator)

    @torch.no_grad()
    def project_(self) -> None:
        """Bring alpha back into 0..1 after an optimiser step.

        A clamp in forward alone kills alpha's gradient outside 0..1, and it would never come back.
        """
        self.alpha.clamp_(0, 1)

    def _checked(self, curve: Sequence[float]) -> Tensor:
        """A curve as [L]; BlendGANError unless it has L values in 0..1."""
        num_layers = len(self.alpha)
        if len(curve) != num_layers:
            raise BlendGANError(
                f"the curve has {len(curve)} values, this model needs {num_layers}: one share a "
                "layer, from coarse to fine"
            )
        for layer, share in enumerate(curve):
            if not 0 <= share <= 1:
                raise BlendGANError(
                    f"value {layer + 1} of the curve is {share}, expected 0..1: 0 leaves that "
                    "layer of the face as it is, 1 gives it the style alone"
                )
        return torch.as_tensor(curve, dtype=self.alpha.dtype, device=self.alpha.device)
