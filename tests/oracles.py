"""The straightforward formulations that the fast ones in blendgan_core must equal."""

import torch
from torch import Tensor
from torch.nn import functional as F


def upfirdn(x: Tensor, up: int, padding: tuple[int, int], gain: float) -> Tensor:
    """Zero-stuff, pad and filter, written with reshapes (StyleGAN2's upfirdn2d, down = 1)."""
    taps = torch.tensor([1.0, 3.0, 3.0, 1.0], dtype=x.dtype)
    kernel = torch.outer(taps, taps) / 64 * gain
    n, c, h, w = x.shape
    stuffed = x.new_zeros(n, c, h, up, w, up)
    stuffed[:, :, :, 0, :, 0] = x
    stuffed = stuffed.reshape(n, c, h * up, w * up)
    before, after = padding
    padded = F.pad(stuffed, (before, after, before, after))
    out = F.conv2d(padded.reshape(n * c, 1, *padded.shape[2:]), kernel.flip(0, 1)[None, None])
    return out.reshape(n, c, *out.shape[2:])


def modulated_conv(
    x: Tensor, weight: Tensor, style: Tensor, demodulate: bool, upsample: bool
) -> Tensor:
    """One modulated weight a sample, grouped convolution, transposed convolution, padded FIR.

    x: [N, C, H, W]; weight: [C', C, k, k], scaled; style: [N, C].
    """
    n, c, h, w = x.shape
    modulated = weight[None] * style[:, None, :, None, None]  # [N, C', C, k, k]
    if demodulate:
        norm = torch.rsqrt(modulated.square().sum(dim=(2, 3, 4), keepdim=True) + 1e-8)
        modulated = modulated * norm
    c_out, k = weight.shape[0], weight.shape[-1]
    if upsample:
        kernels = modulated.transpose(1, 2).reshape(n * c, c_out, k, k)
        out = F.conv_transpose2d(x.reshape(1, n * c, h, w), kernels, stride=2, groups=n)
        return upfirdn(out.reshape(n, c_out, *out.shape[2:]), up=1, padding=(1, 1), gain=4)
    kernels = modulated.reshape(n * c_out, c, k, k)
    out = F.conv2d(x.reshape(1, n * c, h, w), kernels, padding=k // 2, groups=n)
    return out.reshape(n, c_out, h, w)
