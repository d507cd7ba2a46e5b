"""The crop of FFHQ, by hand: where it lies, what is in it, what is beyond the border."""

import math

import numpy as np
import pytest
import torch

from blendgan_core.alignment import (
    crop_face,
    crop_quad,
    crop_region,
    ffhq_quad,
    five_points,
    quad_side,
    share_outside,
)
from blendgan_core.errors import ImageError

FACE = np.array([[40, 50], [60, 50], [50, 65], [42, 80], [58, 80]], dtype=float)


def turned(points: np.ndarray, degrees: float, scale: float, shift: tuple[float, float]):
    """Points turned clockwise about the origin, as seen with y down, then scaled and moved."""
    c, s = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
    return points @ np.array([[c, s], [-s, c]]) * scale + shift


def ramp(width: int, height: int) -> torch.Tensor:
    """A picture whose red is x and whose green is y, as numbers from 0 to 255: [3, H, W]."""
    y, x = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
    return torch.stack([x, y, torch.zeros_like(x)]).float() / 127.5 - 1


def test_the_quad_by_hand():
    """Eyes 20 apart, mouth 30 below: half the side is max(2 * 20, 1.8 * 30) = 54, and the centre
    lies 0.1 * 30 below the eyes, at (50, 53)."""
    np.testing.assert_allclose(ffhq_quad(FACE), [[-4, -1], [-4, 107], [104, 107], [104, -1]])
    assert quad_side(ffhq_quad(FACE)) == pytest.approx(108)


def test_wide_eyes_make_the_quad():
    """Eyes 40 apart are more than 1.8 * 30 / 2: half the side is 80."""
    wide = np.array([[30, 50], [70, 50], [50, 65], [42, 80], [58, 80]])
    np.testing.assert_allclose(ffhq_quad(wide)[[0, 2]], [[-30, -27], [130, 133]])


def test_the_quad_follows_the_face():
    """A turned, enlarged and moved face has its quad turned, enlarged and moved."""
    for degrees in (30, -75, 180):
        moved = turned(FACE, degrees, 1.5, (200, 100))
        expected = turned(ffhq_quad(FACE), degrees, 1.5, (200, 100))
        np.testing.assert_allclose(ffhq_quad(moved), expected)


def test_68_landmarks_count_by_their_eyes_and_mouth_corners():
    """The contour of an eye averages to its centre; the other points change nothing."""
    ring = [[math.cos(k * math.pi / 3), math.sin(k * math.pi / 3)] for k in range(6)]
    landmarks = np.random.default_rng(0).uniform(0, 100, (68, 2))
    landmarks[36:42] = FACE[0] + np.array(ring) * 4
    landmarks[42:48] = FACE[1] + np.array(ring) * 4
    landmarks[[30, 48, 54]] = FACE[2:]
    np.testing.assert_allclose(five_points(landmarks), FACE)
    np.testing.assert_allclose(ffhq_quad(landmarks), ffhq_quad(FACE))


@pytest.mark.parametrize("count", [468, 478])
def test_a_mesh_counts_by_its_lids_and_corners_of_the_mouth(count):
    """The lids lie around the centre of an eye, so they average to it; other points do nothing."""
    mesh = np.random.default_rng(0).uniform(0, 100, (count, 2))
    lids = {0: (33, 133, 159, 145, 160, 144, 158, 153), 1: (362, 263, 386, 374, 387, 373, 385, 380)}
    for eye, points in lids.items():
        for number, point in enumerate(points):
            angle = number * math.pi / 4
            mesh[point] = FACE[eye] + np.array([math.cos(angle), math.sin(angle)]) * 4
    mesh[[1, 61, 291]] = FACE[2:]
    np.testing.assert_allclose(five_points(mesh), FACE)


@pytest.mark.parametrize("resolution", [60, 16, 5])
@pytest.mark.parametrize("shift", [(0, 0), (-160, -150), (150, 140)])
def test_a_crop_looks_only_at_its_region(resolution, shift):
    """Whatever lies outside of the region does not matter, and cut out, it gives the same crop."""
    generator = torch.Generator().manual_seed(0)
    image = torch.rand(3, 480, 500, generator=generator) * 2 - 1
    quad = ffhq_quad(turned(FACE, 20, 1, (0, 0)) + [200, 210] + shift)
    crop = crop_quad(image, quad, resolution)
    left, top, right, bottom = crop_region(quad, resolution, 500, 480)
    assert (right - left) * (bottom - top) < 480 * 500 / 2
    part = image[:, top:bottom, left:right]
    assert torch.equal(crop, crop_quad(part, quad - [left, top], resolution))
    other = -image
    other[:, top:bottom, left:right] = part
    assert torch.equal(crop, crop_quad(other, quad, resolution))


def test_a_picture_of_one_pixel_has_crops():
    image = torch.full((3, 1, 1), 0.2)
    quad = np.array([[-0.4, -0.3], [-0.3, 0.4], [0.4, 0.3], [0.3, -0.4]])
    torch.testing.assert_close(
        crop_quad(image, quad, 8), torch.full((3, 8, 8), 0.2), atol=1 / 127, rtol=0
    )


@pytest.mark.parametrize("degrees", [0, 25, -40])
@pytest.mark.parametrize(("resolution", "slide", "tolerance"), [(32, 0, 1.5), (8, 2.5, 2)])
def test_each_pixel_of_the_crop_shows_its_place(degrees, resolution, slide, tolerance):
    """On a picture whose colours are its coordinates, a crop's colours must be those of the quad.

    At 8 pixels the picture is first shrunk by floor(108 / 8 / 2) = 6, where FFHQ's rule lets the
    crop slide by half of the 5 pixels that go.
    """
    face = turned(FACE, degrees, 1, (0, 0))
    face += 132 - ffhq_quad(face).mean(axis=0)
    crop = crop_face(ramp(264, 264), face, resolution)
    assert crop.shape == (3, resolution, resolution)
    quad = ffhq_quad(face)
    assert quad.min() > 8 and quad.max() < 256  # well inside: nothing is padded
    place = (np.arange(resolution) + 0.5) / resolution
    down, right = np.meshgrid(place, place, indexing="ij")
    expected = quad[0] + down[..., None] * (quad[1] - quad[0])
    expected = expected + right[..., None] * (quad[3] - quad[0]) + slide
    found = (crop[:2].permute(1, 2, 0).numpy() + 1) * 127.5
    inner = slice(1, -1)  # Lanczos leans on fewer pixels at the crop's edge
    np.testing.assert_allclose(found[inner, inner], expected[inner, inner], atol=tolerance, rtol=0)


def test_beyond_the_border_the_picture_is_mirrored():
    """The quad reaches 30 of 120 pixels over the left border; red, which is x, grows outwards from
    it as it grows inwards, and more faintly."""
    quad = np.array([[-30, 40], [-30, 160], [90, 160], [90, 40]], dtype=float)
    red = (crop_quad(ramp(200, 200), quad, 60)[0].mean(dim=0) + 1) * 127.5  # [60]
    border = 15  # 30 pixels at half their size
    assert red[border] < 8 and red[border - 1] < 8
    assert red[0] > red[border // 2] > red[border] + 5
    assert red[59] == pytest.approx(88.5, abs=2)


def test_a_plain_picture_stays_plain_beyond_its_border():
    plain = torch.full((3, 60, 80), 0.2)
    crop = crop_face(plain, FACE + [-20, -30], 32)
    torch.testing.assert_close(crop, torch.full((3, 32, 32), 0.2), atol=1 / 127, rtol=0)


def test_the_share_outside_by_hand():
    square = np.array([[0, 0], [0, 100], [100, 100], [100, 0]], dtype=float)
    assert share_outside(square, 100, 100) == 0
    assert share_outside(square - [50, 0], 100, 100) == 0.5
    assert share_outside(square + [50, 50], 100, 100) == 0.75
    assert share_outside(square + [200, 0], 100, 100) == 1


@pytest.mark.parametrize(
    ("landmarks", "message"),
    [
        (FACE[:4], r"expected 5, 68, 468 or 478 landmarks \[x, y\], found an array \[4, 2\]"),
        (FACE[[1, 0, 2, 4, 3]], "left eye, right eye, nose"),  # the person's left, not the viewer's
        (np.zeros((5, 2)), "not those of a face"),
        (FACE * np.nan, "not a finite number"),
        (FACE + 1000, "outside of the picture"),
    ],
)
def test_unusable_landmarks_are_told(landmarks, message):
    with pytest.raises(ImageError, match=message):
        crop_face(ramp(100, 100), landmarks, 16)
