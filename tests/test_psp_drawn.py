"""`trainer.psp` with drawn faces: likeness, bad cameras, styles that must still take."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from PIL import Image
from psp_files import psp_config, write_psp_files
from resumption import assert_same_weights, cut_and_resumed

import blendgan_core
from trainer import psp
from trainer.camera import as_photographed
from trainer.likeness_network import Likeness, LikenessConfig, save_likeness
from trainer.psp import train_psp


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """A generator, and faces."""
    root = tmp_path_factory.mktemp("files")
    write_psp_files(root)
    return root


def test_likeness_and_photos_teach_and_are_resumed(folder, tmp_path, monkeypatch):
    """One of two faces is seen as a camera takes it; both are compared with one that has no blur or
    noise, by the likeness network too."""
    network = Likeness(LikenessConfig(channels=(8,) * 4))
    path = save_likeness(network, tmp_path / "likeness.safetensors", None)
    flags = {"likeness": path, "photo_share": 0.5, "anneal": 0.5, "steps": 4}
    config = psp_config(folder, tmp_path / "unbroken", **flags)
    seen_and_wanted = []

    def photographed(faces, share):
        seen, wanted = as_photographed(faces, share)
        seen_and_wanted.append((seen == wanted).flatten(1).all(dim=1).tolist())
        return seen, wanted

    with monkeypatch.context() as patch:
        patch.setattr(psp, "as_photographed", photographed)
        unbroken = train_psp(config)
    logged = json.loads((tmp_path / "unbroken" / "log.jsonl").read_text().splitlines()[-1])
    assert {"l2", "perceptual", "likeness", "deviation"} < set(logged) and "style" not in logged
    assert [second for _, second in seen_and_wanted] == [True] * 4
    assert [first for first, _ in seen_and_wanted].count(False) >= 2  # some cameras do no harm
    words = blendgan_core.load(unbroken).provenance["psp"]
    assert words.endswith("compared by L2, VGG features and likeness")

    config = replace(config, out=tmp_path / "resumed")
    target = "trainer.psp.reconstruction_losses"
    resumed = cut_and_resumed(train_psp, config, target, psp.reconstruction_losses, 3)
    assert_same_weights(unbroken, resumed)


def test_art_teaches_latents_that_styles_go_with(folder, tmp_path):
    """Rebuilt or not, faces are to have the style of a red picture at i = 0."""
    Image.new("RGB", (32, 32), "red").save(tmp_path / "red.png")
    changes = {"art": (tmp_path / "red.png",), "style_weight": 10.0, "perceptual_weight": 0.0}
    changes |= {"steps": 30, "lr": 0.01, "save_every": 30, "regularization_weight": 0.0}
    final = train_psp(psp_config(folder, tmp_path / "run", **changes))
    rows = [json.loads(row) for row in (tmp_path / "run" / "log.jsonl").read_text().splitlines()]
    assert rows[-1]["style"] < 0.98 * rows[0]["style"]
    before, after = blendgan_core.load(folder / "base.safetensors"), blendgan_core.load(final)
    for key, value in before.generator.state_dict().items():
        assert torch.equal(after.generator.state_dict()[key], value), key
