"""Strength, curve and kept colours of WBMBlend, and IndicatorSweep, on a 32-pixel model."""

import pytest
import torch
from tiny_model import pictures

NUM_LAYERS = 8  # of a 32-pixel model


@pytest.fixture
def codes(run, model):
    """codes(faces=1, styles=1): inputs that blending and sweeping share."""

    def draw(faces=1, styles=1):
        (face,) = run("FaceLatent", model=model, seed=0, batch_size=faces, truncation=1.0)
        (style,) = run("StyleLatent", model=model, seed=9, batch_size=styles)
        return {"model": model, "face": face, "style": style}

    return draw


def blend(run, codes, indicator=2, theta=0.5, **more):
    return run("WBMBlend", **codes, indicator=indicator, theta=theta, **more)[0]


def generate(run, model, blended):
    return run("BlendGANGenerate", model=model, blended=blended, noise="fixed", seed=0)


def sweep(run, codes, first=0, last=-1, step=4.0, cell=32, **more):
    return run("IndicatorSweep", **codes, first=first, last=last, step=step, cell=cell, **more)


# strength and curve


def test_without_the_new_inputs_nothing_changes(run, model, codes):
    blended = blend(run, codes())
    expected = model.blendgan.blend(codes()["face"].w_face, codes()["style"].z_style, 2, 0.5)
    assert torch.equal(blended.w, expected) and blended.preserve_colour == 0
    same = blend(run, codes(), strength=1.0, curve=" ", preserve_colour=0.0)
    assert torch.equal(same.w, expected)


def test_strength_zero_is_the_face(run, codes):
    blended = blend(run, codes(), indicator=0, strength=0.0)
    assert torch.equal(blended.w, blended.w_face)
    half = blend(run, codes(), strength=0.5)
    torch.testing.assert_close(half.w, (half.w_face + blend(run, codes()).w) / 2)


@pytest.mark.parametrize(
    "text", ["0 0 0 1 .5 .5 0 1", "0,0,0, 1,0.5 0.5,\n0,1.0,", "0 " * 3 + "1 5e-1 .5 0 1"]
)
def test_a_curve_as_it_may_be_typed(run, codes, text):
    blended = blend(run, codes(), indicator=7, theta=0.0, curve=text)
    assert torch.equal(blended.w[:, :3], blended.w_face[:, :3])
    whole = blend(run, codes(), curve="1 " * 8).w  # the style itself
    torch.testing.assert_close(blended.w[:, 3], whole[:, 3])
    torch.testing.assert_close(blended.w[:, 4], (blended.w_face[:, 4] + whole[:, 4]) / 2)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("0.5, 0.5", "curve has 2 values, this model needs 8"),
        (",", "curve has 0 values, this model needs 8"),
        ("0 0 0 0 0 0 0 2", r"value 8 of the curve is 2\.0, expected 0\.\.1"),
        ("0 0 0 nan 0 0 0 0", "value 4 of the curve is nan"),
        ("0 0 strong 0", "not a number .*strong"),
    ],
)
def test_curves_that_cannot_be(core, run, codes, text, message):
    with pytest.raises(core.BlendGANError, match=message):
        blend(run, codes(), curve=text)


def test_the_page_gets_the_three_lines(nodes, model, codes):
    """By hand: alpha is .5 in a new model; indicator 6 with theta .5, and strength .5."""
    output = nodes["WBMBlend"].EXECUTE_NORMALIZED(**codes(), indicator=6, theta=0.5, strength=0.5)
    assert output.ui == {
        "blendgan_curve": [
            {
                "alpha": [0.5] * 8,
                "mask": [0.0] * 6 + [0.5, 1.0],
                "share": [0.0] * 6 + [0.125, 0.25],
            }
        ]
    }
    curve = [0.25] * 4 + [1.0] * 4
    output = nodes["WBMBlend"].EXECUTE_NORMALIZED(
        **codes(), indicator=6, theta=0.5, strength=0.5, curve=", ".join(map(str, curve))
    )
    assert output.ui["blendgan_curve"][0]["share"] == [0.125] * 4 + [0.5] * 4


# kept colours


def statistics(image):
    pixels = image.flatten(1, 2)  # [N, H * W, 3]
    return pixels.mean(dim=1), torch.stack([item.t().cov() for item in pixels])


@pytest.fixture
def pale(core, monkeypatch):
    """The random model's pictures go far beyond 0..1, where colours are cut off; not these."""
    bright = core.BlendGAN.synthesize
    monkeypatch.setattr(core.BlendGAN, "synthesize", lambda *args: 0.05 * bright(*args))


def test_kept_colours_are_those_of_the_natural_picture(run, model, codes, pale):
    plain, natural = generate(run, model, blend(run, codes(faces=2), indicator=0))
    kept, same_natural = generate(
        run, model, blend(run, codes(faces=2), indicator=0, preserve_colour=1.0)
    )
    assert torch.equal(natural, same_natural) and not torch.allclose(kept, natural)
    for found, wanted, before in zip(*map(statistics, (kept, natural, plain)), strict=True):
        assert (found - wanted).norm() < 0.02 * (before - wanted).norm()
    none, _ = generate(run, model, blend(run, codes(faces=2), indicator=0, preserve_colour=0.0))
    assert torch.equal(none, plain)


def test_half_kept_colours_lie_between(run, model, codes, pale):
    """The mean moves half of the way."""
    means = []
    for kept in (0.0, 0.5, 1.0):
        blended = blend(run, codes(), indicator=0, preserve_colour=kept)
        means.append(statistics(generate(run, model, blended)[0])[0])
    torch.testing.assert_close(means[1], (means[0] + means[2]) / 2)


def test_colours_are_kept_chunk_by_chunk(pack, run, model, codes, monkeypatch):
    blended = blend(run, codes(faces=3), indicator=0, preserve_colour=0.7)
    whole, _ = generate(run, model, blended)
    monkeypatch.setattr(pack.nodes.devices, "CHUNK_PIXELS", 1)
    torch.testing.assert_close(generate(run, model, blended)[0], whole)


# the sweep


def test_a_sweep_is_each_blend_in_turn(run, model, codes):
    """Columns 0, 3, 6 and 8 = L; row by row."""
    _, images = sweep(run, codes(faces=2), step=3.0)
    for column, indicator in enumerate([0, 3, 6, 8]):
        blended = blend(run, codes(faces=2), indicator=indicator, theta=1.0)
        stylised, natural = generate(run, model, blended)
        torch.testing.assert_close(images[column::4], stylised)
    torch.testing.assert_close(images[3::4], natural)


def test_the_grid_shows_the_images_below_their_labels(run, codes):
    grid, images = sweep(run, codes(faces=2))  # cells of the model's own 32 pixels, 0 4 8
    below = grid[0, -64:]
    for row in range(2):
        for column in range(3):
            cell = below[row * 32 : (row + 1) * 32, column * 32 : (column + 1) * 32]
            torch.testing.assert_close(cell, images[row * 3 + column])
    labels = grid[0, :-64]
    assert labels.shape[1:] == (96, 3) and labels[0].min() == 1  # white around the letters
    assert all(part.min() < 0.5 for part in labels.split(32, dim=1))


def test_thetas_between_two_indicators(run, model, codes):
    _, images = sweep(run, codes(), first=2, last=3, step=0.5)
    stylised, _ = generate(run, model, blend(run, codes(), indicator=2, theta=0.5))
    torch.testing.assert_close(images[1:2], stylised)
    assert len(images) == 3


def test_a_reference_has_a_column_of_its_own(core, run, codes):
    """Two kinds: one picture for all faces, or one each; what is not square loses its sides."""
    reference = torch.zeros(1, 32, 64, 4)
    reference[:, :, 16:48] = torch.tensor([1.0, 0.5, 0.0, 1.0])
    grid, images = sweep(run, codes(faces=2), reference=reference)
    assert grid.shape[2] == 4 * 32 and len(images) == 6
    expected = torch.tensor([1.0, 0.5, 0.0]).expand(64, 32, 3)
    torch.testing.assert_close(grid[0, -64:, :32], expected)
    each = torch.stack([torch.zeros(8, 8, 3), torch.ones(8, 8, 3)])
    grid, _ = sweep(run, codes(faces=2), reference=each)
    torch.testing.assert_close(grid[0, -64:-32, :32], torch.zeros(32, 32, 3))
    torch.testing.assert_close(grid[0, -32:, :32], torch.ones(32, 32, 3))
    with pytest.raises(core.BlendGANError, match="3 reference pictures do not go with 2 faces"):
        sweep(run, codes(faces=2), reference=pictures(3))


def test_styles_may_be_the_rows(run, model, codes):
    inputs = codes(styles=3)
    in_w = {"style_1": inputs["style"], "style_2": inputs["style"], "weight_1": 1.0}
    (mixed,) = run("StyleMix", **in_w, weight_2=0.0, space="w", model=model)
    grid, images = sweep(run, inputs)
    assert len(images) == 9
    torch.testing.assert_close(sweep(run, inputs | {"style": mixed})[1], images)


def test_a_sweep_comes_in_chunks_that_can_be_cancelled(pack, run, codes, monkeypatch):
    from comfy import model_management

    whole = sweep(run, codes())
    monkeypatch.setattr(pack.nodes.devices, "CHUNK_PIXELS", 1)
    for a, b in zip(whole, sweep(run, codes()), strict=True):
        torch.testing.assert_close(a, b)
    model_management.interrupt_current_processing()
    with pytest.raises(model_management.InterruptProcessingException):
        sweep(run, codes())


@pytest.mark.parametrize(
    ("inputs", "message"),
    [
        ({"last": 9}, r"from 0 to 9 is outside 0\.\.8"),
        ({"first": 5, "last": 2}, "runs backwards"),
        ({"step": 0.05, "cell": 1024}, "grid of 2 x 161 pictures of 1024 pixels is too large"),
    ],
)
def test_sweeps_that_cannot_be(core, run, codes, inputs, message):
    with pytest.raises(core.BlendGANError, match=message):
        sweep(run, codes(faces=2), **inputs)


def test_codes_of_another_model_are_refused(core, run, codes, wide_model):
    with pytest.raises(core.BlendGANError, match="same checkpoint"):
        sweep(run, codes() | {"model": wide_model})
