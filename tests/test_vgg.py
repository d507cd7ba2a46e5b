"""Training a small VGG-19 on twins, and a style encoder on it."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from resumption import assert_same_weights, cut_and_resumed
from safetensors.torch import load_file
from twin_pictures import draw_twins

import blendgan_core
from blendgan_core.blendgan import BlendGAN
from blendgan_core.checkpoint import read_header, save
from blendgan_core.config import GeneratorConfig
from blendgan_core.errors import BlendGANError
from blendgan_core.generator import Generator
from trainer.style_encoder import StyleEncoderTrainingConfig, train_style_encoder
from trainer.twins import Twins
from trainer.vgg import VGGConfig, train_vgg


@pytest.fixture(scope="module")
def twins(tmp_path_factory) -> Path:
    return draw_twins(tmp_path_factory.mktemp("twins"))


def config_of(twins: Path, out: Path) -> VGGConfig:
    return VGGConfig(
        twins=twins,
        test=twins / "styled",
        vgg_width=2,
        image_size=32,
        hidden_dim=16,
        batch=4,
        steps=40,
        save_every=20,
        device="cpu",
        out=out,
    )


@pytest.fixture(scope="module")
def trained(twins, tmp_path_factory) -> Path:
    return train_vgg(config_of(twins, tmp_path_factory.mktemp("vgg") / "run"))


def style_config(twins: Path, vgg: str, out: Path) -> StyleEncoderTrainingConfig:
    return StyleEncoderTrainingConfig(
        art=(twins / "styled",), vgg=vgg, image_size=32, batch=4, steps=1, device="cpu", out=out
    )


def test_neighbours_share_the_number_of_their_look(twins):
    pairs = Twins(twins, 32)
    numbers = torch.arange(len(pairs.styled))
    people = [(path.parent.name, int(path.stem) // 2) for path in pairs.styled.paths]
    looks = pairs.looks(numbers).tolist()
    assert len(set(looks)) == len(set(people)) == len(set(zip(looks, people, strict=True))) == 6


def test_it_learns_to_tell_the_styles(twins, trained, tmp_path):
    """Dark from light, and the losses fall; the figure of the test pictures is in the file."""
    untrained = train_vgg(replace(config_of(twins, tmp_path / "untrained"), steps=0))
    before, after = (load_file(path) for path in (untrained, trained))
    moved = [name for name in after if ".vgg." in name and (after[name] != before[name]).any()]
    assert len(moved) == 32  # weights and biases of 16 convolutions
    lines = (trained.parent / "log.jsonl").read_text().splitlines()
    losses = [line for line in map(json.loads, lines) if "style" in line]
    assert losses[-1]["style"] < losses[0]["style"] / 2
    provenance = read_header(trained)["provenance"]
    assert provenance["retrieval"] == 1 and provenance["retrieval_chance"] < 0.6


def test_stopped_and_resumed_equals_unbroken(twins, trained, tmp_path):
    """Cut after 24 steps of 40, so that it goes on from the state of step 20."""
    config = config_of(twins, tmp_path / "resumed")
    resumed = cut_and_resumed(train_vgg, config, "trainer.vgg.Twins.batch", Twins.batch, 24)
    assert_same_weights(trained, resumed)


def test_a_style_encoder_takes_its_vgg_and_width(twins, trained, tmp_path):
    """--vgg-width is the checkpoint's; Gram values are standardised as those of a random one."""
    made = train_style_encoder(style_config(twins, str(trained), tmp_path / "style"))
    ours, theirs = (blendgan_core.load(path).style_encoder for path in (made, trained))
    assert ours.config.vgg_width == 2 and ours.config.standardize
    for name, weight in theirs.vgg.state_dict().items():
        assert torch.equal(ours.vgg.state_dict()[name], weight), name
    assert ours.gram_mean.abs().max() > 0.1


def test_a_checkpoint_without_a_vgg_is_refused(twins, tmp_path):
    sizes = GeneratorConfig(resolution=8, z_dim=4, w_dim=4, channel_base=64, channel_max=8)
    path = tmp_path / "generator.safetensors"
    save(BlendGAN.assemble(Generator(sizes)), path)
    with pytest.raises(BlendGANError, match="holds no VGG; `python -m trainer.vgg` makes one"):
        train_style_encoder(style_config(twins, str(path), tmp_path / "style"))
