"""A flow learns where data lie, and the face mapping draws latents there."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from PIL import Image
from resumption import assert_same_weights, cut_and_resumed
from safetensors.torch import load_file

import blendgan_core
from blendgan_core.blendgan import BlendGAN
from blendgan_core.config import GeneratorConfig, PSPConfig
from blendgan_core.errors import BlendGANError
from blendgan_core.generator import Generator, MappingNetwork
from blendgan_core.psp_encoder import PSPEncoder
from trainer.data import ImageSet
from trainer.face_mapping import FaceMappingConfig, all_latents, descend, train_face_mapping
from trainer.flow import Velocity, flow_loss, follow
from trainer.latent_prior import fit_face_mapping_

SIZES = GeneratorConfig(resolution=16, z_dim=8, w_dim=8, channel_base=64, channel_max=4)


def test_a_flow_brings_noise_to_both_places_of_data():
    """Data at -1 and 1, one in four of them at 1; a Gaussian would lie between."""
    torch.manual_seed(0)
    velocity = Velocity(2, 64)
    optimizer = torch.optim.Adam(velocity.parameters(), lr=0.005)
    for _ in range(500):
        data = torch.where(torch.rand(256, 1) < 0.25, 1.0, -1.0) * torch.ones(2)
        loss = flow_loss(velocity, torch.randn(256, 2), data, torch.rand(256, 1))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    found = follow(velocity, torch.randn(2000, 2))
    assert ((found.abs() - 1).abs() < 0.2).float().mean() > 0.85
    assert (found[:, 0] > 0).float().mean() == pytest.approx(0.25, abs=0.05)


@pytest.fixture(scope="module")
def natural(tmp_path_factory) -> Path:
    """Dark pictures, and one in four is light."""
    folder = tmp_path_factory.mktemp("natural")
    for number in range(12):
        grey = 30 + number if number % 4 else 220 - number
        Image.new("L", (16, 16), grey).save(folder / f"{number}.png")
    return folder


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory) -> Path:
    torch.manual_seed(0)
    sizes = PSPConfig(
        image_size=32, channels=(4, 4, 8, 8), blocks=(1, 1, 1, 1), w_dim=8, num_layers=6
    )
    encoder = PSPEncoder(sizes)
    for head in encoder.heads:
        head.linear.weight.data *= 50  # latents of a trained one are as far apart
    model = BlendGAN.assemble(Generator(SIZES), psp_encoder=encoder)
    path = tmp_path_factory.mktemp("model") / "model.safetensors"
    extras = {"queue": {"codes": torch.ones(2, 8)}}
    return blendgan_core.save(model, path, {"kind": "pretrained"}, extras)


def config_of(checkpoint: Path, natural: Path, out: Path, **others) -> FaceMappingConfig:
    flags = {
        "steps": 8,
        "flow_steps": 4,
        "batch": 16,
        "hidden": 16,
        "measured": 4,
        "save_every": 2,
    } | others
    return FaceMappingConfig(
        checkpoint=checkpoint, natural=(natural,), device="cpu", out=out, **flags
    )


@pytest.fixture(autouse=True)
def few_pairs(monkeypatch):
    monkeypatch.setattr("trainer.face_mapping.PAIRS", 2048)


def test_faces_are_drawn_where_latents_lie_and_nothing_else_changes(checkpoint, natural, tmp_path):
    config = config_of(checkpoint, natural, tmp_path / "run", steps=2400, batch=128, hidden=64)
    config = replace(config, flow_steps=1200)
    path = train_face_mapping(replace(config, lr=0.004, save_every=2400))
    model = blendgan_core.load(path)
    latents = all_latents(model.psp_encoder, ImageSet(natural, 16))
    gaussian = MappingNetwork(8, 8, 8)
    fit_face_mapping_(gaussian, latents)
    z = torch.randn(500, 8)
    with torch.no_grad():
        drawn = [mapping(z) for mapping in (model.generator.face_mapping, gaussian)]
    distances = [torch.cdist(w, latents).min(dim=1).values.mean() for w in drawn]
    assert distances[0] < 0.75 * distances[1]
    is_light = torch.cdist(drawn[0], latents[[2, 0]]).argmin(dim=1)
    assert is_light.float().mean() == pytest.approx(0.25, abs=0.1)

    before, after = load_file(checkpoint), load_file(path)
    changed = {name for name, weight in after.items() if not torch.equal(weight, before[name])}
    assert before.keys() == after.keys()
    assert all("face_mapping" in name or name.endswith("w_mean") for name in changed)
    assert len(changed) > 8


@pytest.mark.parametrize("steps", [3, 7])
def test_stopped_and_resumed_equals_unbroken(checkpoint, natural, tmp_path, steps):
    """Stopped while the flow learns, and while the mapping does."""
    unbroken = train_face_mapping(config_of(checkpoint, natural, tmp_path / "unbroken"))
    config = config_of(checkpoint, natural, tmp_path / "resumed")
    target = "trainer.face_mapping.descend"
    resumed = cut_and_resumed(train_face_mapping, config, target, descend, steps)
    assert_same_weights(unbroken, resumed)


def test_more_steps_are_the_mappings(checkpoint, natural, tmp_path):
    config = config_of(checkpoint, natural, tmp_path / "run", save_every=1)
    train_face_mapping(replace(config, steps=6))
    train_face_mapping(replace(config, resume=True))
    logged = [json.loads(row) for row in (tmp_path / "run" / "log.jsonl").read_text().splitlines()]
    assert len({row["flow"] for row in logged}) == 4  # the last one stays in the log
    assert [row["step"] for row in logged if "mapping" in row] == [5, 6, 7, 8]


def test_what_cannot_be_taught_is_named(checkpoint, natural, tmp_path):
    model = blendgan_core.load(checkpoint)
    path = tmp_path / "model.safetensors"
    blendgan_core.save(BlendGAN.assemble(model.generator), path)
    with pytest.raises(BlendGANError, match="lacks a generator or a pSp encoder"):
        train_face_mapping(config_of(path, natural, tmp_path / "run"))
    narrow = Generator(replace(SIZES, z_dim=4))
    blendgan_core.save(BlendGAN.assemble(narrow, psp_encoder=model.psp_encoder), path)
    with pytest.raises(BlendGANError, match="draws faces from 4 numbers, expected as many"):
        train_face_mapping(config_of(path, natural, tmp_path / "run"))
    with pytest.raises(BlendGANError, match="--checkpoint no.safetensors is no file that exists"):
        train_face_mapping(config_of(Path("no.safetensors"), natural, tmp_path / "run"))
    with pytest.raises(BlendGANError, match="--flow-steps is 8, which leaves none of 8 --steps"):
        train_face_mapping(config_of(checkpoint, natural, tmp_path / "run", flow_steps=8))
    assert not (tmp_path / "run").exists()
