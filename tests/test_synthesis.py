"""Synthesis, in every formulation, against the straightforward one."""

import oracles
import pytest
import torch
from golden_weights import relative_error
from torch import Tensor

from blendgan_core import GeneratorConfig, strips
from blendgan_core.generator import SynthesisNetwork


@pytest.fixture(scope="module")
def network() -> SynthesisNetwork:
    """128 px, few channels, in fp64, all but the picture."""
    torch.manual_seed(0)
    config = GeneratorConfig(resolution=128, w_dim=6, channel_base=512, channel_max=8)
    network = SynthesisNetwork(config).double()
    for name, parameter in network.named_parameters():
        if name.endswith(("noise_strength", "bias")) and "modulation" not in name:
            torch.nn.init.normal_(parameter)  # they start at 0, where they could not show
    network.dtype = torch.float64
    return network.requires_grad_(False)


@pytest.fixture(scope="module")
def w() -> Tensor:
    return torch.randn(3, 12, 6, generator=torch.Generator().manual_seed(1)).double()


@pytest.fixture(scope="module", params=["shared", "own"])
def noise(request, network) -> list[Tensor]:
    """One for all pictures, or one for each."""
    if request.param == "shared":
        return network.fixed_noise()
    return [maps.double() for maps in network.draw_noise(3, torch.Generator().manual_seed(2))]


@pytest.fixture(scope="module")
def expected(network, w, noise) -> Tensor:
    """The straightforward formulation."""
    return oracles.synthesis(network, w, noise)


def test_with_gradients(network, w, noise, expected):
    with torch.enable_grad():
        found = network(w.clone().requires_grad_(), noise)
    assert found.requires_grad
    assert relative_error(found.detach(), expected) < 1e-6


@torch.no_grad()
def test_without_gradients_in_one_piece(network, w, noise, expected, monkeypatch):
    monkeypatch.setattr(strips, "SMALLEST", 128)
    assert relative_error(network(w, noise), expected) < 1e-6


@torch.no_grad()
@pytest.mark.parametrize("rows, smallest", [(1, 64), (3, 16), (4, 4), (7, 64), (64, 16), (200, 4)])
def test_in_strips(network, w, noise, expected, rows, smallest, monkeypatch):
    """However many rows, also where they do not divide the size: same picture, no seams."""
    monkeypatch.setattr(strips, "STRIP_ROWS", rows)
    monkeypatch.setattr(strips, "SMALLEST", smallest)
    assert relative_error(network(w, noise), expected) < 1e-6


@torch.no_grad()
def test_large_pictures_go_in_strips(network, w, monkeypatch):
    called = []
    monkeypatch.setattr(strips, "finish", lambda *arguments: called.append(arguments))
    network(w, network.fixed_noise())
    assert len(called) == 1


@torch.no_grad()
@pytest.mark.parametrize("dtype, tolerance", [(torch.bfloat16, 0.02), (torch.float16, 0.003)])
@pytest.mark.parametrize("smallest", [16, 128])
def test_half_precision(network, w, dtype, tolerance, smallest, monkeypatch):
    monkeypatch.setattr(strips, "SMALLEST", smallest)
    noise = network.fixed_noise()
    expected = network(w, noise)
    monkeypatch.setattr(network, "dtype", dtype)
    assert relative_error(network(w, noise), expected) < tolerance
