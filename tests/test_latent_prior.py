"""Mapping networks that are set to linear maps: of random faces, and of styles beside them."""

import pytest
import torch

from blendgan_core.generator import MappingNetwork
from trainer.latent_prior import fit_face_mapping_, start_style_mapping_


def test_the_face_mapping_draws_from_the_gaussian_of_the_latents():
    """Of 2,000 codes: means within 5 deviations / sqrt(2000), the covariance within some percent;
    of a face mapping whose codes are smaller than latents the main axes."""
    factor = torch.randn(12, 12)
    latents = torch.randn(4000, 12) @ factor + torch.linspace(-3, 3, 12)
    mapping = MappingNetwork(12, 12)
    fit_face_mapping_(mapping, latents)
    with torch.no_grad():
        drawn = mapping(torch.randn(2000, 12))
    off = (drawn.mean(dim=0) - latents.mean(dim=0)) / latents.std(dim=0)
    assert off.abs().max() < 5 / 2000**0.5
    error = (drawn.t().cov() - latents.t().cov()).norm() / latents.t().cov().norm()
    assert error < 0.2

    narrow = MappingNetwork(3, 12)
    fit_face_mapping_(narrow, latents)
    with torch.no_grad():
        drawn = narrow(torch.randn(2000, 3))
    main = torch.linalg.eigvalsh(latents.t().cov())[-3:]
    torch.testing.assert_close(torch.linalg.eigvalsh(drawn.t().cov())[-3:], main, rtol=0.2, atol=0)


def test_styles_start_in_the_directions_that_faces_leave_free():
    """Faces in a plane of 12 dimensions: styles keep out of it, as far from the mean as faces are,
    and what is straight among the codes stays straight."""
    latents = torch.randn(4000, 2) @ torch.randn(2, 12) + 3
    codes = torch.nn.functional.normalize(torch.randn(500, 8) + 0.5, dim=1) * 8**0.5
    mapping = MappingNetwork(8, 12)
    start_style_mapping_(mapping, codes, latents)
    with torch.no_grad():
        styles = mapping(codes)
        straight = mapping.layers(codes[:2].mean(dim=0, keepdim=True))
    off, spread = styles - latents.mean(dim=0), (latents - latents.mean(dim=0))
    assert (off @ spread.t()).abs().max() < 1e-2 * off.norm(dim=1).max() * spread.norm(dim=1).max()
    assert off.square().mean().item() == pytest.approx(spread.square().mean().item(), rel=0.1)
    assert torch.linalg.matrix_rank(off, rtol=1e-3) == 8
    torch.testing.assert_close(straight[0], styles[:2].mean(dim=0), rtol=1e-4, atol=1e-4)
