"""Pictures made of the nearby patches of a reference."""

import torch
from torch.nn import functional as F

from blendgan_core.layers import box_mean
from trainer import nearby_patches
from trainer.nearby_patches import PATCH, REACH, made_of_nearby_patches, nearby_patch_loss


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


def test_each_pixel_is_that_of_the_nearest_patch(monkeypatch):
    """Against a loop over the places, nothing but nearness being asked for."""
    monkeypatch.setattr(nearby_patches, "FAR", 0.0)
    monkeypatch.setattr(nearby_patches, "WANTED", 1e9)  # so all patches are wanted alike
    side, half = 9, nearby_patches.PATCH // 2
    picture, reference = noise(2, 3, side, side)[:, None].unbind()
    made = made_of_nearby_patches(picture, reference)[0]
    padded = F.pad(reference, (REACH,) * 4, mode="replicate")[0]
    for y, x in [(0, 0), (4, 4), (8, 3), (1, 7)]:
        rows = slice(max(0, y - half), min(side, y + half + 1))
        columns = slice(max(0, x - half), min(side, x + half + 1))
        found = {}
        for dy in range(2 * REACH + 1):
            for dx in range(2 * REACH + 1):
                theirs = padded[:, dy : dy + side, dx : dx + side]
                difference = (theirs - picture[0])[:, rows, columns].square().mean().item()
                found[difference] = theirs[:, y, x]
        assert torch.equal(made[:, y, x], found[min(found)])


def test_a_patch_that_nothing_uses_draws_others(monkeypatch):
    """A dark reference with a white dot, a dark picture with a faint one 2 pixels beside it. The
    faint dot is nearer to nothing, of which there is plenty, than to the white one."""
    reference, picture = torch.zeros(2, 1, 3, 24, 24)
    reference[..., 12, 12] = 1.0
    picture[..., 12, 14] = 0.3
    assert made_of_nearby_patches(picture, reference)[0, 0, 12, 14] == 1
    monkeypatch.setattr(nearby_patches, "WANTED", 1e9)
    assert made_of_nearby_patches(picture, reference)[0, 0, 12, 14] == 0


def test_a_reference_of_one_colour_and_one_picture_are_no_division_by_zero():
    plain = torch.full((1, 3, 16, 16), 0.3)
    images = noise(2, 3, 16, 16).requires_grad_()
    nearby_patch_loss(images, plain).backward()
    assert images.grad.isfinite().all() and box_mean(images, PATCH).shape == images.shape
