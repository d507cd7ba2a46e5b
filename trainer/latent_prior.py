"""Set mapping networks to linear maps: `trainer.pretrain` ends with a face mapping that draws
latents like given ones, and begins with a style mapping that keeps out of the faces' way.

Two leaky ReLU layers, the second the negative of the first, are linear: what one bends, the other
straightens.
"""

import torch
from torch import Tensor

from blendgan_core.errors import BlendGANError
from blendgan_core.generator import MappingNetwork
from blendgan_core.layers import RELU_GAIN, RELU_SLOPE, EqualLinear, pixel_norm


@torch.no_grad()
def fit_face_mapping_(mapping: MappingNetwork, latents: Tensor) -> None:
    """Let mapping(z), z ~ N(0, I), have the mean and the covariance of `latents` [M, W].

    Their main axes come first, in case z has fewer values than a latent.
    """
    mean, axes, deviations = axes_of(latents)
    _set_linear_(mapping, axes * deviations, mean)


@torch.no_grad()
def start_style_mapping_(mapping: MappingNetwork, codes: Tensor, latents: Tensor) -> None:
    """Let mapping(code) differ from the faces' mean in directions in which faces differ least.

    codes: [M, S], style codes; latents: [M', W], of faces. The codes' first axis becomes the
    faces' last one, and so on; the mapped codes are as far from the mean as the faces are. So a sum
    of a face and a style can be told apart, which a mapping with random weights, whose latents lie
    in a few directions, does not allow.
    """
    mean, axes, deviations = axes_of(latents)
    centre, code_axes, code_deviations = axes_of(pixel_norm(codes))
    count = min(axes.shape[1], code_axes.shape[1])
    matrix = axes.flip(1)[:, :count] @ code_axes[:, :count].t()  # [W, S]
    matrix *= deviations.square().sum().sqrt() / code_deviations[:count].square().sum().sqrt()
    _set_linear_(mapping, matrix, mean - matrix @ centre)


def axes_of(values: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """values: [M, D] -> mean [D], main axes [D, D] in columns, deviations [D], largest first."""
    mean = values.mean(dim=0)
    variances, axes = torch.linalg.eigh((values - mean).t().cov())  # from small to large
    return mean, axes.flip(1), variances.clamp_min(0).sqrt().flip(0)


def _set_linear_(mapping: MappingNetwork, matrix: Tensor, offset: Tensor) -> None:
    """Let mapping(z) be matrix @ z + offset for every z of mean square 1.

    matrix: [W, D]; where z has fewer than D values, its last columns are left out. All layers but
    the last two pass z on.
    """
    layers: list[EqualLinear] = list(mapping.layers)
    if len(layers) % 2:
        raise BlendGANError(f"the mapping has {len(layers)} layers, expected an even number")
    for first, second in zip(layers[0::2], layers[1::2], strict=True):
        w_dim, inputs = first.weight.shape
        is_last = second is layers[-1]
        passed = -torch.eye(w_dim, inputs)
        if is_last:
            passed = torch.zeros(w_dim, inputs)
            passed[:, : matrix.shape[1]] = -matrix[:, :inputs]
        _set_(first, passed, -offset * is_last)
        _set_(second, -torch.eye(w_dim) / (RELU_GAIN**2 * RELU_SLOPE), torch.zeros(w_dim))


def _set_(layer: EqualLinear, weight: Tensor, bias: Tensor) -> None:
    """Let the layer compute weight @ x + bias before its leaky ReLU."""
    layer.weight.copy_(weight / layer.scale)
    layer.bias.copy_(bias / layer.lr_multiplier)
