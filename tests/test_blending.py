"""The weighted blending module: eq. 3-5."""

import pytest
import torch

from blendgan_core import BlendGANError
from blendgan_core.blending import WeightedBlendingModule


def blend_of_ones_and_threes(indicator, theta=1.0):
    blend = WeightedBlendingModule(num_layers=3, alpha=0.75)
    return blend(torch.full((2, 3, 4), 1.0), torch.full((2, 3, 4), 3.0), indicator, theta)[0, :, 0]


@pytest.mark.parametrize(
    "indicator, theta, expected",
    [
        (0, 1.0, [2.5, 2.5, 2.5]),  # 1 + 0.75 * (3 - 1) = 2.5
        (1, 1.0, [1.0, 2.5, 2.5]),
        (1, 0.5, [1.0, 1.75, 2.5]),  # 1 + 0.75 * 0.5 * 2
        (2, 0.0, [1.0, 1.0, 1.0]),
        (3, 1.0, [1.0, 1.0, 1.0]),
    ],
)
def test_layers_by_hand(indicator, theta, expected):
    torch.testing.assert_close(blend_of_ones_and_threes(indicator, theta), torch.tensor(expected))


def test_indicator_at_the_number_of_layers_gives_the_face_bit_for_bit():
    blend = WeightedBlendingModule(num_layers=5, alpha=1.0)
    w_face = torch.randn(2, 5, 8)
    assert torch.equal(blend(w_face, torch.randn(2, 5, 8), indicator=5), w_face)


def test_one_style_serves_all_faces_and_one_face_all_styles():
    blend = WeightedBlendingModule(num_layers=4)
    many, one = torch.randn(3, 4, 8), torch.randn(1, 4, 8)
    torch.testing.assert_close(blend(many, one, 2), blend(many, one.expand(3, -1, -1), 2))
    torch.testing.assert_close(blend(one, many, 2), blend(one.expand(3, -1, -1), many, 2))


def test_alpha_gets_a_gradient_at_its_bounds_and_is_projected_back():
    blend = WeightedBlendingModule(num_layers=2, alpha=1.0)
    blend(torch.zeros(1, 2, 3), torch.ones(1, 2, 3), indicator=0).sum().backward()
    torch.testing.assert_close(blend.alpha.grad, torch.full((2,), 3.0))
    blend.alpha.data = torch.tensor([-0.5, 1.5])
    blend.project_()
    assert blend.alpha.tolist() == [0.0, 1.0]


@pytest.mark.parametrize("indicator, theta", [(-1, 1.0), (4, 1.0), (2, 1.5), (2, -0.1)])
def test_values_out_of_range_are_named(indicator, theta):
    blend = WeightedBlendingModule(num_layers=3)
    with pytest.raises(BlendGANError, match=r"outside 0\.\.(3|1)"):
        blend(torch.zeros(1, 3, 2), torch.zeros(1, 3, 2), indicator, theta)
