"""The nodes that make, mix and animate styles, as ComfyUI runs them, on a 32-pixel model."""

import pytest
import torch
from tiny_model import pictures


@pytest.fixture
def styles(run, model):
    """styles(seed, count=1): random styles."""

    def draw(seed, count=1):
        return run("StyleLatent", model=model, seed=seed, batch_size=count)[0]

    return draw


def mix(run, *styles, weights, **inputs):
    names = {f"style_{place}": style for place, style in enumerate(styles, 1)}
    names |= {f"weight_{place}": weight for place, weight in enumerate(weights, 1)}
    return run("StyleMix", **names, **inputs)[0]


def animate(run, *styles, frames, easing="linear", loop=False, **inputs):
    names = {f"style_{place}": style for place, style in enumerate(styles, 1)}
    return run("StyleInterpolate", **names, frames=frames, easing=easing, loop=loop, **inputs)[0]


def blend(run, model, style, indicator=0, **more):
    (face,) = run("FaceLatent", model=model, seed=0, batch_size=1, truncation=1.0)
    inputs = {"face": face, "style": style, "indicator": indicator, "theta": 1.0}
    return run("WBMBlend", model=model, **inputs, **more)[0]


# several pictures, one style


def test_the_average_of_pictures(run, model):
    (each,) = run("StyleEncode", model=model, image=pictures(3))
    (again,) = run("StyleEncode", model=model, image=pictures(3), mode="one each")
    (average,) = run("StyleEncode", model=model, image=pictures(3), mode="average")
    assert torch.equal(each.z_style, again.z_style) and each.z_style.shape == (3, 16)
    size = each.z_style.square().mean(dim=1, keepdim=True).sqrt()
    expected = (each.z_style / size).mean(dim=0) * size.mean()
    torch.testing.assert_close(average.z_style, expected[None])


def test_the_average_of_one_picture_is_its_style(run, model):
    (one,) = run("StyleEncode", model=model, image=pictures(1))
    (average,) = run("StyleEncode", model=model, image=pictures(1), mode="average")
    assert torch.equal(one.z_style, average.z_style)


# mixing


@pytest.mark.parametrize("space", ["z", "w"])
def test_a_style_alone_blends_as_it_does_without_a_mix(run, model, styles, space):
    mixed = mix(run, styles(1), styles(2), weights=[0.0, 0.4], space=space, model=model)
    plain = blend(run, model, styles(2))
    assert torch.equal(blend(run, model, mixed).w, plain.w)
    assert torch.equal(mixed.z_style, styles(2).z_style)


def test_a_mix_in_w_is_halfway_in_w(run, model, styles):
    mixed = mix(run, styles(1), styles(2), weights=[1.0, 1.0], space="w", model=model)
    whole = [model.blendgan.map_style(styles(seed).z_style) for seed in (1, 2)]
    torch.testing.assert_close(mixed.w_style, (whole[0] + whole[1]) / 2)
    in_z = mix(run, styles(1), styles(2), weights=[1.0, 1.0])
    assert in_z.w_style is None
    assert not torch.allclose(blend(run, model, mixed).w, blend(run, model, in_z).w)


def test_an_unconnected_style_has_no_weight(run, styles):
    two = mix(run, styles(1), styles(2), weights=[1.0, 3.0])
    assert torch.equal(two.z_style, mix(run, styles(1), styles(2), weights=[1, 3, 5, 5]).z_style)
    fourth = mix(run, styles(1), styles(2), weights=[1.0, 3.0], style_4=styles(4), weight_4=2.0)
    third = mix(run, styles(1), styles(2), styles(4), weights=[1.0, 3.0, 2.0])
    assert torch.equal(fourth.z_style, third.z_style)
    assert not torch.allclose(third.z_style, two.z_style)


def test_one_style_mixes_with_every_one_of_a_batch(core, run, styles):
    mixed = mix(run, styles(1), styles(2, 3), weights=[1.0, 1.0])
    last = mix(run, styles(1), styles(4), weights=[1.0, 1.0])
    torch.testing.assert_close(mixed.z_style[2:], last.z_style)
    with pytest.raises(core.BlendGANError, match="2, 3 styles do not pair up"):
        mix(run, styles(1, 2), styles(2, 3), weights=[1.0, 1.0])


def test_mixes_that_cannot_be(core, run, model, wide_model, styles):
    with pytest.raises(core.BlendGANError, match="all weights are 0"):
        mix(run, styles(1), styles(2), weights=[0.0, 0.0])
    with pytest.raises(core.BlendGANError, match="space w needs a model"):
        mix(run, styles(1), styles(2), weights=[1.0, 1.0], space="w")
    in_w = mix(run, styles(1), styles(2), weights=[1.0, 1.0], space="w", model=model)
    with pytest.raises(core.BlendGANError, match="choose the space w here too"):
        mix(run, styles(1), in_w, weights=[1.0, 1.0])
    (wide,) = run("StyleLatent", model=wide_model, seed=0, batch_size=1)
    with pytest.raises(core.BlendGANError, match="codes of 16 and 24 values"):
        mix(run, styles(1), wide, weights=[1.0, 1.0])
    with pytest.raises(core.BlendGANError, match="style code.*same checkpoint"):
        mix(run, styles(1), styles(2), weights=[1.0, 1.0], space="w", model=wide_model)


def test_a_mix_in_w_of_another_model_is_refused(core, run, model, wide_model):
    (wide,) = run("StyleLatent", model=wide_model, seed=0, batch_size=2)
    in_w = mix(run, wide, wide, weights=[1.0, 1.0], space="w", model=wide_model)
    with pytest.raises(core.BlendGANError, match=r"style code has the shape \(2, 8, 24\)"):
        blend(run, model, in_w)


def test_a_mix_of_mixes_in_w_needs_no_model_again(run, model, styles):
    """By hand: a quarter each of two, and half of the third."""
    first = mix(run, styles(1), styles(2), weights=[1.0, 1.0], space="w", model=model)
    other = mix(run, styles(3), styles(3), weights=[1.0, 1.0], space="w", model=model)
    nested = mix(run, first, other, weights=[1.0, 1.0], space="w")
    flat = mix(
        run, styles(1), styles(2), styles(3), weights=[1.0, 1.0, 2.0], space="w", model=model
    )
    torch.testing.assert_close(nested.w_style, flat.w_style)


# frames


@pytest.mark.parametrize("space", ["z", "w"])
def test_key_styles_are_met_bit_for_bit(run, model, styles, space):
    keys = styles(1, 3)
    frames = animate(run, keys, frames=5, space=space, model=model)
    assert torch.equal(frames.z_style[::2], keys.z_style) and len(frames.z_style) == 5
    if space == "w":
        assert torch.equal(frames.w_style[::2], model.blendgan.map_style(keys.z_style))
    torch.testing.assert_close(blend(run, model, frames).w[::2], blend(run, model, keys).w)


def test_sockets_and_batches_are_keys_in_order(run, styles):
    batch = animate(run, styles(1, 3), frames=7, easing="smooth")
    sockets = animate(run, styles(1), styles(2, 2), frames=7, easing="smooth")
    gap = animate(run, styles(1, 2), frames=7, easing="smooth", style_4=styles(3))
    assert torch.equal(batch.z_style, sockets.z_style)
    assert torch.equal(batch.z_style, gap.z_style)


def test_between_two_keys_lies_their_mix(run, styles):
    frames = animate(run, styles(1), styles(2), frames=5)
    quarter = mix(run, styles(1), styles(2), weights=[3.0, 1.0])
    torch.testing.assert_close(frames.z_style[1:2], quarter.z_style)


def test_a_loop_goes_on_without_a_doubled_frame(run, styles):
    """The frames from the last key on, and then the first: as evenly as between any two keys."""
    frames = animate(run, styles(1, 2), frames=8, loop=True).z_style
    there = animate(run, styles(1), styles(2), frames=5).z_style
    torch.testing.assert_close(torch.cat([frames, frames[:1]])[:5], there)
    torch.testing.assert_close(torch.cat([frames, frames[:1]])[4:].flip(0), there)


def test_one_style_is_no_way(core, run, styles):
    with pytest.raises(core.BlendGANError, match="1 key styles.*at least two key styles"):
        animate(run, styles(1), frames=5)


def test_frames_become_pictures(run, model, styles):
    blended = blend(run, model, animate(run, styles(1, 2), frames=4, space="w", model=model))
    stylised, _ = run("BlendGANGenerate", model=model, blended=blended, noise="fixed", seed=0)
    assert stylised.shape == (4, 32, 32, 3) and not torch.allclose(stylised[0], stylised[3])
