"""Crops go back to where they came from; by hand, and against a slow formulation pixel by pixel."""

import math

import numpy as np
import pytest
import torch
from test_alignment import turned

from blendgan_core.errors import ImageError
from blendgan_core.paste_back import (
    SHAPES,
    bounds,
    coverage,
    fit,
    match_to_original,
    pixels_under,
    places,
    strips,
    warp,
)
from blendgan_core.quads import box_quad, cut, cut_region, mask_box, scaled, square, whole_quad


def waves(width: int, height: int) -> torch.Tensor:
    """A smooth picture [3, H, W] in [-1, 1] without two places alike."""
    y, x = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
    return torch.stack([torch.sin(x / 17 + 1), torch.cos(y / 13), torch.sin((x - y) / 19)]) * 0.8


def tilted(centre: tuple[float, float], side: float, degrees: float) -> np.ndarray:
    return turned(square(0, 0, side), degrees, 1, centre)


def drawn(u, v):
    """A smooth crop: its colours at u across and v down, each 0..1."""
    return torch.stack([torch.sin(5 * u + v), torch.cos(4 * v), torch.sin(3 * (u - v))]) * 0.9


def slow_paste(picture, quad, feather, shape):
    """Each pixel on its own: solve for its place in the crop, ask for the colours there, mix.
    -> the picture, and the weights [H, W]."""
    picture, (_, height, width) = picture.clone(), picture.shape
    weights = torch.zeros(height, width)
    axes = np.stack([quad[3] - quad[0], quad[1] - quad[0]], axis=1)
    for y in range(height):
        for x in range(width):
            u, v = np.linalg.solve(axes, np.array([x, y]) - quad[0])
            a, b = abs(2 * u - 1), abs(2 * v - 1)
            radius = math.hypot(a, b) if shape == "oval" else max(a, b)
            if radius < 1:
                rise = min((1 - radius) / feather, 1)
                weight = weights[y, x] = 3 * rise**2 - 2 * rise**3
                colours = drawn(torch.tensor(u), torch.tensor(v))
                picture[:, y, x] += weight * (colours - picture[:, y, x])
    return picture, weights


def paste(picture, crop, quad, feather, shape):
    """The same by the core's functions."""
    picture, (_, height, width) = picture.clone(), picture.shape
    weights = torch.zeros(height, width)
    crop = fit(crop, quad)
    for box in strips(bounds(quad, width, height)):
        left, top, right, bottom = box
        at = places(quad, box)
        weight = coverage(at, feather, shape)
        region = picture[:, top:bottom, left:right]
        region.lerp_(warp(crop, at), weight)
        weights[top:bottom, left:right] = weight
    return picture, weights


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("feather", [0.1, 0.6])
@pytest.mark.parametrize(
    "quad", [tilted((30, 25), 30, 0), tilted((28, 24), 33, 25), tilted((50, 5), 40, -70)]
)
def test_it_equals_the_slow_formulation(quad, feather, shape, monkeypatch):
    monkeypatch.setattr("blendgan_core.paste_back.STRIP_PIXELS", 100)  # several strips
    picture = waves(60, 50)
    middle = (torch.arange(40) + 0.5) / 40
    crop = drawn(*torch.meshgrid(middle, middle, indexing="xy"))
    expected, weights = slow_paste(picture, quad, feather, shape)
    found, found_weights = paste(picture, crop, quad, feather, shape)
    torch.testing.assert_close(found_weights, weights, atol=2e-5, rtol=0)
    torch.testing.assert_close(found, expected, atol=0.03, rtol=0)
    assert torch.equal(found[:, weights == 0], picture[:, weights == 0])


@pytest.mark.parametrize("resolution", [24, 60, 200])
@pytest.mark.parametrize("degrees", [0, 25, 180])
def test_a_crop_that_nobody_changed_leaves_the_picture_as_it_is(resolution, degrees):
    """Whatever the crop's size; at 200 it is three times as fine as the picture."""
    picture = waves(160, 140)
    quad = tilted((80, 70), 66, degrees)
    pasted, weights = paste(picture, cut(picture, quad, resolution), quad, 0.3, "oval")
    assert weights.max() == 1 and 0.1 < (weights > 0).float().mean() < 0.2
    limit = 0.09 if resolution == 24 else 0.02  # 24 px show waves of 17 px less sharply
    assert (pasted - picture).abs().max() < limit


def test_a_face_at_the_border_is_painted_up_to_it():
    """Half of the quad is beyond the left border; the oval's centre is on it."""
    picture = waves(100, 80)
    quad = tilted((-0.5, 40), 40, 0)
    crop = torch.ones(3, 32, 32)
    pasted, weights = paste(picture, crop, quad, 0.2, "oval")
    assert weights[40, 0] == 1 and weights[40, 19] < 0.05 and not weights[:, 20:].any()
    torch.testing.assert_close(pasted[:, 40, 0], torch.ones(3))


def test_a_fine_crop_is_averaged_not_picked_from():
    """Stripes of one pixel at eight times the picture's sharpness are grey in it."""
    crop = torch.tensor([-1.0, 1.0]).repeat(128).expand(3, 256, 256)
    quad = tilted((40, 40), 32, 10)
    pasted, weights = paste(torch.zeros(3, 80, 80), crop, quad, 0.5, "square")
    assert weights.max() == 1 and pasted.abs().max() < 0.06


def test_coverage_by_hand():
    """Along the middle row at 1/8 of the width, a quarter of the way in: with feather 0.5 halfway
    up the curve; in the square's corner the oval shows nothing."""
    at = torch.tensor([[0.125, 0.5], [0.5, 0.5], [0.02, 0.02], [0, 0.5], [1.2, 0.5], [0.25, 0.5]])
    expected = torch.tensor([0.5, 1, 0, 0, 0, 1])
    torch.testing.assert_close(coverage(at, 0.5, "oval"), expected)
    square_corner = 0.08**2 * (3 - 2 * 0.08)  # 0.04 in, of 0.5
    expected[2] = square_corner
    torch.testing.assert_close(coverage(at, 0.5, "square"), expected)
    hard = coverage(at, 0, "square")
    assert hard.tolist() == [1, 1, 1, 0, 0, 1]


def test_colours_are_matched_to_what_is_seen():
    """The crop lies half beyond the picture; what is mirrored there does not count."""
    original = torch.full((3, 20, 20), 0.9)
    original[:, :, 10:] = torch.tensor([0.2, -0.1, 0.4]).view(3, 1, 1)
    crop = torch.full((3, 20, 20), -0.5)
    quad = square(-0.5, 50, 40)
    x, y, inside = pixels_under(quad, 20, 20, 100, 100)
    assert inside[:, 10:].all() and not inside[:, :10].any()
    assert x.min() == 0 and x[0, 10:].tolist() == list(range(0, 20, 2))
    assert y[:, 0].tolist() == list(range(31, 71, 2))
    matched = match_to_original(crop, original, inside, 1.0, 0.3, "oval")
    torch.testing.assert_close(
        matched[:, 10, 10], torch.tensor([0.2, -0.1, 0.4]), atol=1e-4, rtol=0
    )
    half = match_to_original(crop, original, inside, 0.5, 0.3, "oval")
    torch.testing.assert_close(
        half[:, 10, 10], torch.tensor([-0.15, -0.3, -0.05]), atol=1e-4, rtol=0
    )


# quads


def test_boxes_by_hand():
    """A box of 20 x 10 at (10, 30) has its centre at (20, 35) from the corner of the picture, which
    is (19.5, 34.5) from the middle of the first pixel."""
    np.testing.assert_allclose(
        box_quad(10, 30, 20, 10, 2), [[-0.5, 14.5], [-0.5, 54.5], [39.5, 54.5], [39.5, 14.5]]
    )
    np.testing.assert_allclose(whole_quad(9, 4)[[0, 2]], [[1.5, -0.5], [5.5, 3.5]])
    for wrong in [(0, 0, 0, 5), (0, 0, 5, -1), (0, 0, math.nan, 5)]:
        with pytest.raises(ImageError, match="holds no face"):
            box_quad(*wrong)


def test_a_mask_is_boxed():
    mask = torch.zeros(30, 40)
    assert mask_box(mask) is None
    mask[5:9, 10:30] = 0.6
    mask[20, 20] = 0.4
    assert mask_box(mask) == (10, 5, 20, 4)


def test_scaling_a_picture_moves_the_middles_of_its_pixels():
    """The border -0.5 stays; the other one of a picture 10 wide, 9.5, becomes 19.5."""
    np.testing.assert_allclose(
        scaled(np.array([[-0.5, -0.5], [9.5, 0]]), 2, 4), [[-0.5, -0.5], [19.5, 1.5]]
    )


def test_a_box_inside_the_picture_is_cut_out_as_it_is():
    """No blur at the border, and at its own size every pixel is the picture's."""
    picture = (torch.rand(3, 20, 30, generator=torch.Generator().manual_seed(0)) * 255).round()
    picture = picture / 127.5 - 1
    assert cut_region(whole_quad(30, 20), 20, 30, 20) == (5, 0, 25, 20)
    torch.testing.assert_close(cut(picture, whole_quad(30, 20), 20), picture[:, :, 5:25])
    assert cut(picture[:, :1, :1], whole_quad(1, 1), 16).unique().numel() <= 3
