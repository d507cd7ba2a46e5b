"""The paper's tables, with stand-ins for the networks that a user brings."""

import sys
from dataclasses import replace
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import torch
from PIL import Image
from tiny_model import tiny_model

import blendgan_core
from blendgan_core.errors import BlendGANError, CheckpointError
from trainer import paper_tables as tables_module
from trainer.measures import frechet_distance, gaussian, moments
from trainer.paper_tables import (
    Moments,
    PaperTablesConfig,
    Source,
    check_paper_flags,
    load_inception,
    pairwise_lpips,
    paper_tables,
    paper_text,
)
from trainer.perceptual import LPIPS


@pytest.fixture
def inception(monkeypatch, tmp_path) -> Path:
    """A stand-in for torch-fidelity, as strict as it: uint8 in, a tuple out, weights by a path."""

    class FeatureExtractorInceptionV3(torch.nn.Module):
        def __init__(self, name, features_list, feature_extractor_weights_path=None):
            super().__init__()
            assert name and features_list == ["2048"]
            self.linear = torch.nn.Linear(3, 4)
            self.load_state_dict(torch.load(feature_extractor_weights_path))

        def forward(self, x):
            assert x.dtype == torch.uint8 and x.ndim == 4 and x.shape[1] == 3
            return (self.linear(x.float().mean(dim=(2, 3)) / 255),)

    package = ModuleType("torch_fidelity")
    module = ModuleType("torch_fidelity.feature_extractor_inceptionv3")
    module.FeatureExtractorInceptionV3 = FeatureExtractorInceptionV3
    monkeypatch.setitem(sys.modules, "torch_fidelity", package)
    monkeypatch.setitem(sys.modules, module.__name__, module)
    path = tmp_path / "inception.pth"
    torch.save(torch.nn.Linear(3, 4).state_dict(prefix="linear."), path)
    return path


@pytest.fixture
def config(tmp_path, monkeypatch, inception) -> PaperTablesConfig:
    monkeypatch.setattr(tables_module, "load_lpips", lambda *_: LPIPS())
    rng = np.random.default_rng(0)
    for number in range(5):
        pixels = rng.integers(0, 256, (32, 32, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(tmp_path / f"{number}.png")
    (tmp_path / "alex.pth").touch()
    return PaperTablesConfig(
        art=(tmp_path,),
        natural=(tmp_path,),
        inception=inception,
        lpips=tmp_path / "alex.pth",
        alexnet="torchvision",
        fid_pictures=9,
        lpips_faces=2,
    )


def test_both_guides_at_three_indicators(config):
    model = tiny_model(blendgan_core)
    torch.manual_seed(0)  # of the stand-in's weights
    tables = paper_tables(config, model, seed=1)
    cells = [(row["guide"], row["indicator"]) for row in tables["rows"]]
    assert cells == [(g, i) for g in ("reference", "latent") for i in (0, 6, 8)]
    assert all(row["fid"] > 0 and row["lpips"].value > 0 for row in tables["rows"])
    assert tables["natural_fid"] > 0 and tables["art_pictures"] == 5
    text = paper_text(tables, 8)
    assert "9 generated pictures" in text and "2 faces in 10 styles" in text and "3.79" not in text
    assert "| 3.79 | 0.661 |" in paper_text(tables, 18)
    assert "| latent | DRIT++ | | | 22.53 | 0.448 |" in paper_text(tables, 18)
    assert "DRIT++" not in text


def test_only_what_is_asked_for_is_measured(config):
    model = tiny_model(blendgan_core)
    assert paper_tables(PaperTablesConfig(), model, seed=1) is None
    alone = replace(config, art=(), natural=(), inception=None)
    tables = paper_tables(alone, model, seed=1)
    assert {row["guide"] for row in tables["rows"]} == {"latent"}
    assert all(row["fid"] is None for row in tables["rows"])


def test_pictures_of_one_face_differ_at_the_last_indicator_by_their_noise_alone():
    """As in the paper, whose diversity at i = 18 is not 0."""
    model = tiny_model(blendgan_core)
    pictures = Source(model, None, 8, seed=0).draw(2, 3)
    assert pictures.shape == (6, 3, 32, 32)
    assert not torch.equal(pictures[0], pictures[1])
    for layer in model.generator.modules():
        if hasattr(layer, "noise_strength"):
            layer.noise_strength.data.zero_()
    pictures = Source(model, None, 8, seed=0).draw(2, 3)
    torch.testing.assert_close(pictures[0], pictures[1])
    assert not torch.allclose(pictures[0], pictures[3])


def test_pairs_are_compared_as_lpips_compares_them():
    torch.manual_seed(0)
    lpips, pictures = LPIPS(), torch.rand(4, 3, 64, 64) * 2 - 1
    found = pairwise_lpips(lpips, pictures)
    pairs = [(0, 1), (0, 2), (0, 3), (1, 2), (1, 3), (2, 3)]
    for value, (a, b) in zip(found, pairs, strict=True):
        torch.testing.assert_close(value, lpips(pictures[a : a + 1], pictures[b : b + 1]))


def test_features_in_parts_give_the_gaussian_of_all():
    features = torch.randn(30, 5, dtype=torch.float64) + 3
    parts = Moments()
    for part in features.split(7):
        parts.add(part)
    mean, covariance = parts.gaussian()
    torch.testing.assert_close(mean, features.mean(dim=0))
    torch.testing.assert_close(covariance, torch.cov(features.T))
    whole = gaussian(*moments(features[None]))
    assert frechet_distance((mean, covariance), whole).item() == pytest.approx(0, abs=1e-9)


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        ({"lpips": None}, "--alexnet needs --lpips"),
        ({"alexnet": None}, "--lpips needs --alexnet"),
        ({"inception": None}, "--natural needs --inception"),
        ({"natural": (), "art": ()}, "--inception needs --art or --natural"),
        ({"inception": None, "natural": (), "lpips": None, "alexnet": None}, "--art needs"),
        ({"fid_pictures": 1}, "--fid-pictures is 1"),
        ({"inception": Path("gone.pth")}, r"--inception gone\.pth is no file"),
    ],
)
def test_flags_that_lack_another_one_are_refused(config, flags, message):
    with pytest.raises(BlendGANError, match=message):
        check_paper_flags(replace(config, **flags))
    check_paper_flags(config)


def test_a_file_of_something_else_and_a_missing_package_are_named(inception, monkeypatch, tmp_path):
    other = tmp_path / "other.pth"
    torch.save({"weight": torch.zeros(1)}, other)
    with pytest.raises(CheckpointError, match=r"--inception .*other\.pth is not torch-fidelity"):
        load_inception(other)
    monkeypatch.setitem(
        sys.modules, "torch_fidelity.feature_extractor_inceptionv3", None
    )  # not installed
    with pytest.raises(BlendGANError, match="pip install torch-fidelity"):
        load_inception(inception)
