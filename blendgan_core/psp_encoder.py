"""PSPEncoder: an aligned face to the layered latent w_face that regenerates it.

pixel2style2pixel (Richardson et al. 2021): an IR-SE trunk (ArcFace's ResNet with squeeze-and-
excitation), a feature pyramid over its last three stages, and one small convolutional head for each
layer of the generator.
"""

from math import log2

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from .config import PSPConfig
from .layers import EqualLinear, average_pool, fastest_layout

FIRST_MIDDLE_LAYER = 3  # layers below it read the coarsest map of the pyramid
FIRST_FINE_LAYER = 7  # layers from here on read the finest one


class SqueezeExcitation(nn.Module):
    """Weigh the channels by a gate computed from their means (Hu et al. 2018)."""

    def __init__(self, channels: int, reduction: int = 16):
        super().__init__()
        squeezed = max(1, channels // reduction)
        self.fc1 = nn.Conv2d(channels, squeezed, 1, bias=False)
        self.fc2 = nn.Conv2d(squeezed, channels, 1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """x: [N, C, H, W] -> the same shape."""
        means = x.mean(dim=(2, 3), keepdim=True)  # [N, C, 1, 1]
        return x * torch.sigmoid(self.fc2(F.relu(self.fc1(means))))


class EveryPixel(nn.Module):
    """Pick every stride-th pixel, the reference's max-pooling of one pixel."""

    def __init__(self, stride: int):
        super().__init__()
        self.stride = stride

    def forward(self, x: Tensor) -> Tensor:
        """x: [N, C, H, W] -> [N, C, H/stride, W/stride]."""
        return x[:, :, :: self.stride, :: self.stride]


class ResidualBlock(nn.Module):
    """IR-SE block: BN, conv, PReLU, conv (which carries the stride), BN, SE; plus a shortcut."""

    def __init__(self, in_channels: int, channels: int, stride: int):
        super().__init__()
        if in_channels == channels:
            self.shortcut = EveryPixel(stride)
        else:
            self.shortcut = nn.Sequential(
                nn.Conv2d(in_channels, channels, 1, stride, bias=False), nn.BatchNorm2d(channels)
            )
        self.residual = nn.Sequential(
            nn.BatchNorm2d(in_channels),
            nn.Conv2d(in_channels, channels, 3, padding=1, bias=False),
            nn.PReLU(channels),
            nn.Conv2d(channels, channels, 3, stride, padding=1, bias=False),
            nn.BatchNorm2d(channels),
            SqueezeExcitation(channels),
        )

    def forward(self, x: Tensor) -> Tensor:
        """x: [N, C, H, W] -> [N, C', H/stride, W/stride]."""
        return self.residual(x) + self.shortcut(x)


class HalvingConv2d(nn.Conv2d):
    """A 3x3 convolution of stride 2, on a CPU without gradients as one matrix product.

    The heads' maps are small and their weights large; a matrix product reads these once, where
    PyTorch's convolution first copies them into another order.
    """

    def forward(self, x: Tensor) -> Tensor:
        """x: [N, C, H, W], both even -> [N, C', H/2, W/2]."""
        if torch.is_grad_enabled() or x.device.type != "cpu":
            return super().forward(x)
        n, c, height, width = (x.shape[0], x.shape[1], x.shape[2] // 2, x.shape[3] // 2)
        padded = F.pad(x, (1, 1, 1, 1)).permute(0, 2, 3, 1).contiguous()  # [N, H + 2, W + 2, C]
        image, row, column, channel = padded.stride()
        patches = padded.as_strided(
            (n, height, width, 3, 3, c), (image, 2 * row, 2 * column, row, column, channel)
        )
        weight = self.weight.permute(0, 2, 3, 1).reshape(-1, 9 * c)  # a view if channels are last
        out = F.linear(patches.reshape(-1, 9 * c), weight, self.bias)
        return out.view(n, height, width, -1).permute(0, 3, 1, 2)


class LatentHead(nn.Module):
    """Map2style: convolutions of stride 2 down to one pixel, then a linear layer."""

    def __init__(self, in_channels: int, w_dim: int, spatial: int):
        super().__init__()
        layers: list[nn.Module] = []
        for i in range(int(log2(spatial))):
            conv = HalvingConv2d(w_dim if i else in_channels, w_dim, 3, stride=2, padding=1)
            layers += [conv, nn.LeakyReLU(0.01)]
        self.convs = nn.Sequential(*layers)
        self.linear = EqualLinear(w_dim, w_dim)

    def forward(self, x: Tensor) -> Tensor:
        """x: [N, C, spatial, spatial] -> [N, W]."""
        return self.linear(self.convs(x).flatten(1).to(self.linear.weight.dtype))


class PSPEncoder(nn.Module):
    """Invert aligned faces into w_face (pSp, the encoder of BlendGAN's section 3.4).

    The trunk's four stages halve the picture once each, so at 256 px the maps that the heads read
    measure 64 (stage 2), 32 (stage 3) and 16 (stage 4) pixels. The heads' output is relative to
    `latent_avg`. With `deltas` it is e4e (Tov et al. 2021): the first head gives one latent for all
    layers, each other head what is added to it in its layer.
    """

    def __init__(self, config: PSPConfig):
        super().__init__()
        self.config = config
        first, second, third, last = config.channels
        self.input_layer = nn.Sequential(
            nn.Conv2d(3, first, 3, padding=1, bias=False), nn.BatchNorm2d(first), nn.PReLU(first)
        )
        self.stages = nn.ModuleList()
        in_channels = first
        for channels, num_blocks in zip(config.channels, config.blocks, strict=True):
            blocks = [ResidualBlock(in_channels, channels, stride=2)]
            blocks += [ResidualBlock(channels, channels, stride=1) for _ in range(num_blocks - 1)]
            self.stages.append(nn.Sequential(*blocks))
            in_channels = channels
        self.lateral_middle = nn.Conv2d(third, last, 1)
        self.lateral_fine = nn.Conv2d(second, last, 1)
        self.heads = nn.ModuleList(
            LatentHead(last, config.w_dim, self._spatial(layer))
            for layer in range(config.num_layers)
        )
        self.register_buffer("latent_avg", torch.zeros(config.num_layers, config.w_dim))

    def _spatial(self, layer: int) -> int:
        """Height and width of the map that the head of this layer reads."""
        coarse = self.config.image_size // 16
        if layer < FIRST_MIDDLE_LAYER:
            return coarse
        return 2 * coarse if layer < FIRST_FINE_LAYER else 4 * coarse

    def pyramid(self, images: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """The coarse, middle and fine feature maps, each with as many channels as stage 4.

        images: [N, 3, H, W] RGB in [-1, 1] -> [N, C, s, s], [N, C, 2s, 2s], [N, C, 4s, 4s],
        where s is a 16th of the config's image_size.
        """
        x = average_pool(images, self.config.image_size)
        x = self.input_layer(fastest_layout(x.to(self.lateral_fine.weight.dtype)))
        stage_outputs = []
        for stage in self.stages:
            x = stage(x)
            stage_outputs.append(x)
        _, fine, middle, coarse = stage_outputs
        middle = _upsample_add(coarse, self.lateral_middle(middle))
        return coarse, middle, _upsample_add(middle, self.lateral_fine(fine))

    def forward(self, images: Tensor) -> Tensor:
        """images: [N, 3, H, W] RGB in [-1, 1], aligned faces of any size -> w_face [N, L, W]."""
        coarse, middle, fine = self.pyramid(images)
        codes = []
        for layer, head in enumerate(self.heads):
            if layer < FIRST_MIDDLE_LAYER:
                codes.append(head(coarse))
            else:
                codes.append(head(middle if layer < FIRST_FINE_LAYER else fine))
        w_face = torch.stack(codes, dim=1)  # [N, L, W]
        if self.config.deltas:
            w_face = torch.cat([w_face[:, :1], w_face[:, :1] + w_face[:, 1:]], dim=1)
        return w_face + self.latent_avg


def _upsample_add(coarse: Tensor, lateral: Tensor) -> Tensor:
    """Add a coarser map to a finer one. [N, C, h, w], [N, C, H, W] -> [N, C, H, W]."""
    size = lateral.shape[-2:]
    return F.interpolate(coarse, size=size, mode="bilinear", align_corners=True) + lateral
