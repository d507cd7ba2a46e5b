"""The evaluator's training, its file, and what is known of a portrait."""

import json
import math
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from blendgan_core.errors import BlendGANError, CheckpointError
from trainer.draws import Draws
from trainer.evaluator import EvaluatorTrainingConfig, shift_and_mirror, train_evaluator
from trainer.evaluator_network import BUILT_IN, Evaluator, EvaluatorConfig, load_evaluator
from trainer.portrait_attributes import HAIR_COLOURS
from trainer.portrait_labels import ATTRIBUTES, LabelledPortraits, attribute_values, mirror
from trainer.styles import STYLES
from trainer.synthesize import HELD_OUT_SEED, Portrait, SynthesizeConfig, synthesize


@pytest.fixture(scope="module")
def portraits(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("portraits")
    synthesize(
        SynthesizeConfig(out=folder, count=20, styled_count=120, resolution=16, seed=5, workers=1)
    )
    return folder


def config(portraits: Path, out: Path, **flags) -> EvaluatorTrainingConfig:
    sizes = {"channels": (8, 8, 8, 8), "num_features": 8, "device": "cpu"}
    flags = {"batch": 4, "steps": 10, "save_every": 5} | sizes | flags
    return EvaluatorTrainingConfig(portraits=portraits, out=out, **flags)


def test_ten_steps_learn_and_a_resumed_run_equals_an_unbroken_one(portraits, tmp_path, capsys):
    whole = train_evaluator(config(portraits, tmp_path / "whole", batch=16))
    rows = [json.loads(line) for line in (tmp_path / "whole" / "log.jsonl").open()]
    assert rows[-1]["style"] < math.log(len(STYLES) + 1)
    assert "R2 of yaw" in capsys.readouterr().out
    broken = config(portraits, tmp_path / "broken", batch=16, steps=5)
    train_evaluator(broken)
    again = train_evaluator(replace(broken, steps=10, resume=True))
    assert again.read_bytes() == whole.read_bytes()


def test_the_file_brings_the_network_and_its_test(portraits, tmp_path):
    evaluator, test = load_evaluator(train_evaluator(config(portraits, tmp_path / "run", steps=2)))
    assert sorted(evaluator.config.styles) == sorted(("natural", *STYLES))
    assert evaluator.config.attributes == ATTRIBUTES
    assert test["held_out"] == 2 + 12  # the tenth and twentieth natural ones, the tenth of a style
    assert [sum(row) for row in test["confusion"]] == [2] + 12 * [1]
    assert set(test["r2"]["natural"]) == set(ATTRIBUTES)
    reading = evaluator.read(torch.zeros(3, 3, 40, 40))
    assert [tuple(part.shape) for part in reading] == [(3, 8), (3, 13), (3, 7)]


def test_the_built_in_evaluator_fits_the_portraits_and_knows_them():
    """Portraits that no training can have had."""
    evaluator, test = load_evaluator(BUILT_IN)
    assert BUILT_IN.stat().st_size < 2e6
    assert test["style_accuracy"]["styled"] > 0.9
    drawn = [Portrait(HELD_OUT_SEED + 77, None, index, 64) for index in range(36)]
    drawn += [Portrait(HELD_OUT_SEED + 77, style, 0, 64) for style in STYLES]
    pictures = torch.stack([torch.from_numpy(p.render()).permute(2, 0, 1) for p in drawn])
    reading = evaluator.read(pictures / 127.5 - 1)
    names = [evaluator.config.styles[number] for number in reading.styles.argmax(dim=1).tolist()]
    expected = ["natural"] * 36 + list(STYLES)
    assert sum(a == b for a, b in zip(names, expected, strict=True)) >= 46
    skin = torch.tensor([attribute_values(p.draw()[0])[1] for p in drawn])
    found = reading.attributes[:36, 1]
    # a light face in dim light and a dark one in bright light may be one and the same picture
    assert torch.corrcoef(torch.stack([skin[:36].double(), found]))[0, 1] > 0.85


def test_training_needs_the_list_of_attributes(tmp_path, portraits):
    (tmp_path / "natural").mkdir()
    with pytest.raises(BlendGANError, match=r"attributes\.jsonl does not exist.*--portraits"):
        train_evaluator(config(tmp_path, tmp_path / "run"))
    (tmp_path / "attributes.jsonl").write_text('{"path": "natural/000000.png"}\n')
    with pytest.raises(BlendGANError, match=r"cannot be read.*Make the portraits anew"):
        LabelledPortraits(tmp_path, 16)
    listed = (portraits / "attributes.jsonl").read_text()
    (tmp_path / "attributes.jsonl").write_text(listed)
    (tmp_path / "natural" / "other.png").write_bytes(
        (portraits / "natural" / "000000.png").read_bytes()
    )
    with pytest.raises(BlendGANError, match=r"other\.png is not listed"):
        LabelledPortraits(tmp_path, 16)
    (tmp_path / "natural" / "other.png").rename(tmp_path / "natural" / "000003.png")
    with pytest.raises(BlendGANError, match="too few pictures of natural, cel, .*held out"):
        LabelledPortraits(tmp_path, 16)


def test_half_of_what_is_drawn_is_natural_and_no_held_out_portrait_is(portraits):
    labelled = LabelledPortraits(portraits, 16)
    drawn = labelled.draw(4000, torch.Generator().manual_seed(0))
    assert not set(drawn.tolist()) & set(labelled.held_out.tolist())
    share = (labelled.style_of[drawn] == 0).double().mean().item()
    assert share == pytest.approx(0.5, abs=0.03)
    assert labelled.style_of[drawn].bincount()[1:].min() > 0.7 * 2000 / 12


def test_bald_heads_have_no_hair_to_read():
    attributes, _ = Portrait(0, None, 0, 16).draw()
    number = {name: place for place, name in enumerate(ATTRIBUTES)}
    bald = attribute_values(replace(attributes, bald=True, hair_length=1.0))
    assert math.isnan(bald[number["hair_brightness"]]) and bald[number["hair_length"]] == 0
    shades = [
        attribute_values(replace(attributes, bald=False, hair_colour=colour))[2]
        for colour in ("black", "brown", "blond")
    ]
    assert shades == sorted(shades) and len(set(shades)) == 3
    assert set(HAIR_COLOURS) >= {"black", "brown", "blond"}


def test_a_mirror_turns_the_head_and_the_light_around():
    values = torch.arange(1.0, 8)[None]
    assert mirror(values).tolist() == [[-1, 2, 3, 4, 5, 6, -7]]


def test_pictures_move_by_whole_pixels_and_mirrored_ones_take_their_attributes_along():
    images, targets = torch.randn(12, 3, 16, 16), torch.ones(12, len(ATTRIBUTES))
    moved, turned = shift_and_mirror(images, targets, Draws(0, 0, range(12), "cpu"))
    inner = (slice(None), slice(4, -4), slice(4, -4))
    shifts = set()
    for image, result, target in zip(images, moved, turned, strict=True):
        start = image.flip(2) if target[0] < 0 else image
        places = [(y, x) for y in range(-3, 4) for x in range(-3, 4)]
        hits = [
            place
            for place in places
            if torch.allclose(start.roll(place, (1, 2))[inner], result[inner], atol=1e-4)
        ]
        assert len(hits) == 1
        shifts.update(hits)
    assert len(shifts) > 4 and 0 < (turned[:, 0] < 0).sum() < 12


def test_another_file_is_not_taken_for_an_evaluator(tmp_path):
    with pytest.raises(CheckpointError, match=r"none\.safetensors does not exist.*trainer\.evalu"):
        load_evaluator(tmp_path / "none.safetensors")
    (tmp_path / "text.safetensors").write_text("hello")
    with pytest.raises(CheckpointError, match="is not an evaluator"):
        load_evaluator(tmp_path / "text.safetensors")


def test_a_picture_is_read_alike_alone_and_among_others():
    """No normalisation over the batch."""
    torch.manual_seed(0)
    sizes = {"channels": (8, 8, 8, 8), "num_features": 8}
    evaluator = Evaluator(EvaluatorConfig(styles=("a", "b"), attributes=ATTRIBUTES, **sizes))
    pictures = torch.randn(5, 3, 64, 64)
    together, alone = evaluator(pictures), evaluator(pictures[:1])
    for whole, one in zip(together, alone, strict=True):
        torch.testing.assert_close(whole[:1], one)
