"""An evaluation's report: report.json with everything, report.md with tables, curves.png."""

import json
import math
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from .evaluation_grids import FACE_SHEET, INVERSION_SHEET, STYLE_SHEET
from .paper_tables import paper_text
from .plots import COLOURS, Curve, plot_panels
from .portrait_labels import ATTRIBUTES
from .resampling import Estimate
from .run_state import write_file

CURVES = "curves.png"
COLUMNS = {
    "style_match": "style match",
    "retention": "face retention",
    "face_shown": "face shown",
    "frechet": "Frechet distance",
    "diversity": "diversity",
    "face_spread": "face spread",
    "leak": "content leak",
}
LEADS = {name: COLUMNS[name] for name in ("style_match", "retention", "face_shown", "frechet")}
DIGITS = 3


def write_report(report: dict[str, Any], folder: Path) -> Path:
    """Write report.json, report.md and curves.png into the folder; return report.md's path."""
    folder.mkdir(parents=True, exist_ok=True)
    text = json.dumps(plain(report), indent=1, allow_nan=False)
    write_file(folder / "report.json", text.encode())
    _plot(report, folder / CURVES)
    path = folder / "report.md"
    write_file(path, report_text(report).encode())
    return path


def report_text(report: dict[str, Any]) -> str:
    """report.md."""
    parts = [_heading(report), _main_table(report), _attribute_table(report), _confusion(report)]
    parts.append(_codes(report["codes"]))
    if report["inversion"]:
        parts.append(_inversion(report["inversion"]))
    if report["paper"]:
        parts.append(paper_text(report["paper"], report["num_layers"]))
    parts.append(_pictures(report))
    return "\n\n".join(parts) + "\n"


def _heading(report: dict[str, Any]) -> str:
    return (
        f"# Evaluation of {report['checkpoint']}\n\n"
        f"{report['resolution']} px, {report['num_layers']} layers. {report['faces']} random faces "
        f"(truncation {report['truncation']:g}) and {report['references']} references in "
        f"{len(report['styles'])} styles, in {report['groups']} independent groups; "
        f"{report['pictures']} stylised pictures for each indicator, seed {report['seed']}. Values "
        "in brackets are 95% intervals, by resampling the groups. docs/evaluation.md says what "
        "each measure is and what it cannot see."
    )


def _main_table(report: dict[str, Any]) -> str:
    floor = report["frechet_floor"]
    body = [[_step(row), *_main_cells(row["figures"], floor)] for row in report["rows"]]
    body += [[row["name"], *_main_cells(row["figures"], floor)] for row in report["baselines"]]
    body.append(["colours only", *_main_cells(report["recoloured"], floor)])
    body.append(["painted by rule", *_main_cells(report["painted"], floor)])
    by_chance = {
        "style_match": report["style_match_by_chance"],
        "retention": 0.0,
        "face_shown": 1 / (report["faces"] - 1),
        "frechet": floor,
        "diversity": 0.0,
        "face_spread": 0.0,
        "leak": report["rows"][0]["leak_by_chance"]["leak"],
    }
    body.append(["chance or floor", *(f"{by_chance[name]:.{DIGITS}f}" for name in COLUMNS)])
    natural, natural_floor = report["natural_frechet"], report["natural_frechet_floor"]
    return (
        "## Over the indicator\n\n"
        f"{_table(['i (theta)', *COLUMNS.values()], body)}\n\n"
        f"The evaluator names the style of {report['references_read']:.1%} of the references "
        "themselves. *Painted by rule* is what a perfect model would make: portraits, each painted "
        "by the very function and random numbers that painted the reference. *Colours only* are "
        "the natural pictures with the reference's palette and nothing else.\n\n"
        f"Natural branch (i = L): Frechet distance {_interval(natural)} from natural portraits, "
        f"{natural.value / natural_floor:.1f} times the floor of {natural_floor:.3f}."
        + "".join(f"\n\n{_baseline(row)}" for row in report["baselines"])
    )


def _baseline(row: dict[str, Any]) -> str:
    leads = ", ".join(f"{LEADS[name]} {_interval(value)}" for name, value in row["lead"].items())
    return (
        f"{row['note']} The model at i = 0 less {row['name']}: {leads}. Better is more, but less "
        "of a distance."
    )


def _main_cells(figures: dict[str, Estimate], floor: float) -> list[str]:
    cells = {name: _interval(figures[name]) for name in COLUMNS}
    cells["frechet"] += f", {figures['frechet'].value / floor:.1f} x floor"
    return list(cells.values())


def _attribute_table(report: dict[str, Any]) -> str:
    rows = report["rows"]
    middle = rows[min(2, len(rows) - 1)]
    shown = [rows[0], middle]
    header = ["attribute"]
    for measure in ("retention", "face shown", "leak"):
        header += [f"{measure}, i = {row['indicator']}" for row in shown] + ["painted by rule"]
    header.append("leak by chance")
    body = []
    for attribute in ATTRIBUTES:
        cells = [_words(attribute)]
        for measure in ("retention", "face_shown", "leak"):
            name = f"{measure}_{attribute}"
            cells += [_interval(row["figures"][name]) for row in shown]
            cells.append(_interval(report["painted"][name]))
        cells.append(f"{rows[0]['leak_by_chance'][f'leak_{attribute}']:.3f}")
        body.append(cells)
    return f"## By attribute\n\n{_table(header, body)}"


def _confusion(report: dict[str, Any]) -> str:
    first = report["rows"][0]["read_styles"]
    header = ["reference", *report["evaluator_styles"]]
    body = []
    for style, counts in zip(report["styles"], first, strict=True):
        total = sum(counts)
        body.append([style, *(f"{100 * n / total:.0f}" if n else "" for n in counts)])
    return (
        "## What the results at i = 0 are read as\n\n"
        f"{_table(header, body)}\n\nPercent of the results with a reference in the row's style."
    )


def _codes(codes: dict[str, dict[str, Estimate]]) -> str:
    body = [
        [_words(name), *(_interval(codes[kind][f"r2_{name}"]) for kind in ("learned", "gram"))]
        for name in ATTRIBUTES
    ]
    body.append(["mean", *(_interval(codes[kind]["r2"]) for kind in ("learned", "gram"))])
    return (
        "## What the style codes hold of the sitter\n\n"
        "R2 of what a straight line reads off the codes of styled portraits, beyond their style; 0 "
        "is nothing. The raw Gram values are what the codes would be if no encoder were learnt.\n\n"
        f"{_table(['attribute', 'learned codes', 'raw Gram values'], body)}"
    )


def _inversion(inversion: dict[str, Any]) -> str:
    figures, read = inversion["figures"], inversion["portraits_read"]
    header = ["attribute", "R2", "mean error", "R2 of the portraits themselves"]
    body = [
        [
            _words(name),
            _interval(figures[f"r2_{name}"]),
            _interval(figures[f"error_{name}"]),
            f"{read[name]:.3f}",
        ]
        for name in ATTRIBUTES
    ]
    body.append(["mean", _interval(figures["r2"]), "", f"{sum(read.values()) / len(read):.3f}"])
    return (
        "## Inversion\n\nPortraits through pSp and the generator (i = L), read by the evaluator "
        f"and compared with the truth; PSNR {_interval(figures['psnr'], 1)} dB.\n\n"
        f"{_table(header, body)}"
    )


def _pictures(report: dict[str, Any]) -> str:
    faces = report["faces"] // report["groups"]
    rivals = "".join(f", {faces} of {row['name']}" for row in report["baselines"])
    parts = [
        f"## Pictures\n\n![The measures over the indicator]({CURVES})",
        f"A row for each style: the reference, {faces} faces at i = 0{rivals}, and {faces} "
        "portraits painted in it by rule. The first row has the natural pictures of both.\n\n"
        f"![Styles]({STYLE_SHEET})",
        "Faces of the first group, each in one style, from i = L on the left, the natural picture, "
        f"by twos to i = 0, then the reference.\n\n![Faces]({FACE_SHEET})",
    ]
    if report["inversion"]:
        parts.append(f"Portraits, each beside its inversion.\n\n![Inversions]({INVERSION_SHEET})")
    return "\n\n".join(parts)


def _plot(report: dict[str, Any], path: Path) -> None:
    rows = report["rows"]
    places = [row["indicator"] + 1 - row["theta"] for row in rows]

    def curve(name: str, label: str, colour: int) -> Curve:
        values = [row["figures"][name] for row in rows]
        ends = tuple([value[end] for value in values] for end in (1, 2))
        return Curve(label, places, [value.value for value in values], COLOURS[colour], ends)

    def level(row: dict[str, Any], name: str, colour: int) -> Curve:
        value = row["figures"][name].value
        return Curve(row["name"], (places[0], places[-1]), (value, value), COLOURS[colour])

    groups = [[curve(name, "model", 0)] for name in COLUMNS]
    for group, name in zip(groups, COLUMNS, strict=True):
        group += [level(row, name, number) for number, row in enumerate(report["baselines"], 1)]
    titles = list(COLUMNS.values())
    for measure in ("face_shown", "leak"):
        # without their intervals, which would hide one another
        group = [
            replace(curve(f"{measure}_{name}", _words(name), number), band=())
            for number, name in enumerate(ATTRIBUTES)
        ]
        groups.append(group)
        titles.append(f"{COLUMNS[measure]} by attribute")
    plot_panels(path, groups, titles, "indicator + 1 - theta")


def _step(row: dict[str, Any]) -> str:
    return str(row["indicator"]) if row["theta"] == 1 else f"{row['indicator']} ({row['theta']:g})"


def _words(name: str) -> str:
    return name.replace("_", " ")


def _interval(estimate: Estimate, digits: int = DIGITS) -> str:
    value, low, high = (f"{number:.{digits}f}" for number in estimate)
    return f"{value} [{low}, {high}]"


def _table(header: Sequence[str], body: Sequence[Sequence[str]]) -> str:
    lines = ["| " + " | ".join(row) + " |" for row in (header, ["---"] * len(header), *body)]
    return "\n".join(lines)


def plain(value: Any) -> Any:
    """For JSON: estimates as objects, numbers to eight places, nan as null."""
    if isinstance(value, Estimate):
        return plain(value._asdict())
    if isinstance(value, dict):
        return {name: plain(entry) for name, entry in value.items()}
    if isinstance(value, list | tuple):
        return [plain(entry) for entry in value]
    if isinstance(value, float):
        return round(value, 8) if math.isfinite(value) else None
    return value
