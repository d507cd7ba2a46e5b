"""The map of the style codes: every picture shows, like codes lie together."""

import sys

import numpy as np
import pytest
import torch
from PIL import Image

from trainer.embedding_figure import _tsne, draw_embedding, free_cells, style_colour


def shades(count: int) -> torch.Tensor:
    """Flat pictures of a different grey each, [N, 3, 8, 8]."""
    return torch.linspace(-0.9, 0.9, count)[:, None, None, None].expand(-1, 3, 8, 8)


def grey_places(path, count: int) -> np.ndarray:
    """Where the middle of each of the `shades` lies, [N, 2]; fails if one is hidden."""
    pixels = np.asarray(Image.open(path)).astype(int)
    levels = ((shades(count)[:, 0, 0, 0] + 1) * 127.5).round().int().tolist()
    return np.array([np.argwhere((pixels == level).all(axis=2)).mean(axis=0) for level in levels])


def test_pictures_of_like_codes_lie_together_and_none_hides_another(tmp_path):
    torch.manual_seed(0)
    styles = torch.arange(60) % 3
    codes = torch.eye(3, 16)[styles] + 0.1 * torch.randn(60, 16)
    draw_embedding(tmp_path / "map.png", codes, shades(60), styles)
    places = grey_places(tmp_path / "map.png", 60)
    middles = [places[styles == style].mean(axis=0) for style in range(3)]
    nearest = [np.argmin([np.linalg.norm(place - m) for m in middles]) for place in places]
    assert nearest == styles.tolist()


def test_a_border_has_the_colour_of_the_style(tmp_path):
    draw_embedding(tmp_path / "map.png", torch.randn(12, 4), shades(12), [5] * 3 + [2] * 9)
    image = Image.open(tmp_path / "map.png")
    assert image.size == (1600, 1600)
    pixels = np.asarray(image).reshape(-1, 3)
    first, second = (
        (pixels == ((style_colour(s).flatten() + 1) * 127.5).round().int().numpy()).all(axis=1)
        for s in (5, 2)
    )
    assert second.sum() == 3 * first.sum() > 0


def test_colours_of_styles_differ():
    colours = torch.stack([style_colour(style).flatten() for style in range(20)])
    assert torch.pdist(colours).min() > 0.2


def test_free_cells_by_hand():
    """Three pictures share the middle of a 3 x 3 grid: one stays, two move by one cell; those in
    the corners keep them."""
    corners = [[0, 0], [10, 0], [0, 10], [10, 10]]
    cells = free_cells(np.array([*corners, [5, 5], [5, 5], [5, 5]], float), per_side=3)
    assert cells[:4].tolist() == [[0, 0], [2, 0], [0, 2], [2, 2]]
    assert len({tuple(cell) for cell in cells}) == 7
    assert sorted(np.abs(cells[4:] - 1).sum(axis=1)) == [0, 1, 1]


@pytest.mark.parametrize("count", [1, 2, 3, 4])
def test_a_few_pictures_are_drawn_as_well(tmp_path, count):
    draw_embedding(tmp_path / "map.png", torch.randn(count, 4), shades(count), [0] * count)
    assert np.isfinite(grey_places(tmp_path / "map.png", count)).all()


def test_without_scikit_learn_it_says_once_what_to_install(tmp_path, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "sklearn.manifold", None)
    _tsne.cache_clear()
    for _ in range(2):
        draw_embedding(tmp_path / "map.png", torch.randn(4, 4), shades(4), range(4))
    _tsne.cache_clear()
    assert capsys.readouterr().out == (
        "no map of the style codes: `pip install scikit-learn` adds it\n"
    )
    assert not list(tmp_path.iterdir())
