"""From pictures to an evaluation's figures: each a measure with its confidence interval."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from .evaluation_pictures import Design
from .evaluator_network import Reading
from .measures import (
    confusion,
    diversity,
    face_distance,
    face_shown,
    frechet_distance,
    gaussian,
    leak,
    leak_by_chance,
    mean_distance,
    moments,
    off_style,
    predict_linearly,
    psnr,
    r2,
    retention,
)
from .portrait_labels import ATTRIBUTES
from .resampling import Estimate, estimate, estimates
from .styles import STYLES

Figures = dict[str, Estimate]


@dataclass(frozen=True)
class Ground:
    """What results are compared with."""

    design: Design
    attributes: tuple[str, ...]
    style_numbers: Tensor  # [S], the evaluator's numbers of STYLES, in their order
    faces: Reading  # of the faces' natural pictures [K * P, ..]
    references: Tensor  # true attributes of the references [K, S, A]
    real: tuple[Tensor, Tensor]  # mean and covariance of real styled portraits' features

    def grouped(self, values: Tensor) -> Tensor:
        """[K * P * S, ..] -> [K, P, S, ..]."""
        return values.view(self.design.groups, self.design.faces, len(STYLES), *values.shape[1:])

    def grouped_faces(self, values: Tensor) -> Tensor:
        """[K * P, ..] -> [K, P, ..]."""
        return values.view(self.design.groups, self.design.faces, *values.shape[1:])


def result_figures(reading: Reading, ground: Ground) -> Figures:
    """What is measured of the stylised pictures of one indicator, [K * P * S, ..]."""
    features, attributes = ground.grouped(reading.features), ground.grouped(reading.attributes)
    right = ground.grouped(reading.styles).argmax(dim=-1) == ground.style_numbers
    faces = ground.grouped_faces(ground.faces.attributes)
    natural_distance = mean_distance(ground.grouped_faces(ground.faces.features))
    seed = ground.design.seed
    figures = {"style_match": estimate(torch.mean, right.double().mean(dim=(1, 2)), seed=seed)}
    kept = estimates(_with_mean(retention), faces, attributes, seed=seed)
    figures |= _named("retention", ground.attributes, kept)
    shown = estimates(_with_mean(face_shown), faces, attributes, seed=seed)
    figures |= _named("face_shown", ground.attributes, shown)
    figures["frechet"] = frechet(features.flatten(1, 2), ground.real, seed)
    figures["diversity"] = estimate(torch.mean, diversity(features), seed=seed)
    figures["face_spread"] = estimate(
        lambda ours, natural: ours.mean() / natural.mean(),
        face_distance(features),
        natural_distance,
        seed=seed,
    )
    leaks = estimates(_with_mean(leak), ground.references, attributes, seed=seed)
    return figures | _named("leak", ground.attributes, leaks)


def lead_figures(ours: Reading, theirs: Reading, ground: Ground) -> Figures:
    """By how much the first reading's figures differ from the second's, of the same faces and
    references, so that the interval is that of the difference."""
    seed, faces = ground.design.seed, ground.grouped_faces(ground.faces.attributes)

    def right(reading: Reading) -> Tensor:
        hits = ground.grouped(reading.styles).argmax(dim=-1) == ground.style_numbers
        return hits.double().mean(dim=(1, 2))

    def difference(measure: Callable[..., Tensor], groups: Sequence[Tensor]) -> Estimate:
        half = len(groups) // 2
        return estimate(lambda *g: measure(*g[:half]) - measure(*g[half:]), *groups, seed=seed)

    both = [ground.grouped(reading.attributes) for reading in (ours, theirs)]
    shown = [part for attributes in both for part in (faces, attributes)]
    spread = [
        part
        for reading in (ours, theirs)
        for part in moments(ground.grouped(reading.features).flatten(1, 2))
    ]
    return {
        "style_match": difference(torch.mean, [right(ours), right(theirs)]),
        "retention": difference(lambda *g: retention(*g).mean(), shown),
        "face_shown": difference(lambda *g: face_shown(*g).mean(), shown),
        "frechet": difference(lambda *g: frechet_distance(gaussian(*g), ground.real), spread),
    }


def leaks_by_chance(reading: Reading, ground: Ground) -> dict[str, float]:
    """The leak of each attribute, and their mean, from references that were not used."""
    values = leak_by_chance(ground.references, ground.grouped(reading.attributes))
    named = zip(ground.attributes, values.tolist(), strict=True)
    return {"leak": values.mean().item()} | {f"leak_{name}": value for name, value in named}


def frechet(features: Tensor, real: tuple[Tensor, Tensor], seed: int) -> Estimate:
    """features: [K, N, F], of groups; real: mean and covariance."""
    return estimate(
        lambda *parts: frechet_distance(gaussian(*parts), real), *moments(features), seed=seed
    )


def code_figures(codes: Tensor, truth: Tensor) -> Figures:
    """How much of the sitters a straight line reads off the codes of styled portraits, beyond what
    the style tells: R2 by attribute, on portraits that the line was not learnt from.

    codes: [N, D]; truth: [N, A], the styles in turn.
    """
    values = off_style(truth, len(STYLES))
    found = predict_linearly(off_style(codes, len(STYLES)), values)
    return _named("r2", ATTRIBUTES, estimates(_with_mean(r2), values, found, seed=0))


def inversion_figures(
    truth: Tensor, found: Reading, pictures: Tensor, inverted: Tensor, seed: int
) -> Figures:
    """Of natural portraits and their inversions: R2 and mean error of each attribute against the
    truth [N, A], PSNR of the pictures [N, 3, R, R]."""
    kept = estimates(_with_mean(r2), truth, found.attributes, seed=seed)
    errors = estimates(
        lambda true, read: (read - true).abs().nanmean(dim=0), truth, found.attributes, seed=seed
    )
    error_names = [f"error_{name}" for name in ATTRIBUTES]
    figures = _named("r2", ATTRIBUTES, kept) | dict(zip(error_names, errors, strict=True))
    return figures | {"psnr": estimate(torch.mean, psnr(inverted, pictures).double(), seed=seed)}


def read_styles(reading: Reading, ground: Ground, num_read: int) -> list[list[int]]:
    """How often each style [S] was read as each of the evaluator's."""
    wanted = ground.style_numbers.repeat(ground.design.count)
    counts = confusion(wanted, reading.styles.argmax(dim=1), num_read)
    return counts[ground.style_numbers].tolist()


def _with_mean(measure):
    """The same measure with the mean of its values [A] before them."""

    def measured(*groups: Tensor) -> Tensor:
        values = measure(*groups)
        return torch.cat([values.mean()[None], values])

    return measured


def _named(measure: str, attributes: Sequence[str], values: Sequence[Estimate]) -> Figures:
    names = (measure, *(f"{measure}_{name}" for name in attributes))
    return dict(zip(names, values, strict=True))
