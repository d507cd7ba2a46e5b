"""Make a face mapping draw latents like given ones: the last step of `trainer.pretrain`."""

import torch
from torch import Tensor

from blendgan_core.errors import BlendGANError
from blendgan_core.generator import MappingNetwork
from blendgan_core.layers import RELU_GAIN, RELU_SLOPE, EqualLinear


@torch.no_grad()
def fit_face_mapping_(mapping: MappingNetwork, latents: Tensor) -> None:
    """Let mapping(z), z ~ N(0, I), have the mean and the covariance of `latents` [M, W].

    Two leaky ReLU layers, the second the negative of the first, are linear: what one bends, the
    other straightens. All layers but the last two pass z on; these are the Gaussian that fits the
    latents. Its main axes come first, in case z has fewer values than a latent.
    """
    layers: list[EqualLinear] = list(mapping.layers)
    if len(layers) % 2:
        raise BlendGANError(f"the face mapping has {len(layers)} layers, expected an even number")
    mean = latents.mean(dim=0)
    variances, axes = torch.linalg.eigh((latents - mean).t().cov())  # from small to large
    axes = (axes * variances.clamp_min(0).sqrt()).flip(1)  # [W, W]
    for first, second in zip(layers[0::2], layers[1::2], strict=True):
        w_dim, inputs = first.weight.shape
        is_last = second is layers[-1]
        _set_(first, -axes[:, :inputs] if is_last else -torch.eye(w_dim, inputs), -mean * is_last)
        _set_(second, -torch.eye(w_dim) / (RELU_GAIN**2 * RELU_SLOPE), torch.zeros(w_dim))


def _set_(layer: EqualLinear, weight: Tensor, bias: Tensor) -> None:
    """Let the layer compute weight @ x + bias before its leaky ReLU."""
    layer.weight.copy_(weight / layer.scale)
    layer.bias.copy_(bias / layer.lr_multiplier)
