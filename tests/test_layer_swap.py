"""Layers of two generators in one, and the training of the second."""

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from tiny_model import tiny_model

import blendgan_core
from blendgan_core.blendgan import BlendGAN
from blendgan_core.checkpoint import read_header
from blendgan_core.errors import BlendGANError, CheckpointError
from trainer.baselines import BaselinesConfig, Subjects, load_baselines
from trainer.evaluation_pictures import Design, draw_faces, face_codes
from trainer.layer_swap import LayerSwapConfig, layer_swap
from trainer.styles import STYLES
from trainer.swapping import check_swap_from, layer_of, swap_layers


def ignore(*_):
    pass


SOME = ("pencil", "engraving")


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """A model, few pictures of two styles, a run of the command on them, and copies of its result
    for the other styles."""
    root = tmp_path_factory.mktemp("swap")
    blendgan_core.save(tiny_model(blendgan_core), root / "tiny.safetensors")
    rng = np.random.default_rng(0)
    for style in SOME:
        (root / "portraits" / "twins" / "styled" / style).mkdir(parents=True)
        for number in range(2):
            pixels = rng.integers(0, 256, (32, 32, 3), dtype=np.uint8)
            path = root / "portraits" / "twins" / "styled" / style / f"{number}.png"
            Image.fromarray(pixels).save(path)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("trainer.layer_swap.STYLES", SOME)
        layer_swap(swap_config(root))
    for style in set(STYLES) - set(SOME):
        shutil.copy(root / "swap" / "pencil.safetensors", root / "swap" / f"{style}.safetensors")
    return root


def swap_config(root: Path) -> LayerSwapConfig:
    return LayerSwapConfig(
        checkpoint=root / "tiny.safetensors",
        portraits=root / "portraits",
        out=root / "swap",
        steps=2,
        batch=2,
        save_every=1,
        device="cpu",
    )


def test_every_weight_has_the_layer_of_the_latent_that_feeds_it():
    """By hand, of a generator of 8 pixels: convolutions 0 to 2, a ToRGB after 0 and after 2."""
    layers = {"constant": 0, "convs.2.bias": 2, "noise_1": 1, "to_rgbs.0.bias": 1}
    layers["to_rgbs.1.conv.weight"] = 3
    assert {key: layer_of(key) for key in layers} == layers
    synthesis = tiny_model(blendgan_core).generator.synthesis
    assert {layer_of(key) for key in synthesis.state_dict()} == set(range(8))


def test_a_swap_from_the_last_layer_is_natural_and_from_the_first_is_the_other():
    natural, tuned = tiny_model(blendgan_core).generator, tiny_model(blendgan_core).generator
    for weight in tuned.synthesis.parameters():
        weight.data.add_(0.3)
    tuned.synthesis.noise_3.add_(1)
    w = torch.randn(2, 8, 16)

    def paint(generator):
        return BlendGAN.assemble(generator).synthesize(w)

    assert torch.equal(paint(swap_layers(natural, tuned, 8)), paint(natural))
    assert torch.equal(paint(swap_layers(natural, tuned, 0)), paint(tuned))
    middle = paint(swap_layers(natural, tuned, 4))
    assert not torch.allclose(middle, paint(natural)) and not torch.allclose(middle, paint(tuned))


def test_what_feeds_the_layers_below_the_swap_is_natural():
    """A latent below the swap is read by the natural layers only: the tuned ones, all set to zero,
    are reached by none of it but through the picture, which the last ToRGB then adds to."""
    natural, tuned = tiny_model(blendgan_core).generator, tiny_model(blendgan_core).generator
    for weight in tuned.synthesis.parameters():
        weight.data.zero_()
    swapped = swap_layers(natural, tuned, 2)
    w = torch.randn(1, 8, 16)
    moved = w.clone()
    moved[:, 2:] += 1
    paint = BlendGAN.assemble(swapped).synthesize
    assert torch.equal(paint(w), paint(moved))
    moved[:, :2] += 1
    assert not torch.equal(paint(w), paint(moved))


def test_the_command_makes_a_generator_for_every_style_and_resumes(folder, tmp_path, monkeypatch):
    monkeypatch.setattr("trainer.layer_swap.STYLES", SOME)
    files = [folder / "swap" / f"{style}.safetensors" for style in SOME]
    for style, path in zip(SOME, files, strict=True):
        provenance = read_header(path)["provenance"]
        assert (provenance["style"], provenance["steps"]) == (style, 2)
    broken = replace(swap_config(folder), out=tmp_path / "broken", steps=1)
    layer_swap(broken)
    (broken.out / f"{SOME[1]}.safetensors").unlink()
    layer_swap(replace(broken, steps=2, resume=True))
    for path in files:
        assert (broken.out / path.name).read_bytes() == path.read_bytes()
    with pytest.raises(BlendGANError, match="already holds a run"):
        layer_swap(swap_config(folder))


def test_a_dry_run_writes_nothing(folder, tmp_path, monkeypatch):
    monkeypatch.setattr("trainer.layer_swap.STYLES", SOME)
    out = tmp_path / "dry"
    assert layer_swap(replace(swap_config(folder), out=out, dry_run=True)) == []
    assert not out.exists()


def test_faces_are_in_the_order_of_the_models_results(folder):
    """The second face in the third style."""
    model = blendgan_core.load(folder / "tiny.safetensors")
    design = Design(2, 2, seed=0)
    w_face = face_codes(model, design.count, 0, 1.0)
    subjects = Subjects(design, w_face, torch.empty(0), torch.empty(0))
    config = BaselinesConfig(layer_swap=folder / "swap", swap_from=0)
    (baseline,) = load_baselines(config, model, "tiny.safetensors")
    results = baseline.results(subjects, ignore)
    tuned = blendgan_core.load(folder / "swap" / f"{list(STYLES)[2]}.safetensors")
    alone = draw_faces(tuned, w_face[1:2], ignore)
    torch.testing.assert_close(results[len(STYLES) + 2], alone[0], rtol=0, atol=1e-4)


def test_what_does_not_fit_is_refused(folder, tmp_path):
    model = blendgan_core.load(folder / "tiny.safetensors")
    assert check_swap_from(None, 8) == 4

    def load(swap_model=model, **flags):
        return load_baselines(BaselinesConfig(**flags), swap_model, "tiny.safetensors")

    assert load() == []
    with pytest.raises(BlendGANError, match="--swap-from is of use with --layer-swap only"):
        load(swap_from=3)
    with pytest.raises(BlendGANError, match="--swap-from is 9, expected 0"):
        load(layer_swap=folder / "swap", swap_from=9)
    with pytest.raises(CheckpointError, match=r"lacks pencil\.safetensors.*trainer\.layer_swap"):
        load(layer_swap=tmp_path)
    other = tiny_model(blendgan_core)
    other.generator.synthesis.constant.data.add_(1)
    with pytest.raises(BlendGANError, match="fine-tuned from another generator"):
        load(other, layer_swap=folder / "swap")
    other = tiny_model(blendgan_core, w_dim=32)
    with pytest.raises(BlendGANError, match="other sizes"):
        load(other, layer_swap=folder / "swap")
    with pytest.raises(BlendGANError, match="no pictures in the style pencil.*trainer.synthesize"):
        layer_swap(replace(swap_config(folder), portraits=tmp_path, out=tmp_path / "out"))
