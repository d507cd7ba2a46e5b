"""Weighted mixes of style codes, and the frames between key styles."""

import pytest
import torch

from blendgan_core import BlendGANError
from blendgan_core.layers import pixel_norm
from blendgan_core.mixing import EASINGS, join, keyframes, mix_w, mix_z


def codes(count, size=8, seed=0):
    return torch.randn(count, size, generator=torch.Generator().manual_seed(seed))


def test_a_mix_in_z_by_hand():
    """RMS of (6, 8) is sqrt 50, of (0, 1) sqrt .5, a tenth; the common one is .5 * 1.1 * sqrt 50.

    (6, 8) * .55 = (3.3, 4.4); (0, 1) * 5.5 = (0, 5.5); their mean is (1.65, 4.95).
    """
    mixed = mix_z([torch.tensor([[6.0, 8.0]]), torch.tensor([[0.0, 1.0]])], [1, 1])
    torch.testing.assert_close(mixed, torch.tensor([[1.65, 4.95]]))


def test_to_the_model_the_length_of_a_code_does_not_count():
    a, b = codes(1), codes(1, seed=1)
    plain, longer = mix_z([a, b], [1, 2]), mix_z([a, 100 * b], [1, 2])
    torch.testing.assert_close(pixel_norm(plain), pixel_norm(longer))


def test_equal_weights_lie_halfway_between_the_directions():
    """Of a rotation from a to b the middle has equal angles to both."""
    a, b = codes(1), 3 * codes(1, seed=1)
    cosine = torch.nn.functional.cosine_similarity
    mixed = mix_z([a, b], [0.3, 0.3])
    torch.testing.assert_close(cosine(mixed, a), cosine(mixed, b))


def test_a_mix_in_w_by_hand():
    """(3 * 1 + 1 * 5) / 4 = 2."""
    mixed = mix_w([torch.full((1, 3, 2), 1.0), torch.full((2, 3, 2), 5.0)], [3, 1])
    torch.testing.assert_close(mixed, torch.full((2, 3, 2), 2.0))


@pytest.mark.parametrize("mix", [mix_z, mix_w])
def test_one_style_alone_is_that_style_bit_for_bit(mix):
    a, b = codes(3), 7 * codes(3, seed=1)
    if mix is mix_w:
        a, b = a[:, None].repeat(1, 4, 1), b[:, None].repeat(1, 4, 1)
    assert torch.equal(mix([a], [0.3]), a)
    assert torch.equal(mix([a, b], [0, 0.7]), b)


@pytest.mark.parametrize("mix", [mix_z, mix_w])
def test_only_the_proportion_of_the_weights_counts(mix):
    three = [
        codes(2, seed=seed) if mix is mix_z else codes(2, seed=seed)[:, None] for seed in range(3)
    ]
    torch.testing.assert_close(mix(three, [0.1, 0.2, 0.5]), mix(three, [20, 40, 100]))
    assert not torch.allclose(mix(three, [0.1, 0.2, 0.5]), mix(three, [0.2, 0.2, 0.5]))


def test_each_item_may_have_weights_of_its_own():
    a, b = codes(2), codes(2, seed=1)
    mixed = mix_z([a, b], torch.tensor([[1.0, 0.25], [0.0, 0.75]]))
    torch.testing.assert_close(mixed, torch.cat([a[:1], mix_z([a[1:], b[1:]], [1, 3])]))


def test_one_style_goes_with_every_one_of_a_batch():
    one, many = codes(1), codes(3, seed=1)
    torch.testing.assert_close(mix_z([one, many], [1, 2]), mix_z([one.expand(3, -1), many], [1, 2]))


@pytest.mark.parametrize(
    ("weights", "message"),
    [([0, 0], "all weights are 0"), ([1, -0.5], r"a weight is -0\.5"), ([1, float("nan")], "nan")],
)
def test_weights_that_make_no_mix(weights, message):
    for mix in (mix_z, mix_w):
        with pytest.raises(BlendGANError, match=message):
            mix([codes(1), codes(1)], weights)


def test_codes_that_do_not_go_together():
    with pytest.raises(BlendGANError, match="batches of 2, 3 styles do not pair up"):
        mix_z([codes(2), codes(3)], [1, 1])
    for together in (lambda both: mix_z(both, [1, 1]), join):
        with pytest.raises(BlendGANError, match="codes of 8 and 9 values.*same checkpoint"):
            together([codes(1), codes(1, size=9)])


def test_a_code_of_zeros_mixes():
    """Its direction is no direction: it adds nothing, and nothing becomes NaN."""
    mixed = mix_z([torch.zeros(1, 8), codes(1)], [1, 1])
    torch.testing.assert_close(pixel_norm(mixed), pixel_norm(codes(1)))


def frames(*args, **kwargs):
    """(key before, key after, progress) of each frame."""
    before, after, progress = keyframes(*args, **kwargs)
    return list(zip(before, after, progress.tolist(), strict=True))


def test_frames_by_hand():
    """Three keys are two ways of two frames each; the last frame is the last key."""
    assert frames(3, 5) == [(0, 1, 0), (0, 1, 0.5), (1, 2, 0), (1, 2, 0.5), (2, 0, 0)]


def test_a_loop_by_hand():
    """Three keys are three ways; the first key would be frame 6, and is not repeated."""
    assert frames(3, 6, loop=True) == [
        *((0, 1, 0), (0, 1, 0.5), (1, 2, 0), (1, 2, 0.5), (2, 0, 0), (2, 0, 0.5))
    ]


def test_frames_that_do_not_fall_on_keys():
    """Positions 0, 2/3, 4/3, 2 of 0..2."""
    (a, b, c, d) = frames(3, 4)
    assert (a, d) == ((0, 1, 0), (2, 0, 0))
    assert b[:2] == (0, 1) and c[:2] == (1, 2)
    assert b[2] == pytest.approx(2 / 3) and c[2] == pytest.approx(1 / 3)


def test_few_frames():
    assert frames(4, 1) == [(0, 1, 0)]
    assert frames(4, 2) == [(0, 1, 0), (3, 0, 0)]
    assert frames(2, 1, loop=True) == [(0, 1, 0)]
    for count, number in [(1, 5), (2, 0)]:
        with pytest.raises(BlendGANError, match="at least two key styles"):
            keyframes(count, number)


@pytest.mark.parametrize("easing", EASINGS)
def test_an_easing_rises_from_0_to_1(easing):
    _, _, progress = keyframes(2, 101, easing)
    assert progress[0] == 0 and (progress[1:-1].diff() > 0).all() and progress[-2] > 0.95
    assert EASINGS[easing](torch.ones(1)).item() == 1


def test_the_pace_of_each_easing_by_hand():
    """A quarter of the way in time: 1/4; 3/16 - 2/64 = 5/32; 1/16; 1/4 * 7/4 = 7/16."""
    quarter = {name: ease(torch.tensor(0.25)).item() for name, ease in EASINGS.items()}
    assert quarter == {"linear": 1 / 4, "smooth": 5 / 32, "ease in": 1 / 16, "ease out": 7 / 16}
