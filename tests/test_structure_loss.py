"""The loss that asks a stylised picture for the face's light and dark."""

import pytest
import torch
from torch.nn import functional as F

from trainer.structure_loss import SIDES, WINDOW, flat, structure_loss


def face_of(seed: int, count: int = 2) -> torch.Tensor:
    """Smooth blots, [N, 3, 64, 64] in [-1, 1]."""
    coarse = torch.rand(count, 3, 8, 8, generator=torch.Generator().manual_seed(seed)) * 2 - 1
    return F.interpolate(coarse, size=64, mode="bicubic").clamp(-1, 1)


def test_palette_and_strokes_are_free_and_faces_are_not():
    face = face_of(0)
    strokes = (torch.arange(64) % 2 * 2 - 1.0).view(1, 1, 1, 64)  # gone at 32 pixels
    palette = torch.tensor([0.1, 0.3, 0.2]).view(3, 1, 1) * face.mean(dim=1, keepdim=True) + 0.5
    same, restyled = structure_loss(face, face), structure_loss(palette + strokes, face)
    other, negative = structure_loss(face_of(1), face), structure_loss(-face, face)
    assert 0 <= same < 0.1
    assert restyled.item() == pytest.approx(same.item(), abs=0.02)
    assert 0.5 < other < negative < 2


def test_it_is_the_correlation_within_each_window(monkeypatch):
    """By its definition, place by place."""
    monkeypatch.setattr("trainer.structure_loss.SIDES", (16,))
    made, face = (F.avg_pool2d(face_of(seed, 1), 4).double() for seed in (2, 3))
    grey = [x.mean(dim=1)[0] for x in (made, face)]
    reach, places = WINDOW // 2, []
    for y in range(16):
        for x in range(16):
            window = (
                slice(max(0, y - reach), y + reach + 1),
                slice(max(0, x - reach), x + reach + 1),
            )
            places.append(torch.stack([part[window].flatten() for part in grey]).cov(correction=0))
    places = torch.stack(places)  # [256, 2, 2]
    ours, theirs = (places[:, k, k] for k in (0, 1))
    floors = [flat(variance.view(1, 1, 16, 16)).item() for variance in (ours, theirs)]
    agreement = places[:, 0, 1] / ((ours + floors[0]) * (theirs + floors[1])).sqrt()
    wanted = 1 - (agreement * theirs.sqrt()).sum() / theirs.sqrt().sum()
    torch.testing.assert_close(structure_loss(made, face), wanted, rtol=1e-4, atol=1e-4)


def test_pictures_of_one_colour_and_small_ones_give_numbers_to_learn_from():
    for made, face in (
        (torch.zeros(1, 3, 64, 64), face_of(0, 1)),
        (face_of(0, 1), torch.ones(1, 3, 64, 64)),
        (torch.zeros(2, 3, 8, 8), torch.zeros(2, 3, 8, 8)),
    ):
        made = made.clone().requires_grad_(True)
        loss = structure_loss(made, face)
        loss.backward()
        assert 0 <= loss <= 2 and made.grad.isfinite().all()
    assert max(SIDES) <= 64
