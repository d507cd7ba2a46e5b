"""AdaIN by hand, its decoder's training and file."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from tiny_model import tiny_model
from torch.nn import functional as F

import blendgan_core
from blendgan_core.config import StyleEncoderConfig
from blendgan_core.errors import BlendGANError, CheckpointError
from blendgan_core.style_encoder import StyleEncoder
from trainer.adain import (
    AdainConfig,
    decoder_losses,
    load_encoder,
    train_adain,
)
from trainer.adain_network import (
    Decoder,
    DecoderConfig,
    adain,
    check_encoder,
    load_decoder,
    statistics,
    transfer,
)


@pytest.fixture(scope="module")
def config(tmp_path_factory) -> AdainConfig:
    folder = tmp_path_factory.mktemp("adain")
    blendgan_core.save(tiny_model(blendgan_core), folder / "tiny.safetensors")
    rng = np.random.default_rng(0)
    for name in ("natural", "art"):
        (folder / name).mkdir()
        for number in range(4):
            coarse = rng.integers(0, 256, (4, 4, 3), dtype=np.uint8)
            image = Image.fromarray(coarse).resize((32, 32), Image.Resampling.BILINEAR)
            image.save(folder / name / f"{number}.png")
    return AdainConfig(
        checkpoint=str(folder / "tiny.safetensors"),
        natural=(folder / "natural",),
        art=(folder / "art",),
        out=folder / "run",
        image_size=32,
        width=4,
        batch=2,
        steps=4,
        save_every=2,
        device="cpu",
    )


@pytest.fixture(scope="module")
def final(config) -> Path:
    return train_adain(config)


def test_content_gets_the_mean_and_deviation_of_the_style():
    """By hand: 1, 3, 5, 7 have the mean 4 and the deviation sqrt(5); 10, 10, 20, 20 have 15 and 5.
    So 1 becomes 15 - 3 / sqrt(5) * 5."""
    content = torch.tensor([1.0, 3, 5, 7]).view(1, 1, 2, 2)
    style = torch.tensor([10.0, 10, 20, 20]).view(1, 1, 1, 4)
    made = adain(content, style)
    root = 5**0.5
    expected = torch.tensor([15 - 3 * root, 15 - root, 15 + root, 15 + 3 * root])
    torch.testing.assert_close(made.flatten(), expected, rtol=0, atol=1e-4)


def test_channels_and_pictures_are_apart():
    torch.manual_seed(0)
    content, style = torch.randn(2, 3, 8, 8) * 5 + 1, torch.randn(2, 3, 4, 4) - 2
    for ours, theirs in zip(statistics(adain(content, style)), statistics(style), strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-3, atol=1e-3)
    torch.testing.assert_close(adain(content, content), content, rtol=1e-4, atol=1e-4)


def test_losses_fall():
    """Of the same four pictures, from one step to the next."""
    sizes = {"image_size": 32, "hidden_dim": 4, "predictor_layers": 2, "z_dim": 4}
    encoder = StyleEncoder(StyleEncoderConfig(vgg_width=8, **sizes)).requires_grad_(False)
    encoder.random_vgg_(seed=0)
    torch.manual_seed(0)
    decoder = Decoder(DecoderConfig(vgg_width=8, stage=2, width=8, encoder=""))
    faces, styles = (
        F.interpolate(torch.rand(4, 3, 4, 4) * 2 - 1, size=32, mode="bilinear") for _ in range(2)
    )
    optimizer = torch.optim.Adam(decoder.parameters(), lr=0.01)
    course = []
    for _ in range(40):
        losses = decoder_losses(encoder, decoder, faces, styles)
        course.append({name: loss.item() for name, loss in losses.items()})
        optimizer.zero_grad()
        (losses["content"] + 10 * losses["style"] + 10 * losses["reconstruction"]).backward()
        optimizer.step()
    for name, share in {"style": 0.3, "content": 0.7, "reconstruction": 0.97}.items():
        assert course[-1][name] < share * course[0][name], name


def test_a_resumed_run_equals_an_unbroken_one(config, final, tmp_path):
    broken = replace(config, out=tmp_path / "broken", steps=2)
    train_adain(broken)
    again = train_adain(replace(broken, steps=4, resume=True))
    assert again.read_bytes() == final.read_bytes()
    assert json.loads((config.out / "log.jsonl").read_text().splitlines()[-1])["step"] == 4


def test_the_file_paints_and_fits_its_encoder_only(config, final):
    decoder, encoder = load_decoder(final), load_encoder(config.checkpoint)
    check_encoder(decoder, encoder, final, config.checkpoint)
    pictures = torch.rand(2, 3, 64, 64) * 2 - 1
    made = transfer(encoder, decoder, pictures, pictures.flip(0))
    assert made.shape == pictures.shape and made.abs().max() <= 1
    encoder.half().float()  # as a checkpoint in half precision brings it
    check_encoder(decoder, encoder, final, config.checkpoint)
    encoder.random_vgg_(seed=1)
    with pytest.raises(BlendGANError, match=r"sha256 .*tiny\.safetensors has one.*trainer\.adain"):
        check_encoder(decoder, encoder, final, config.checkpoint)


@pytest.mark.parametrize(
    ("flags", "message"), [({"stage": 1}, "--stage is 1"), ({"image_size": 40}, "--image-size")]
)
def test_sizes_that_do_not_fit_are_refused(config, flags, message):
    with pytest.raises(BlendGANError, match=message):
        train_adain(replace(config, **flags))


def test_other_files_are_told_apart(config, tmp_path):
    with pytest.raises(CheckpointError, match=r"gone\.safetensors does not exist.*trainer\.adain"):
        load_decoder(tmp_path / "gone.safetensors")
    with pytest.raises(CheckpointError, match="is not a decoder of AdaIN"):
        load_decoder(Path(config.checkpoint))
    alone = tmp_path / "generator.safetensors"
    blendgan_core.save(tiny_model(blendgan_core, parts=("generator",)), alone)
    with pytest.raises(CheckpointError, match="style encoder"):
        train_adain(replace(config, checkpoint=str(alone), out=tmp_path / "run"))
