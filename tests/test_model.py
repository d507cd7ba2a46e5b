"""The assembled model: the methods that users and nodes call."""

import pytest
import torch
from tiny_model import tiny_model

import blendgan_core
from blendgan_core import BlendGAN, BlendGANError, CheckpointError


@pytest.fixture(scope="module")
def model() -> BlendGAN:
    return tiny_model(blendgan_core)


def test_photo_and_art_give_a_picture(model):
    out = model.stylize(torch.rand(2, 3, 50, 50) * 2 - 1, torch.rand(1, 3, 80, 40) * 2 - 1)
    assert out.shape == (2, 3, 32, 32)
    assert torch.isfinite(out).all()


def test_a_seed_gives_one_face_whatever_its_neighbours(model):
    together, alone = model.sample_face([3, 4]), model.sample_face([4])
    torch.testing.assert_close(together[1:], alone)
    assert together.shape == (2, model.num_layers, 16)
    assert not torch.equal(together[0], together[1])


def test_truncation_0_gives_the_mean_face(model):
    model.generator.w_mean.normal_()
    w = model.sample_face([5], truncation=0.0)
    torch.testing.assert_close(w[0], model.generator.w_mean.expand(model.num_layers, -1))


def test_styles_follow_the_measured_distribution(model):
    """Codes on a line: every drawn style lies on it too."""
    torch.manual_seed(0)
    direction = torch.nn.functional.normalize(torch.randn(16), dim=0)
    model.generator.measure_styles_(5 + torch.randn(200, 1) * direction)
    drawn = model.sample_style(list(range(400))) - 5
    along = drawn @ direction
    torch.testing.assert_close(along[:, None] * direction, drawn, atol=0.5, rtol=0)
    assert 0.8 < along.std() < 1.2


def test_noise_modes(model):
    w = model.sample_face([0, 0])
    fixed, seeded = model.synthesize(w), model.synthesize(w, noise=7)
    assert torch.equal(fixed, model.synthesize(w))
    assert torch.equal(seeded, model.synthesize(w, noise=7))
    assert not torch.equal(seeded, model.synthesize(w, noise=8))
    random = model.synthesize(w, noise="random")
    assert not torch.equal(random[0], random[1])
    torch.testing.assert_close(fixed[0], fixed[1])


@pytest.mark.parametrize(
    "w_shape, z_shape, message",
    [
        ((1, 10, 16), (1, 16), "face code has the shape"),
        ((1, 8, 16), (1, 32), "style code has the shape"),
        ((3, 8, 16), (2, 16), "3 faces and 2 styles do not pair up"),
    ],
)
def test_codes_of_another_model_are_refused(model, w_shape, z_shape, message):
    with pytest.raises(BlendGANError, match=message):
        model.blend(torch.zeros(w_shape), torch.zeros(z_shape))


def test_a_missing_part_is_named_with_the_file_that_brings_it():
    generator_only = tiny_model(blendgan_core, parts=("generator",))
    with pytest.raises(CheckpointError, match="pSp encoder.*psp_encoder.pt"):
        generator_only.invert(torch.zeros(1, 3, 8, 8))
    with pytest.raises(CheckpointError, match="needs a generator"):
        tiny_model(blendgan_core, parts=("psp_encoder",)).sample_face([0])


def test_many_faces_in_one_style_encode_it_once(model, monkeypatch):
    seen = []
    forward = model.style_encoder.forward
    monkeypatch.setattr(
        model.style_encoder, "forward", lambda images: seen.append(len(images)) or forward(images)
    )
    model.stylize(torch.zeros(5, 3, 32, 32), torch.zeros(1, 3, 40, 40))
    assert seen == [1]
