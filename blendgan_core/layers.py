"""Building blocks of StyleGAN2: equalised layers, modulated convolution, FIR resampling.

Plain PyTorch operations only, so everything runs on CPU, CUDA and MPS and can be differentiated
twice (R1 and path length need that). Source: Karras et al. 2020, and rosinality's layout of it,
which the official BlendGAN uses.
"""

from math import sqrt

import torch
from torch import Tensor, nn
from torch.nn import functional as F

RELU_SLOPE = 0.2
RELU_GAIN = sqrt(2)  # keeps the variance of a normal input
LARGEST_IN_FP16 = 256.0
FIR = (1.0, 3.0, 3.0, 1.0)  # StyleGAN2's resampling filter, before normalisation


def normal(*shape: int, std: float = 1.0) -> Tensor:
    """Fresh weights. On the meta device, where a file will bring the values, nothing is drawn:
    PyTorch would load half a compiler to find out the shape of a random tensor."""
    weights = torch.empty(shape)
    return weights if weights.is_meta else weights.normal_(0, std)


def leaky_relu(x: Tensor) -> Tensor:
    """StyleGAN2's activation."""
    return F.leaky_relu(x, RELU_SLOPE) * RELU_GAIN


def bounded(x: Tensor, module: nn.Module) -> Tensor:
    """Activations of a training in fp16, which would overflow, held within +-256 (Karras et al.
    2020)."""
    if module.training and x.dtype == torch.float16:
        return x.clamp(-LARGEST_IN_FP16, LARGEST_IN_FP16)
    return x


def fastest_layout(x: Tensor) -> Tensor:
    """x, [N, C, H, W], with its channels last in memory, as convolutions like it best."""
    return x.contiguous(memory_format=torch.channels_last)


def average_pool(images: Tensor, size: int) -> Tensor:
    """Average-pool pictures of any size. [N, C, H, W] -> [N, C, size, size]."""
    if images.device.type == "mps":  # which takes only sizes that divide
        return F.adaptive_avg_pool2d(images.cpu(), size).to(images.device)
    return F.adaptive_avg_pool2d(images, size)


def box_mean(maps: Tensor, side: int) -> Tensor:
    """Mean over the square around each place, over the part of it that lies within the picture.

    maps: [N, C, H, W]; side: odd -> the same shape.
    """
    return F.avg_pool2d(maps, side, stride=1, padding=side // 2, count_include_pad=False)


def pixel_norm(z: Tensor) -> Tensor:
    """Divide each vector by its root mean square. z: [N, C] -> [N, C].

    The 1e-8 is added to the mean square, so a code of RMS below 1e-4 is not brought to 1.
    """
    return z * torch.rsqrt(z.square().mean(dim=1, keepdim=True) + 1e-8)


class EqualLinear(nn.Module):
    """Fully connected layer whose weights are scaled at run time (Karras et al. 2018)."""

    def __init__(
        self,
        in_features: int,
        out_features: int,
        bias_init: float = 0.0,
        lr_multiplier: float = 1.0,
        activate: bool = False,
    ):
        super().__init__()
        self.weight = nn.Parameter(normal(out_features, in_features, std=1 / lr_multiplier))
        self.bias = nn.Parameter(torch.full((out_features,), float(bias_init)))
        self.scale = lr_multiplier / sqrt(in_features)
        self.lr_multiplier = lr_multiplier
        self.activate = activate

    def forward(self, x: Tensor) -> Tensor:
        """x: [.., in_features] -> [.., out_features]."""
        out = F.linear(x * self.scale, self.weight, self.bias * self.lr_multiplier)
        return leaky_relu(out) if self.activate else out


class EqualConv2d(nn.Module):
    """Convolution whose weights are scaled at run time; `bias=True` adds one and a leaky ReLU."""

    def __init__(self, in_channels: int, out_channels: int, kernel: int, stride: int, bias: bool):
        super().__init__()
        self.weight = nn.Parameter(normal(out_channels, in_channels, kernel, kernel))
        self.bias = nn.Parameter(torch.zeros(out_channels)) if bias else None
        self.scale = 1 / sqrt(in_channels * kernel * kernel)
        self.stride = stride
        self.padding = kernel // 2 if stride == 1 else 0  # blur has padded before a stride of 2

    def forward(self, x: Tensor) -> Tensor:
        """x: [N, C, H, W] -> [N, C', H', W']."""
        weight = (self.weight * self.scale).to(x.dtype)
        bias = None if self.bias is None else self.bias.to(x.dtype)
        out = F.conv2d(x, weight, bias, self.stride, self.padding)
        return out if bias is None else bounded(leaky_relu(out), self)


def fir_kernel(channels: int, gain: float, like: Tensor) -> Tensor:
    """A filter of the sum `gain` for each channel: [C, 1, 4, 4], device and dtype of `like`."""
    taps = torch.tensor(FIR, device=like.device, dtype=like.dtype)
    return (torch.outer(taps, taps) * (gain / sum(FIR) ** 2)).expand(channels, 1, 4, 4)


def fir_filter(x: Tensor, padding: tuple[int, int], stride: int = 1, gain: float = 1.0) -> Tensor:
    """Pad (before, after) in both directions, then filter every channel with the FIR kernel.

    x: [N, C, H, W] -> [N, C, H', W'] with H' = (H + sum(padding) - 4) // stride + 1.

    With a stride a CPU computes in fp32 also in half precision, as the gradient of such a filter
    takes several times as long there.
    """
    if stride > 1 and x.device.type == "cpu" and x.dtype != torch.float32:
        return fir_filter(x.float(), padding, stride, gain).to(x.dtype)
    kernel = fir_kernel(x.shape[1], gain, like=x)
    before, after = padding
    if before == after:
        return F.conv2d(x, kernel, padding=before, stride=stride, groups=x.shape[1])
    x = F.pad(x, (before, after, before, after))
    return F.conv2d(x, kernel, stride=stride, groups=x.shape[1])


def upsample(x: Tensor) -> Tensor:
    """FIR-filtered upsampling by 2. x: [N, C, H, W] -> [N, C, 2H, 2W]."""
    kernel = fir_kernel(x.shape[1], 4.0, like=x)
    return F.conv_transpose2d(x, kernel, stride=2, padding=1, groups=x.shape[1])


def transposed_conv(x: Tensor, weight: Tensor) -> Tensor:
    """Transposed convolution of stride 2. x: [N, C, h, w]; weight: [C', C, 3, 3] -> [N, C', 2h + 1,
    2w + 1].

    In half precision on a CPU its four phases, convolutions of 2x2, 2x1, 1x2 and 1x1 taps, are
    computed one by one, since only plain convolutions use the matrix units there.
    """
    if x.device.type != "cpu" or x.dtype == torch.float32:
        return F.conv_transpose2d(x, weight.transpose(0, 1), stride=2)
    n, _, h, w = x.shape
    size = (n, len(weight), 2 * h + 1, 2 * w + 1)
    out = torch.empty(size, dtype=x.dtype, memory_format=torch.channels_last)
    outer, inner = [2, 0], [1]  # taps that reach the even, and the odd rows or columns
    for top, rows in enumerate((outer, inner)):
        for left, columns in enumerate((outer, inner)):
            phase = weight[:, :, rows][:, :, :, columns]
            out[:, :, top::2, left::2] = F.conv2d(x, phase, padding=(1 - top, 1 - left))
    return out


def upsampling_conv(x: Tensor, weight: Tensor) -> Tensor:
    """Transposed convolution of stride 2, then the FIR filter. x: [N, C, H, W]; weight: [C', C, 3,
    3] -> [N, C', 2H, 2W]."""
    return fir_filter(transposed_conv(x, weight), padding=(1, 1), gain=4.0)


class ModulatedConv2d(nn.Module):
    """Convolution whose input channels are scaled by a latent, then demodulated (StyleGAN2, eq.
    1-3).

    Written with one set of weights for the whole batch: scale the activations, convolve, divide by
    the norm that the modulated weights would have had. It equals modulating the weights per sample,
    which `strips.py` does for large pictures.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel: int,
        w_dim: int,
        demodulate: bool = True,
        upsample: bool = False,
    ):
        super().__init__()
        self.weight = nn.Parameter(normal(out_channels, in_channels, kernel, kernel))
        self.modulation = EqualLinear(w_dim, in_channels, bias_init=1.0)
        self.scale = 1 / sqrt(in_channels * kernel * kernel)
        self.demodulate = demodulate
        self.upsample = upsample

    def forward(self, x: Tensor, w: Tensor, bias: Tensor, gain: float = 1.0) -> Tensor:
        """x: [N, C, H, W]; w: [N, W]; bias: [C'] -> (convolution + bias) * gain, [N, C', H, W], or
        twice the size if `upsample`."""
        style = self.modulation(w) * self.scale  # [N, C]
        if self.demodulate and x.dtype == torch.float16:  # in which a large style overflows
            style = style / style.abs().amax(dim=1, keepdim=True).clamp_min(1e-6)
        x = x * style[:, :, None, None].to(x.dtype)
        weight = self.weight.to(x.dtype)
        if self.upsample:
            x = upsampling_conv(x, weight)
        else:
            x = F.conv2d(x, weight, padding=weight.shape[-1] // 2)
        bias = (bias * gain)[:, None, None].to(x.dtype)
        if not self.demodulate:
            return x * gain + bias
        precise = torch.promote_types(self.weight.dtype, torch.float32)  # squares overflow in fp16
        energy = self.weight.to(precise).square().sum(dim=(2, 3))  # [C', C]
        norm = torch.rsqrt(style.to(precise).square() @ energy.t() + 1e-8) * gain  # [N, C']
        return torch.addcmul(bias, x, norm[:, :, None, None].to(x.dtype))
