"""Large pictures on a CPU, without gradients: one at a time, in strips of rows.

A strip runs through both convolutions of a block and its ToRGB before the next one starts, so what
lies between them stays in the processor's cache, and the last block's features, the largest of all,
never exist as a whole. The weights are modulated per picture (StyleGAN2, eq. 1-3), for they are
small where pictures are large; the gain of the leaky ReLU is folded into them, and only noise and
leaky ReLU are left to do, in place.
"""

from typing import TYPE_CHECKING

import torch
from torch import Tensor
from torch.nn import functional as F

from .layers import (
    RELU_GAIN,
    RELU_SLOPE,
    ModulatedConv2d,
    fir_kernel,
    transposed_conv,
    upsample,
)

if TYPE_CHECKING:
    from .generator import StyledConv, SynthesisNetwork, ToRGB

SMALLEST = 64  # size of a block's input; below, weights outweigh activations: a batch shares them
STRIP_ROWS = 128  # 16 MB of features in fp32 at every size of the official model


def are_faster(x: Tensor) -> bool:
    """Whether a block with this input, [N, C, h, h], is better done here."""
    return x.device.type == "cpu" and x.shape[2] >= SMALLEST and not torch.is_grad_enabled()


def finish(
    synthesis: "SynthesisNetwork",
    block: int,
    x: Tensor,
    rgb: Tensor,
    w: Tensor,
    noise: list[Tensor],
) -> Tensor:
    """The rest of the synthesis from this block on, the first being 0.

    x: [N, C, h, h]; rgb: [N, 3, h, h], fp32; w: [N, L, W]; noise: one [N or 1, 1, H, W] a
    convolution -> [N, 3, R, R], fp32.
    """
    pictures = []
    for n in range(len(x)):
        features, picture = x[n : n + 1], rgb[n : n + 1]
        for b in range(block, len(synthesis.to_rgbs) - 1):
            i = 2 * b + 1
            features, picture = _block(
                synthesis.convs[i],
                synthesis.convs[i + 1],
                synthesis.to_rgbs[b + 1],
                features,
                picture,
                w[n, i : i + 3],
                [maps[n % len(maps)] for maps in noise[i : i + 2]],
                last=b + 2 == len(synthesis.to_rgbs),
            )
        pictures.append(picture)
    return torch.cat(pictures)


def _block(
    up: "StyledConv",
    conv: "StyledConv",
    to_rgb: "ToRGB",
    x: Tensor,
    rgb: Tensor,
    w: Tensor,
    noise: list[Tensor],
    last: bool,
) -> tuple[Tensor, Tensor]:
    """One block of one picture.

    x: [1, C, h, h]; rgb: [1, 3, h, h]; w: [3, W], a latent for each layer; noise: two of [1, 2h,
    2h] -> features [1, C', 2h, 2h], no channels if `last`, and rgb [1, 3, 2h, 2h].
    """
    size, channels = 2 * x.shape[2], len(conv.bias)
    up_weight = _modulated(up.conv, w[0], RELU_GAIN, x.dtype)
    conv_weight = _modulated(conv.conv, w[1], RELU_GAIN, x.dtype)
    rgb_weight = _modulated(to_rgb.conv, w[2], 1.0, x.dtype).view(3, channels)
    up_bias, conv_bias = ((layer.bias * RELU_GAIN).to(x.dtype) for layer in (up, conv))
    fir = fir_kernel(channels, gain=4.0, like=x)
    rgb = upsample(rgb) + to_rgb.bias[:, None, None]
    features = torch.empty(
        (1, 0 if last else channels, size, size), dtype=x.dtype, memory_format=torch.channels_last
    )
    for top in range(0, size, STRIP_ROWS):
        bottom = min(top + STRIP_ROWS, size)
        start, stop = max(top - 1, 0), min(bottom + 1, size)  # rows that the 3x3 convolution sees
        y = _upsampled_rows(x, up_weight, fir, up_bias, start, stop)
        y = _finish_(y, up.noise_strength, noise[0][:, start:stop])
        y = _convolved_rows(y, start, conv_weight, conv_bias, top, bottom)
        y = _finish_(y, conv.noise_strength, noise[1][:, top:bottom])
        if not last:
            features[:, :, top:bottom] = y
        # a matrix product, for a convolution into three channels would first copy y to NCHW
        pixels = y.permute(0, 2, 3, 1).reshape(-1, channels)
        rgb[:, :, top:bottom] += (rgb_weight @ pixels.t()).view(1, 3, bottom - top, size)
    return features, rgb


def _modulated(conv: ModulatedConv2d, w: Tensor, gain: float, dtype: torch.dtype) -> Tensor:
    """Weights for one picture, demodulated, times the gain. w: [W] -> [C', C, k, k]."""
    style = conv.modulation(w) * conv.scale  # [C]
    weight = conv.weight * style[:, None, None]
    if conv.demodulate:
        energy = weight.square().sum(dim=(1, 2, 3), keepdim=True)
        weight *= torch.rsqrt(energy + 1e-8) * gain
    return weight.to(dtype)


def _upsampled_rows(
    x: Tensor, weight: Tensor, fir: Tensor, bias: Tensor, start: int, stop: int
) -> Tensor:
    """Rows start..stop of the upsampling convolution: [1, C, h, h] -> [1, C', stop - start, 2h]."""
    above, below = max(start - 2, 0) // 2, min((stop + 1) // 2 + 1, x.shape[2])
    y = transposed_conv(x[:, :, above:below], weight)  # begins with row 2 * above
    first, end = max(start - 1, 0), min(stop + 2, 2 * x.shape[2] + 1)  # what the filter sees
    y = y[:, :, first - 2 * above : end - 2 * above]
    return _convolved_rows(y, first, fir, bias, start, stop, groups=len(fir))


def _convolved_rows(
    x: Tensor, first: int, weight: Tensor, bias: Tensor, start: int, stop: int, groups: int = 1
) -> Tensor:
    """Rows start..stop of a convolution with a padding of 1.

    x: [1, C, H, W], the rows from `first` on of its input, and all that these see, but for the
    padding -> [1, C', stop - start, W'].
    """
    if first == start - 1 and x.shape[2] == stop - first + weight.shape[2] - 2:
        return F.conv2d(x, weight, bias, padding=(0, 1), groups=groups)
    y = F.conv2d(x, weight, bias, padding=1, groups=groups)  # begins with row `first`
    return y[:, :, start - first : stop - first]


def _finish_(y: Tensor, strength: Tensor, noise: Tensor) -> Tensor:
    """Noise and leaky ReLU in place; the gain is in everything that comes in."""
    y += (noise * (strength * RELU_GAIN)).to(y.dtype)
    return F.leaky_relu_(y, RELU_SLOPE)
