"""The palette of one picture given to another."""

import pytest
import torch

from blendgan_core.colour import match_colours
from blendgan_core.errors import BlendGANError


def pictures(seed: int, count: int = 2, size: int = 24) -> torch.Tensor:
    """Pictures whose channels depend on each other, [count, 3, size, size]."""
    generator = torch.Generator().manual_seed(seed)
    mixed = torch.randn(count, 3, 3, generator=generator) @ torch.randn(
        count, 3, size * size, generator=generator
    )
    return (0.2 * mixed + torch.randn(count, 3, 1, generator=generator) / 4).view(
        count, 3, size, size
    )


def covariance(image: torch.Tensor) -> torch.Tensor:
    return torch.cov(image.flatten(1), correction=0)


def test_mean_and_covariance_become_the_references():
    images, reference = pictures(1), pictures(2, size=16)
    result = match_colours(images, reference)
    torch.testing.assert_close(result.mean(dim=[2, 3]), reference.mean(dim=[2, 3]))
    for found, wanted in zip(result, reference, strict=True):
        torch.testing.assert_close(covariance(found), covariance(wanted), atol=1e-3, rtol=1e-3)


def test_independent_channels_are_scaled_one_by_one():
    """By hand: diagonal covariances transport by the ratio of the standard deviations."""
    values = torch.tensor([-1.0, 1.0])
    image = torch.stack(torch.meshgrid(values, values, values, indexing="ij")).view(1, 3, 2, 4)
    scale = torch.tensor([0.5, 0.25, 0.75]).view(1, 3, 1, 1)
    result = match_colours(image, image * scale + 0.1)
    torch.testing.assert_close(result, image * scale + 0.1, atol=2e-3, rtol=0)


def test_no_strength_changes_nothing_and_half_lies_between():
    images, reference = pictures(1), pictures(2)
    torch.testing.assert_close(match_colours(images, reference, 0.0), images)
    half = match_colours(images, reference, 0.5)
    middle = (images + match_colours(images, reference)) / 2
    torch.testing.assert_close(half, middle)


def test_only_masked_pixels_count():
    images = pictures(1)
    mask = torch.zeros(1, 1, 24, 24)
    mask[..., :12] = 1
    result = match_colours(images, pictures(2, size=16), mask=mask)
    inside = match_colours(images[..., :12], pictures(2, size=16))
    torch.testing.assert_close(result[..., :12], inside)


def test_one_colour_becomes_the_references_mean():
    flat = torch.full((1, 3, 8, 8), 0.3)
    reference = pictures(2, count=1)
    result = match_colours(flat, reference)
    wanted = reference.mean(dim=[2, 3], keepdim=True).expand_as(result)
    torch.testing.assert_close(result, wanted)


def test_a_strength_out_of_range_is_named():
    with pytest.raises(BlendGANError, match=r"is 1\.5, expected 0\.\.1"):
        match_colours(pictures(1), pictures(2), 1.5)
