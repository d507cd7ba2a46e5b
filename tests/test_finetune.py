"""One-shot fine-tuning in both modes, and deltas: what they change, what they keep, what they
refuse."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from PIL import Image
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from tiny_model import tiny_model

import blendgan_core
from blendgan_core import delta
from blendgan_core.__main__ import main
from blendgan_core.checkpoint import found_parts, read
from blendgan_core.errors import BlendGANError, CheckpointError
from blendgan_core.style_encoder import gram_upper
from trainer import finetune as finetune_module
from trainer.convert import ConvertConfig, convert
from trainer.finetune import FinetuneConfig, finetune
from trainer.finetune_fast import WEIGHTS, gram_loss
from trainer.style_distance import gram_distance

STEPS = {"fast": 20, "paper": 30}


@pytest.fixture(scope="module")
def base(tmp_path_factory) -> Path:
    """A tiny model with large enough encoders that a delta is less than a tenth."""
    model = tiny_model(blendgan_core)
    model.style_encoder.random_vgg_(0)
    return blendgan_core.save(model, tmp_path_factory.mktemp("base") / "base.safetensors")


@pytest.fixture(scope="module")
def references(tmp_path_factory) -> Path:
    """Two pictures in one style: red and blue stripes."""
    folder = tmp_path_factory.mktemp("stripes")
    for number, width in enumerate((3, 4)):
        picture = Image.new("RGB", (32, 32), (220, 30, 40))
        for x in range(0, 32, 2 * width):
            picture.paste((20, 40, 200), (x, 0, x + width, 32))
        picture.save(folder / f"stripes_{number}.png")
    return folder


@pytest.fixture
def models(tmp_path, monkeypatch) -> Path:
    """Where the loader would look."""
    folder = tmp_path / "models"
    for module in (finetune_module, delta):
        monkeypatch.setattr(module, "models_folder", lambda: folder)
    return folder


def config_for(base: Path, ref: Path, tmp_path: Path, mode: str = "fast") -> FinetuneConfig:
    return FinetuneConfig(
        ref=(ref,),
        mode=mode,
        checkpoint=base,
        out=tmp_path / "run",
        steps=STEPS[mode],
        lr=0.02,
        device="cpu",
    )


@pytest.mark.parametrize("mode", ["fast", "paper"])
def test_comes_nearer_to_the_style_and_says_how_far_natural_faces_moved(
    base, references, models, tmp_path, capsys, mode
):
    listed = finetune(config_for(base, references / "stripes_0.png", tmp_path, mode))
    assert listed == models / "stripes_0.safetensors"
    figures = read(listed).provenance
    assert figures["after"]["gram"] < figures["before"]["gram"]
    assert figures["before"]["drift"] == 0 < figures["after"]["drift"]
    told = capsys.readouterr().out
    assert f"before: style distance {figures['before']['code']:.3f}" in told
    assert f"natural faces moved by {figures['after']['drift']:.1%}" in told
    assert str(listed) in told and "stripes_0.safetensors in 'Load BlendGAN'" in told
    assert f"--checkpoint {listed}" in told


def test_fast_mode_keeps_the_natural_branch_and_most_weights(base, references, models, tmp_path):
    listed = finetune(config_for(base, references / "stripes_0.png", tmp_path))
    assert read(listed).provenance["after"]["drift"] < 0.3
    before, after = load_file(base), load_file(listed)
    changed = {key for key in before if not torch.equal(before[key], after[key])}
    parts = {key.removeprefix("generator.").split(".")[0] for key in changed}
    assert parts == {"style_mapping", "blending", "synthesis"}
    # convolutions 0 to 2 work at 4 and 8 pixels
    low = tuple(f"generator.synthesis.convs.{index}." for index in range(3))
    assert not [key for key in changed if key.startswith(low)]


def test_fast_mode_asks_for_the_face(base, references, models, tmp_path, monkeypatch):
    """Without the loss of structure the faces are lost further."""
    lost = []
    for weight in (10 * WEIGHTS["structure"], 0):
        monkeypatch.setitem(WEIGHTS, "structure", weight)
        config = config_for(base, references / "stripes_0.png", tmp_path)
        finetune(replace(config, name=f"w{weight}", out=tmp_path / f"run{weight}"))
        rows = (tmp_path / f"run{weight}" / "log.jsonl").read_text().splitlines()
        lost.append(json.loads(rows[-1])["structure"])
    assert lost[0] < 0.8 * lost[1]


def test_several_references_and_a_name(base, references, models, tmp_path):
    config = replace(config_for(base, references, tmp_path), name="stripes", steps=2)
    listed = finetune(config)
    assert listed == models / "stripes.safetensors"
    names = ["stripes_0.png", "stripes_1.png"]
    assert read(listed).provenance["references"] == names
    both = tuple(references / name for name in names)
    config = replace(config, ref=both, name=None, out=tmp_path / "again")
    assert finetune(config).name == "stripes_0.safetensors"
    assert torch.equal(
        *(load_file(models / f"{n}.safetensors")[KEY] for n in ("stripes", "stripes_0"))
    )


KEY = "generator.style_mapping.layers.0.weight"


@pytest.fixture(scope="module")
def tuned(base, references, tmp_path_factory) -> Path:
    """A folder with a delta, `new.safetensors`, its base, and the whole model, `whole`."""
    folder = tmp_path_factory.mktemp("tuned")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(finetune_module, "models_folder", lambda: folder)
        patch.setattr(finetune_module, "MOST_OF_A_FILE", 1.0)  # the tiny encoders are tiny
        config = config_for(base, references / "stripes_0.png", folder)
        finetune(replace(config, name="new", delta=True, steps=3))
        config = replace(config, name="whole", out=folder / "run2", steps=3)
        finetune(config)
    shutil.copy(base, folder / "renamed.safetensors")
    return folder


def test_a_delta_is_the_whole_model_to_the_last_bit(tuned, tmp_path, capsys):
    path = tuned / "new.safetensors"
    whole = load_file(tuned / "whole.safetensors")
    loaded = blendgan_core.load(path).state_dict()
    assert loaded.keys() == whole.keys()
    assert all(torch.equal(loaded[key], value) for key, value in whole.items())
    assert found_parts(path) == ["generator", "style_encoder", "psp_encoder"]
    made_whole = convert(ConvertConfig(inputs=(path,), out=tmp_path / "made_whole.safetensors"))
    again = load_file(made_whole)
    assert all(torch.equal(again[key], value) for key, value in whole.items())
    with safe_open(path, framework="pt") as file:
        stored = [key for key in file.keys() if key.startswith("difference.")]
        assert {file.get_tensor(key).dtype for key in stored} == {torch.int8}
    assert 0 < len(stored) < len([key for key in whole if key.startswith("generator.")])
    assert main(["inspect", str(path)]) == 0
    told = capsys.readouterr().out
    assert f"{len(stored)} tensors on top of {tuned / 'renamed.safetensors'}" in told
    assert "kind: one-shot fine-tune" in told


def test_a_delta_without_its_base_names_it(tuned, models, tmp_path):
    path = tmp_path / "alone" / "new.safetensors"
    path.parent.mkdir()
    shutil.copy(tuned / "new.safetensors", path)
    other = load_file(tuned / "renamed.safetensors")
    other[KEY] += 1
    with safe_open(tuned / "renamed.safetensors", framework="pt") as file:
        save_file(other, path.parent / "base.safetensors", file.metadata())  # its name only
    message = r"a delta on top of 'base.safetensors' \(.* MB, sha256 \w{12}\.\.\), and no file"
    with pytest.raises(CheckpointError, match=message):
        blendgan_core.load(path)
    (models / "deeper").mkdir(parents=True)
    shutil.copy(tuned / "renamed.safetensors", models / "deeper" / "found.safetensors")
    assert blendgan_core.load(path).generator is not None


@pytest.mark.parametrize(
    "damage, message",
    [
        (lambda t, m: t.pop(f"scale.{KEY.removeprefix('generator.')}"), "half of it is missing"),
        (lambda t, m: t.update({"other": torch.zeros(1)}), "half of it is missing"),
        (
            lambda t, m: t.update({"difference.x": torch.zeros(1), "scale.x": torch.zeros(1)}),
            "'x' is no tensor of its base",
        ),
        (
            lambda t, m: t.update({"scale.blending.alpha": torch.zeros(8)}),
            r"'blending.alpha' has the shape \[8\] and a scale of \[8\]",
        ),
        (lambda t, m: m.update(base="{}"), "damaged header"),
        (lambda t, m: m.update(base='{"sha256": 1, "bytes": 2, "name": "x"}'), "unexpected JSON"),
        (lambda t, m: m.pop("provenance"), "damaged header"),
    ],
)
def test_a_damaged_delta_is_refused(tuned, damage, message):
    path = tuned / "new.safetensors"
    with safe_open(path, framework="pt") as file:
        metadata = file.metadata()
    tensors = load_file(path)
    damage(tensors, metadata)
    damaged = tuned / "damaged.safetensors"
    save_file(tensors, damaged, metadata)
    with pytest.raises(CheckpointError, match=message):
        blendgan_core.load(damaged)


def test_a_difference_of_8_bits_by_hand():
    """Row 0 changes by 127 and 1 of its steps of 0.5; row 1 not at all."""
    old = {"weight": torch.tensor([[1.0, 2.0], [3.0, 4.0]]), "bias": torch.tensor([5.0])}
    new = {"weight": torch.tensor([[64.5, 2.6], [3.0, 4.0]]), "bias": torch.tensor([5.0])}
    tensors = delta.encode(new, old)
    assert tensors.keys() == {"difference.weight", "scale.weight"}
    assert tensors["scale.weight"].tolist() == [[0.5], [0.0]]
    assert tensors["difference.weight"].tolist() == [[127, 1], [0, 0]]
    assert delta.decode(old, tensors)["weight"].tolist() == [[64.5, 2.5], [3.0, 4.0]]


@pytest.mark.parametrize(
    "changes, message",
    [
        ({"r1_gamma": 2.0}, "--r1-gamma is for --mode paper"),
        ({"natural": (Path("faces"),)}, "--natural is for --mode paper"),
        ({"ref": (Path("nowhere.png"),)}, "nowhere.png does not exist"),
        ({"ref": ()}, "--ref is empty"),
        ({"steps": -1}, "--steps is -1"),
    ],
)
def test_bad_flags_are_named_before_anything_is_written(
    base, references, models, tmp_path, changes, message
):
    config = config_for(base, references / "stripes_0.png", tmp_path)
    with pytest.raises(BlendGANError, match=message):
        finetune(replace(config, **changes))
    assert not config.out.exists() and not models.exists()


def test_a_delta_of_more_than_a_tenth_is_refused_before_the_work(
    base, references, models, tmp_path
):
    """Of a generator alone with a small encoder, nearly all would change."""
    small = blendgan_core.load(base)
    small = blendgan_core.BlendGAN.assemble(small.generator, small.style_encoder)
    start = blendgan_core.save(small, tmp_path / "small.safetensors")
    config = config_for(start, references / "stripes_0.png", tmp_path, "paper")
    with pytest.raises(BlendGANError, match="more than a tenth; leave --delta out"):
        finetune(replace(config, delta=True))
    assert not config.out.exists() and not models.exists()


def test_defaults_follow_the_mode():
    config = finetune_module.settle(FinetuneConfig(ref=(Path("art.png"),), mode="paper"))
    assert (config.steps, config.batch, config.lr) == (1000, 1, 0.002)  # the paper's A.5
    fast = finetune_module.settle(FinetuneConfig(ref=(Path("art.png"),), batch=7))
    assert (fast.mode, fast.batch) == ("fast", 7)


def test_gram_matrices_see_what_is_there_and_not_where():
    torch.manual_seed(0)
    features = torch.rand(2, 5, 16, 16)
    shuffled = features.flatten(2)[:, :, torch.randperm(256)].view_as(features)
    grams = [gram_upper(features)]
    assert gram_loss([gram_upper(shuffled)], grams) < 1e-6
    assert gram_loss([gram_upper(features * 2 + 1)], grams) > 0.1
    images = torch.rand(2, 3, 32, 32)
    assert gram_distance(images, images) == 0 < gram_distance(images, images * 0.5)


def test_the_header_says_what_a_delta_is_made_of(tuned):
    with safe_open(tuned / "new.safetensors", framework="pt") as file:
        metadata = file.metadata()
    assert metadata["format"] == "blendgan-delta-1"
    base = json.loads(metadata["base"])
    assert base["name"] == "base.safetensors"
    assert base["bytes"] == (tuned / "renamed.safetensors").stat().st_size
