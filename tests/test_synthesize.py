"""Synthetic portraits: reproducible, resumable and balanced."""

import dataclasses
import json
from collections import Counter

import numpy as np
import pytest
from PIL import Image

from blendgan_core.errors import BlendGANError
from trainer.portrait_attributes import draw_attributes
from trainer.portrait_kinds import (
    CLOTHES,
    EYE_COLOURS,
    FRAMES,
    HAIR_STYLES,
    HATS,
    SCENES,
    TIED,
)
from trainer.portrait_photo import develop
from trainer.portraits import render_portrait
from trainer.styles import STYLES
from trainer.synthesize import Portrait, SynthesizeConfig, plan_portraits, synthesize
from trainer.texture import halve, smooth_noise

SMALL = 32


@pytest.fixture(scope="module")
def crowd():
    """400 people, not painted."""
    return [Portrait(0, None, index, SMALL).draw()[0] for index in range(400)]


def pixels(folder):
    """Every PNG below the folder by its relative name."""
    return {
        path.relative_to(folder).as_posix(): np.asarray(Image.open(path))
        for path in sorted(folder.rglob("*.png"))
    }


# ---- The command ----


def test_pictures_depend_on_seed_and_index_alone(tmp_path):
    """One worker or two, and a shorter or longer run, give the same pixels."""
    config = SynthesizeConfig(out=tmp_path / "one", count=4, resolution=SMALL, workers=1)
    one = pixels(synthesize(config))
    longer = dataclasses.replace(config, out=tmp_path / "two", count=6, workers=2, styled_count=3)
    two = pixels(synthesize(longer))
    assert len(one) == 4 + 2 and len(two) == 6 + 3
    for name, image in one.items():
        np.testing.assert_array_equal(image, two[name], err_msg=name)
    assert all(image.shape == (SMALL, SMALL, 3) for image in two.values())
    other = Portrait(1, None, 0, SMALL).render()
    assert np.abs(other.astype(int) - one["natural/000000.png"]).mean() > 5


def test_resume_keeps_what_is_there_and_makes_what_is_missing(tmp_path, capsys):
    config = SynthesizeConfig(out=tmp_path, count=3, styled_count=0, resolution=SMALL, workers=1)
    expected = pixels(synthesize(config))
    kept, removed = tmp_path / "natural/000000.png", tmp_path / "natural/000002.png"
    Image.new("RGB", (SMALL, SMALL)).save(kept)  # a mark: only an untouched file stays black
    removed.unlink()
    capsys.readouterr()
    synthesize(config)
    assert "3 pictures, 1 new" in capsys.readouterr().out
    assert np.asarray(Image.open(kept)).max() == 0
    np.testing.assert_array_equal(np.asarray(Image.open(removed)), expected["natural/000002.png"])
    assert not list(tmp_path.rglob("*.tmp"))


def test_attributes_list_every_picture(tmp_path):
    config = SynthesizeConfig(out=tmp_path, count=2, styled_count=1, resolution=SMALL, workers=1)
    synthesize(config)
    lines = (tmp_path / "attributes.jsonl").read_text(encoding="utf-8").splitlines()
    records = [json.loads(line) for line in lines]
    assert {record["path"] for record in records} == set(pixels(tmp_path))
    assert [record["style"] for record in records] == [None, None, next(iter(STYLES))]
    drawn = Portrait(0, None, 1, SMALL).draw()[0]
    assert records[1]["skin"] == drawn.skin and records[1]["light_azimuth"] == drawn.light_azimuth


def test_styles_share_evenly_and_show_other_people():
    config = SynthesizeConfig(out=None, count=60)
    portraits = plan_portraits(config)
    shares = Counter(portrait.style for portrait in portraits)
    assert shares.pop(None) == 60
    assert set(shares) == set(STYLES) and sum(shares.values()) == 30
    assert max(shares.values()) - min(shares.values()) <= 1
    people = {portrait.draw()[0].seed for portrait in portraits}
    assert len(people) == len(portraits)


def test_twins_are_one_person_in_all_styles_and_neighbours_share_the_look():
    config = SynthesizeConfig(out=None, count=0, styled_count=0, twins=3)
    twins = {(portrait.index, portrait.style): portrait for portrait in plan_portraits(config)}
    assert len(twins) == 3 * (1 + len(STYLES))
    assert twins[2, "neon"].path.as_posix() == "twins/styled/neon/000002.png"
    drawn = {key: portrait.draw() for key, portrait in twins.items()}
    people = [drawn[index, None][0] for index in range(3)]
    assert people[0] != people[1] and people[1] != people[2]
    assert all(attributes == people[index] for (index, _), (attributes, _) in drawn.items())
    looks = {key: rng.random() for key, (_, rng) in drawn.items()}
    assert looks[0, "neon"] == looks[1, "neon"] != looks[2, "neon"]
    assert looks[0, "neon"] != looks[0, "oil"]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"twins": -1}, "--twins is -1"),
        ({"count": -1}, "--count is -1; give a number from 0"),
        ({"count": 0}, "no styled pictures are asked for"),
        ({"styled_count": -2}, "--styled-count is -2"),
        ({"resolution": 8}, "--resolution is 8; give a number from 16 to 1024"),
        ({"workers": 0}, "--workers is 0"),
        ({"seed": -1}, "--seed is -1"),
    ],
)
def test_a_number_out_of_range_is_named(tmp_path, change, message):
    out = tmp_path / "never"
    config = dataclasses.replace(SynthesizeConfig(out=out, count=4), **change)
    with pytest.raises(BlendGANError, match=message):
        synthesize(config)
    assert not out.exists()


def test_a_folder_that_cannot_be_written_is_named(tmp_path):
    file = tmp_path / "a file"
    file.touch()
    for out in (file, file / "below"):
        with pytest.raises(BlendGANError, match="cannot write to .*a file"):
            synthesize(SynthesizeConfig(out=out, count=1))


def test_a_folder_of_other_settings_is_refused(tmp_path):
    (tmp_path / "recipe.json").write_text('{"seed": 3, "resolution": 64}')
    with pytest.raises(BlendGANError, match="'seed': 3.*same --seed and --resolution"):
        synthesize(SynthesizeConfig(out=tmp_path, count=1))
    (tmp_path / "recipe.json").write_text("{")
    with pytest.raises(BlendGANError, match="recipe.json is damaged"):
        synthesize(SynthesizeConfig(out=tmp_path, count=1))


# ---- Who is on the portraits ----


def test_continuous_attributes_are_even(crowd):
    """A quarter of 400 even draws lies in each quarter: 100, deviation sqrt(400 * 3) / 4 = 8.7."""
    ranges = {
        "skin": (0, 1),
        "sex": (0, 1),
        "age": (0, 1),
        "curl": (0, 1),
        "yaw": (-0.6, 0.6),
        "light_azimuth": (-1.1, 1.1),
        "light_warmth": (-0.08, 0.1),
    }
    for name, limits in ranges.items():
        values = [getattr(person, name) for person in crowd]
        quarters, _ = np.histogram(values, bins=4, range=limits)
        assert quarters.sum() == 400, name
        assert quarters.min() > 65 and quarters.max() < 135, (name, quarters)


def test_choices_are_even(crowd):
    for name, number in (("hair_style", len(HAIR_STYLES)), ("eye_colour", len(EYE_COLOURS))):
        counts = Counter(getattr(person, name) for person in crowd)
        assert len(counts) == number
        assert min(counts.values()) > 0.5 * 400 / number, counts
        assert max(counts.values()) < 1.5 * 400 / number, counts
    hair = Counter(person.hair_colour for person in crowd)
    assert len(hair) == 8 and min(hair.values()) > 25 and max(hair.values()) < 100, hair
    assert 0.2 < np.mean([person.glasses for person in crowd]) < 0.36
    lengths = np.array([person.hair_length for person in crowd])
    assert (lengths < 0.4).sum() > 80 and (lengths > 0.8).sum() > 80


def test_beards_follow_sex_but_not_skin(crowd):
    bearded = [person for person in crowd if person.beard > 0]
    assert 0.1 < len(bearded) / len(crowd) < 0.3
    assert all(person.sex > 0.5 for person in bearded)
    skins, sexes = np.array([(person.skin, person.sex) for person in crowd]).T
    assert abs(np.corrcoef(skins, sexes)[0, 1]) < 0.15


@pytest.mark.parametrize("size", [32, 64, 256])
def test_a_portrait_is_a_picture_at_any_size(size):
    image = render_portrait(draw_attributes(np.random.default_rng(3)), size)
    assert image.shape == (size, size, 3) and image.dtype == np.float32
    assert 0 <= image.min() and image.max() <= 1 and image.std() > 0.05


def test_sizes_show_the_same_portrait():
    """Random fields do not depend on the size: a large one averaged down is the small one."""
    person = dataclasses.replace(draw_attributes(np.random.default_rng(5)), grain=0.0)
    small, large = render_portrait(person, 64), render_portrait(person, 256)
    assert np.abs(halve(halve(large)) - small).mean() < 0.02


PLAIN = {"hat": "", "frame": "", "glasses": False, "tied": "", "bald": False, "hair_length": 0.2}
PLAIN |= {"zoom": 0.9, "shift_y": -0.05, "exposure": 0.3}


@pytest.mark.parametrize(
    ("attribute", "kinds"),
    [
        ("hat", HATS),
        ("frame", FRAMES),
        ("tied", TIED),
        ("clothes_kind", CLOTHES),
        ("scene", SCENES),
    ],
)
def test_whatever_is_worn_or_behind_is_seen(attribute, kinds):
    person = dataclasses.replace(draw_attributes(np.random.default_rng(4)), **PLAIN)
    pictures = []
    for kind in kinds:
        worn = {attribute: kind} | ({"glasses": True} if attribute == "frame" else {})
        pictures.append(render_portrait(dataclasses.replace(person, **worn), 96))
    for place, first in enumerate(pictures):
        for second in pictures[place + 1 :]:
            assert np.abs(first - second).mean() > 0.001


def test_a_hat_leaves_hair_to_be_seen(crowd):
    """All of a cap of hair may be hidden only where the label says that there is none."""
    hatted = [person for person in crowd if person.hat]
    assert 0.05 < len(hatted) / len(crowd) < 0.2
    assert all(person.bald or person.hair_length > 0.25 for person in hatted)


def test_exposure_darkens_the_whole_picture_alike():
    """By hand: a stop less halves linear light, 2 ** (-1 / 2.2) = 0.7297 of the level shown."""
    neutral = {"white_balance": 0.0, "green_tint": 0.0, "saturation": 1.0, "contrast": 1.0}
    neutral |= {"haze": 0.0, "blur": 0.0, "grain": 0.0, "exposure": -1.0}
    person = dataclasses.replace(draw_attributes(np.random.default_rng(1)), **neutral)
    scene = np.full((16, 16, 3), [0.2, 0.5, 0.7], np.float32)
    developed = develop(scene, person, np.random.default_rng(0))
    np.testing.assert_allclose(developed, scene * 0.7297, rtol=1e-3)
    warm = dataclasses.replace(person, white_balance=0.1, exposure=0.0)
    red, green, blue = develop(scene, warm, np.random.default_rng(0))[0, 0] / scene[0, 0]
    assert red / green == pytest.approx(1.1, rel=1e-3)
    assert blue / green == pytest.approx(0.9, rel=1e-3)


def test_smooth_noise_has_unit_deviation():
    """The mean of 20 fields of 12 x 12 bumps has deviation 1 / (12 * 0.479 * sqrt(20)) = 0.04."""
    fields = [smooth_noise(np.random.default_rng(seed), 64, 12) for seed in range(20)]
    assert np.std(fields) == pytest.approx(1, abs=0.05)
    assert np.mean(fields) == pytest.approx(0, abs=0.12)
