"""The discriminators: D_face and D_style are `Discriminator`, D_style_latent is
`ProjectionDiscriminator`."""

from math import sqrt

import torch
from torch import Tensor, nn

from .config import GeneratorConfig
from .layers import EqualConv2d, EqualLinear, fir_filter


class ResidualBlock(nn.Module):
    """Two 3x3 convolutions, the second halving the size, beside a 1x1 shortcut."""

    def __init__(self, in_channels: int, out_channels: int):
        super().__init__()
        self.conv1 = EqualConv2d(in_channels, in_channels, 3, stride=1, bias=True)
        self.conv2 = EqualConv2d(in_channels, out_channels, 3, stride=2, bias=True)
        self.skip = EqualConv2d(in_channels, out_channels, 1, stride=1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """x: [N, C, H, W] -> [N, C', H/2, W/2]."""
        out = self.conv2(fir_filter(self.conv1(x), padding=(2, 2)))
        # the reference filters, then takes every second pixel by a strided 1x1 convolution
        return (out + self.skip(fir_filter(x, padding=(1, 1), stride=2))) / sqrt(2)


class Trunk(nn.Module):
    """StyleGAN2's residual discriminator down to 4x4, with the minibatch standard deviation."""

    def __init__(self, config: GeneratorConfig):
        super().__init__()
        self.config = config
        self.dtype = torch.float32  # of the convolutions from the resolution `half_from` on
        self.half_from = 4
        resolution = config.resolution
        channels = config.channels(resolution)
        self.from_rgb = EqualConv2d(3, channels, 1, stride=1, bias=True)
        blocks = []
        while resolution > 4:
            resolution //= 2
            out = config.channels(resolution)
            blocks.append(ResidualBlock(channels, out))
            channels = out
        self.blocks = nn.Sequential(*blocks)
        self.final_conv = EqualConv2d(channels + 1, channels, 3, stride=1, bias=True)

    def forward(self, images: Tensor) -> Tensor:
        """images: [N, 3, R, R] in [-1, 1] -> [N, C, 4, 4], fp32."""
        x = self.from_rgb(images.to(self._dtype_at(images.shape[2])))
        for block in self.blocks:
            x = block(x.to(self._dtype_at(x.shape[2])))
        return self.final_conv(append_minibatch_stddev(x.float()))

    def _dtype_at(self, resolution: int) -> torch.dtype:
        return self.dtype if resolution >= self.half_from else torch.float32


def append_minibatch_stddev(x: Tensor, group: int = 4) -> Tensor:
    """Append a channel that tells how much the pictures of a group differ (Karras et al. 2018).

    x: [N, C, H, W] -> [N, C + 1, H, W]. Sample n belongs to group n mod G, as in the reference,
    with G = N / 4; where 4 does not divide N the groups differ in size by one, so any batch works.
    """
    n, _, h, w = x.shape
    num_groups = max(1, n // group)
    member = torch.arange(n, device=x.device) % num_groups  # [N]
    one_hot = torch.nn.functional.one_hot(member, num_groups).float()  # [N, G]
    share = one_hot / one_hot.sum(dim=0)  # [N, G], columns sum to 1
    flat = x.float().flatten(1)  # fp32: a variance in half precision loses everything
    mean = share.t() @ flat  # [G, C*H*W]
    centred = flat - one_hot @ mean
    variance = share.t() @ centred.square()  # [G, C*H*W]
    stddev = torch.sqrt(variance + 1e-8).mean(dim=1)  # [G]
    channel = (one_hot @ stddev).to(x.dtype)[:, None, None, None].expand(n, 1, h, w)
    return torch.cat([x, channel], dim=1)


class Discriminator(nn.Module):
    """Is the picture real? D_face asks it of natural faces, D_style of artistic ones."""

    def __init__(self, config: GeneratorConfig):
        super().__init__()
        self.trunk = Trunk(config)
        channels = config.channels(4)
        self.hidden = EqualLinear(channels * 16, channels, activate=True)
        self.out = EqualLinear(channels, 1)

    def forward(self, images: Tensor) -> Tensor:
        """images: [N, 3, R, R] in [-1, 1] -> logits [N, 1]."""
        return self.out(self.hidden(self.trunk(images).flatten(1)))


class ProjectionDiscriminator(nn.Module):
    """Is the picture in this style? D_style_latent (section 3.3; Miyato & Koyama 2018)."""

    def __init__(self, config: GeneratorConfig):
        super().__init__()
        self.trunk = Trunk(config)
        channels = config.channels(4)
        self.out = EqualLinear(channels, 1)
        self.style = EqualLinear(config.z_dim, channels)

    def forward(self, images: Tensor, z_style: Tensor) -> Tensor:
        """images: [N, 3, R, R] in [-1, 1]; z_style: [N, S] -> logits [N, 1]."""
        return self.judge(self.features(images), z_style)

    def features(self, images: Tensor) -> Tensor:
        """images: [N, 3, R, R] in [-1, 1] -> what is judged in any style, [N, C]."""
        return self.trunk(images).sum(dim=(2, 3))

    def judge(self, features: Tensor, z_style: Tensor) -> Tensor:
        """features: [N, C] of pictures; z_style: [N, S] -> their logits [N, 1]."""
        projection = (self.style(z_style) * features).sum(dim=1, keepdim=True)
        return self.out(features) + projection
