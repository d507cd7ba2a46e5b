"""Official checkpoints: recognised by their keys, refused for a named reason, never executed."""

import argparse
import os
import random

import pytest
import torch
from official_files import blendgan_file, psp_file, tiny

import blendgan_core
from blendgan_core import upstream, upstream_keys
from blendgan_core.config import GeneratorConfig, PSPConfig, StyleEncoderConfig
from blendgan_core.errors import CheckpointError


@pytest.fixture
def saved(tmp_path):
    """saved(data, name) -> the path of a file that torch.save wrote."""

    def save(data, name="file.bin", **options):
        torch.save(data, tmp_path / name, **options)
        return tmp_path / name

    return save


def test_sizes_come_from_the_shapes(saved):
    """The names are wrong on purpose: keys decide, not names."""
    contents = upstream.read_upstream(saved(blendgan_file(), "psp_encoder.pt"))
    assert contents.configs == {
        "generator": GeneratorConfig(
            resolution=64, z_dim=8, w_dim=8, channel_base=512, channel_max=8
        ),
        "style_encoder": StyleEncoderConfig(vgg_width=2, hidden_dim=8, z_dim=8),
    }
    contents = upstream.read_upstream(saved(psp_file(), "blendgan.pt"))
    assert contents.configs == {
        "psp_encoder": PSPConfig(channels=(4, 8, 16, 32), w_dim=8, num_layers=10)
    }


def test_official_sizes_at_1024_px():
    """The released model: multiplier 2, so 512 channels up to 64 px, then half at each step."""
    channels = {4: 512, 8: 512, 16: 512, 32: 512, 64: 512, 128: 256, 256: 128, 512: 64, 1024: 32}
    state = {
        "add_weight": torch.ones(1, 18, 1),
        "input.input": torch.empty(1, 512, 4, 4),
        "style.1.weight": torch.empty(512, 512),
    }
    for block, resolution in enumerate(list(channels)[1:]):
        state[f"convs.{2 * block}.conv.weight"] = torch.empty(1, channels[resolution], 1, 3, 3)
    config = upstream_keys.generator_config(state)
    assert (config.resolution, config.channel_base, config.channel_max) == (1024, 32768, 512)


def test_thin_channels_of_multiplier_1():
    """The official channel_multiplier 1 has 256 channels at 64 px."""
    state = {f"convs.{block}.conv2.1.weight": torch.empty(512, 1, 3, 3) for block in range(1, 5)}
    state |= {f"convs.{block}.skip.1.weight": torch.empty(1) for block in range(1, 5)}
    state["convs.0.0.weight"] = torch.empty(256, 3, 1, 1)
    config = upstream_keys.discriminator_config(state)
    assert (config.resolution, config.channel_base, config.channel_max) == (64, 16384, 512)


def test_alpha_is_one_minus_add_weight():
    """By hand; values outside 0..1, which the official code clamps when it blends, are clamped."""
    data = blendgan_file()
    data["g_ema"]["add_weight"] = torch.tensor([-0.5, 0, 0.2, 0.5, 1, 1.5, 1, 1, 1, 1]).view(
        1, 10, 1
    )
    state = upstream.from_official(data).states["generator"]
    expected = torch.tensor([1, 1, 0.8, 0.5, 0, 0, 0, 0, 0, 0])
    torch.testing.assert_close(state["blending.alpha"], expected)


@pytest.mark.parametrize("zip_format", [True, False])
def test_a_loaded_file_stylises(saved, zip_format):
    path = saved(blendgan_file(), _use_new_zipfile_serialization=zip_format)
    model = blendgan_core.load(path)
    z_style = model.encode_style(torch.rand(1, 3, 40, 50) * 2 - 1)
    w = model.blend(model.sample_face([1, 2]), z_style, indicator=0)
    images = model.synthesize(w)
    assert images.shape == (2, 3, 64, 64) and torch.isfinite(images).all()


def test_the_psp_file_inverts(saved):
    model = blendgan_core.load(saved(psp_file()))
    faces = torch.rand(1, 3, 64, 64) * 2 - 1
    codes = model.invert(faces)
    assert codes.shape == (1, 10, 8) and torch.isfinite(codes).all()
    with pytest.raises(CheckpointError, match=r"needs a generator, but the .* only: psp_encoder"):
        model.synthesize(codes)


def test_mapped_files_are_let_go(saved):
    """The tensors are copies, so that the file may be overwritten or deleted (on Windows, too)."""
    path = saved(psp_file())
    state = upstream.read_upstream(path).states["psp_encoder"]
    path.write_bytes(b"")
    assert all(torch.isfinite(tensor).all() for tensor in state.values())


def test_the_mean_latent_of_the_file_is_the_centre_of_truncation(saved):
    state = upstream.read_upstream(saved(blendgan_file())).states["generator"]
    assert torch.equal(state["w_mean"], torch.full((8,), 0.25))


def test_without_a_mean_latent_it_is_measured():
    """As the official code does; here the mapping ends in a bias alone, which then is the mean."""
    data = blendgan_file()
    del data["latent_avg"]
    data["g_ema"]["style.8.weight"].zero_()
    data["g_ema"]["style.8.bias"] = torch.arange(8.0)
    state = upstream.from_official(data).states["generator"]
    expected = 0.01 * 2**0.5 * torch.arange(8.0)  # learning rate multiplier, gain of the ReLU
    torch.testing.assert_close(state["w_mean"], expected)


@pytest.mark.parametrize("prefix", ["", "module.", "net.encoder_s."])
def test_style_encoders_alone_under_any_prefix(prefix):
    state = {prefix + key: value for key, value in tiny("style_encoder").items()}
    for data in (state, {"model": state, "step": 3}):
        contents = upstream.from_official(data)
        assert list(contents.configs) == ["style_encoder"]
        bias = contents.states["style_encoder"]["predictor.3.bias"]
        assert torch.equal(bias, state[prefix + "embedder_mlp.3.bias"])


def test_averaged_weights_win():
    data = blendgan_file()
    other = {key: torch.zeros_like(value) for key, value in data["g_ema"].items()}
    state = upstream.from_official({"g": other} | data).states["generator"]
    assert torch.equal(state["synthesis.constant"], data["g_ema"]["input.input"])


def test_an_argparse_namespace_is_let_in(saved):
    data = psp_file() | {"opts": argparse.Namespace(lr=0.1, device="cuda:0", ids=[1, 2])}
    assert list(upstream.read_upstream(saved(data)).configs) == ["psp_encoder"]


@pytest.mark.parametrize("zip_format", [True, False])
def test_code_in_a_file_does_not_run(saved, tmp_path, zip_format):
    class Malicious:
        def __reduce__(self):
            return os.system, (f"echo run > {tmp_path / 'proof'}",)

    data = psp_file() | {"opts": Malicious()}
    path = saved(data, _use_new_zipfile_serialization=zip_format)
    with pytest.raises(
        CheckpointError, match=r"was not loaded: .*'(posix|nt).system', which could"
    ):
        upstream.read_upstream(path)
    assert not (tmp_path / "proof").exists()


@pytest.mark.parametrize("zip_format", [True, False])
def test_cut_off_files(saved, zip_format):
    path = saved(psp_file(), _use_new_zipfile_serialization=zip_format)
    whole = path.read_bytes()
    for length in (0, 1, 3, 40, 1000, len(whole) // 2, len(whole) - 10):
        path.write_bytes(whole[:length])
        with pytest.raises(CheckpointError, match=r"file.bin is cut off, damaged or not a check"):
            upstream.read_upstream(path)


@pytest.mark.filterwarnings("ignore::UserWarning")  # torch wonders about the pickle protocol
@pytest.mark.parametrize("zip_format", [True, False])
def test_flipped_bytes_never_escape_as_another_error(saved, zip_format):
    data = {"g_ema": {f"key{n}": torch.zeros(n) for n in range(4)}}
    path = saved(data, _use_new_zipfile_serialization=zip_format)
    whole, rng = path.read_bytes(), random.Random(0)
    for _ in range(100):
        damaged = bytearray(whole)
        damaged[rng.randrange(len(damaged))] = rng.randrange(256)
        path.write_bytes(damaged)
        with pytest.raises(CheckpointError):  # at best it reads as what it is, no known checkpoint
            upstream.read_upstream(path)


@pytest.mark.parametrize(
    ("content", "found"),
    [
        (b"\x89PNG\r\n\x1a\n" + bytes(100), "cut off, damaged or not a checkpoint"),
        (b"a note to myself", "cut off, damaged or not a checkpoint"),
        (None, "does not exist"),
    ],
)
def test_files_that_are_no_checkpoints(tmp_path, content, found):
    path = tmp_path / "weights.pt"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(CheckpointError, match=rf"weights.pt .*{found}"):
        upstream.read_upstream(path)


def without(state: dict, *keys: str) -> dict:
    return {key: value for key, value in state.items() if key not in keys}


@pytest.mark.parametrize(
    ("data", "found"),
    [
        ({"d": tiny("discriminator")}, "a StyleGAN2 discriminator"),
        (tiny("projection_discriminator"), "a projection discriminator"),
        ({"input_layer.0.weight": 1, "body.0.res_layer.1.weight": torch.ones(1)}, "an IR-SE face"),
        ({"features.0.weight": torch.ones(1)}, "a VGG network"),
        (
            {"epoch": 3, "arch": "x"},
            r"not a BlendGAN checkpoint: found the keys \['arch', 'epoch'\]",
        ),
        ({}, r"not a BlendGAN checkpoint: found the keys \[\]"),
        ([torch.ones(1)], "not a checkpoint: found a list"),
    ],
)
def test_other_checkpoints_are_named_for_what_they_are(saved, data, found):
    with pytest.raises(CheckpointError, match=rf"file.bin is {found}.*expected") as error:
        upstream.read_upstream(saved(data))
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("part", "key", "shape", "found"),
    [
        ("generator", "convs.3.noise.weight", None, "'convs.3.noise.weight' is missing"),
        ("generator", "convs.4.conv.weight", None, "'convs.4.conv.weight' is missing"),
        ("generator", "to_rgbs.2.bias", (5,), r"'to_rgbs.2.bias' has the shape \(5,\), .*\(3,\)"),
        ("generator", "add_weight", None, "'add_weight' is missing"),
        ("generator", "add_weight", (1, 9, 1), "'add_weight' has"),
        ("generator", "add_weight", (1, 2, 1), "resolution"),
        ("generator", "add_weight", (7,), "out of range"),
        (
            "style encoder",
            "embedder.embedder_mlp.0.weight",
            (8, 90),
            "90 Gram values, its VGG .* 596",
        ),
        ("style encoder", "embedder.embedder_mlp.2.bias", None, "'embedder_mlp.2.bias' is missing"),
        ("pSp encoder", "encoder.latlayer1.weight", None, "'latlayer1.weight' is missing"),
        ("pSp encoder", "encoder.body.0.res_layer.1.weight", (6, 4, 3, 3), "stages of"),
        ("pSp encoder", "latent_avg", None, "'latent_avg', .* is missing"),
        (
            "pSp encoder",
            "latent_avg",
            (18, 8),
            r"'latent_avg' has the shape \(18, 8\), .*\(10, 8\)",
        ),
    ],
)
def test_damaged_parts_name_the_tensor(saved, part, key, shape, found):
    data = psp_file() if part == "pSp encoder" else blendgan_file()
    state = data if key == "latent_avg" else data["state_dict" if "state_dict" in data else "g_ema"]
    if shape is None:
        del state[key]
    else:
        state[key] = torch.zeros(shape)
    with pytest.raises(CheckpointError, match=rf"file.bin has the keys of a {part}, but .*{found}"):
        upstream.read_upstream(saved(data))


@torch.no_grad()
def test_discriminators_of_every_kind():
    images = torch.rand(2, 3, 64, 64) * 2 - 1
    plain, projection = tiny("discriminator"), tiny("projection_discriminator")
    for kind in ("face", "style"):
        assert upstream.discriminator(plain, kind)(images).shape == (2, 1)
    network = upstream.discriminator(projection, "style_latent")
    assert network(images, torch.randn(2, 8)).shape == (2, 1)


@pytest.mark.parametrize(
    ("network", "kind", "found"),
    [
        ("projection_discriminator", "face", "D_face is a projection discriminator; expected"),
        ("discriminator", "style_latent", "D_style_latent is a StyleGAN2 discriminator; expected"),
        ("generator", "style", "D_style is a StyleGAN2 generator"),
    ],
)
def test_weights_of_the_wrong_discriminator(network, kind, found):
    with pytest.raises(CheckpointError, match=found):
        upstream.discriminator(tiny(network), kind)


def test_incomplete_discriminators_name_the_tensor():
    state = without(tiny("discriminator"), "convs.2.conv1.1.bias")
    with pytest.raises(
        CheckpointError, match=r"D_face are damaged: 'convs.2.conv1.1.bias' is miss"
    ):
        upstream.discriminator(state, "face")
