"""Who is who in a clip, and crops that neither tremble nor lag."""

import numpy as np
import pytest
from test_paste_back import tilted

from blendgan_core.errors import ImageError
from blendgan_core.quads import square
from blendgan_core.tracking import STILL, choose, identities, smooth

TIMES = np.arange(30)


def walk(xs, side=40.0, y=50.0) -> np.ndarray:
    return np.stack([square(x, y, side) for x in xs])


def centres(quads) -> list[list[float]]:
    return [[float(quad.mean(axis=0)[0]) for quad in frame] for frame in quads]


def test_people_keep_their_number_when_they_pass_each_other():
    """Numbered from left to right at first; then by who is nearest; a third one is number 2."""
    frames = [
        [square(80, 50, 20), square(20, 50, 20)],
        [square(40, 50, 20), square(65, 50, 20)],
        [],
        [square(45, 60, 20), square(55, 60, 20), square(90, 50, 20)],
        [square(35, 60, 20), square(92, 50, 20)],
    ]
    assert identities(frames) == [[1, 0], [0, 1], [], [0, 1, 2], [0, 2]]
    assert identities([]) == [] and identities([[]]) == [[]]


def test_a_still_face_has_one_crop():
    quads = np.stack([tilted((101.7, 83.3), 77.7, 13.1)] * 30)
    steady = smooth(quads, TIMES, 2.0)
    assert (steady == steady[0]).all()
    np.testing.assert_allclose(steady[0], quads[0])


def test_a_trembling_face_has_one_crop():
    """Detectors tremble by a pixel or so; the crop does not follow."""
    noise = np.random.default_rng(0).normal(0, 0.4, (30, 4, 1))[:, :1]
    steady = smooth(walk([100] * 30, side=100) + noise, TIMES, 2.0)
    assert (steady == steady[0]).all()
    assert np.abs(steady[0] - square(100, 50, 100)).max() < 100 * STILL


def test_even_motion_has_no_lag_but_the_slack():
    """A straight line is its own parabola, at the ends too, and with frames missing."""
    kept = np.delete(TIMES, [3, 4, 5, 17])
    quads = walk(100 + 3.0 * kept)
    steady = smooth(quads, kept, 2.0)
    lag = (quads - steady)[:, 0, 0]
    assert lag[0] == pytest.approx(0) and (lag > -1e-9).all() and (lag < 40 * STILL + 1e-9).all()
    np.testing.assert_allclose(np.diff(steady[5:, 0, 0]), 3.0 * np.diff(kept[5:]))


def test_a_turn_is_not_cut_short():
    """A camera that swings to and fro within 24 frames; a mean would miss the turns by 24 pixels
    (half the acceleration times the variance)."""
    quads = walk(300 + 175 * np.cos(TIMES * 2 * np.pi / 24), side=200)
    steady = smooth(quads, TIMES, 2.0)
    assert np.abs(steady - quads).max() < 200 * STILL + 2


def test_noise_goes_down():
    """By hand: where a mean leaves 1 / sqrt(4 sqrt(pi)) of the noise at 2 frames, that is 0.38, a
    parabola leaves sqrt(27 / 16) times that, 0.49; the slack leaves a little less."""
    noise = np.random.default_rng(0).normal(0, 10, 400)
    quads = walk(1000 + noise, side=400)
    left = smooth(quads, np.arange(400), 2.0)[:, 0, 0] - quads[:, 0, 0] + noise
    assert left.std() < 4.9


def test_a_cut_is_not_averaged_over():
    quads = walk([50] * 15 + [90] * 15)
    np.testing.assert_allclose(smooth(quads, TIMES, 3.0), quads)


def test_single_frames_stay():
    quads = walk([50.0])
    np.testing.assert_allclose(smooth(quads, np.array([7]), 3.0), quads)


def test_pictures_stand_for_themselves():
    frames = [[square(80, 50, 20), square(20, 50, 30)], [], [square(50, 50, 10)]]
    assert centres(choose(frames, "all")) == [[20, 80], [], [50]]
    assert centres(choose(frames, "largest")) == [[20], [], [50]]
    assert centres(choose(frames, "by index", 1)) == [[80], [], []]
    with pytest.raises(ImageError, match="face 2 was asked for, but there are only 0 to 1"):
        choose(frames, "by index", 2)
    assert choose([[], []], "by index", 2) == choose([[], []], "largest", 0, 1.0) == [[], []]


def test_in_a_clip_the_choice_stays_with_the_person():
    """The right one is larger on the whole, though smaller in the second frame; then they pass."""
    frames = [
        [square(20, 50, 30), square(80, 50, 40)],
        [square(22, 50, 30), square(78, 50, 28)],
        [square(24, 50, 30)],
        [square(76, 50, 40), square(26, 50, 30)],
    ]
    largest = centres(choose(frames, "largest", 0, 0.01))
    assert [len(frame) for frame in largest] == [1, 1, 0, 1]
    np.testing.assert_allclose(largest[0] + largest[1] + largest[3], [80, 78, 76], atol=1)
    first = centres(choose(frames, "by index", 0, 0.01))
    np.testing.assert_allclose(sum(first, []), [20, 22, 24, 26], atol=1)
    everyone = centres(choose(frames, "all", 0, 0.01))
    assert [len(frame) for frame in everyone] == [2, 2, 1, 2]
    assert all(frame == sorted(frame) for frame in everyone)
