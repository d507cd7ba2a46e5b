"""The measures of an evaluation: values worked by hand, invariants, another implementation."""

import numpy as np
import pytest
import torch
from scipy.linalg import sqrtm

from trainer.measures import (
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
from trainer.resampling import estimate, estimates


def normal(*shape: int, seed: int = 0) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(shape, generator=generator, dtype=torch.float64)


def test_r2_by_hand():
    """Truth 0, 1, 2, 3: mean 1.5, squares around it sum to 5; a constant error of 1 sums to 4."""
    truth = torch.tensor([0.0, 1, 2, 3], dtype=torch.float64)[:, None]
    found = torch.cat([truth, torch.full_like(truth, 1.5), truth + 1], dim=1)
    torch.testing.assert_close(r2(truth.expand(-1, 3), found).tolist(), [1.0, 0.0, 1 - 4 / 5])


def test_r2_leaves_out_what_is_not_known():
    truth = torch.tensor([[0.0, 0.0], [2.0, 2.0], [torch.nan, 7.0]])
    found = torch.tensor([[0.0, 0.0], [2.0, 2.0], [99.0, 7.0]])
    assert r2(truth, found).tolist() == [1, 1]


def test_retention_is_one_where_every_style_keeps_the_face_and_sees_each_attribute_alone():
    faces = normal(5, 3, 2)
    results = faces[:, :, None].repeat(1, 1, 4, 1)
    results[..., 1] = faces[..., 1].mean()
    torch.testing.assert_close(retention(faces, results).tolist(), [1.0, 0.0])


def test_face_shown_is_retention_up_to_a_straight_line_in_each_style():
    faces = normal(30, 3, 2)
    results = faces[:, :, None] * 0.3 + torch.arange(4.0)[:, None]
    assert face_shown(faces, results).tolist() == pytest.approx([1, 1])
    assert retention(faces, results).max() < 0
    assert face_shown(faces, normal(30, 3, 4, 2, seed=1)).max() < 0.1


def test_leak_by_hand():
    """Two groups, two faces, two styles. References +-1, faces +-1 at right angles to them: a
    result that adds them up has half its variance from the reference."""
    reference = torch.tensor([[1.0, -1.0], [-1.0, 1.0]]).view(2, 2, 1)
    face = torch.tensor([[1.0, -1.0], [1.0, -1.0]]).view(2, 2, 1, 1)
    from_reference = reference[:, None].expand(2, 2, 2, 1)
    from_face = face.expand(2, 2, 2, 1)
    for result, expected in (
        (from_reference, 1.0),
        (-2 * from_reference + 5, 1.0),
        (from_face, 0.0),
        (from_reference + from_face, 0.5),
    ):
        assert leak(reference, result).item() == pytest.approx(expected)


def test_faces_that_happen_to_be_like_their_groups_references_are_no_leak():
    """Every face of a group is as dark as its references are on average, at i = L."""
    references = normal(6, 4, 1) + 3 * normal(6, 1, 1, seed=1)
    faces = references.mean(dim=1)[:, None].expand(6, 3, 1)
    results = faces[:, :, None].expand(6, 3, 4, 1)
    assert leak(references, results).item() == pytest.approx(0, abs=1e-12)


def test_what_the_style_explains_is_no_leak():
    """References of a style are alike, and results look like their style."""
    style = normal(1, 6, 2)
    references = style + normal(40, 6, 2, seed=1)
    results = 3 * style[:, None].expand(40, 5, 6, 2) + 0.01 * normal(40, 5, 6, 2, seed=2)
    assert leak(references, results).max() < 0.02


def test_references_whose_attribute_is_not_known_are_left_out():
    references, results = normal(30, 4, 1), normal(30, 3, 4, 1, seed=1)
    results += references[:, None]
    hidden = references.clone()
    hidden[:15] = torch.nan
    torch.testing.assert_close(leak(hidden, results), leak(references[15:], results[15:]))
    hidden = references.clone()
    hidden[:, 0] = torch.nan  # a whole style
    torch.testing.assert_close(leak(hidden, results), leak(references[:, 1:], results[:, :, 1:]))


def test_leak_by_chance_is_small_where_the_leak_is_large():
    references = normal(40, 6, 2)
    results = references[:, None].expand(40, 3, 6, 2)
    assert leak(references, results).min() == pytest.approx(1)
    assert leak_by_chance(references, results).max() < 0.05


def test_distances_by_hand():
    """A triangle of sides 3, 4, 5."""
    triangle = torch.tensor([[0.0, 0.0], [3.0, 0.0], [0.0, 4.0]])
    assert mean_distance(triangle).item() == pytest.approx(4)
    by_style = triangle.view(1, 1, 3, 2).expand(2, 2, 3, 2)  # all faces the same
    assert diversity(by_style).tolist() == pytest.approx([4, 4])
    assert face_distance(by_style).tolist() == [0, 0]
    by_face = triangle.view(1, 3, 1, 2).expand(2, 3, 2, 2)  # all styles the same
    assert diversity(by_face).tolist() == [0, 0]
    assert face_distance(by_face).tolist() == pytest.approx([4, 4])


def test_frechet_distance_by_hand():
    """A shift counts with its square; of 1-D Gaussians the deviations' difference does too."""
    unit, zero = torch.eye(3, dtype=torch.float64), torch.zeros(3, dtype=torch.float64)
    shifted = zero + torch.tensor([1.0, 2.0, 2.0])
    assert frechet_distance((zero, unit), (zero, unit)).item() == pytest.approx(0, abs=1e-12)
    assert frechet_distance((shifted, unit), (zero, unit)).item() == pytest.approx(9)
    assert frechet_distance((zero, 4 * unit), (zero, unit)).item() == pytest.approx(
        3 * (2 - 1) ** 2
    )


def test_frechet_distance_against_the_matrix_square_root():
    ours = normal(50, 6) @ normal(6, 6, seed=1)
    theirs = normal(60, 6, seed=2) @ normal(6, 6, seed=3) + 1
    means = ours.mean(0), theirs.mean(0)
    covariances = np.cov(ours.T), np.cov(theirs.T)
    expected = float((means[0] - means[1]).square().sum()) + np.trace(
        covariances[0] + covariances[1] - 2 * sqrtm(covariances[0] @ covariances[1]).real
    )
    grouped = ours.view(10, 5, 6), theirs.view(10, 6, 6)
    found = frechet_distance(*(gaussian(*moments(features)) for features in grouped))
    assert found.item() == pytest.approx(expected)


def test_psnr_by_hand():
    """0.2 of a range of 2 is a tenth: 20 dB."""
    pictures = torch.zeros(2, 3, 4, 4)
    assert psnr(pictures, pictures + 0.2).tolist() == pytest.approx([20, 20], abs=1e-4)


def test_confusion_counts_what_was_read_as_what():
    counts = confusion(torch.tensor([0, 0, 1, 2]), torch.tensor([0, 1, 1, 0]), 3)
    assert counts.tolist() == [[1, 1, 0], [0, 1, 0], [1, 0, 0]]


def test_an_interval_holds_the_truth_about_as_often_as_it_says():
    """95% of the intervals around the mean of 30 normal numbers; percentiles of so few are a little
    narrow."""
    holds = 0
    for seed in range(150):
        found = estimate(torch.mean, normal(30, seed=seed), seed=seed, resamples=200)
        holds += found.low <= 0 <= found.high
    assert 0.86 <= holds / 150 <= 0.99


def test_intervals_have_the_width_of_the_theory():
    """Of the mean of 400 normal numbers: +-1.96 / 20."""
    found = estimate(torch.mean, normal(400), seed=0, resamples=1000)
    assert (found.high - found.low) / 2 == pytest.approx(1.96 / 20, rel=0.12)


def test_an_interval_lies_around_its_value_where_resampling_is_biased():
    """A Frechet distance grows when groups are drawn twice."""
    real = gaussian(*moments(normal(30, 4, 8, seed=1)))
    parts = moments(normal(30, 4, 8))
    found = estimate(lambda *p: frechet_distance(gaussian(*p), real), *parts, seed=0)
    assert found.low < found.value < found.high


def test_groups_stay_together_and_the_seed_decides():
    values = normal(20)

    def two(a, b):
        assert torch.equal(a, b)
        return torch.stack([a.mean(), b.sum()])

    first = estimates(two, values, values, seed=3, resamples=20)
    assert first == estimates(two, values, values, seed=3, resamples=20)
    assert first != estimates(two, values, values, seed=4, resamples=20)
    expected = [values.mean().item(), values.sum().item()]
    assert [found.value for found in first] == pytest.approx(expected)


def test_a_line_reads_off_codes_what_is_in_them_and_nothing_else():
    """Codes longer than there are portraits, which would fit anything that they are shown."""
    codes = normal(120, 200)
    inside = codes @ normal(200, seed=1) / 200**0.5
    values = torch.stack([20 * codes[:, :3].sum(dim=1), normal(120, seed=2)], dim=1)
    few = torch.cat([codes[:, :3], inside[:, None]], dim=1)
    found = r2(values, predict_linearly(few, values))
    assert found[0] > 0.99 and found[1] < 0.1
    assert r2(values, predict_linearly(codes, values))[1] < 0.1
    hidden = values.clone()
    hidden[::7] = torch.nan
    assert r2(hidden, predict_linearly(few, hidden))[0] > 0.8


def test_off_style_leaves_nothing_of_the_style():
    values = torch.tensor([[1.0], [10], [3], [torch.nan], [5], [14]])  # two styles in turn
    expected = torch.tensor([[-2.0], [-2], [0], [torch.nan], [2], [2]])
    torch.testing.assert_close(off_style(values, 2), expected, equal_nan=True)
