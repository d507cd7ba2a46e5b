"""`python -m trainer.evaluate`: how good a checkpoint is, measured where the truth is known.

Synthetic portraits are references and yardsticks, drawn for the purpose with seeds that no training
set can have; a small network that knows their styles and attributes (`trainer.evaluator`) reads
what the model makes of them. `docs/evaluation.md` explains the measures.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tqdm import tqdm

import blendgan_core
from blendgan_core.blendgan import PARTS, BlendGAN, require_parts
from blendgan_core.devices import choose_device
from blendgan_core.errors import BlendGANError
from blendgan_core.images import check_output

from .baselines import BaselinesConfig, load_baselines
from .cli import run_cli
from .evaluation import indicators, measure, picture_count
from .evaluation_grids import write_grids
from .evaluation_pictures import Design
from .evaluation_report import CURVES, write_report
from .evaluator_network import BUILT_IN, Evaluator, load_evaluator
from .paper_tables import PaperTablesConfig, check_paper_flags, paper_tables, with_downloads
from .portrait_labels import ATTRIBUTES, NATURAL
from .styles import STYLES

GROUPS, FACES = 32, 4
QUICK_GROUPS, QUICK_FACES = 8, 3
HIGHEST_SEED = 2**32


@dataclass(frozen=True, kw_only=True)
class EvaluateConfig(PaperTablesConfig, BaselinesConfig):
    """Measure a checkpoint on synthetic portraits, whose styles and attributes are known."""

    checkpoint: str
    """a checkpoint with a generator and a style encoder, ours or an upstream one, or its hf://
    address; with a pSp encoder its inversion is measured, too"""
    out: Path
    """folder for report.md, report.json, plots and grids"""
    quick: bool = False
    """a first impression from a fifth of the pictures; the intervals say how rough it is"""
    seed: int = 0
    """another seed draws other faces, references and portraits"""
    groups: int | None = None
    """independent groups of faces and references, 32, or 8 with --quick; each has one reference of
    every style"""
    faces: int | None = None
    """faces in a group, 4, or 3 with --quick; each is seen with all references of its group"""
    truncation: float = 1.0
    """of the random faces; 1 is none, as for an FID. The nodes and the command line take 0.75"""
    evaluator: Path = BUILT_IN
    """the evaluator's weights, of `python -m trainer.evaluator`"""
    device: str = "auto"
    """cpu, cuda, mps, or auto for the best that is there"""


def evaluate(config: EvaluateConfig) -> Path:
    """Measure, write the report and print its tables; return report.md's path."""
    design = design_of(config)
    check_paper_flags(config)
    evaluator, test = load_evaluator(config.evaluator)
    check_fits(evaluator, config.evaluator)
    model = load_model(config)
    papers = with_downloads(config)  # before the work, which a failing download would waste
    baselines = load_baselines(config, model, config.checkpoint)
    evaluator.to(model.generator.w_mean.device)
    check_output(config.out / CURVES)
    steps = indicators(model.num_layers)
    total = picture_count(design, len(steps), model.psp_encoder is not None, len(baselines))
    with tqdm(total=total, unit=" pictures", smoothing=0.02, dynamic_ncols=True) as bar:
        figures, grids = measure(
            model, evaluator, design, config.truncation, steps, bar.update, baselines
        )
    report = describe(config, design, model, test) | figures
    report["paper"] = paper_tables(papers, model, config.seed)
    path = write_report(report, config.out)
    write_grids(grids, config.out)
    print(path.read_text(encoding="utf-8"))
    return path


def design_of(config: EvaluateConfig) -> Design:
    """The experiment that the flags ask for. Raises BlendGANError for a number out of range."""
    usual = (QUICK_GROUPS, QUICK_FACES) if config.quick else (GROUPS, FACES)
    groups = usual[0] if config.groups is None else config.groups
    faces = usual[1] if config.faces is None else config.faces
    for flag, value, lowest, highest in (
        ("--groups", groups, 2, 200),
        ("--faces", faces, 2, 40),
        ("--seed", config.seed, 0, HIGHEST_SEED),
        ("--truncation", config.truncation, 0, 2),
    ):
        if not lowest <= value <= highest:
            raise BlendGANError(f"{flag} is {value}; give a number from {lowest} to {highest}")
    return Design(groups, faces, config.seed)


def load_model(config: EvaluateConfig) -> BlendGAN:
    """The checkpoint on the device. Raises CheckpointError where a part is missing."""
    model = blendgan_core.load(config.checkpoint, choose_device(config.device))
    found = [name for name in PARTS if getattr(model, name)]
    require_parts(("generator", "style_encoder"), found, config.checkpoint)
    return model


def check_fits(evaluator: Evaluator, path: Path) -> None:
    """Raise BlendGANError for an evaluator of other styles or attributes than are drawn now."""
    for kind, found, wanted in (
        ("styles", evaluator.config.styles, (NATURAL, *STYLES)),
        ("attributes", evaluator.config.attributes, ATTRIBUTES),
    ):
        if kind == "styles":
            found, wanted = tuple(sorted(found)), tuple(sorted(wanted))
        if found != wanted:
            raise BlendGANError(
                f"{path} knows the {kind} {', '.join(found)}; the portraits of this version have "
                f"{', '.join(wanted)}. Train another one by `python -m trainer.evaluator`"
            )


def describe(
    config: EvaluateConfig, design: Design, model: BlendGAN, test: dict[str, Any]
) -> dict[str, Any]:
    """What was measured, and with what."""
    return {
        "checkpoint": Path(config.checkpoint).name,
        "provenance": model.provenance,
        "resolution": model.resolution,
        "num_layers": model.num_layers,
        "seed": config.seed,
        "groups": design.groups,
        "faces": design.count,
        "references": design.groups * len(STYLES),
        "pictures": design.pictures,
        "truncation": config.truncation,
        "evaluator": {"file": config.evaluator.name, "test": test},
    }


if __name__ == "__main__":
    run_cli(evaluate, EvaluateConfig)
