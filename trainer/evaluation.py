"""The course of an evaluation: draw, generate, read, measure."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from blendgan_core.blendgan import BlendGAN
from blendgan_core.colour import match_colours

from .baselines import Baseline, Subjects
from .evaluation_figures import (
    Figures,
    Ground,
    code_figures,
    frechet,
    inversion_figures,
    lead_figures,
    leaks_by_chance,
    read_styles,
    result_figures,
)
from .evaluation_pictures import (
    AT_ONCE,
    OTHER_REAL,
    REAL,
    Design,
    Tick,
    draw_faces,
    face_codes,
    paint_by_rule,
    render,
    style_codes,
    stylise,
    values_of,
)
from .evaluator_network import Evaluator, Reading
from .measures import gaussian, moments, r2
from .portrait_labels import ATTRIBUTES
from .styles import STYLES
from .synthesize import Portrait

CODE_PICTURES = 100 * len(STYLES)  # a raw Gram code of the official encoder has 1.2 MB

Step = tuple[int, float]  # an indicator and its theta


@dataclass
class GridPictures:
    """What is kept to be looked at."""

    references: Tensor  # of the first group [S, 3, R, R]
    faces: Tensor  # all, natural [K * P, 3, R, R]
    painted: Tensor  # the first group's, by rule [P, S, 3, R, R]
    sitters: Tensor  # [K * P, 3, R, R]
    inverted: Tensor | None  # [K * P, 3, R, R]
    results: dict[Step, Tensor]  # the first group's [P, S, 3, R, R]
    baselines: dict[str, Tensor]  # the first group's, by name


def indicators(num_layers: int) -> list[Step]:
    """i = 0, 2, .. L, and between two of them the layer between, which takes half of the style."""
    steps: list[Step] = []
    for indicator in range(0, num_layers + 1, 2):
        steps.append((indicator, 1.0))
        if indicator + 1 < num_layers:
            steps.append((indicator + 1, 0.5))
    return steps


def picture_count(design: Design, steps: int, inverts: bool, baselines: int = 0) -> int:
    """Pictures that `measure` draws or generates."""
    references, real = design.groups * len(STYLES), 4 * design.pictures
    painted = design.count + design.pictures
    generated = (1 + steps + baselines) * design.pictures + inverts * design.count
    return references + real + painted + generated


def measure(
    model: BlendGAN,
    evaluator: Evaluator,
    design: Design,
    truncation: float,
    steps: list[Step],
    tick: Tick,
    baselines: Sequence[Baseline] = (),
) -> tuple[dict[str, Any], GridPictures]:
    """All figures of the report, and the pictures of its grids; tick is called for each picture."""
    real_pictures = render(design.real(REAL), tick)
    real, real_floor = _yardstick(evaluator, design, real_pictures, design.real(OTHER_REAL), tick)
    natural, natural_floor = _yardstick(
        evaluator, design, render(design.natural(REAL), tick), design.natural(OTHER_REAL), tick
    )
    codes = _code_figures(model, design, real_pictures)
    sitters = render(design.sitters(), tick)
    references = render(design.references(), tick)
    read_references, read_sitters = evaluator.read(references), evaluator.read(sitters)
    truth = values_of(design.references()).view(design.groups, len(STYLES), -1)
    names = list(evaluator.config.styles)
    numbers = torch.tensor([names.index(style) for style in STYLES])
    ground = Ground(design, ATTRIBUTES, numbers, read_sitters, truth, real)

    painted = paint_by_rule(design, tick)
    read_painted = evaluator.read(painted.flatten(0, 2))
    w_face = face_codes(model, design.pictures, design.seed, truncation)
    z_style = style_codes(model, references)
    faces = draw_faces(model, w_face, tick)
    read_faces = evaluator.read(faces)
    w_face, faces = w_face[: design.count], faces[: design.count]
    model_ground = replace(ground, faces=Reading(*(part[: design.count] for part in read_faces)))

    pairs = faces.repeat_interleave(len(STYLES), dim=0), design.paired(references)
    recoloured = match_colours(*pairs).clamp(-1, 1)
    rows, kept, strongest = [], {}, None
    for indicator, theta in steps:
        results = stylise(model, design, w_face, z_style, indicator, theta, tick)
        reading = evaluator.read(results)
        strongest = strongest or reading  # the first step is i = 0
        kept[indicator, theta] = results.view(painted.shape)[0].clone()
        rows.append({"indicator": indicator, "theta": theta} | _row(reading, model_ground, names))
    subjects = Subjects(design, w_face, faces, references)
    measured, rivals = [], {}
    for baseline in baselines:
        results = baseline.results(subjects, tick)
        reading = evaluator.read(results)
        rivals[baseline.name] = results.view(painted.shape)[0].clone()
        row = {"name": baseline.name, "note": baseline.note} | _row(reading, model_ground, names)
        measured.append(row | {"lead": lead_figures(strongest, reading, model_ground)})
    inversion, inverted = None, None
    if model.psp_encoder is not None:
        inversion, inverted = _inversion(model, evaluator, design, sitters, read_sitters, tick)
    right = read_references.styles.argmax(dim=1) == numbers.repeat(design.groups)
    figures = {
        "styles": list(STYLES),
        "evaluator_styles": names,
        "rows": rows,
        "painted": result_figures(read_painted, ground),
        "references_read": right.double().mean().item(),
        "style_match_by_chance": 1 / len(STYLES),
        "frechet_floor": real_floor,
        "natural_frechet": frechet(_grouped(read_faces.features, design), natural, design.seed),
        "natural_frechet_floor": natural_floor,
        "baselines": measured,
        "recoloured": result_figures(evaluator.read(recoloured), model_ground),
        "codes": codes,
        "inversion": inversion,
    }
    grids = GridPictures(
        references[: len(STYLES)], faces, painted[0].clone(), sitters, inverted, kept, rivals
    )
    return figures, grids


def _row(reading: Reading, ground: Ground, names: list[str]) -> dict[str, Any]:
    """What the report says of the results of one indicator; names: of the evaluator's styles."""
    return {
        "figures": result_figures(reading, ground),
        "leak_by_chance": leaks_by_chance(reading, ground),
        "read_styles": read_styles(reading, ground, len(names)),
    }


def _yardstick(
    evaluator: Evaluator,
    design: Design,
    pictures: Tensor,
    others: list[Portrait],
    tick: Tick,
) -> tuple[tuple[Tensor, Tensor], float]:
    """The Gaussian of real portraits' features, and how far that of as many others is from it."""
    theirs = gaussian(*moments(_grouped(evaluator.read(pictures).features, design)))
    others = _grouped(evaluator.read(render(others, tick)).features, design)
    return theirs, frechet(others, theirs, design.seed).value


def _code_figures(model: BlendGAN, design: Design, pictures: Tensor) -> dict[str, Figures]:
    """What the style codes hold of the sitters, and what the Gram values that they are made of do,
    which would be the codes if no encoder were learnt (paper, figure 11)."""
    count = min(len(pictures), CODE_PICTURES)
    truth = values_of(design.real(REAL)[:count])
    pictures, encoder = pictures[:count], model.style_encoder
    with torch.no_grad():
        parts = pictures.to(model.generator.w_mean.device).split(AT_ONCE)
        grams = torch.cat([encoder.gram_features(part).cpu() for part in parts])
    return {
        "learned": code_figures(style_codes(model, pictures), truth),
        "gram": code_figures(grams, truth),
    }


def _grouped(features: Tensor, design: Design) -> Tensor:
    return features.view(design.groups, -1, features.shape[-1])


def _inversion(
    model: BlendGAN,
    evaluator: Evaluator,
    design: Design,
    sitters: Tensor,
    read_sitters: Reading,
    tick: Tick,
) -> tuple[dict[str, Any], Tensor]:
    """Of natural portraits that pSp turns into codes and the generator into pictures (i = L)."""
    w_face = torch.cat([model.invert(part).cpu() for part in sitters.split(8)])
    inverted = draw_faces(model, w_face, tick)
    truth = values_of(design.sitters())
    figures: Figures = inversion_figures(
        truth, evaluator.read(inverted), sitters, inverted, design.seed
    )
    ceiling = r2(truth, read_sitters.attributes).tolist()
    return {
        "figures": figures,
        "portraits_read": dict(zip(ATTRIBUTES, ceiling, strict=True)),
    }, inverted
