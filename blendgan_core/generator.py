"""StyleGAN2's generator with BlendGAN's second mapping network (paper, figure 2)."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from . import strips
from .blending import WeightedBlendingModule
from .config import GeneratorConfig
from .layers import (
    RELU_GAIN,
    RELU_SLOPE,
    EqualLinear,
    ModulatedConv2d,
    bounded,
    fastest_layout,
    normal,
    pixel_norm,
    upsample,
)


class MappingNetwork(nn.Module):
    """z -> w: pixel norm, then fully connected layers with a hundredth of the learning rate."""

    def __init__(self, z_dim: int, w_dim: int, num_layers: int = 8):
        super().__init__()
        sizes = [z_dim] + [w_dim] * num_layers
        self.layers = nn.Sequential(
            *(
                EqualLinear(a, b, lr_multiplier=0.01, activate=True)
                for a, b in zip(sizes[:-1], sizes[1:], strict=True)
            )
        )

    def forward(self, z: Tensor) -> Tensor:
        """z: [N, Z], any scale -> w: [N, W]."""
        return self.layers(pixel_norm(z))


class StyledConv(nn.Module):
    """Modulated 3x3 convolution, noise, bias and leaky ReLU."""

    def __init__(self, in_channels: int, out_channels: int, w_dim: int, upsample: bool = False):
        super().__init__()
        self.conv = ModulatedConv2d(in_channels, out_channels, 3, w_dim, upsample=upsample)
        self.noise_strength = nn.Parameter(torch.zeros(1))
        self.bias = nn.Parameter(torch.zeros(out_channels))

    def forward(self, x: Tensor, w: Tensor, noise: Tensor) -> Tensor:
        """x: [N, C, H, W]; w: [N, W]; noise: [N or 1, 1, H', W'] -> [N, C', H', W']."""
        x = self.conv(x, w, self.bias, gain=RELU_GAIN)
        x = x + (self.noise_strength * RELU_GAIN * noise).to(x.dtype)
        return bounded(F.leaky_relu(x, RELU_SLOPE), self)


class ToRGB(nn.Module):
    """Modulated 1x1 convolution to RGB, added to the upsampled picture of the level below."""

    def __init__(self, in_channels: int, w_dim: int):
        super().__init__()
        self.conv = ModulatedConv2d(in_channels, 3, 1, w_dim, demodulate=False)
        self.bias = nn.Parameter(torch.zeros(3))

    def forward(self, x: Tensor, w: Tensor, skip: Tensor | None = None) -> Tensor:
        """x: [N, C, H, W]; skip: [N, 3, H/2, W/2] -> [N, 3, H, W], fp32."""
        rgb = self.conv(x, w, self.bias).float()
        return rgb if skip is None else rgb + upsample(skip)


class SynthesisNetwork(nn.Module):
    """w, one latent a layer, -> image. Layer i feeds convolution i; layer i + 1 also feeds its
    ToRGB."""

    def __init__(self, config: GeneratorConfig):
        super().__init__()
        self.config = config
        # of the convolutions from the resolution `half_from` on; latents, noise, picture are fp32
        self.dtype = torch.float32
        self.half_from = 4
        channels = config.channels(4)
        self.constant = nn.Parameter(normal(1, channels, 4, 4))
        self.convs = nn.ModuleList([StyledConv(channels, channels, config.w_dim)])
        self.to_rgbs = nn.ModuleList([ToRGB(channels, config.w_dim)])
        resolution = 8
        while resolution <= config.resolution:
            out = config.channels(resolution)
            self.convs.append(StyledConv(channels, out, config.w_dim, upsample=True))
            self.convs.append(StyledConv(out, out, config.w_dim))
            self.to_rgbs.append(ToRGB(out, config.w_dim))
            channels, resolution = out, resolution * 2
        for index, shape in enumerate(self.noise_shapes()):
            self.register_buffer(f"noise_{index}", normal(*shape))

    def noise_shapes(self) -> list[tuple[int, int, int, int]]:
        """[1, 1, H, W] of each convolution's noise: 4, 8, 8, 16, 16, .."""
        sizes = [2 ** ((index + 5) // 2) for index in range(self.config.num_layers - 1)]
        return [(1, 1, size, size) for size in sizes]

    def fixed_noise(self) -> list[Tensor]:
        """The noise that belongs to the weights: the same picture each time."""
        return [getattr(self, f"noise_{index}") for index in range(len(self.convs))]

    def draw_noise(self, batch: int, generator: torch.Generator | None = None) -> list[Tensor]:
        """Fresh noise for each of `batch` pictures, drawn on `generator`'s device, then moved."""
        device = generator.device if generator is not None else self.constant.device
        return [
            torch.randn(batch, *shape[1:], generator=generator, device=device).to(
                self.constant.device
            )
            for shape in self.noise_shapes()
        ]

    def forward(self, w: Tensor, noise: list[Tensor]) -> Tensor:
        """w: [N, L, W]; noise: one [N or 1, 1, H, W] a convolution -> [N, 3, R, R], not clamped."""
        x = fastest_layout(self.constant.to(self._dtype_at(4)).expand(len(w), -1, -1, -1))
        x = self.convs[0](x, w[:, 0], noise[0])
        rgb = self.to_rgbs[0](x, w[:, 1])
        for block, to_rgb in enumerate(self.to_rgbs[1:]):
            i = 2 * block + 1
            x = x.to(self._dtype_at(2 * x.shape[2]))
            if strips.are_faster(x) and x.dtype == self.dtype:
                return strips.finish(self, block, x, rgb, w, noise)
            x = self.convs[i](x, w[:, i], noise[i])
            x = self.convs[i + 1](x, w[:, i + 1], noise[i + 1])
            rgb = to_rgb(x, w[:, i + 2], rgb)
        return rgb

    def _dtype_at(self, resolution: int) -> torch.dtype:
        return self.dtype if resolution >= self.half_from else torch.float32


class Generator(nn.Module):
    """Two mapping networks, the weighted blending module and the synthesis network."""

    def __init__(self, config: GeneratorConfig, alpha: float = 0.5):
        super().__init__()
        self.config = config
        self.face_mapping = MappingNetwork(config.z_dim, config.w_dim, config.mapping_layers)
        self.style_mapping = MappingNetwork(config.z_dim, config.w_dim, config.mapping_layers)
        self.blending = WeightedBlendingModule(config.num_layers, alpha)
        self.synthesis = SynthesisNetwork(config)
        self.register_buffer("w_mean", torch.zeros(config.w_dim))  # centre of the truncation
        # where the style codes lie that it was trained on; N(0, I) unless measured
        self.register_buffer("style_mean", torch.zeros(config.z_dim))
        identity = torch.zeros(config.z_dim, config.z_dim)
        self.register_buffer("style_factor", identity)
        if not identity.is_meta:
            identity.fill_diagonal_(1)

    def map_face(self, z: Tensor, truncation: float = 1.0) -> Tensor:
        """z_face: [N, Z] -> w_face: [N, L, W]; truncation below 1 pulls it to the mean."""
        w = self.face_mapping(z)  # [N, W]
        if truncation != 1:
            w = torch.lerp(self.w_mean.to(w), w, truncation)
        return self.repeat(w)

    def map_style(self, z_style: Tensor) -> Tensor:
        """z_style: [N, S] -> w_style: [N, L, W]. Styles are never truncated."""
        return self.repeat(self.style_mapping(z_style))

    def repeat(self, w: Tensor) -> Tensor:
        """One latent for all layers: [N, W] -> [N, L, W]."""
        return w[:, None].expand(-1, self.config.num_layers, -1)

    @torch.no_grad()
    def measure_w_mean_(self, count: int = 4096) -> None:
        """Set the centre of the truncation to the mean of `count` mapped codes (seeded)."""
        seeded = torch.Generator("cpu").manual_seed(0)
        z = torch.randn(count, self.config.z_dim, generator=seeded).to(self.w_mean)
        self.w_mean.copy_(self.face_mapping(z).mean(dim=0))

    def style_from_normal(self, normal: Tensor) -> Tensor:
        """N(0, I) vectors -> style codes like those of the training. normal: [N, S] -> z_style [N,
        S]."""
        return self.style_mean + normal @ self.style_factor.t()

    @torch.no_grad()
    def measure_styles_(self, z_style: Tensor) -> None:
        """Fit the Gaussian that `style_from_normal` draws from to real codes. z_style: [M, S].

        The paper draws latent-guided styles from N(0, I); an encoder whose codes fill only a part
        of that space leaves most draws outside of what the generator has seen.
        """
        mean = z_style.float().mean(dim=0)
        centred = (z_style.float() - mean) / max(1, len(z_style) - 1) ** 0.5
        _, scales, directions = torch.linalg.svd(centred, full_matrices=False)
        factor = torch.zeros_like(self.style_factor)
        factor[:, : len(scales)] = directions.t() * scales
        self.style_mean.copy_(mean)
        self.style_factor.copy_(factor)
