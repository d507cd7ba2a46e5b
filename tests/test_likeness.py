"""Telling who is in a portrait, whatever its style: network, training, loss."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from resumption import assert_same_weights, cut_and_resumed

from blendgan_core.errors import BlendGANError, CheckpointError
from blendgan_core.files import write_safetensors
from trainer.annealing import anneal_, cosine, late
from trainer.draws import Draws
from trainer.likeness import LikenessTrainingConfig, found, search, train_likeness
from trainer.likeness_network import (
    Likeness,
    LikenessConfig,
    likeness_loss,
    load_likeness,
    same_part,
    save_likeness,
)
from trainer.losses import nt_xent_loss
from trainer.twins import Twins

PEOPLE = 6
SIZES = LikenessConfig(channels=(8, 8, 16, 16), num_features=8)


@pytest.fixture(scope="module")
def twins(tmp_path_factory) -> Path:
    """A person is a pattern of 4 x 4 squares; one style is its negative, the other is paler."""
    root = tmp_path_factory.mktemp("twins")
    patterns = np.random.default_rng(0).integers(0, 256, (PEOPLE, 4, 4, 1)).repeat(3, axis=3)
    styles = {
        "natural": patterns,
        "styled/negative": 255 - patterns,
        "styled/pale": 128 + patterns // 2,
    }
    for folder, pictures in styles.items():
        (root / folder).mkdir(parents=True)
        for person, picture in enumerate(pictures.astype(np.uint8)):
            enlarged = picture.repeat(16, axis=0).repeat(16, axis=1)
            Image.fromarray(enlarged).save(root / folder / f"{person}.png")
    return root


@pytest.fixture(scope="module")
def stripes(tmp_path_factory) -> Path:
    """Two styles of stripes, of another width for each pair of people; natural ones are blue."""
    root = tmp_path_factory.mktemp("stripes")
    people = np.random.default_rng(1).integers(-60, 60, (PEOPLE, 4, 4, 1))
    rows, columns = np.mgrid[:64, :64]
    for folder in ("natural", "styled/rows", "styled/columns"):
        (root / folder).mkdir(parents=True)
    for person, pattern in enumerate(people.repeat(16, axis=1).repeat(16, axis=2)):
        width = 4 + person // 2
        for style, place in (("rows", rows), ("columns", columns)):
            picture = 70 + 116 * (place // width % 2)[:, :, None] + pattern.repeat(3, axis=2)
            Image.fromarray(picture.astype(np.uint8)).save(
                root / "styled" / style / f"{person}.png"
            )
        natural = np.concatenate([100 + pattern, 100 + pattern, 195 + pattern], axis=2)
        Image.fromarray(natural.astype(np.uint8)).save(root / "natural" / f"{person}.png")
    return root


def config_of(twins: Path, out: Path) -> LikenessTrainingConfig:
    return LikenessTrainingConfig(
        twins=twins,
        test=twins,
        channels=SIZES.channels,
        num_features=SIZES.num_features,
        batch=8,
        steps=60,
        save_every=30,
        ema_images=80,
        lr=0.005,
        device="cpu",
        out=out,
    )


@pytest.fixture(scope="module")
def trained(twins, tmp_path_factory) -> Path:
    return train_likeness(config_of(twins, tmp_path_factory.mktemp("likeness") / "run"))


def network_of(seed: int) -> Likeness:
    torch.manual_seed(seed)
    return Likeness(SIZES).requires_grad_(False)


def test_it_learns_who_is_in_a_picture(twins, trained):
    """By chance one in six is found; a style is no hindrance."""
    people, net = Twins(twins, 64), load_likeness(trained)
    assert found(net, people, "face") >= 0.9 > 0.6 > found(network_of(0), people, "face")
    logged = map(json.loads, (trained.parent / "log.jsonl").read_text().splitlines())
    assert [row["metric_found"] for row in logged if "metric_found" in row][-1] >= 0.9
    assert (trained.parent / "samples" / "0000060.png").stat().st_size > 1000


def test_it_learns_in_which_style_anyone_is_drawn(stripes, tmp_path):
    """A face is no hindrance, and natural pictures, in blue, are a style of their own."""
    config = replace(config_of(stripes, tmp_path / "run"), of="style")
    network, twins = load_likeness(train_likeness(config), "style"), Twins(stripes, 64)
    assert found(network, twins, "style") == 1
    with torch.no_grad():
        natural = network(twins.natural.batch(torch.arange(6)))
        styled = network(twins.styled.batch(torch.arange(12)))
    assert (natural @ natural.T).mean() > 0.7 > (natural @ styled.T).mean() + 0.3
    assert (tmp_path / "run" / "samples" / "0000060.png").stat().st_size > 1000


def test_a_search_names_styled_pictures_and_everyone_in_turn(twins, monkeypatch):
    monkeypatch.setattr("trainer.likeness.CROWD", 4)
    people = Twins(twins, 64)
    styled, nearest = search(network_of(0), people, "face")
    assert sorted(people.people(styled).tolist()) == [0, 0, 1, 1, 2, 2, 3, 3]
    assert nearest.sort(dim=1).values.equal(torch.arange(4).expand(8, 4))


def test_a_search_for_styles_is_among_other_people_in_all_styles(twins, monkeypatch):
    monkeypatch.setattr("trainer.likeness.CROWD", 4)
    people = Twins(twins, 64)
    styled, nearest = search(network_of(0), people, "style")
    assert sorted(people.people(styled).tolist()) == [1, 1, 3, 3]
    assert sorted(people.people(nearest).unique().tolist()) == [0, 2]
    for one, others in zip(styled, nearest, strict=True):
        assert others[-1] == people.looks(one[None])  # its own neighbour comes last
        assert len(others.unique()) == 4


def test_stopped_and_resumed_equals_unbroken(twins, tmp_path):
    config = replace(config_of(twins, tmp_path / "unbroken"), steps=4, save_every=2)
    unbroken = train_likeness(config)
    config = replace(config, out=tmp_path / "resumed")
    target = "trainer.likeness.nt_xent_loss"
    assert_same_weights(unbroken, cut_and_resumed(train_likeness, config, target, nt_xent_loss, 3))


def test_parts_are_the_same_of_all_pictures_and_other_ones_of_each_sample():
    """A ramp tells where a part lies; negatives of wholes have negatives for parts."""
    ramp = torch.linspace(-1, 1, 64).expand(4, 3, 64, 64)
    draws = Draws(0, 0, range(4), "cpu")
    first, second = same_part(draws, ramp, -ramp)
    torch.testing.assert_close(first, -second)
    width = first[:, 0, 0, -1] - first[:, 0, 0, 0]
    assert (width > 0.4).all() and (width < 2).all() and width.std() > 0.05
    torch.testing.assert_close(first[:, :, :1].expand_as(first), first)  # columns stay columns


def test_the_loss_asks_for_the_sitter_and_teaches_the_made_picture_alone():
    network = network_of(1)
    torch.manual_seed(2)
    made, sitters = (torch.randn(3, 3, 64, 64, requires_grad=True) for _ in range(2))
    same, other = (likeness_loss(network, made, x) for x in (made, sitters))
    assert abs(same) < 1e-5 < 1e-3 < other < 2
    other.backward()
    assert made.grad.abs().sum() > 0 and sitters.grad is None


def test_another_file_is_refused_by_name(tmp_path):
    with pytest.raises(CheckpointError, match="made by `python -m trainer.likeness --twins"):
        load_likeness(tmp_path / "missing.safetensors")
    other = tmp_path / "other.safetensors"
    write_safetensors(other, {"a": torch.ones(1)}, {"format": "x"}, torch.float16)
    with pytest.raises(CheckpointError, match="other.safetensors is not a likeness network"):
        load_likeness(other)
    torn = tmp_path / "torn.safetensors"
    metadata = {"format": "blendgan-likeness-1", "config": '{"channels": [4]}'}
    write_safetensors(torn, {"likeness.a": torch.ones(1)}, metadata, torch.float16)
    with pytest.raises(CheckpointError, match="torn.safetensors is a damaged likeness network"):
        load_likeness(torn)


def test_a_network_that_tells_the_other_is_refused(tmp_path):
    path = save_likeness(network_of(1), tmp_path / "styles.safetensors", None, "style")
    with pytest.raises(
        CheckpointError, match="tells styles, expected one that tells faces: .*--of face"
    ):
        load_likeness(path)


def test_a_saved_network_sees_the_same(tmp_path):
    network, path = network_of(3), tmp_path / "likeness.safetensors"
    save_likeness(network, path, 0.5)
    images = torch.rand(2, 3, 64, 64) * 2 - 1
    torch.testing.assert_close(load_likeness(path)(images), network(images), atol=0.01, rtol=0)
    assert not any(weight.requires_grad for weight in load_likeness(path).parameters())


def test_a_missing_folder_is_named(tmp_path, twins):
    with pytest.raises(BlendGANError, match="does not exist|no folder|not found"):
        train_likeness(replace(config_of(twins, tmp_path / "run"), twins=tmp_path / "nowhere"))


# ---- Learning rates that fall ----


def test_rates_fall_from_what_they_began_with():
    weights = [torch.zeros(1, requires_grad=True) for _ in range(2)]
    optimizer = torch.optim.SGD(
        [{"params": w, "lr": lr} for w, lr in zip(weights, (0.1, 2.0), strict=True)]
    )
    anneal_(optimizer, 0.5)
    anneal_(optimizer, 0.25)
    assert [group["lr"] for group in optimizer.param_groups] == [0.025, 0.5]
    again = torch.optim.SGD([{"params": w, "lr": 7.0} for w in weights])
    again.load_state_dict(optimizer.state_dict())
    anneal_(again, 1.0)
    assert [group["lr"] for group in again.param_groups] == [0.1, 2.0]


def test_courses():
    assert [cosine(step, 4) for step in (0, 2, 4)] == pytest.approx([1, 0.5, 0])
    assert [late(step, 10, 0.4) for step in (0, 6, 8, 9)] == pytest.approx([1, 1, 0.5, 0.25])
    assert late(9, 10, 0.0) == late(0, 0, 0.5) == 1
