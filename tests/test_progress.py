"""The measurements of a training: by hand, and on generators of which one is better."""

import copy

import pytest
import torch
from PIL import Image
from tiny_model import tiny_model

import blendgan_core
from trainer.data import ImageSet
from trainer.progress import frechet_distance, measure_progress, split_art, style_match
from trainer.styles import STYLES
from trainer.synthesize import Portrait


def test_frechet_distance_by_hand():
    """Variances of theirs 2 and 8, of ours 18 and 8; means 3 and 0 apart, deviations sqrt(8) and 0:
    (9 + 8) / (2 + 8)."""
    theirs = torch.tensor([[1.0, 2.0], [-1.0, -2.0]])
    ours = torch.tensor([[6.0, 2.0], [0.0, -2.0]])
    assert frechet_distance(ours, theirs) == pytest.approx(1.7)


def test_draws_from_one_source_are_three_nths_apart():
    generator = torch.Generator().manual_seed(0)
    ours, theirs = torch.randn(2, 64, 2000, generator=generator)
    assert frechet_distance(ours, theirs) == pytest.approx(3 / 64, rel=0.05)
    assert frechet_distance(ours, ours) == 0


def test_style_match_by_hand():
    """Of two styles with two pictures each: the second code lies nearest to the other style."""
    codes = torch.tensor([[1.0, 0.1], [0.2, 9.0], [0.0, 1.0], [-0.1, 1.0]])
    art_codes = torch.tensor([[5.0, 0.0], [1.0, 0.3], [0.0, 0.1], [-1.0, 3.0]])
    assert style_match(codes, art_codes, num_styles=2) == 0.75


def write_art(folder, sizes: dict[str, int]) -> ImageSet:
    for style, size in sizes.items():
        (folder / style).mkdir(parents=True)
        for number in range(size):
            colour = (40 * number, len(style) * 20, 90)
            Image.new("RGB", (32, 32), colour).save(folder / style / f"{number}.png")
    return ImageSet(folder, 32)


def seeded() -> torch.Generator:
    return torch.Generator().manual_seed(0)


def test_references_and_others_share_styles_but_no_picture(tmp_path):
    art = write_art(tmp_path, {"one": 1, "pair": 2, "three": 3, "twenty": 20})
    references, others = split_art(art, 24, seeded())
    assert references.shape == others.shape == (3, 8)  # a style of one picture takes no part
    for row in zip(references.tolist(), others.tolist(), strict=True):
        assert len({art.style_of[picture] for part in row for picture in part}) == 1
        assert not set(row[0]) & set(row[1])
    assert sorted(len(set(row)) for row in others.tolist()) == [1, 2, 8]


@pytest.mark.parametrize(
    "sizes", [{"one": 1}, {"one": 1, "two": 1}, {"many": 9}, {"one": 1, "many": 9}]
)
def test_without_two_styles_all_pictures_are_one(tmp_path, sizes):
    references, others = split_art(write_art(tmp_path, sizes), 4, seeded())
    assert references.shape == others.shape == (1, 4)
    if sum(sizes.values()) > 1:
        assert not set(references.flatten().tolist()) & set(others.flatten().tolist())


@pytest.fixture(scope="module")
def portraits(tmp_path_factory):
    """Synthetic portraits of seed 1, which the starter was not trained on: natural, art."""
    folder = tmp_path_factory.mktemp("portraits")
    for style in (None, *STYLES):
        for index in range(24 if style is None else 8):
            portrait = Portrait(1, style, index, 64)
            (folder / portrait.path).parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(portrait.render()).save(folder / portrait.path)
    return ImageSet(folder / "natural", 64), ImageSet(folder / "styled", 64)


@pytest.fixture(scope="module")
def starter():
    return blendgan_core.load(blendgan_core.STARTER)


def measured(generator, starter, portraits, count=48):
    natural, art = portraits
    return measure_progress(generator, starter.style_encoder, art, natural, count)


def test_a_trained_generator_is_better_than_a_random_one(starter, portraits):
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        random = type(starter.generator)(starter.generator.config).eval()
    good, bad = (measured(g, starter, portraits) for g in (starter.generator, random))
    assert all(name.startswith("metric_") for name in good)
    by_chance = 3 / 48  # of two draws of 48 pictures from one source
    for name in ("metric_frechet_natural", "metric_frechet_art"):
        assert good[name] - by_chance < (bad[name] - by_chance) / 4
    assert good["metric_style_match"] > max(bad["metric_style_match"], 1 / len(STYLES))
    assert 0.3 < good["metric_face_spread"] < 1.5


def test_a_generator_that_paints_one_face_a_style_has_no_spread(starter, portraits):
    """By construction: where alpha is 1 the face has no say at i = 0, where it is 0 the style."""
    for alpha, spread in ((1, 0), (0, 1)):
        generator = copy.deepcopy(starter.generator)
        generator.blending.alpha.data.fill_(alpha)
        values = measured(generator, starter, portraits, count=8)
        assert values["metric_face_spread"] == pytest.approx(spread, abs=1e-3)


def test_it_measures_the_same_each_time_and_leaves_random_numbers_alone(tmp_path):
    model = tiny_model(blendgan_core)
    model.style_encoder.random_vgg_(0)
    art = write_art(tmp_path / "art", {"pair": 2, "three": 3})
    natural = write_art(tmp_path / "natural", {"faces": 5})
    before = torch.get_rng_state()
    for encoder, pictures in ((model.style_encoder, art), (None, None)):
        first, second = (
            measure_progress(model.generator, encoder, pictures, natural, 8) for _ in range(2)
        )
        assert first == second
    assert torch.equal(before, torch.get_rng_state())


def test_without_styles_to_tell_apart_there_is_no_match(tmp_path):
    model = tiny_model(blendgan_core)
    art = write_art(tmp_path / "art", {"all": 4})
    values = measure_progress(model.generator, model.style_encoder, art, art, 8)
    assert list(values) == ["metric_frechet_natural", "metric_frechet_art", "metric_face_spread"]


def test_the_natural_branch_alone_is_judged_by_a_random_vgg(starter, portraits):
    natural, _ = portraits
    good = measure_progress(starter.generator, None, None, natural, 24)
    blank = copy.deepcopy(starter.generator)
    blank.synthesis.constant.data.zero_()
    assert list(good) == ["metric_frechet_natural"]
    bad = measure_progress(blank, None, None, natural, 24)
    assert good["metric_frechet_natural"] < bad["metric_frechet_natural"] / 2
