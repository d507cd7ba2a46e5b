"""A generator that changes its style encoder keeps its styles."""

import pytest
import torch
from PIL import Image

from blendgan_core.config import GeneratorConfig, StyleEncoderConfig
from blendgan_core.generator import Generator
from blendgan_core.style_encoder import StyleEncoder
from trainer.data import ImageSet
from trainer.style_mapping_fit import adapt_style_mapping_, fit_style_mapping_

SIZES = GeneratorConfig(
    resolution=8, z_dim=4, w_dim=24, mapping_layers=4, channel_base=64, channel_max=8
)
ENCODER = StyleEncoderConfig(image_size=16, vgg_width=2, hidden_dim=8, predictor_layers=2, z_dim=4)


def encoder(seed: int) -> StyleEncoder:
    torch.manual_seed(seed)
    made = StyleEncoder(ENCODER)
    made.random_vgg_(seed)
    return made


@pytest.fixture
def art(tmp_path) -> ImageSet:
    torch.manual_seed(0)
    for number in range(24):
        levels = (torch.rand(16, 16, 3) * 255).byte().numpy()
        Image.fromarray(levels).save(tmp_path / f"{number}.png")
    return ImageSet((tmp_path,), 16)


def test_the_latents_stay_though_the_codes_turned():
    """The new codes are the old ones in other coordinates: nothing is lost, and little missed."""
    torch.manual_seed(0)
    generator = Generator(SIZES)
    old = torch.randn(2000, 4)
    turn = torch.linalg.qr(torch.randn(4, 4)).Q
    before = generator.map_style(old).detach()
    assert fit_style_mapping_(generator, old, old @ turn) < 0.15
    after = generator.map_style(old @ turn).detach()
    distance = (after - before).square().mean() / before.var(dim=0).mean()
    assert distance < 0.15
    untold = torch.randn(2000, 4)  # codes that say nothing leave the mean, and all is missed
    assert 0.8 < fit_style_mapping_(generator, old, untold) < 2.5


def test_only_another_encoder_counts(art):
    generator, one = Generator(SIZES), encoder(1)
    before = generator.style_mapping
    stored = encoder(1)
    stored.load_state_dict({key: value.half() for key, value in one.state_dict().items()})
    assert adapt_style_mapping_(generator, one, stored, art) is None
    assert generator.style_mapping is before
    assert adapt_style_mapping_(generator, one, encoder(2), art) > 0
    assert generator.style_mapping is not before
