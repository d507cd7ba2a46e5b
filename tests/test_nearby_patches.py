"""Pictures made of the reference's nearby patches: whole where it is itself, moved with it, near."""

import torch
from torch.nn import functional as F

from trainer import nearby_patches
from trainer.nearby_patches import REACH, box_mean, made_of_nearby_patches, nearby_patch_loss


def noise(*shape: int) -> torch.Tensor:
    return torch.rand(*shape, generator=torch.Generator().manual_seed(3)) * 2 - 1


def test_the_reference_is_made_of_itself():
    reference = noise(1, 3, 24, 24)
    torch.testing.assert_close(made_of_nearby_patches(reference, reference), reference)
    both = torch.cat([reference, reference])
    assert nearby_patch_loss(both, reference) < 1e-5 < nearby_patch_loss(-both, reference)


def test_a_reference_within_reach_is_found_and_one_beyond_is_not():
    """Away from the border, where a patch would lie outside of the picture."""
    reference = noise(1, 3, 24, 24)
    inner = (..., slice(8, 16), slice(8, 16))
    for pixels, found in ((REACH, True), (REACH + 1, False)):
        moved = reference.roll((pixels, -pixels), dims=(2, 3))
        made = made_of_nearby_patches(moved, reference)
        assert (made[inner] - moved[inner]).abs().amax().item() < 1e-5 or not found
        assert found or (made[inner] - moved[inner]).abs().mean() > 0.1


def test_each_pixel_is_the_mean_of_the_patches_over_it(monkeypatch):
    """Against a loop over the places of a grey picture, nothing but nearness being asked for."""
    monkeypatch.setattr(nearby_patches, "FAR", 0.0)
    monkeypatch.setattr(nearby_patches, "WANTED", 1e9)  # so all patches are wanted alike
    side, half = 9, nearby_patches.PATCH // 2
    picture, reference = noise(2, 3, side, side)[:, None].unbind()
    padded = F.pad(reference, (REACH,) * 4, mode="replicate")
    total, count = torch.zeros(3, side, side), torch.zeros(side, side)
    places = [(y, x) for y in range(side) for x in range(side)]
    for y, x in places:
        rows = slice(max(0, y - half), min(side, y + half + 1))
        columns = slice(max(0, x - half), min(side, x + half + 1))
        candidates = [
            padded[0, :, rows.start + dy : rows.stop + dy, columns.start + dx : columns.stop + dx]
            for dy in range(2 * REACH + 1)
            for dx in range(2 * REACH + 1)
        ]
        ours = picture[0, :, rows, columns]
        total[:, rows, columns] += min(candidates, key=lambda c: (c - ours).square().mean().item())
        count[rows, columns] += 1
    # the patches at the border are smaller: their means weigh more there
    made = made_of_nearby_patches(picture, reference)[0]
    inner = slice(2 * half, side - 2 * half)
    torch.testing.assert_close(made[:, inner, inner], (total / count)[:, inner, inner])


def test_a_patch_that_nothing_uses_draws_its_neighbours(monkeypatch):
    """A grey picture and a grey reference with one white dot. The patch around it can take nothing
    without the dot, hence a dot of 1/25; its neighbours take it only where it is wanted."""
    reference = torch.zeros(1, 3, 24, 24)
    reference[..., 12, 12] = 1.0
    picture = torch.full((1, 3, 24, 24), 0.01)
    drawn = made_of_nearby_patches(picture, reference).amax()
    monkeypatch.setattr(nearby_patches, "WANTED", 1e9)
    assert made_of_nearby_patches(picture, reference).amax() < 0.05 < 0.2 < drawn


def test_a_reference_of_one_colour_and_one_picture_are_no_division_by_zero():
    plain = torch.full((1, 3, 16, 16), 0.3)
    images = noise(2, 3, 16, 16).requires_grad_()
    nearby_patch_loss(images, plain).backward()
    assert images.grad.isfinite().all() and box_mean(images).shape == images.shape
