"""The trainer's losses, mostly by hand."""

import math

import pytest
import torch

from trainer.draws import Draws
from trainer.losses import (
    d_logistic_loss,
    g_logistic_loss,
    nt_xent_loss,
    path_lengths,
    r1_penalty,
    supervised_contrastive_loss,
)


def test_logistic_losses_by_hand():
    """softplus(0) = ln 2; softplus(-2) = ln(1 + e^-2)."""
    zero, two = torch.zeros(3, 1), torch.full((3, 1), 2.0)
    assert g_logistic_loss(two).item() == pytest.approx(math.log1p(math.exp(-2)))
    assert d_logistic_loss(two, zero).item() == pytest.approx(
        math.log1p(math.exp(-2)) + math.log(2)
    )


def test_r1_by_hand():
    """D(x) = 3 * sum(x): the gradient is 3 at each of 12 values, 9 * 12 = 108."""
    real = torch.randn(2, 3, 2, 2, requires_grad=True)
    logits = 3 * real.sum(dim=(1, 2, 3))[:, None]
    assert r1_penalty(real, logits).item() == pytest.approx(108)


def test_path_lengths_of_a_linear_generator():
    """images = 5 * sum of w [2, 3] at every pixel: a layer's gradient is 3 times 5 * (sum of y).

    The sum of y has an expected square of 1, so the mean over layers of |gradient|^2 is 25 * 3.
    """
    w = torch.randn(4000, 2, 3, requires_grad=True)
    images = 5 * w.sum(dim=(1, 2)).view(-1, 1, 1, 1).expand(-1, 1, 4, 4)
    lengths = path_lengths(images, w, Draws(0, 0, range(4000), "cpu"))
    assert lengths.square().mean().item() == pytest.approx(75, rel=0.1)


def test_nt_xent_by_hand():
    """Two orthogonal pictures, equal views, tau 1: -log(e / (e + 2)) for every view."""
    views = torch.eye(2)
    expected = -math.log(math.e / (math.e + 2))
    assert nt_xent_loss(views, views, torch.arange(2), temperature=1.0).item() == pytest.approx(
        expected
    )


def test_nt_xent_does_not_see_the_length_of_a_vector():
    first, second = torch.randn(5, 8), torch.randn(5, 8)
    pictures = torch.arange(5)
    expected = nt_xent_loss(first, second, pictures)
    torch.testing.assert_close(nt_xent_loss(7 * first, second / 3, pictures), expected)


def test_nt_xent_of_one_picture_drawn_twice_has_no_negatives():
    """Each view's only candidate is its partner: -log 1."""
    first, second = torch.randn(2, 8), torch.randn(2, 8)
    assert nt_xent_loss(first, second, torch.tensor([3, 3])).item() == pytest.approx(0)


def test_supervised_contrastive_by_hand():
    """Three of one group and two of another, as loops over each vector's fellows and rivals."""
    vectors, groups = (
        torch.randn(5, 4, generator=torch.manual_seed(1)),
        torch.tensor([7, 2, 7, 2, 7]),
    )
    unit = vectors / vectors.norm(dim=1, keepdim=True)
    expected = 0.0
    for one in range(5):
        others = [n for n in range(5) if n != one]
        total = sum(math.exp(unit[one] @ unit[n] / 0.5) for n in others)
        fellows = [n for n in others if groups[n] == groups[one]]
        shares = [math.exp(unit[one] @ unit[n] / 0.5) / total for n in fellows]
        expected -= sum(map(math.log, shares)) / len(shares) / 5
    found = supervised_contrastive_loss(vectors, groups, 0.5)
    assert found.item() == pytest.approx(expected, rel=1e-5)


def test_supervised_contrastive_of_pairs_is_nt_xent():
    first, second = torch.randn(2, 4, 8, generator=torch.manual_seed(2))
    pairs = torch.arange(4)
    found = supervised_contrastive_loss(torch.cat([first, second]), torch.cat([pairs, pairs]), 0.1)
    torch.testing.assert_close(found, nt_xent_loss(first, second, pairs, 0.1))
