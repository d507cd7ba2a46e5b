"""The ablation's style codes, of which nothing is learnt, and its encoder in the place of a learnt
one."""

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file

import blendgan_core
from blendgan_core.config import StyleEncoderConfig
from blendgan_core.style_encoder import StyleEncoder
from trainer.data import ImageSet
from trainer.gan import FRESH_ALPHA, GanConfig, train_gan
from trainer.gram_codes import project_grams_
from trainer.style_encoder import StyleEncoderTrainingConfig, train_style_encoder

Z_DIM = 6


@pytest.fixture(scope="module")
def pictures(tmp_path_factory) -> Path:
    """Twelve pictures of noise, of different grain and contrast, in two styles."""
    root = tmp_path_factory.mktemp("pictures")
    rng = np.random.default_rng(0)
    for number in range(12):
        low, high = sorted(rng.integers(0, 256, 2))
        grain = (4, 8, 16, 32)[number % 4]
        pixels = rng.integers(low, high + 1, (grain, grain, 3), dtype=np.uint8)
        folder = root / ("rough" if number % 2 else "smooth")
        folder.mkdir(exist_ok=True)
        picture = Image.fromarray(pixels).resize((32, 32), Image.Resampling.NEAREST)
        picture.save(folder / f"{number}.png")
    return root


@pytest.fixture(scope="module")
def encoder_file(pictures, tmp_path_factory) -> Path:
    return train_style_encoder(
        StyleEncoderTrainingConfig(
            art=(pictures,),
            vgg="random",
            vgg_width=2,
            image_size=32,
            z_dim=Z_DIM,
            codes="gram",
            batch=2,
            out=tmp_path_factory.mktemp("runs") / "gram",
            device="cpu",
        )
    )


def test_the_codes_are_the_principal_components_of_the_gram_values(pictures):
    """Against a singular value decomposition of the same Gram values, up to signs."""
    sizes = StyleEncoderConfig(
        image_size=32, vgg_width=2, standardize=True, predictor_layers=1, z_dim=Z_DIM
    )
    encoder = StyleEncoder(sizes)
    encoder.random_vgg_(0)
    art = ImageSet((pictures,), 32)
    images = art.batch(torch.arange(len(art)))
    encoder.fit_standardization_(encoder.raw_gram(images))
    project_grams_(encoder, art)
    codes = encoder(images).detach()
    codes = codes - codes.mean(dim=0)
    grams = encoder.gram_features(images)
    u, s, _ = torch.linalg.svd((grams - grams.mean(dim=0)).double(), full_matrices=False)
    expected = u[:, :Z_DIM] * s[:Z_DIM]
    signs = (codes * expected).sum(dim=0).sign()
    torch.testing.assert_close(codes.double(), expected * signs, rtol=1e-3, atol=1e-3)


def test_a_code_longer_than_the_pictures_can_fill_stays_finite(pictures):
    """Twelve pictures vary in eleven directions at most."""
    sizes = StyleEncoderConfig(image_size=32, vgg_width=2, predictor_layers=1, z_dim=20)
    encoder = StyleEncoder(sizes)
    encoder.random_vgg_(0)
    project_grams_(encoder, ImageSet((pictures,), 32))
    weight = encoder.predictor[0].weight
    assert weight[0].any() and weight.isfinite().all() and not weight[11:].any()


def test_the_command_writes_a_whitened_encoder_that_nothing_trained(pictures, encoder_file):
    model = blendgan_core.load(encoder_file)
    assert model.provenance["codes"] == "gram" and model.provenance["steps"] == 0
    assert model.config.style_encoder.predictor_layers == 1
    art = ImageSet((pictures,), 32)
    codes = model.encode_style(art.batch(torch.arange(len(art))))
    torch.testing.assert_close(codes.mean(dim=0), torch.zeros(Z_DIM), rtol=0, atol=1e-2)
    assert codes.square().mean().sqrt() == pytest.approx(1, abs=1e-2)


def test_a_game_takes_it_as_it_takes_a_learnt_one(pictures, encoder_file, tmp_path):
    """And --steps 0 writes what that game starts from."""
    config = GanConfig(
        natural=(pictures,),
        art=(pictures,),
        style_encoder=encoder_file,
        resolution=16,
        z_dim=Z_DIM,
        w_dim=8,
        channel_base=128,
        channel_max=8,
        batch=2,
        steps=0,
        metric_pictures=0,
        out=tmp_path / "start",
        device="cpu",
    )
    final = train_gan(config)
    weights = load_file(final)
    for name, value in load_file(encoder_file).items():
        assert torch.equal(weights[name], value), name
    assert all(value.isfinite().all() for value in weights.values())
    assert (weights["generator.blending.alpha"] == FRESH_ALPHA).all()
    out = blendgan_core.load(final).blend(torch.zeros(1, 6, 8), torch.ones(1, Z_DIM), indicator=0)
    assert out.shape == (1, 6, 8)
