"""`python -m trainer.ablations REPORT..`: the reports of several trainings side by side.

A row a report, as `python -m trainer.evaluate` wrote it. Values that stand apart from the first
row's are marked, so that the others are not taken for differences.
"""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import tyro

from blendgan_core.errors import BlendGANError, short

from .cli import run_cli
from .evaluation_report import COLUMNS
from .resampling import Estimate

SHOWN = ("style_match", "retention", "face_shown", "frechet", "face_spread", "leak")
CODES = "codes hold"
# what must be equal, or the numbers do not compare
DESIGN = ("resolution", "num_layers", "seed", "groups", "faces", "truncation", "styles")
APART = "\\*"


@dataclass(frozen=True, kw_only=True)
class AblationsConfig:
    """Print the reports of several trainings as one table for each of two indicators."""

    reports: tyro.conf.Positional[tuple[Path, ...]]
    """report.json of trainer.evaluate, or the folders that hold one; the first is what the others
    are compared with, and a row is named by its folder"""


def ablations(config: AblationsConfig) -> str:
    """Print the tables; return them. Raises BlendGANError for reports that do not compare."""
    paths = [path / "report.json" if path.is_dir() else path for path in config.reports]
    if not paths:
        raise BlendGANError("no report was given; name at least one report.json")
    reports = {path.resolve().parent.name: read_report(path) for path in paths}
    if len(reports) < len(paths):
        raise BlendGANError(f"two of {len(paths)} reports lie in folders of one name; rename one")
    (first_name, first), *others = reports.items()
    for name, report in others:
        for key in (*DESIGN, "evaluator"):
            if report[key] != first[key]:
                raise BlendGANError(
                    f"the report of {name} has another {key} than that of {first_name}: "
                    f"{short(report[key])}, not {short(first[key])}; measure both alike"
                )
    layers = first["num_layers"]
    text = "\n\n".join(
        f"i = {indicator} of {layers}\n\n{table(reports, indicator)}"
        for indicator in (0, middle(layers))
    )
    print(text)
    return text


def read_report(path: Path) -> dict[str, Any]:
    """A report.json. Raises BlendGANError for another file."""
    try:
        report = json.loads(path.read_text(encoding="utf-8"))
        report["rows"][0]["figures"]["leak"]
    except (OSError, ValueError, KeyError, IndexError, TypeError) as error:
        raise BlendGANError(
            f"{path} is no report ({error!r}); give the report.json, or its folder, that "
            "`python -m trainer.evaluate` wrote"
        ) from error
    return report


def middle(num_layers: int) -> int:
    """The even indicator, of those that a report has whole, at or just below L / 2."""
    return num_layers // 4 * 2


def table(reports: dict[str, dict[str, Any]], indicator: int) -> str:
    """A row for each report: the measures at an indicator, and what its style codes hold."""
    rows = {name: figures(report, indicator) for name, report in reports.items()}
    first = next(iter(rows.values()))
    header = ["", *(COLUMNS[name] for name in SHOWN), CODES]
    lines = ["| " + " | ".join(header) + " |", "| --- " * len(header) + "|"]
    for name, row in rows.items():
        cells = [_cell(row[key], first[key]) for key in row]
        lines.append("| " + " | ".join([name, *cells]) + " |")
    return "\n".join(lines)


def figures(report: dict[str, Any], indicator: int) -> dict[str, Estimate]:
    """The columns of one row, by name."""
    (row,) = (r for r in report["rows"] if r["indicator"] == indicator and r["theta"] == 1)
    found = {name: Estimate(**row["figures"][name]) for name in SHOWN}
    return found | {CODES: Estimate(**report["codes"]["learned"]["r2"])}


def apart(one: Estimate, other: Estimate) -> bool:
    """Whether the 95% intervals do not meet."""
    return one.low > other.high or other.low > one.high


def _cell(value: Estimate, first: Estimate) -> str:
    mark = APART if apart(value, first) else ""
    return f"{value.value:.3f} [{value.low:.3f}, {value.high:.3f}]{mark}"


if __name__ == "__main__":
    run_cli(ablations, AblationsConfig)
