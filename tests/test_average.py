"""The mean of two checkpoints of one lineage."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import blendgan_core
from blendgan_core.blendgan import BlendGAN
from blendgan_core.config import GeneratorConfig, PSPConfig, StyleEncoderConfig
from blendgan_core.errors import BlendGANError
from blendgan_core.generator import Generator
from blendgan_core.psp_encoder import PSPEncoder
from blendgan_core.style_encoder import StyleEncoder
from trainer.average import AverageConfig, average

SIZES = GeneratorConfig(resolution=32, z_dim=8, w_dim=8, channel_base=64, channel_max=4)


def model_of(number: float) -> BlendGAN:
    """All weights of the generator's convolutions and of the encoder are `number`."""
    generator = Generator(SIZES)
    layers = generator.config.num_layers
    psp = PSPEncoder(
        PSPConfig(
            image_size=32, channels=(2, 2, 2, 2), blocks=(1, 1, 1, 1), w_dim=8, num_layers=layers
        )
    )
    torch.manual_seed(0)
    style = StyleEncoder(StyleEncoderConfig(image_size=32, vgg_width=1, hidden_dim=4, z_dim=8))
    with torch.no_grad():
        for weights in (*generator.synthesis.parameters(), *psp.parameters()):
            weights.fill_(number)
    return BlendGAN.assemble(generator, style, psp)


@pytest.fixture
def config(tmp_path, monkeypatch) -> AverageConfig:
    monkeypatch.setattr("trainer.pretrain.PRIOR_PICTURES", 8)
    faces = tmp_path / "faces"
    faces.mkdir()
    for number in range(4):
        pixels = np.full((32, 32, 3), 60 * number, np.uint8)
        Image.fromarray(pixels).save(faces / f"{number}.png")
    files = tuple(tmp_path / f"{number}.safetensors" for number in (1, 3))
    for path in files:
        blendgan_core.save(
            model_of(float(path.stem)), path, {}, {"queue": {"codes": torch.ones(2)}}
        )
    return AverageConfig(
        checkpoints=files, natural=(faces,), share=0.25, out=tmp_path / "mean.safetensors"
    )


def test_weights_lie_between_and_the_rest_is_the_seconds(config):
    """By hand: a quarter of the way from 1 to 3 is 1.5."""
    out = average(config)
    made = blendgan_core.load(out)
    for weights in (*made.generator.synthesis.parameters(), *made.psp_encoder.parameters()):
        assert weights.unique().tolist() == [1.5]
    assert made.provenance["share"] == 0.25 and len(made.provenance["parents"]) == 2
    assert "queue" in blendgan_core.checkpoint.read(out).extras


def test_one_generator_keeps_its_face_mapping(config):
    """Only the encoders differ, so random faces stay as they are."""
    first, second = (blendgan_core.load(path) for path in config.checkpoints)
    first.generator.measure_w_mean_()
    for model, path in zip((first, second), config.checkpoints, strict=True):
        blendgan_core.save(
            BlendGAN.assemble(first.generator, model.style_encoder, model.psp_encoder), path
        )
    made = blendgan_core.load(average(config))
    kept = first.generator.state_dict()
    assert all(torch.equal(v, kept[name]) for name, v in made.generator.state_dict().items())
    for weights in made.psp_encoder.parameters():
        assert weights.unique().tolist() == [1.5]


@pytest.mark.parametrize("share", [-0.1, 1.5])
def test_a_share_out_of_range_is_refused(config, share):
    with pytest.raises(BlendGANError, match="--share is"):
        average(replace(config, share=share))
    assert not config.out.exists()


def test_what_does_not_go_together_is_refused(config, tmp_path):
    first = config.checkpoints[0]
    other: Path = tmp_path / "other.safetensors"
    model = model_of(3)
    with torch.no_grad():
        model.style_encoder.predictor[0].weight.add_(1)
    blendgan_core.save(model, other, {})
    with pytest.raises(BlendGANError, match="different style encoders"):
        average(replace(config, checkpoints=(first, other)))
    blendgan_core.save(BlendGAN.assemble(model.generator, model.style_encoder), other, {})
    with pytest.raises(BlendGANError, match="expected the psp encoder in both"):
        average(replace(config, checkpoints=(first, other)))
    assert not config.out.exists()
