"""What a generated picture would look like if it were made of pieces of the reference.

Every patch is replaced by the one that resembles it most among the reference's patches a few pixels
around its place, at each size of the picture (after Barnes et al. 2009 and Granot et al. 2022). So
the small pictures decide what colours hair, face and background have, and the large ones what lines
they are drawn with. Sizes below SMALLEST would lay the reference's face over all others. Towards
that picture a generator goes faster than against a discriminator: it is told where each stroke
belongs, not that something is wrong.
"""

import torch
from torch import Tensor
from torch.nn import functional as F

from blendgan_core.layers import average_pool, box_mean

LARGEST, SMALLEST = 256, 32  # pixels a side of the pictures that are compared
PATCH = 5  # pixels a side
REACH = 2  # pixels that a patch may come from, in each direction
# Both as shares of the reference's variance:
FAR = 0.0015  # what a patch at 1 pixel's distance must be better by, at 2 pixels' four times that
WANTED = 0.05  # the smaller, the more do patches that are used nowhere draw others to them


def nearby_patch_loss(images: Tensor, reference: Tensor) -> Tensor:
    """Mean distance of pictures to themselves made of the reference's nearby patches, in standard
    deviations of the reference; summed over sizes. [N, 3, R, R], [1, 3, R, R] -> scalar."""
    side = min(LARGEST, images.shape[-1])
    images, reference = average_pool(images, side), average_pool(reference, side)
    losses = []
    while True:
        pieces = made_of_nearby_patches(images.detach(), reference)
        losses.append((images - pieces).abs().mean() / variance(reference).sqrt())
        if images.shape[-1] // 2 < SMALLEST:
            return torch.stack(losses).sum()
        images, reference = F.avg_pool2d(images, 2), F.avg_pool2d(reference, 2)


@torch.no_grad()
def made_of_nearby_patches(images: Tensor, reference: Tensor) -> Tensor:
    """The middle pixel of the nearest patch, for each place: the mean of all patches over a place
    would be blurred. [N, 3, R, R], [1, 3, R, R] -> [N, 3, R, R]."""
    side, reach = images.shape[-1], range(2 * REACH + 1)
    shifts = [(slice(y, y + side), slice(x, x + side)) for y in reach for x in reach]
    padded = F.pad(reference, (REACH,) * 4, mode="replicate")
    shifted = torch.cat([padded[:, :, rows, columns] for rows, columns in shifts])  # [K, 3, R, R]
    unit = variance(reference)
    off = torch.arange(-REACH, REACH + 1).to(images).square()
    far = FAR * unit * (off[:, None] + off).flatten()[:, None, None]  # [K, 1, 1]
    differences = (images[:, None] - shifted).square().mean(dim=2)  # [N, K, R, R]
    distances = box_mean(differences, PATCH) + far
    # how near the nearest picture's patch comes to each of the reference's
    nearest = distances.new_full((len(images), *padded.shape[2:]), torch.inf)
    for k, (rows, columns) in enumerate(shifts):
        seen = nearest[:, rows, columns]
        torch.minimum(seen, distances[:, k], out=seen)
    for k, (rows, columns) in enumerate(shifts):
        distances[:, k] /= WANTED * unit + nearest[:, rows, columns]
    chosen = distances.argmin(dim=1)  # [N, R, R]
    place = torch.arange(side, device=images.device)
    return shifted.movedim(1, -1)[chosen, place[:, None], place].movedim(-1, 1)


def variance(picture: Tensor) -> Tensor:
    """[1, 3, R, R] -> scalar, above 0 also for a picture of one colour."""
    return (picture - picture.mean(dim=(2, 3), keepdim=True)).square().mean() + 1e-4
