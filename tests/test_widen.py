"""More channels, the same pictures and the same verdicts."""

from pathlib import Path

import pytest
import torch

import blendgan_core
from blendgan_core.blendgan import BlendGAN
from blendgan_core.checkpoint import read
from blendgan_core.config import GeneratorConfig
from blendgan_core.discriminators import Discriminator, ProjectionDiscriminator
from blendgan_core.errors import BlendGANError
from blendgan_core.generator import Generator
from trainer.widen import DISCRIMINATORS, WidenConfig, widen

SIZES = GeneratorConfig(resolution=32, z_dim=8, w_dim=8, channel_base=128, channel_max=16)


@pytest.fixture(scope="module")
def start(tmp_path_factory) -> Path:
    """Random weights everywhere, biases and strengths of the noise as well."""
    torch.manual_seed(1)
    generator = Generator(SIZES)
    networks = {"d_face": Discriminator(SIZES), "d_style_latent": ProjectionDiscriminator(SIZES)}
    with torch.no_grad():
        for network in (generator.synthesis, *networks.values()):
            for weights in network.parameters():
                weights.add_(0.2 * torch.randn(weights.shape))
    path = tmp_path_factory.mktemp("narrow") / "narrow.safetensors"
    extras = {name: network.state_dict() for name, network in networks.items()}
    return blendgan_core.save(BlendGAN.assemble(generator), path, {}, extras)


def test_a_wider_model_computes_the_same_and_can_learn(start, tmp_path):
    path = widen(WidenConfig(checkpoint=start, channel_base=256, out=tmp_path / "wide.safetensors"))
    narrow, wide = (blendgan_core.load(file).generator for file in (start, path))
    assert [wide.config.channels(size) for size in (4, 8, 16, 32)] == [16, 16, 16, 8]
    w = torch.randn(3, SIZES.num_layers, 8)
    noise = narrow.synthesis.fixed_noise()
    pictures = wide.synthesis(w, noise)
    torch.testing.assert_close(pictures, narrow.synthesis(w, noise), rtol=1e-4, atol=1e-4)

    extras = [read(file).extras for file in (start, path)]
    assert set(extras[1]) == {"d_face", "d_style_latent"}
    for name, given in (("d_face", ()), ("d_style_latent", (torch.randn(3, 8),))):
        before, after = (DISCRIMINATORS[name](generator.config) for generator in (narrow, wide))
        before.load_state_dict(extras[0][name])
        after.load_state_dict(extras[1][name])
        verdicts = [network(pictures.detach(), *given) for network in (before, after)]
        torch.testing.assert_close(*verdicts, rtol=1e-4, atol=1e-4)

    wide.requires_grad_(True).synthesis(w, noise).square().mean().backward()
    last = wide.synthesis.to_rgbs[-1].conv.weight
    assert (last[:, 4:] == 0).all() and (last.grad[:, 4:] != 0).all()


@pytest.mark.parametrize(
    ("base", "message"),
    [
        (128, "--channel-base is 128, expected more than the checkpoint's 128"),
        (64, "expected more than"),
    ],
)
def test_what_is_not_wider_is_refused(start, tmp_path, base, message):
    config = WidenConfig(checkpoint=start, channel_base=base, out=tmp_path / "wide.safetensors")
    with pytest.raises(BlendGANError, match=message):
        widen(config)
    assert not config.out.exists()


def test_limits_of_the_checkpoint_are_named(tmp_path):
    for sizes, base, message in (
        ({"channel_base": 32}, 64, "would change the 8 channels at 4 x 4 pixels to 16"),
        ({"channel_base": 512}, 1024, "adds nothing"),
    ):
        config = GeneratorConfig(resolution=32, z_dim=8, w_dim=8, channel_max=16, **sizes)
        path = tmp_path / f"{base}.safetensors"
        blendgan_core.save(BlendGAN.assemble(Generator(config)), path)
        with pytest.raises(BlendGANError, match=message):
            widen(WidenConfig(checkpoint=path, channel_base=base, out=tmp_path / "x.safetensors"))
