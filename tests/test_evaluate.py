"""An evaluation from end to end on a tiny model, and what it refuses."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from official_files import blendgan_file
from PIL import Image
from tiny_model import tiny_model

import blendgan_core
from blendgan_core.blendgan import BlendGAN
from blendgan_core.errors import BlendGANError, CheckpointError
from trainer.adain_network import Decoder, DecoderConfig, save_decoder
from trainer.evaluate import EvaluateConfig, design_of, evaluate, load_model
from trainer.evaluation import indicators, measure
from trainer.evaluation_pictures import (
    OTHER_REAL,
    REAL,
    Design,
    face_codes,
    paint_by_rule,
    render,
    style_codes,
    stylise,
)
from trainer.evaluation_report import plain
from trainer.evaluator_network import Evaluator, EvaluatorConfig, load_evaluator, save_evaluator
from trainer.fingerprint import fingerprint
from trainer.portrait_labels import ATTRIBUTES
from trainer.styles import STYLES
from trainer.synthesize import HELD_OUT_SEED, SynthesizeConfig, synthesize

GROUPS, FACES = 2, 2


def write_evaluator(path: Path, styles: tuple[str, ...] = ("natural", *sorted(STYLES))) -> Path:
    torch.manual_seed(0)
    sizes = {"channels": (8, 8, 8, 8), "num_features": 8}
    evaluator = Evaluator(EvaluatorConfig(styles=styles, attributes=ATTRIBUTES, **sizes))
    return save_evaluator(evaluator, path, {})


def write_rivals(folder: Path, model: BlendGAN) -> dict[str, Path]:
    """An untrained decoder of AdaIN, and the model's own generator for every style -> flags."""
    sizes = DecoderConfig(
        vgg_width=model.style_encoder.config.vgg_width,
        stage=2,
        width=4,
        encoder=fingerprint(model.style_encoder.vgg),
    )
    save_decoder(Decoder(sizes), folder / "adain.safetensors", {})
    alone = BlendGAN.assemble(model.generator)
    for style in STYLES:
        blendgan_core.save(alone, folder / "swap" / f"{style}.safetensors")
    return {"adain": folder / "adain.safetensors", "layer_swap": folder / "swap"}


@pytest.fixture(scope="module")
def config(tmp_path_factory) -> EvaluateConfig:
    folder = tmp_path_factory.mktemp("evaluation")
    model = tiny_model(blendgan_core)
    blendgan_core.save(model, folder / "tiny.safetensors")
    return EvaluateConfig(
        checkpoint=str(folder / "tiny.safetensors"),
        evaluator=write_evaluator(folder / "evaluator.safetensors"),
        out=folder / "report",
        groups=GROUPS,
        faces=FACES,
        device="cpu",
        **write_rivals(folder, model),
    )


@pytest.fixture(scope="module")
def report(config) -> dict:
    evaluate(config)
    return json.loads((config.out / "report.json").read_text())


def test_a_whole_evaluation(config, report):
    text = (config.out / "report.md").read_text()
    steps = [(row["indicator"], row["theta"]) for row in report["rows"]]
    assert steps == indicators(8)
    last = report["rows"][-1]["figures"]  # i = L, where the result is the natural picture
    for name, expected in {"retention": 1, "face_shown": 1, "face_spread": 1, "leak": 0}.items():
        assert last[name]["value"] == pytest.approx(expected, abs=1e-5), name
    assert last["diversity"]["value"] == pytest.approx(0, abs=1e-5)
    for row in report["rows"]:
        assert sum(map(sum, row["read_styles"])) == GROUPS * FACES * len(STYLES)
        for name, figure in row["figures"].items():
            assert figure["low"] <= figure["value"] + 1e-9, name
    assert set(report["inversion"]["portraits_read"]) == set(ATTRIBUTES)
    for name in ("curves.png", "styles.jpg", "faces.jpg", "inversion.jpg"):
        assert name in text
        Image.open(config.out / name).verify()


def test_rivals_are_measured_beside_the_model(config, report):
    text = (config.out / "report.md").read_text()
    assert [row["name"] for row in report["baselines"]] == ["AdaIN", "layer swap"]
    assert "| AdaIN | " in text and "| layer swap | " in text and "layers from 4 on" in text
    assert "The model at i = 0 less AdaIN: style match" in text
    first, last = (report["rows"][number]["figures"] for number in (0, -1))
    adain, swapped = report["baselines"]
    # what is swapped in is the generator itself: natural pictures, as at i = L
    for name, figure in swapped["figures"].items():
        assert figure["value"] == pytest.approx(last[name]["value"], rel=1e-4, abs=1e-4), name
    for row in report["baselines"]:
        assert set(row["figures"]) == set(first)
        assert sum(map(sum, row["read_styles"])) == GROUPS * FACES * len(STYLES)
        for name, lead in row["lead"].items():
            expected = first[name]["value"] - row["figures"][name]["value"]
            assert lead["value"] == pytest.approx(expected, rel=1e-6, abs=1e-6), name
    assert adain["figures"]["face_spread"] != last["face_spread"]
    # cells: the reference, two faces of the model, of either rival, and painted by rule
    width, height = Image.open(config.out / "styles.jpg").size
    assert width * (1 + len(STYLES)) == height * (1 + 4 * FACES)


def test_the_same_seed_gives_the_same_figures(config, report):
    """Of a model without its pSp encoder, whose report has no inversion."""
    evaluator, _ = load_evaluator(config.evaluator)
    model = blendgan_core.load(config.checkpoint, parts=("generator", "style_encoder"))
    design = design_of(config)
    figures, grids = measure(model, evaluator, design, 1.0, [(0, 1.0)], lambda _=1: None)
    again = plain(figures)
    assert again["rows"][0] == report["rows"][0]
    assert again["painted"] == report["painted"] and again["codes"] == report["codes"]
    assert again["baselines"] == [] and again["inversion"] is None and grids.inverted is None
    first, other = (face_codes(model, 2, seed, 1.0) for seed in (0, 1))
    assert not torch.equal(first, other)


def test_an_official_checkpoint_is_taken_as_it_is(config, tmp_path):
    """Its layout, with thin channels; it brings no pSp encoder."""
    path = tmp_path / "blendgan.pt"
    torch.save(blendgan_file(), path)
    model = load_model(replace(config, checkpoint=str(path)))
    design = design_of(config)
    references = torch.rand(GROUPS * len(STYLES), 3, 64, 64) * 2 - 1
    w_face, z_style = face_codes(model, design.count, 0, 1.0), style_codes(model, references)
    results = stylise(model, design, w_face, z_style, 0, 1.0, lambda: None)
    assert results.shape == (design.pictures, 3, 64, 64)
    # the second face of the first group with its third reference
    w = model.blend(w_face[1:2], z_style[2:3], 0)
    alone = model.synthesize(w).clamp(-1, 1)
    torch.testing.assert_close(results[len(STYLES) + 2], alone[0], rtol=0, atol=1e-3)
    # and the first of the second group with its last
    w = model.blend(w_face[2:3], z_style[23:24], 0)
    alone = model.synthesize(w).clamp(-1, 1)
    torch.testing.assert_close(results[3 * len(STYLES) - 1], alone[0], rtol=0, atol=1e-3)


def test_rows_of_the_table():
    assert indicators(4) == [(0, 1.0), (1, 0.5), (2, 1.0), (3, 0.5), (4, 1.0)]
    assert len(indicators(18)) == 19


def test_portraits_of_an_evaluation_are_in_no_training_set(tmp_path):
    with pytest.raises(BlendGANError, match="--seed"):
        synthesize(SynthesizeConfig(out=tmp_path, count=1, seed=HELD_OUT_SEED))
    design = Design(2, 2, seed=0)
    every = [*design.references(), *design.sitters()]
    every += [p for first in (REAL, OTHER_REAL) for p in design.real(first) + design.natural(first)]
    assert min(portrait.seed for portrait in every) >= HELD_OUT_SEED
    assert len(set(every)) == len(every)


def test_what_is_painted_by_rule_has_the_style_of_the_reference_and_the_sitters_face():
    """Painted on the reference's own sitter it would be the reference."""

    class OwnSitters(Design):
        def sitters(self):
            return [self.references()[0]]

    design = OwnSitters(1, 1, seed=0)
    painted = paint_by_rule(design, lambda: None)
    assert painted.shape == (1, 1, len(STYLES), 3, 64, 64)
    reference = render(design.references()[:1], lambda: None)
    torch.testing.assert_close(painted[0, 0, 0], reference[0])
    assert (painted[0, 0, 1] - reference[0]).abs().mean() > 0.05


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        ({"groups": 1}, "--groups is 1"),
        ({"groups": 201}, "--groups is 201"),
        ({"faces": 0}, "--faces is 0"),
        ({"seed": -1}, "--seed is -1"),
        ({"truncation": -0.5}, "--truncation is -0.5"),
    ],
)
def test_numbers_out_of_range_are_refused(config, flags, message):
    with pytest.raises(BlendGANError, match=message):
        design_of(replace(config, **flags))


def test_quick_takes_fewer_pictures_unless_told_otherwise(config):
    usual = replace(config, groups=None, faces=None)
    quick = replace(usual, quick=True)
    assert design_of(quick).pictures * 5 < design_of(usual).pictures
    assert design_of(replace(quick, groups=5)).groups == 5


def test_what_is_missing_is_named(config, tmp_path):
    alone = tmp_path / "generator.safetensors"
    blendgan_core.save(tiny_model(blendgan_core, parts=("generator",)), alone)
    with pytest.raises(CheckpointError, match="this needs a style encoder"):
        evaluate(replace(config, checkpoint=str(alone), out=tmp_path / "out"))
    with pytest.raises(CheckpointError, match=r"gone\.safetensors does not exist"):
        evaluate(replace(config, evaluator=tmp_path / "gone.safetensors"))
    other = write_evaluator(tmp_path / "other.safetensors", ("natural", "cubism"))
    with pytest.raises(BlendGANError, match="knows the styles cubism, natural.*Train another"):
        evaluate(replace(config, evaluator=other))
    assert not (tmp_path / "out").exists()
