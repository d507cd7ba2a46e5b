"""More channels, the same pictures and the same verdicts."""

from pathlib import Path

import pytest
import torch

import blendgan_core
from blendgan_core.blendgan import BlendGAN
from blendgan_core.checkpoint import read
from blendgan_core.config import GeneratorConfig, PSPConfig
from blendgan_core.discriminators import Discriminator, ProjectionDiscriminator
from blendgan_core.errors import BlendGANError
from blendgan_core.generator import Generator
from blendgan_core.psp_encoder import PSPEncoder
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


def verdicts_of(file: Path, pictures: torch.Tensor) -> dict[str, torch.Tensor]:
    """What the discriminators of a checkpoint say."""
    sizes, verdicts = blendgan_core.load(file).generator.config, {}
    codes = torch.randn(len(pictures), 8, generator=torch.Generator().manual_seed(3))
    for name, weights in read(file).extras.items():
        network = DISCRIMINATORS[name](sizes)
        network.load_state_dict(weights)
        verdicts[name] = network(pictures, *([codes] if name == "d_style_latent" else []))
    return verdicts


@pytest.mark.parametrize(
    ("flags", "channels"),
    [
        ({"channel_base": 256}, [16, 16, 16, 8]),
        ({"channel_base": 512, "channel_max": 32}, [32, 32, 32, 16]),
        ({"channel_max": 48}, [32, 16, 8, 4]),
    ],
)
def test_a_wider_model_computes_the_same_and_can_learn(start, tmp_path, flags, channels):
    path = widen(WidenConfig(checkpoint=start, **flags, out=tmp_path / "wide.safetensors"))
    narrow, wide = (blendgan_core.load(file).generator for file in (start, path))
    assert [wide.config.channels(size) for size in (4, 8, 16, 32)] == channels
    w = torch.randn(6, SIZES.num_layers, 8)
    noise = narrow.synthesis.fixed_noise()
    pictures = wide.synthesis(w, noise)
    torch.testing.assert_close(pictures, narrow.synthesis(w, noise), rtol=1e-4, atol=1e-4)

    before, after = (verdicts_of(file, pictures.detach()) for file in (start, path))
    assert set(after) == {"d_face", "d_style_latent"}
    torch.testing.assert_close(after, before, rtol=1e-4, atol=1e-4)

    # whatever is new learns within three steps: first what reads it, then it
    fresh = {name: p.clone() for name, p in wide.synthesis.named_parameters()}
    optimizer = torch.optim.Adam(wide.requires_grad_(True).synthesis.parameters(), lr=0.01)
    for _ in range(3):
        optimizer.zero_grad()
        wide.synthesis(w, noise).square().mean().backward()
        optimizer.step()
    moved = {name: p != fresh[name] for name, p in wide.synthesis.named_parameters()}
    for name in ("constant", "convs.0.conv.weight", "convs.6.conv.weight"):
        assert moved[name].float().mean() > 0.99, name


def test_a_larger_encoder_computes_the_same_and_can_learn(start, tmp_path):
    sizes = PSPConfig(
        image_size=32, channels=(4, 4, 8, 8), blocks=(1, 1, 2, 1), w_dim=8, num_layers=8
    )
    encoder = PSPEncoder(sizes).train()
    for _ in range(20):
        encoder(torch.rand(4, 3, 32, 32) * 2 - 1)  # for the normalisations' statistics
    path = tmp_path / "narrow.safetensors"
    blendgan_core.save(BlendGAN.assemble(Generator(SIZES), psp_encoder=encoder.eval()), path)
    flags = {"channels": (6, 6, 12, 12), "blocks": (1, 2, 3, 2)}
    wide = widen(WidenConfig(checkpoint=path, **flags, out=tmp_path / "wide.safetensors"))
    model = blendgan_core.load(wide)
    assert model.generator.config == SIZES
    large = model.psp_encoder
    assert (large.config.channels, large.config.blocks) == ((6, 6, 12, 12), (1, 2, 3, 2))
    images = torch.rand(4, 3, 32, 32) * 2 - 1
    torch.testing.assert_close(large(images), encoder(images), rtol=1e-4, atol=1e-4)
    fresh = {name: p.clone() for name, p in large.named_parameters()}
    optimizer = torch.optim.Adam(large.requires_grad_(True).train().parameters(), lr=0.01)
    for _ in range(3):
        optimizer.zero_grad()
        large(images).square().mean().backward()
        optimizer.step()
    for name in ("input_layer.0.weight", "stages.1.1.residual.4.weight", "lateral_fine.weight"):
        assert (dict(large.named_parameters())[name] != fresh[name]).all(), name


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        ({}, "all of these channels and blocks already"),
        ({"channel_base": 128}, "all of these channels and blocks already"),
        ({"channel_base": 64}, "--channel-base is 64, expected at least the 128 of"),
        ({"channel_max": 8}, "--channel-max is 8, expected at least the 16 of"),
        ({"channel_max": 24}, "the 16 channels at 4 x 4 pixels would become 24"),
        ({"channels": (8, 8, 8, 8)}, "has no pSp encoder to widen"),
    ],
)
def test_what_is_not_wider_is_refused(start, tmp_path, flags, message):
    config = WidenConfig(checkpoint=start, out=tmp_path / "wide.safetensors", **flags)
    with pytest.raises(BlendGANError, match=message):
        widen(config)
    assert not config.out.exists()


def test_sizes_that_add_nothing_or_change_shortcuts_are_named(tmp_path):
    sizes = PSPConfig(
        image_size=32, channels=(4, 4, 8, 8), blocks=(1, 1, 1, 1), w_dim=8, num_layers=8
    )
    config = GeneratorConfig(resolution=32, z_dim=8, w_dim=8, channel_base=512, channel_max=16)
    path = tmp_path / "narrow.safetensors"
    blendgan_core.save(BlendGAN.assemble(Generator(config), psp_encoder=PSPEncoder(sizes)), path)
    for flags, message in (
        ({"channel_base": 1024}, "channel_base 1024 and channel_max 16 add nothing"),
        ({"channels": (4, 8, 8, 8)}, "expected stages of equal channels where"),
        ({"blocks": (0, 1, 1, 1)}, "--blocks is .0, 1, 1, 1., expected at least"),
    ):
        with pytest.raises(BlendGANError, match=message):
            widen(WidenConfig(checkpoint=path, **flags, out=tmp_path / "x.safetensors"))
