"""The measures of `trainer.evaluate`: pure functions from readings and features to numbers.

Pictures come in K independent groups: P faces of their own, each in S styles, a reference of its
own for every style. So tensors begin with [K, P, S] (a result), [K, P] (a face) or [K, S] (a
reference), and any groups of the K are a smaller experiment of the same kind.
"""

import torch
from torch import Tensor

TINY = 1e-12
MOST_SHIFTS = 8
FOLDS = 4
RIDGES = (0.003, 0.03, 0.3, 3.0, 30.0)  # of the kernel's mean diagonal


def r2(truth: Tensor, found: Tensor) -> Tensor:
    """Coefficient of determination, without a fit: 1 is equal, 0 no better than the mean.

    Both [N, A] -> [A]; rows in which `truth` is nan are left out of its column.
    """
    known = truth.isfinite()
    count = known.sum(dim=0)
    mean = truth.nan_to_num().sum(dim=0) / count
    error = torch.where(known, found - truth, 0.0).square().sum(dim=0)
    spread = torch.where(known, truth - mean, 0.0).square().sum(dim=0)
    return 1 - error / spread.clamp_min(TINY)


def retention(faces: Tensor, results: Tensor) -> Tensor:
    """R2 of every attribute between a face's natural picture and its stylised ones.

    faces: [K, P, A]; results: [K, P, S, A] -> [A].
    """
    truth = faces[:, :, None].expand_as(results)
    return r2(truth.flatten(0, 2), results.flatten(0, 2))


def face_shown(faces: Tensor, results: Tensor) -> Tensor:
    """Share of the variance of the results' attributes, within a style, that the same attribute of
    the face explains: `retention` for a reading that is too high or too low in a style.

    faces: [K, P, A]; results: [K, P, S, A] -> squared correlations [A].
    """
    x = (faces - faces.mean(dim=(0, 1)))[:, :, None]
    y = results - results.mean(dim=(0, 1))
    together = (x * y).sum(dim=(0, 1, 2)).square()
    apart = x.square().sum(dim=(0, 1, 2)) * results.shape[2] * y.square().sum(dim=(0, 1, 2))
    return together / apart.clamp_min(TINY)


def leak(references: Tensor, results: Tensor) -> Tensor:
    """Share of the variance of the results' attributes, within a style, that the same attribute of
    the reference explains.

    How much a result follows its reference is the slope between pictures of the same faces, so that
    the faces of a group cannot pass for it. references: [K, S, A], nan where not known; results:
    [K, P, S, A], S >= 2 -> [A].
    """
    known = references.isfinite()
    x = _centred(references.nan_to_num(), known, 0)  # [K, S, A]
    within = _centred(x, known, 1)
    y = _centred(results, known[:, None].expand_as(results), (0, 1))
    shown = y.mean(dim=1)
    slope = (within * shown).sum(dim=(0, 1)) / within.square().sum(dim=(0, 1)).clamp_min(TINY)
    followed = slope.square() * x.square().sum(dim=(0, 1)) * results.shape[1]
    return followed / y.square().sum(dim=(0, 1, 2)).clamp_min(TINY)


def leak_by_chance(references: Tensor, results: Tensor) -> Tensor:
    """The leak from references of the same style that were not used: those of other groups."""
    shifts = range(1, min(len(references), MOST_SHIFTS + 1))
    return torch.stack([leak(references.roll(shift, 0), results) for shift in shifts]).mean(dim=0)


def _centred(values: Tensor, known: Tensor, dim: int | tuple[int, ...]) -> Tensor:
    """Values less their mean over the known ones along dim; 0 where not known."""
    count = known.sum(dim=dim, keepdim=True).clamp_min(1)
    return (values - (values * known).sum(dim=dim, keepdim=True) / count) * known


def predict_linearly(codes: Tensor, values: Tensor) -> Tensor:
    """What a straight line, learnt from the other portraits, reads off a portrait's code.

    Ridge regression in its dual form, for codes longer than there are portraits, over four folds;
    of five ridges each attribute takes the one that serves it best. codes: [N, D]; values: [N, A],
    nan where not known, which counts as their mean -> [N, A].
    """
    codes, mean = codes.double(), values.nanmean(dim=0)
    codes = codes - codes.mean(dim=0)
    kernel = codes @ codes.T
    ridge = kernel.diagonal().mean()
    fold = torch.arange(len(codes)) % FOLDS
    centred = (values - mean).nan_to_num()
    best, best_error = torch.zeros_like(values), torch.full_like(mean, torch.inf)
    for strength in RIDGES:
        found = torch.zeros_like(values)
        for number in range(FOLDS):
            learnt, asked = fold != number, fold == number
            own = kernel[learnt][:, learnt]
            own = own + strength * ridge * torch.eye(len(own), dtype=own.dtype)
            found[asked] = kernel[asked][:, learnt] @ torch.linalg.solve(own, centred[learnt])
        error = (found - centred).square().sum(dim=0)
        better = error < best_error
        best, best_error = torch.where(better, found, best), torch.minimum(error, best_error)
    return best + mean


def off_style(values: Tensor, styles: int) -> Tensor:
    """values: [N, D], the styles in turn -> the same less the mean of each style, nan left out."""
    turns = values.view(-1, styles, values.shape[1])
    return (turns - turns.nanmean(dim=0)).view_as(values)


def mean_distance(features: Tensor) -> Tensor:
    """Mean Euclidean distance between two different rows. [.., N, F] -> [..], N >= 2."""
    count = features.shape[-2]
    distances = torch.cdist(features, features, compute_mode="donot_use_mm_for_euclid_dist")
    return distances.sum(dim=(-1, -2)) / (count * (count - 1))


def diversity(results: Tensor) -> Tensor:
    """How far one face is apart in different styles: features [K, P, S, F] -> [K]."""
    return mean_distance(results).mean(dim=1)


def face_distance(results: Tensor) -> Tensor:
    """How far faces in one style are apart: features [K, P, S, F] -> [K]."""
    return mean_distance(results.transpose(1, 2)).mean(dim=1)


def moments(features: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Of each group: count [K], mean [K, F] and mean outer product [K, F, F].

    features: [K, N, F].
    """
    groups, count, _ = features.shape
    outer = features.transpose(1, 2) @ features / count
    return features.new_full((groups,), count), features.mean(dim=1), outer


def gaussian(count: Tensor, mean: Tensor, outer: Tensor) -> tuple[Tensor, Tensor]:
    """Mean [F] and covariance [F, F] of all groups together, from `moments` of each."""
    share = count / count.sum()
    centre = share @ mean
    covariance = torch.einsum("k,kij->ij", share, outer) - torch.outer(centre, centre)
    return centre, covariance * (count.sum() / (count.sum() - 1))


def frechet_distance(ours: tuple[Tensor, Tensor], theirs: tuple[Tensor, Tensor]) -> Tensor:
    """Frechet distance of two Gaussians (Dowson and Landau 1982; Heusel et al. 2017), scalar.

    Each is a mean [F] and a covariance [F, F]:
    |m1 - m2|^2 + tr(C1 + C2 - 2 (C2^1/2 C1 C2^1/2)^1/2).
    """
    (mean, covariance), (other_mean, other_covariance) = ours, theirs
    values, vectors = torch.linalg.eigh(other_covariance)
    root = vectors * values.clamp_min(0).sqrt() @ vectors.T
    product = root @ covariance @ root
    cross = torch.linalg.eigvalsh((product + product.T) / 2).clamp_min(0).sqrt().sum()
    traces = covariance.trace() + other_covariance.trace()
    return (mean - other_mean).square().sum() + traces - 2 * cross


def psnr(pictures: Tensor, others: Tensor) -> Tensor:
    """Peak signal-to-noise ratio in dB. Both [N, 3, H, W] in [-1, 1] -> [N]."""
    error = (pictures - others).square().mean(dim=(1, 2, 3))
    return 10 * torch.log10(4 / error.clamp_min(TINY))


def confusion(true_style: Tensor, read_style: Tensor, num_styles: int) -> Tensor:
    """Counts [S, S]: row the true style, column the one that was read. Both [N] of 0..S - 1."""
    cells = true_style * num_styles + read_style
    return torch.bincount(cells, minlength=num_styles**2).view(num_styles, num_styles)
