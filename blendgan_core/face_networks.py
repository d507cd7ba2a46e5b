"""The two small networks that find faces: one looks for them, one places five points on each.

Both are fully convolutional and see a face at a fixed size; `face_points` brings it there. Points
are those of `alignment`: left eye, right eye, nose, left and right corner of the mouth.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from .layers import box_mean

POINTS = 5
STRIDE = 4  # of the finder's map, in pixels
CROP = 64  # side of the refiner's picture, in pixels
BLOCK = 16  # sides of the finder's picture are multiples of it


class FaceFinder(nn.Module):
    """Where faces are whose eyes are some 7 to 16 pixels apart (after CenterNet, Zhou et al. 2019).

    width: channels of the first layer, those of the others are multiples of it.
    """

    def __init__(self, width: int = 16):
        super().__init__()
        self.by_2 = _batch_block(3, width, 2)
        self.by_4 = _finder_stage(width, 2 * width, 2)
        self.by_8 = _finder_stage(2 * width, 4 * width, 3)
        self.by_16 = _finder_stage(4 * width, 4 * width, 3)
        self.widen_16 = nn.Conv2d(4 * width, 4 * width, 1)
        self.merge_8 = _batch_block(4 * width, 4 * width)
        self.widen_8 = nn.Conv2d(4 * width, 2 * width, 1)
        self.merge_4 = _batch_block(2 * width, 3 * width)
        self.out = nn.Conv2d(3 * width, 1 + 2 * POINTS, 1)
        nn.init.zeros_(self.out.bias)
        nn.init.constant_(self.out.bias[:1], -4.0)  # faces are rare

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor]:
        """image: [N, 3, H, W], any range, H and W multiples of BLOCK -> logits [N, H/4, W/4] that a
        face's middle is there, and its points, in pixels from there, [N, 5, 2, H/4, W/4]."""
        quarter = self.by_4(self.by_2(even_light(image)))
        eighth = self.by_8(quarter)
        deep = self.widen_16(self.by_16(eighth))
        eighth = self.merge_8(eighth + _enlarge(deep))
        quarter = self.merge_4(quarter + _enlarge(self.widen_8(eighth)))
        maps = self.out(quarter)
        return maps[:, 0], 10 * maps[:, 1:].unflatten(1, (POINTS, 2))


class PointRefiner(nn.Module):
    """Five points of a roughly centred, roughly upright face whose eyes are some 20 pixels apart.

    Each point is the mean of a map of 16 x 16 probabilities (integral regression, Sun et al. 2018).
    """

    def __init__(self, width: int = 24):
        super().__init__()
        self.by_2 = _refiner_stage(3, width)
        self.by_4 = _refiner_stage(width, 2 * width)
        self.by_8 = _refiner_stage(2 * width, 4 * width)
        self.by_16 = _refiner_stage(4 * width, 4 * width)
        self.widen_16 = nn.Conv2d(4 * width, 4 * width, 1)
        self.merge_8 = _group_block(4 * width, 4 * width)
        self.widen_8 = nn.Conv2d(4 * width, 2 * width, 1)
        self.merge_4 = _group_block(2 * width, 2 * width)
        self.maps = nn.Conv2d(2 * width, POINTS, 1)
        self.is_face = nn.Linear(4 * width, 1)

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """image: [N, 3, 64, 64], any range -> points [N, 5, 2] in its pixels (0 is the left edge of
        the first one, 0.5 its middle), the variance of each map [N, 5] in pixels squared, and
        logits [N] that it is a face."""
        mean = image.mean(dim=(1, 2, 3), keepdim=True)
        deviation = image.std(dim=(1, 2, 3), keepdim=True)
        quarter = self.by_4(self.by_2((image - mean) / (deviation + 0.03)))
        eighth = self.by_8(quarter)
        deep = self.by_16(eighth)
        eighth = self.merge_8(eighth + _enlarge(self.widen_16(deep)))
        quarter = self.merge_4(quarter + _enlarge(self.widen_8(eighth)))
        share = self.maps(quarter).flatten(2).softmax(dim=2)  # [N, 5, 256]
        axis = (torch.arange(CROP // 4) + 0.5).to(share) * 4
        places = torch.stack(torch.meshgrid(axis, axis, indexing="xy"), dim=-1).flatten(0, 1)
        points = (share[..., None] * places).sum(dim=2)  # a product of matrices may be in bf16
        away = (places - points[:, :, None]).square().sum(dim=3)  # [N, 5, 256]
        return points, (share * away).sum(dim=2), self.is_face(deep.mean(dim=(2, 3)))[:, 0]


def even_light(image: Tensor) -> Tensor:
    """Take away the light around each pixel, within some 20 pixels, and divide by the contrast.

    image: [N, 3, H, W] in 0..1, H and W multiples of 8 -> the same shape, about -2..2.
    """
    grey = image.mean(dim=1, keepdim=True)
    mean, square = (_around(values) for values in (grey, grey.square()))
    deviation = (square - mean.square()).clamp(min=0).sqrt()
    return (image - mean) / (deviation + 0.05)


def _around(values: Tensor) -> Tensor:
    """The mean over 5 x 5 blocks of 8 x 8 pixels around each."""
    blocks = F.avg_pool2d(values, 8)
    means = box_mean(blocks, 5)
    return F.interpolate(means, scale_factor=8.0, mode="bilinear", align_corners=False)


def _enlarge(features: Tensor) -> Tensor:
    return F.interpolate(features, scale_factor=2.0, mode="bilinear", align_corners=False)


def _batch_block(channels: int, out: int, stride: int = 1) -> nn.Sequential:
    convolution = nn.Conv2d(channels, out, 3, stride, padding=1, bias=False)
    return nn.Sequential(convolution, nn.BatchNorm2d(out), nn.ReLU())


def _group_block(channels: int, out: int, stride: int = 1) -> nn.Sequential:
    convolution = nn.Conv2d(channels, out, 3, stride, padding=1, bias=False)
    return nn.Sequential(convolution, nn.GroupNorm(8, out), nn.ReLU())


def _finder_stage(channels: int, out: int, count: int) -> nn.Sequential:
    more = [_batch_block(out, out) for _ in range(count - 1)]
    return nn.Sequential(_batch_block(channels, out, 2), *more)


def _refiner_stage(channels: int, out: int) -> nn.Sequential:
    return nn.Sequential(_group_block(channels, out, 2), _group_block(out, out))
