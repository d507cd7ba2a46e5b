"""StyleGAN2 in rosinality's layout, alone or inside pSp and e4e checkpoints.

BlendGAN's natural branch is that StyleGAN2, so the golden `natural` pictures are its pictures, too:
rosinality's own code reproduces them (goldens/README.md).
"""

import argparse

import pytest
import torch
from golden_weights import draw, relative_error, vectors
from official_files import blendgan_file, encoder_file, psp_file, stylegan2_file, tiny
from torch.nn import functional as F

import blendgan_core
from blendgan_core import upstream
from blendgan_core.checkpoint import build, read
from blendgan_core.discriminators import Discriminator
from blendgan_core.errors import CheckpointError

TOLERANCE = 1e-4


@torch.no_grad()
def test_a_picture_of_a_stylegan2_is_that_of_the_original_code(capsys):
    golden = vectors("generator_discriminators")
    state = draw("generator")
    keys = [key for key in state if not key.startswith("embedding.") and key != "add_weight"]
    data = {"g_ema": {key: state[key] for key in keys}, "latent_avg": golden["in/latent_avg"]}
    generator = build(upstream.from_official(data), "the golden weights").generator
    w_face = generator.map_face(golden["in/z_face"], truncation=0.75)
    images = generator.synthesis(w_face, generator.synthesis.fixed_noise())
    error = relative_error(images, golden["natural_trunc0.75"])
    with capsys.disabled():
        print(f"\n  rosinality natural_trunc0.75 relative error {error:.1e}", end="")
    assert error <= TOLERANCE


@torch.no_grad()
def test_codes_of_e4e_are_those_of_the_original_code(capsys):
    """With a latent_avg that is not 0, to see that it is added: the golden is without it."""
    latent_avg = torch.linspace(-1, 1, 10 * 512).view(10, 512)
    data = {
        "state_dict": {f"encoder.{key}": tensor for key, tensor in draw("psp_encoder").items()},
        "latent_avg": latent_avg,
        "opts": {"encoder_type": "Encoder4Editing", "start_from_latent_avg": True},
    }
    encoder = build(upstream.from_official(data), "the golden weights").psp_encoder
    images = F.interpolate(vectors("encoders")["in/image320_small"], scale_factor=4, mode="nearest")
    error = relative_error(encoder(images) - latent_avg, vectors("e4e")["e4e_codes_no_avg"])
    with capsys.disabled():
        print(f"\n  e4e codes relative error {error:.1e}", end="")
    assert error <= TOLERANCE


def test_files_of_a_training(tmp_path):
    """The averaged weights, the discriminator, and a face whatever the indicator."""
    data = stylegan2_file() | {"latent_avg": torch.full((8,), 0.25)}
    torch.save(data, tmp_path / "550000.pt")
    contents = read(tmp_path / "550000.pt")
    assert contents.kind == "StyleGAN2, rosinality's layout" and not contents.knows_styles
    state = contents.states["generator"]
    assert torch.equal(state["synthesis.constant"], data["g_ema"]["input.input"])
    assert torch.equal(state["w_mean"], data["latent_avg"])
    discriminator = Discriminator(contents.configs["generator"])
    discriminator.load_state_dict(contents.extras["d_face"])
    images = torch.rand(2, 3, 64, 64)
    expected = upstream.discriminator(data["d"], "face")(images)
    torch.testing.assert_close(discriminator(images), expected)
    model = blendgan_core.load(tmp_path / "550000.pt")
    w_face = model.sample_face([1, 2])
    for indicator in (0, 5, 10):
        assert torch.equal(model.blend(w_face, torch.randn(1, 8), indicator), w_face)
    z = torch.randn(2, 8)
    assert torch.equal(model.map_style(z), model.map_face(z))  # where a training starts


@pytest.mark.parametrize("keep", [("g",), ("g_ema",), ("g", "d"), ()])
def test_any_generator_will_do(keep):
    """`()`: the generator's state dict itself, without a dictionary around it."""
    data = stylegan2_file()
    contents = upstream.from_official({key: data[key] for key in keep} if keep else data["g_ema"])
    assert list(contents.states) == ["generator"]
    assert list(contents.extras) == (["d_face"] if "d" in keep else [])
    constant = data["g" if "g" in keep else "g_ema"]["input.input"]
    assert torch.equal(contents.states["generator"]["synthesis.constant"], constant)


def test_a_discriminator_of_other_sizes_is_left_out():
    data = stylegan2_file()
    data["d"]["convs.0.0.weight"] = torch.ones(6, 3, 1, 1)  # of 6 channels at 64 px, not 8
    data["d"]["convs.1.conv2.1.weight"] = torch.ones(8, 6, 3, 3)
    data["d"]["convs.1.skip.1.weight"] = torch.ones(8, 6, 1, 1)
    data["d"]["convs.1.conv1.0.weight"] = torch.ones(6, 6, 3, 3)
    data["d"]["convs.1.conv1.1.bias"] = data["d"]["convs.0.1.bias"] = torch.ones(6)
    contents = upstream.from_official(data)
    assert not contents.extras
    assert contents.provenance == {
        "left_out": "the discriminator, whose sizes are not the generator's"
    }


@pytest.mark.parametrize(
    ("encoder_type", "kind", "container"),
    [
        ("GradualStyleEncoder", "pSp checkpoint", argparse.Namespace),
        ("Encoder4Editing", "e4e checkpoint", dict),
    ],
)
def test_encoder_and_decoder_of_one_file(tmp_path, encoder_type, kind, container):
    data = encoder_file(encoder_type)
    data["opts"] = container(**data["opts"])
    torch.save(data, tmp_path / "encode.pt")
    contents = read(tmp_path / "encode.pt")
    assert contents.kind == kind and not contents.knows_styles
    assert list(contents.configs) == ["generator", "psp_encoder"]
    assert contents.configs["psp_encoder"].deltas == (kind == "e4e checkpoint")
    assert torch.equal(contents.states["generator"]["w_mean"], torch.full((8,), 0.5))
    model = blendgan_core.load(tmp_path / "encode.pt")
    images = model.synthesize(model.invert(torch.rand(1, 3, 256, 256)))
    assert images.shape == (1, 3, 64, 64) and torch.isfinite(images).all()


def test_heads_of_e4e_add_to_the_first_one():
    """The same weights as pSp's: by the definition, w_i = head_0 + head_i from the second on."""
    faces = torch.rand(2, 3, 256, 256)
    psp, e4e = (
        build(upstream.from_official(encoder_file(name)), "file").invert(faces)
        for name in ("GradualStyleEncoder", "Encoder4Editing")
    )
    average = 0.5
    torch.testing.assert_close(e4e[:, 0], psp[:, 0])
    torch.testing.assert_close(e4e[:, 1:], psp[:, :1] + psp[:, 1:] - average)


def test_codes_that_do_not_start_from_the_average():
    data = encoder_file("GradualStyleEncoder")
    data["opts"]["start_from_latent_avg"] = False
    encoder = upstream.from_official(data).states["psp_encoder"]
    assert torch.equal(encoder["latent_avg"], torch.zeros(10, 8))
    del data["latent_avg"]  # such a training does not save it
    contents = upstream.from_official(data)
    assert torch.equal(contents.states["psp_encoder"]["latent_avg"], torch.zeros(10, 8))
    assert contents.states["generator"]["w_mean"].abs().sum() > 0  # measured


@pytest.mark.parametrize(
    "name", ["BackboneEncoderUsingLastLayerIntoW", "ProgressiveBackboneEncoder"]
)
def test_other_encoders_are_named(tmp_path, name):
    torch.save(encoder_file(name), tmp_path / "encode.pt")
    with pytest.raises(
        CheckpointError, match=rf"encode.pt has an encoder of the type '{name}', ex"
    ):
        read(tmp_path / "encode.pt")


def test_encoders_without_heads_are_not_passed_over():
    data = encoder_file("GradualStyleEncoder")
    del data["opts"]
    state = data["state_dict"]
    data["state_dict"] = {k: v for k, v in state.items() if not k.startswith("encoder.styles.")}
    with pytest.raises(CheckpointError, match="encoder without the heads"):
        upstream.from_official(data)


@pytest.mark.parametrize(
    ("key", "shape", "found"),
    [
        ("convs.3.activate.bias", None, "'convs.3.activate.bias' is missing"),
        ("style.8.weight", None, "'style.8.weight' is missing"),  # not one layer less
        ("convs.7.conv.weight", None, "'convs.7.conv.weight' is missing"),
        ("latent_avg", (7,), r"'latent_avg' has the shape \(7,\), expected \(8,\)"),
    ],
)
def test_damaged_generators_name_the_tensor(key, shape, found):
    data = stylegan2_file()
    if shape:
        data[key] = torch.zeros(shape)
    else:
        del data["g_ema"][key]
    with pytest.raises(CheckpointError, match=rf"has the keys of a generator, but .*{found}"):
        upstream.from_official(data)


def test_truncation_of_an_official_file_is_kept():
    """The official command takes it in place of its own default of 0.75."""
    assert upstream.from_official(blendgan_file()).provenance == {}
    data = blendgan_file() | {"truncation": 0.7}
    assert upstream.from_official(data).provenance == {"truncation": 0.7}


def test_official_files_keep_their_kind():
    for data in (blendgan_file(), psp_file(), tiny("style_encoder")):
        contents = upstream.from_official(data)
        assert contents.kind == "official BlendGAN checkpoint" and contents.knows_styles
