"""The straightforward formulations that the fast ones in blendgan_core must equal."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F


def upfirdn(x: Tensor, up: int, padding: tuple[int, int], gain: float) -> Tensor:
    """Zero-stuff, pad and filter, written with reshapes (StyleGAN2's upfirdn2d, down = 1)."""
    taps = torch.tensor([1.0, 3.0, 3.0, 1.0], dtype=x.dtype, device=x.device)
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


def synthesis(network: nn.Module, w: Tensor, noise: list[Tensor]) -> Tensor:
    """The synthesis network, every layer written out. w: [N, L, W] -> [N, 3, R, R]."""

    def convolve(layer: nn.Module, x: Tensor, latent: Tensor) -> Tensor:
        conv = layer.conv
        style = conv.modulation(latent)
        return modulated_conv(x, conv.weight * conv.scale, style, conv.demodulate, conv.upsample)

    def styled(layer: nn.Module, x: Tensor, latent: Tensor, maps: Tensor) -> Tensor:
        x = convolve(layer, x, latent) + layer.noise_strength * maps + layer.bias[:, None, None]
        return F.leaky_relu(x, 0.2) * 2**0.5

    x = network.constant.repeat(len(w), 1, 1, 1)
    picture = 0
    for i, layer in enumerate(network.convs):
        x = styled(layer, x, w[:, i], noise[i])
        if i % 2 == 0:  # a ToRGB after the first convolution and after every second one behind it
            to_rgb = network.to_rgbs[i // 2]
            rgb = convolve(to_rgb, x, w[:, i + 1]) + to_rgb.bias[:, None, None]
            picture = rgb if i == 0 else rgb + upfirdn(picture, up=2, padding=(2, 1), gain=4)
    return picture


def discriminator(network: nn.Module, images: Tensor) -> Tensor:
    """StyleGAN2's residual discriminator, every layer written out. images: [N, 3, R, R] -> logits
    [N, 1]; 4 divides N, or N < 4."""

    def convolve(layer: nn.Module, x: Tensor) -> Tensor:
        return F.conv2d(x, layer.weight * layer.scale, stride=layer.stride, padding=layer.padding)

    def activated(layer: nn.Module, x: Tensor) -> Tensor:
        return F.leaky_relu(convolve(layer, x) + layer.bias[:, None, None], 0.2) * 2**0.5

    trunk = network.trunk
    x = activated(trunk.from_rgb, images)
    for block in trunk.blocks:
        out = upfirdn(activated(block.conv1, x), up=1, padding=(2, 2), gain=1)
        out = activated(block.conv2, out)
        skip = upfirdn(x, up=1, padding=(1, 1), gain=1)
        x = (out + F.conv2d(skip, block.skip.weight * block.skip.scale, stride=2)) / 2**0.5
    n, c, h, w = x.shape
    group = min(n, 4)
    variance = x.view(group, -1, c, h, w).var(dim=0, unbiased=False)  # over the pictures of a group
    stddev = torch.sqrt(variance + 1e-8).mean(dim=(1, 2, 3))  # [N / group]
    x = torch.cat([x, stddev.repeat(group).view(n, 1, 1, 1).expand(n, 1, h, w)], dim=1)
    x = activated(trunk.final_conv, x)
    return network.out(network.hidden(x.flatten(1)))
