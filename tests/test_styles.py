"""Styles: they differ, keep the face, hold up in any light, and share a look by their generator."""

import numpy as np
import pytest

from trainer.portrait_attributes import draw_attributes
from trainer.portraits import render_portrait
from trainer.style_parts import expose, paint_strokes, streaks
from trainer.styles import STYLES
from trainer.texture import halve, luminance


@pytest.fixture(scope="module")
def portrait_128():
    """One portrait at the size that styles get for 64 pixels: [128, 128, 3] in 0..1."""
    return render_portrait(draw_attributes(np.random.default_rng(7)), 128)


@pytest.mark.parametrize("style", STYLES)
def test_a_style_changes_the_picture_and_keeps_its_form(style, portrait_128):
    before = portrait_128.copy()
    styled = STYLES[style](portrait_128, np.random.default_rng(1))
    assert styled.shape == portrait_128.shape and styled.dtype == np.float32
    assert np.isfinite(styled).all() and 0 <= styled.min() and styled.max() <= 1
    assert np.abs(styled - portrait_128).mean() > 0.05
    np.testing.assert_array_equal(portrait_128, before)  # the input is left alone
    again = STYLES[style](portrait_128, np.random.default_rng(1))
    np.testing.assert_array_equal(styled, again)
    assert np.abs(STYLES[style](portrait_128, np.random.default_rng(2)) - styled).mean() > 0.01


def test_styles_differ_from_one_another(portrait_128):
    pictures = {
        name: halve(style(portrait_128, np.random.default_rng(1))) for name, style in STYLES.items()
    }
    assert len(pictures) >= 10
    names = list(pictures)
    for place, first in enumerate(names):
        for second in names[place + 1 :]:
            difference = np.abs(pictures[first] - pictures[second]).mean()
            assert difference > 0.08, (first, second, difference)


def test_styles_survive_a_flat_picture():
    """No contrast at all: nothing may divide by zero."""
    for name, style in STYLES.items():
        for grey in (0.0, 0.5, 1.0):
            flat = np.full((64, 64, 3), grey, np.float32)
            styled = style(flat, np.random.default_rng(0))
            assert np.isfinite(styled).all() and 0 <= styled.min() <= styled.max() <= 1, name


@pytest.mark.parametrize("style", STYLES)
def test_the_look_does_not_depend_on_the_picture(style, portrait_128):
    """Twins share paper, palette and strokes: every picture takes as many draws."""
    states = []
    for image in (portrait_128, 1 - portrait_128[:, ::-1], np.zeros_like(portrait_128)):
        rng = np.random.default_rng(3)
        STYLES[style](np.ascontiguousarray(image), rng)
        states.append(rng.random())
    assert states[0] == states[1] == states[2]


@pytest.mark.parametrize("style", STYLES)
def test_a_dark_picture_stays_legible(style, portrait_128):
    """At a quarter of its light the middle of the picture still has a third of its contrast."""
    for seed in (0, 1):
        bright, dark = (
            luminance(halve(STYLES[style](image, np.random.default_rng(seed))))[16:48, 16:48].std()
            for image in (portrait_128, portrait_128 * np.float32(0.25))
        )
        assert dark > bright / 3, (seed, dark, bright)


def test_exposure_moves_the_middle_into_range_and_leaves_ordinary_pictures():
    ordinary = np.full((30, 30, 3), 0.5, np.float32)
    np.testing.assert_allclose(expose(ordinary), ordinary, atol=1e-6)
    dark = expose(np.full((30, 30, 3), 0.1, np.float32))
    np.testing.assert_allclose(dark, 0.33, atol=1e-4)
    np.testing.assert_allclose(expose(np.full((30, 30, 3), 0.1, np.float32), 0.4), 0.4, atol=1e-4)
    # 0.9 would need a power of ln 0.66 / ln 0.9 = 3.9; 1.5 is the most
    bright = expose(np.full((30, 30, 3), 0.9, np.float32))
    np.testing.assert_allclose(bright, 0.9**1.5, atol=1e-4)
    framed = np.full((30, 30, 3), 0.9, np.float32)
    framed[10:20, 10:20] = 0.5  # only the middle counts
    np.testing.assert_allclose(expose(framed), framed, atol=1e-6)


def test_strokes_lie_where_they_are_laid_the_last_on_top():
    """A stroke 16 x 4 units on 64 pixels spans 8 pixels either way along it and 2 across."""
    canvas = np.zeros((64, 64, 3), np.float32)
    colours = np.array([[1, 0, 0], [0, 1, 0]], np.float32)
    centres, angles = np.array([[32.0, 32.0], [32.0, 32.0]]), np.array([0.0, np.pi / 2])
    painted = paint_strokes(canvas, centres[:1], colours[:1], angles[:1], 16.0, 4.0)
    assert not canvas.any()
    rows, columns = np.nonzero(painted[..., 0])
    assert (columns.min(), columns.max()) == (24, 40) and (rows.min(), rows.max()) == (30, 34)
    painted = paint_strokes(canvas, centres, colours, angles, 16.0, 4.0)
    rows, columns = np.nonzero(painted[..., 1])
    assert (rows.min(), rows.max()) == (24, 40) and (columns.min(), columns.max()) == (30, 34)
    assert painted[32, 32].tolist() == [0, 1, 0]
    corner = paint_strokes(canvas, np.array([[0.0, 0.0]]), colours[:1], np.zeros(1), 16.0, 4.0)
    rows, columns = np.nonzero(corner[..., 0])
    assert (rows.max(), columns.max()) == (2, 8)
    nothing = paint_strokes(canvas, np.zeros((0, 2)), colours[:0], np.zeros(0), 16.0, 4.0)
    np.testing.assert_array_equal(nothing, canvas)


def test_streaks_run_along_their_angle():
    for angle in (0.0, 0.7, -0.7):
        field = streaks(np.random.default_rng(0), 128, angle, 40, 4)
        assert field.std() == pytest.approx(1, abs=0.15)
        down, right = np.gradient(field)
        along = np.cos(angle) * right + np.sin(angle) * down
        across = np.cos(angle) * down - np.sin(angle) * right
        assert across.std() > 3 * along.std()
