"""The plots of a run show what its log holds."""

import json
import sys

import numpy as np
import pytest
from PIL import Image

from trainer.plots import (
    COLOURS,
    LATE,
    PANEL,
    Curve,
    grouped,
    measurements,
    plot_panels,
    plot_run,
    ticks,
)
from trainer.run_log import RunLog, read_rows


def rows(count: int) -> list[dict]:
    return [
        {
            "step": 10 * n,
            "images": 20 * n,
            "d_face": 1 + n % 3,
            "d_style": 2.0,
            "path_length": 10.0 ** (n % 4),
            "alpha": [0.1, n / count],
        }
        for n in range(1, count + 1)
    ]


def holds(image: np.ndarray, colour: tuple[int, int, int]) -> np.ndarray:
    return (np.abs(image.astype(int) - colour) < 12).all(axis=2)


def test_values_that_share_their_first_word_share_a_panel():
    names = ["d_face", "path_length", "d_style", "l2", "d_style_latent"]
    assert grouped(names) == [["d_face", "d_style", "d_style_latent"], ["path_length"], ["l2"]]


@pytest.mark.parametrize(
    ("low", "high", "logarithmic", "expected"),
    [
        (0, 6, False, [0, 1, 2, 3, 4, 5, 6]),
        (-0.03, 1.03, False, [0, 0.2, 0.4, 0.6, 0.8, 1]),
        (0.05, 2000, True, [0.1, 1, 10, 100, 1000]),
    ],
)
def test_ticks_are_round_numbers(low, high, logarithmic, expected):
    assert ticks(low, high, logarithmic) == pytest.approx(expected)


@pytest.mark.parametrize("count", [1, 2, 1000])
def test_there_is_a_panel_for_each_kind_of_value_and_one_for_alpha(tmp_path, count):
    plot_run(rows(count), tmp_path)
    losses = np.asarray(Image.open(tmp_path / "losses.png"))
    assert losses.shape == (PANEL[1], 2 * PANEL[0], 3)
    left, right = losses[:, : PANEL[0]], losses[:, PANEL[0] :]
    assert holds(left, COLOURS[0]).any() and holds(left, COLOURS[1]).any()
    assert holds(right, COLOURS[0]).any() and not holds(right, COLOURS[1]).any()
    assert Image.open(tmp_path / "alpha.png").size == PANEL


def test_a_growing_alpha_rises_from_left_to_right(tmp_path):
    plot_run(rows(50), tmp_path)
    curve = holds(np.asarray(Image.open(tmp_path / "alpha.png")), LATE)
    curve[:48] = False  # the legend
    ys, xs = np.nonzero(curve)
    assert np.corrcoef(xs, ys)[0, 1] < -0.99


def test_a_run_without_alpha_has_no_plot_of_it(tmp_path):
    plot_run([{"step": 1, "images": 2, "l2": 0.5}], tmp_path)
    plot_run([], tmp_path / "nothing was logged yet")
    assert [file.name for file in tmp_path.iterdir()] == ["losses.png"]


def test_metrics_have_a_plot_of_their_own_with_a_point_a_measurement(tmp_path):
    """Rows repeat the last measurement; one of two metrics may come out the same twice."""
    log = rows(6)
    for row, near in zip(log[1:], (0.9, 0.9, 0.9, 0.5, 0.5), strict=True):
        row |= {"metric_style_match": 0.25, "metric_frechet_art": near, "metric_frechet_natural": 1}
    assert [list(row.values()) for row in measurements(log)] == [
        [20, 0.25, 0.9, 1],
        [50, 0.25, 0.5, 1],
    ]
    plot_run(log, tmp_path)
    assert Image.open(tmp_path / "losses.png").size == (2 * PANEL[0], PANEL[1])
    metrics = np.asarray(Image.open(tmp_path / "metrics.png"))
    assert metrics.shape == (PANEL[1], 2 * PANEL[0], 3)
    assert holds(metrics[:, PANEL[0] :], COLOURS[1]).any()


def test_a_log_forgets_what_a_killed_run_wrote_after_its_state(tmp_path):
    log = tmp_path / "log.jsonl"
    log.write_text("".join(json.dumps(row) + "\n" for row in rows(3)) + '{"step": 4')
    RunLog(tmp_path, step=20).write({"step": 30, "l2": 0.5})
    assert [row["step"] for row in read_rows(log)] == [10, 20, 30]


def test_event_files_are_written_where_tensorboard_is_installed(tmp_path, monkeypatch, capsys):
    """A stand-in takes the place of the package."""
    added = []

    class SummaryWriter:
        def __init__(self, folder, purge_step):
            added.append((folder, purge_step))

        def add_scalar(self, *scalar):
            added.append(scalar)

    package = type("tensorboard", (), {"SummaryWriter": SummaryWriter})
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", package)
    RunLog(tmp_path, step=20).write({"step": 30, "alpha": [0.25, 0.5]})
    assert added[0] == (str(tmp_path / "events"), 21)
    assert added[1:] == [
        ("step", 30, 30),
        ("alpha/layer_00", 0.25, 30),
        ("alpha/layer_01", 0.5, 30),
    ]
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", None)
    RunLog(tmp_path, step=20)
    assert capsys.readouterr().out == "no TensorBoard events: `pip install tensorboard` adds them\n"


def test_other_panels_show_a_curve_between_the_ends_of_its_interval(tmp_path):
    """On a linear axis, though the values span three powers of ten: the curve's middle is high."""
    values = [0.001, 0.5, 1.0]
    ends = [0.0, 0.4, 0.9], [0.1, 0.6, 1.1]
    curve = Curve("leak", [0, 1.5, 3], values, COLOURS[0], ends)
    path = tmp_path / "panels.png"
    plot_panels(path, [[curve], [curve]], ["one", "two"], "indicator")
    drawn = np.asarray(Image.open(path))
    assert drawn.shape == (PANEL[1], 2 * PANEL[0], 3)
    middle = drawn[60:280, PANEL[0] // 2 + 20].astype(int)
    blue = np.flatnonzero(middle[:, 2] - middle[:, 0] > 15)  # the curve and the band's two lines
    runs = np.split(blue, np.flatnonzero(np.diff(blue) > 1) + 1)
    assert len(runs) == 3
    assert 60 < runs[1].mean() < 160  # of 220
