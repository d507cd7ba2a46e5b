"""StyleEncoder: the Gram matrices of VGG-19 features, and a predictor that turns them into z_style.

BlendGAN, section 3.1. A Gram matrix is symmetric, so only its upper triangle is kept: 305,888
values instead of the official 610,304. The predictor's first layer has its weights folded to match
(W_ij + W_ji, see `fold_gram_weight`), which gives the official output at half the memory.
"""

from math import sqrt
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from .config import StyleEncoderConfig
from .errors import CheckpointError
from .layers import EqualLinear, average_pool, fastest_layout, leaky_relu
from .pickles import read_pickle

TAPS = (3, 8, 17, 26, 35)  # relu1_2, relu2_2, relu3_4, relu4_4, relu5_4 in torchvision's numbering
CONVS_PER_STAGE = (2, 2, 4, 4, 4)
LOG_EPS = 1e-6  # below it a logarithm would show the rounding of fp16 features, not style
MIN_STD = 0.5  # of a log Gram value; live ones measured 0.6 to 4, dead ones must not be blown up


def stage_channels(vgg_width: int) -> tuple[int, ...]:
    """Channels of VGG's five stages: (64, 128, 256, 512, 512) for the official width of 64."""
    return (vgg_width, 2 * vgg_width, 4 * vgg_width, 8 * vgg_width, 8 * vgg_width)


def build_vgg(vgg_width: int) -> nn.Sequential:
    """VGG-19's convolutions up to relu5_4; the indices, so the keys too, are torchvision's."""
    layers: list[nn.Module] = []
    in_channels = 3
    for channels, num_convs in zip(stage_channels(vgg_width), CONVS_PER_STAGE, strict=True):
        for _ in range(num_convs):
            layers += [nn.Conv2d(in_channels, channels, 3, padding=1), nn.ReLU(inplace=True)]
            in_channels = channels
        layers.append(nn.MaxPool2d(2))
    return nn.Sequential(*layers[:-1])  # nothing looks behind relu5_4


def vgg_features(vgg: nn.Sequential, images: Tensor) -> list[Tensor]:
    """Features of `build_vgg`'s network at the five taps: [N, 3, H, W] -> each [N, C, H', W']."""
    x = fastest_layout(images.to(vgg[0].weight.dtype))
    taps = []
    for index, layer in enumerate(vgg):
        x = layer(x)
        if index in TAPS:
            taps.append(x)
    return taps


def feature_distance(ours: list[Tensor], theirs: list[Tensor]) -> Tensor:
    """Mean squared distance of features, each place's brought to length 1 (LPIPS without its
    weights, Zhang et al. 2018). As `vgg_features` gives them, [N, C, H', W'] each -> scalar."""
    distances = []
    for a, b in zip(ours, theirs, strict=True):
        difference = F.normalize(a, dim=1) - F.normalize(b, dim=1)
        distances.append(difference.square().sum(dim=1).mean())
    return torch.stack(distances).mean()


def upper_triangle(matrix: Tensor) -> Tensor:
    """matrix: [.., C, C] -> [.., C*(C+1)/2], row by row, the diagonal included."""
    row, column = torch.triu_indices(*matrix.shape[-2:]).to(matrix.device)
    return matrix[..., row, column]


def gram_upper(features: Tensor) -> Tensor:
    """Upper triangle of F F^T / (C*H*W). features: [N, C, H, W] -> [N, C*(C+1)/2], always fp32."""
    c, h, w = features.shape[1:]
    with torch.autocast(features.device.type, enabled=False):  # an fp16 Gram matrix overflows
        flat = features.float().flatten(2)  # [N, C, H*W]
        return upper_triangle(flat @ flat.mT / (c * h * w))


def fold_gram_weight(weight: Tensor, vgg_width: int) -> Tensor:
    """Weights for full Gram matrices -> weights for upper triangles with the same output.

    weight: [out, sum of C^2], the layout of the official file -> [out, sum of C*(C+1)/2].
    """
    upper, lower = [], []  # where W_ij and W_ji lie in a row of the given weights
    start = 0
    for c in stage_channels(vgg_width):
        row, column = torch.triu_indices(c, c).to(weight.device)
        upper.append(start + row * c + column)
        lower.append(start + column * c + row)
        start += c * c
    upper_index, lower_index = torch.cat(upper), torch.cat(lower)
    off_diagonal = upper_index != lower_index  # the diagonal counts once
    folded = weight.new_empty(len(weight), len(upper_index))
    for full_row, folded_row in zip(weight, folded, strict=True):  # the official one has 1.25 GB
        folded_row.copy_(full_row[upper_index] + full_row[lower_index] * off_diagonal)
    return folded


class GramLinear(EqualLinear):
    """The predictor's first layer: over full Gram matrices, but fed with their upper triangles.

    Folded weights, but the run-time scale of the unfolded layer (BlendGAN, section 3.1).
    """

    def __init__(self, vgg_width: int, out_features: int, activate: bool):
        channels = stage_channels(vgg_width)
        super().__init__(sum(c * (c + 1) // 2 for c in channels), out_features, activate=activate)
        self.scale = 1 / sqrt(sum(c * c for c in channels))  # that of the unfolded layer
        if self.weight.is_meta:  # a file will bring the weights
            return
        with torch.no_grad():  # the sum of two N(0, 1) weights off the diagonal
            folded = [upper_triangle(2 - torch.eye(c)).sqrt() for c in channels]
            self.weight *= torch.cat(folded).to(self.weight)

    def forward(self, grams: Tensor) -> Tensor:
        """grams: [N, G] in fp32 -> [N, out_features] in the dtype of the weights."""
        # Gram values / 781, the scale, would underflow in fp16; relative to the largest they do not
        peak = grams.abs().amax(dim=1, keepdim=True).clamp_min(1e-20)  # [N, 1]
        out = F.linear((grams / peak).to(self.weight.dtype), self.weight)
        out = (out.float() * (peak * self.scale)).to(self.bias.dtype) + self.bias
        return leaky_relu(out) if self.activate else out


class StyleEncoder(nn.Module):
    """A picture of any size to its style code (BlendGAN, section 3.1).

    VGG is frozen: a training touches the predictor alone. Pictures are not normalised by ImageNet's
    mean and deviation, as in the official code. Fresh VGG weights are noise until `random_vgg_`,
    `load_pretrained_vgg_` or a checkpoint sets them.
    """

    def __init__(self, config: StyleEncoderConfig):
        super().__init__()
        self.config = config
        self.vgg = build_vgg(config.vgg_width).requires_grad_(False)
        last = config.predictor_layers - 1
        layers: list[nn.Module] = [
            GramLinear(
                config.vgg_width, config.hidden_dim if last else config.z_dim, activate=last > 0
            )
        ]
        for i in range(1, config.predictor_layers):
            width = config.z_dim if i == last else config.hidden_dim
            layers.append(EqualLinear(config.hidden_dim, width, activate=i < last))
        self.predictor = nn.Sequential(*layers)
        if config.standardize:
            self.register_buffer("gram_mean", torch.zeros(self.num_grams))
            self.register_buffer("gram_std", torch.ones(self.num_grams))

    @property
    def num_grams(self) -> int:
        """G, the Gram values of one picture: 305,888 with the official VGG-19."""
        return self.predictor[0].weight.shape[1]

    def features(self, images: Tensor) -> list[Tensor]:
        """VGG's features at the five taps: [N, 3, H, W] -> each [N, C, H', W']."""
        return vgg_features(self.vgg, images)

    def raw_gram(self, images: Tensor) -> Tensor:
        """Upper triangles of the five Gram matrices, one after the other.

        images: [N, 3, H, W] RGB in [-1, 1], any size -> [N, G], fp32, none negative.
        """
        x = average_pool(images, self.config.image_size)
        return self.grams(self.features(x))

    @staticmethod
    def grams(features: list[Tensor]) -> Tensor:
        """`features` -> what `raw_gram` gives for the same pictures, [N, G]."""
        return torch.cat([gram_upper(tap) for tap in features], dim=1)

    def gram_features(self, images: Tensor) -> Tensor:
        """What the predictor sees: `raw_gram`, as standardised logarithms if config.standardize.

        images: [N, 3, H, W] RGB in [-1, 1], any size -> [N, G], fp32.
        """
        return self.standardize(self.raw_gram(images))

    def standardize(self, grams: Tensor) -> Tensor:
        """grams: [N, G], `raw_gram` of pictures -> their `gram_features`, [N, G]."""
        if not self.config.standardize:
            return grams
        return (torch.log(grams + LOG_EPS) - self.gram_mean.float()) / self.gram_std.float()

    def forward(self, images: Tensor) -> Tensor:
        """images: [N, 3, H, W] RGB in [-1, 1], any size -> z_style [N, S]."""
        return self.predictor(self.gram_features(images))

    @torch.no_grad()
    def fit_standardization_(self, grams: Tensor) -> None:
        """Store mean and deviation of the logarithm. grams: [M, G], `raw_gram` of many pictures."""
        log_grams = torch.log(grams.float() + LOG_EPS)
        std, mean = torch.std_mean(log_grams, dim=0, correction=0)
        self.gram_mean.copy_(mean)
        self.gram_std.copy_(std.clamp_min(MIN_STD))

    @torch.no_grad()
    def random_vgg_(self, seed: int) -> None:
        """He-normal VGG weights and zero biases, the same for a seed on every device."""
        generator = torch.Generator("cpu").manual_seed(seed)
        for layer in self.vgg:
            if isinstance(layer, nn.Conv2d):
                std = sqrt(2 / layer.weight[0].numel())
                layer.weight.copy_(torch.randn(layer.weight.shape, generator=generator) * std)
                layer.bias.zero_()


def load_pretrained_vgg_(encoder: StyleEncoder, source: str | Path) -> None:
    """Fill the frozen VGG with pretrained weights.

    source: a file of torchvision's vgg19 weights (`vgg19-dcbb9e9d.pth`, with or without the
    classifier), or the word "torchvision", which lets torchvision download them; nothing else ever
    downloads.
    Raises CheckpointError if the file is not a VGG-19 of the encoder's width.
    """
    if source == "torchvision":
        from torchvision.models import VGG19_Weights, vgg19

        weights = vgg19(weights=VGG19_Weights.IMAGENET1K_V1).state_dict()
    else:
        weights = read_pickle(Path(source))
    wanted = encoder.vgg.state_dict()
    found = {key: weights.get(f"features.{key}") for key in wanted}
    wrong = [key for key in wanted if found[key] is None or found[key].shape != wanted[key].shape]
    if wrong:
        raise CheckpointError(
            f"{source} is not a VGG-19 of width {encoder.config.vgg_width}: 'features.{wrong[0]}' "
            f"is missing or has another shape, found {sorted(weights)[:3]}; "
            "use torchvision's vgg19 weights"
        )
    encoder.vgg.load_state_dict(found)
