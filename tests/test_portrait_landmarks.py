"""The landmarks of synthetic portraits are where the face is painted."""

from dataclasses import replace

import numpy as np
import pytest

from trainer.portrait_attributes import draw_attributes
from trainer.portrait_head import place_head
from trainer.portrait_landmarks import face_landmarks, landmarks
from trainer.portraits import render_portrait

SIZE = 256


@pytest.mark.parametrize("yaw", [-0.6, 0.0, 0.6])
def test_a_spot_painted_on_the_face_is_found_where_the_landmark_is(yaw):
    """The middle of the pixels that lie next to it in face coordinates, to a third of a pixel."""
    person = draw_attributes(np.random.default_rng(11))
    person = replace(person, yaw=yaw, pitch=0.15, roll=-0.08, shift_x=0.02, zoom=1.07)
    head = place_head(person, SIZE)
    expected = landmarks(person)
    for (u, v), point in zip(face_landmarks(person), expected, strict=True):
        spot = np.exp(-((head.u - u) ** 2 + (head.v - v) ** 2) / 0.02**2)
        spot /= spot.sum()
        rows, columns = np.mgrid[:SIZE, :SIZE] + 0.5
        found = (spot * columns).sum(), (spot * rows).sum()
        assert found == pytest.approx(point * SIZE, abs=0.35)


def test_pupils_are_painted_where_the_eyes_landmarks_are():
    """By the picture itself: the middle of what changes with the colour of the eyes."""
    looks = {"glasses": False, "frame": "", "hat": "", "exposure": 0.0, "hair_length": 0.2}
    looks |= {"yaw": 0.4, "roll": 0.06, "hair_style": "round", "grain": 0.0, "shift_y": 0.02}
    person = replace(draw_attributes(np.random.default_rng(2)), **looks)
    blue, brown = (
        render_portrait(replace(person, eye_colour=colour), SIZE) for colour in ("blue", "brown")
    )
    changed = np.abs(blue - brown).mean(axis=2)
    middle = landmarks(person)[:2].mean(axis=0)[0] * SIZE
    rows, columns = np.mgrid[:SIZE, :SIZE] + 0.5
    for point, half in zip(
        landmarks(person)[:2], (columns < middle, columns >= middle), strict=True
    ):
        weight = changed * half / (changed * half).sum()
        found = (weight * columns).sum(), (weight * rows).sum()
        assert found == pytest.approx(point * SIZE, abs=2.5)


def test_landmarks_lie_as_an_aligned_crop_has_them():
    """FFHQ: eyes near 0.46 of the height and 0.24 apart, mouth near 0.73; left is left."""
    points = np.array([landmarks(draw_attributes(np.random.default_rng(s))) for s in range(200)])
    left, right, nose, *corners = points.mean(axis=0)
    assert left == pytest.approx([0.38, 0.471], abs=0.02)
    assert right == pytest.approx([0.62, 0.471], abs=0.02)
    assert nose == pytest.approx([0.5, 0.63], abs=0.02)
    assert np.mean(corners, axis=0) == pytest.approx([0.5, 0.735], abs=0.02)
    assert np.all(points[:, 0, 0] < points[:, 1, 0]) and np.all(points[:, 3, 0] < points[:, 4, 0])
