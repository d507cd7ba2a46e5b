"""Reports side by side: the right numbers, marked where they differ, and what does not compare."""

import json
from pathlib import Path

import pytest

from blendgan_core.errors import BlendGANError
from trainer.ablations import SHOWN, AblationsConfig, ablations, middle


def estimate(value: float) -> dict[str, float]:
    return {"value": value, "low": value - 0.1, "high": value + 0.1}


def write_report(folder: Path, first: float, **changes) -> Path:
    """The measures at i = 0 are first, first + 1, ..; at i = 2 ten more; the codes hold 0.5."""
    rows = [
        {
            "indicator": i,
            "theta": theta,
            "figures": {name: estimate(first + 5 * i + k) for k, name in enumerate(SHOWN)},
        }
        for i, theta in ((0, 1.0), (1, 0.5), (2, 1.0), (3, 0.5), (4, 1.0), (5, 0.5), (6, 1.0))
    ]
    report = {"resolution": 16, "num_layers": 6, "seed": 0, "groups": 2, "faces": 4}
    report |= {"truncation": 1.0, "styles": ["ink"], "evaluator": {"test": {"style": 1.0}}}
    report |= {"rows": rows, "codes": {"learned": {"r2": estimate(0.5)}}}
    folder.mkdir()
    (folder / "report.json").write_text(json.dumps(report | changes))
    return folder


def cells(line: str) -> list[str]:
    return [cell.strip() for cell in line.strip("|").split("|")]


def test_a_row_a_report_and_a_table_an_indicator(tmp_path):
    """By hand: intervals of 0.1 to either side meet at 0.15 apart and do not at 0.25."""
    folders = [
        write_report(tmp_path / name, first)
        for name, first in (("usual", 3.0), ("near", 3.15), ("far", 3.25))
    ]
    text = ablations(AblationsConfig(reports=(folders[0] / "report.json", *folders[1:])))
    at_0, at_2 = (text.split(f"i = {i} of 6\n\n")[1].splitlines() for i in (0, 2))
    assert [cells(line)[0] for line in at_0[2:5]] == ["usual", "near", "far"]
    assert cells(at_0[0])[1:] == [
        *("style match", "face retention", "face shown", "Frechet distance", "face spread"),
        *("content leak", "codes hold"),
    ]
    assert cells(at_0[2])[1] == "3.000 [2.900, 3.100]"
    assert cells(at_0[3])[2] == "4.150 [4.050, 4.250]"
    assert cells(at_0[4])[1] == "3.250 [3.150, 3.350]\\*"
    assert cells(at_2[4])[6] == "18.250 [18.150, 18.350]\\*"
    assert cells(at_2[4])[7] == "0.500 [0.400, 0.600]"


@pytest.mark.parametrize("layers, wanted", [(10, 4), (18, 8), (8, 4), (6, 2)])
def test_the_middle_is_an_indicator_that_a_report_has_whole(layers, wanted):
    assert middle(layers) == wanted


def test_what_does_not_compare_is_named(tmp_path):
    usual = write_report(tmp_path / "usual", 1.0)
    other = write_report(tmp_path / "other", 1.0, seed=1)
    with pytest.raises(BlendGANError, match="report of other has another seed than that of usual"):
        ablations(AblationsConfig(reports=(usual, other)))
    again = write_report(tmp_path / "again", 1.0, evaluator={"test": {"style": 0.5}})
    with pytest.raises(BlendGANError, match="report of again has another evaluator"):
        ablations(AblationsConfig(reports=(usual, again)))
    with pytest.raises(BlendGANError, match="in folders of one name"):
        ablations(AblationsConfig(reports=(usual, usual / "report.json")))
    with pytest.raises(BlendGANError, match="no report was given"):
        ablations(AblationsConfig(reports=()))
    (tmp_path / "note.json").write_text("{}")
    for path in (tmp_path / "note.json", tmp_path / "gone.json"):
        with pytest.raises(BlendGANError, match="is no report"):
            ablations(AblationsConfig(reports=(path,)))
