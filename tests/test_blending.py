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


def ramp() -> WeightedBlendingModule:
    blend = WeightedBlendingModule(num_layers=4)
    blend.alpha.data = torch.tensor([0.2, 0.4, 0.6, 0.8])
    return blend


def test_strength_is_a_factor_on_the_shares():
    """By hand: alpha * mask is 0, .2, .6, .8; a quarter of it is 0, .05, .15, .2."""
    share = ramp().share(indicator=1, theta=0.5, strength=0.25)
    torch.testing.assert_close(share, torch.tensor([0.0, 0.05, 0.15, 0.2]))


def test_a_curve_stands_in_place_of_alpha_and_mask():
    """By hand: 1 + share * (3 - 1), whatever the indicator; strength halves it."""
    curve = [0.0, 1.0, 0.25, 0.5]
    faces, styles = torch.full((1, 4, 2), 1.0), torch.full((1, 4, 2), 3.0)
    out = ramp()(faces, styles, indicator=4, theta=0.0, curve=curve)
    torch.testing.assert_close(out[0, :, 0], torch.tensor([1.0, 3.0, 1.5, 2.0]))
    out = ramp()(faces, styles, indicator=0, strength=0.5, curve=torch.tensor(curve))
    torch.testing.assert_close(out[0, :, 0], torch.tensor([1.0, 2.0, 1.25, 1.5]))


def test_whole_strength_and_no_curve_are_the_papers_blend_bit_for_bit():
    blend, w_face, w_style = ramp(), torch.randn(3, 4, 8), torch.randn(3, 4, 8)
    for indicator, theta in [(0, 1.0), (1, 0.3), (3, 0.7), (4, 1.0)]:
        share = (blend.alpha * blend.mask(indicator, theta))[:, None]  # eq. 3
        expected = torch.lerp(w_face, w_style, share)
        assert torch.equal(blend(w_face, w_style, indicator, theta), expected)
        assert torch.equal(blend(w_face, w_style, indicator, theta, 1.0, None), expected)


def test_no_strength_gives_the_face_bit_for_bit():
    w_face, w_style = torch.randn(2, 4, 8), torch.randn(2, 4, 8)
    assert torch.equal(ramp()(w_face, w_style, 0, strength=0.0), w_face)
    assert torch.equal(ramp()(w_face, w_style, 0, strength=0.0, curve=[1.0] * 4), w_face)
    assert torch.equal(ramp()(w_face, w_style, 0, curve=[0.0] * 4), w_face)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"strength": 1.5}, r"strength 1\.5 is outside 0\.\.1"),
        ({"strength": -0.1}, r"strength -0\.1 is outside"),
        ({"curve": [0.5] * 3}, "curve has 3 values, this model needs 4"),
        ({"curve": []}, "curve has 0 values, this model needs 4"),
        ({"curve": [0, 0.5, 1.5, 0]}, r"value 3 of the curve is 1\.5, expected 0\.\.1"),
        ({"curve": [float("nan"), 0, 0, 0]}, "value 1 of the curve is nan"),
        ({"indicator": 5, "curve": [0.5] * 4}, r"indicator 5 is outside 0\.\.4"),
    ],
)
def test_strength_and_curve_out_of_range_are_named(settings, message):
    with pytest.raises(BlendGANError, match=message):
        ramp().share(**{"indicator": 0, **settings})
