"""The columns of an indicator sweep, and the words above them."""

import pytest
import torch

from blendgan_core import BlendGANError
from blendgan_core.blending import WeightedBlendingModule
from blendgan_core.captions import captions
from blendgan_core.sheets import arrange
from blendgan_core.sweep import column_labels, indicator_steps


def test_the_papers_figure():
    """Figure 5 goes over all 18 layers; the last column is the face itself."""
    steps = indicator_steps(18, step=6)
    assert steps == [(0, 1), (6, 1), (12, 1), (18, 1)]
    assert column_labels(steps, 18) == ["i = 0", "i = 6", "i = 12", "natural"]


@pytest.mark.parametrize(
    ("first", "last", "step", "expected"),
    [
        (2, 5, 2, [(2, 1), (4, 1), (5, 1)]),  # the last is there though no step meets it
        (3, 4, 0.25, [(3, 1), (3, 0.75), (3, 0.5), (3, 0.25), (4, 1)]),
        (0, 3, 1.5, [(0, 1), (1, 0.5), (3, 1)]),
        (0, 1, 0.1, [(0, 1), *((0, n / 10) for n in range(9, 0, -1)), (1, 1)]),
        (4, 4, 2, [(4, 1)]),
        (10, None, 1, [(10, 1)]),
    ],
)
def test_steps_by_hand(first, last, step, expected):
    assert indicator_steps(10, first, last, step) == expected


def test_labels_name_a_theta_below_one():
    assert column_labels([(3, 1.0), (3, 0.75), (4, 1.0)], 4) == [
        "i = 3",
        "i = 3\ntheta 0.75",
        "natural",
    ]


def test_positions_are_continuous():
    """As theta falls to 0, an indicator becomes the next one: so shares change evenly."""
    blend = WeightedBlendingModule(num_layers=4, alpha=1.0)
    sums = [blend.share(*at).sum().item() for at in indicator_steps(4, step=0.2)]
    torch.testing.assert_close(sums, [4 - 0.2 * column for column in range(21)])


@pytest.mark.parametrize(
    ("first", "last", "step", "message"),
    [
        (0, 11, 1, r"from 0 to 11 is outside 0\.\.10"),
        (5, 3, 1, "from 5 to 3 .*runs backwards"),
        (11, None, 1, r"from 11 to 10 is outside 0\.\.10"),
        (0, 4, 0, "the step is 0"),
    ],
)
def test_sweeps_that_cannot_be(first, last, step, message):
    with pytest.raises(BlendGANError, match=message):
        indicator_steps(10, first, last, step)


def ink(strip: torch.Tensor) -> torch.Tensor:
    """Columns of pixels [W] that hold something dark."""
    return (strip < 0).any(dim=0).any(dim=0)


def test_words_stand_in_the_middle_of_their_columns():
    strip = captions(["i = 0", "", "natural"], 100)
    assert strip.shape[0] == 3 and strip.shape[2] == 300
    assert strip.max() == 1 and strip.min() < -0.5
    for column, written in zip(ink(strip).split(100), [True, False, True], strict=True):
        places = column.nonzero().flatten().float()
        assert bool(len(places)) == written
        if written:
            assert abs((places.min() + places.max()) / 2 - 50) < 3
            assert 10 < places.min() and places.max() < 90


def test_long_words_are_made_to_fit():
    for width in (32, 64, 300):
        strip = captions(["i = 17\ntheta 0.25", "i = 18"], width)
        for column in ink(strip).split(width):
            assert column.any() and not column[0] and not column[-1]


def test_two_lines_take_more_height():
    one, two = captions(["a"], 100), captions(["a\nb"], 100)
    assert two.shape[1] > 1.5 * one.shape[1]
    assert not ink(two.flip(0)[:, :1]).any() and not ink(two[:, -1:]).any()  # none is cut off


def test_pictures_by_column_and_row():
    """Two columns of two pictures, each of one grey; a missing one is white."""
    greys = [torch.full((3, 4, 4), value) for value in (-1.0, -0.5, 0.0)]
    sheet = arrange([greys[:2], [greys[2], None]], 8)
    expected = torch.tensor([[-1.0, 0.0], [-0.5, 1.0]]).repeat_interleave(8, 0)
    torch.testing.assert_close(sheet, expected.repeat_interleave(8, 1).expand(3, -1, -1))
