"""The trainer's small parts: queue, averages, picture sets, augmentation."""

import pytest
import torch
from PIL import Image

from blendgan_core.errors import BlendGANError
from trainer.augment import random_affine
from trainer.data import ImageSet
from trainer.draws import Draws
from trainer.ema import half_life_decay, update_ema_
from trainer.embedding_queue import EmbeddingQueue


def draws(count: int) -> Draws:
    return Draws(seed=0, step=0, samples=range(count), device="cpu")


def test_a_sample_draws_the_same_in_any_company():
    whole, odd = draws(4), Draws(0, 0, [1, 3], "cpu")
    for draw in (
        lambda each: each.normal(3),
        lambda each: each.uniform(),
        lambda each: torch.cat(
            [maps.flatten(1) for maps in each.noise([(1, 1, 2, 2), (1, 1, 4, 4)])], 1
        ),
    ):
        together = draw(whole)
        assert torch.equal(draw(odd), together[1::2])
        assert len(together.flatten().unique()) == together.numel()
    for other in (Draws(1, 0, [1, 3], "cpu"), Draws(0, 1, [1, 3], "cpu")):
        assert not torch.equal(other.normal(3), draws(4).normal(3)[1::2])


def test_queue_is_first_in_first_out():
    queue = EmbeddingQueue(size=3, z_dim=1)
    for number in range(5):
        queue.push_(torch.full((1, 1), float(number)), torch.tensor([number]))
    assert sorted(queue.codes.flatten().tolist()) == [2.0, 3.0, 4.0]
    assert len(queue) == 3


def test_queue_never_gives_a_picture_its_own_code():
    queue = EmbeddingQueue(size=8, z_dim=1)
    pictures = torch.tensor([0, 1, 0, 1, 0, 1])
    queue.push_(pictures[:, None].float(), pictures)
    drawn = queue.draw(torch.tensor([0, 1] * 20), draws(40)).flatten()
    assert drawn.tolist() == [1.0, 0.0] * 20


def test_queue_draws_all_other_codes_evenly():
    queue = EmbeddingQueue(size=6, z_dim=1)
    pictures = torch.tensor([0, 1, 0, 2, 3])
    queue.push_(torch.arange(5.0)[:, None], pictures)
    drawn = queue.draw(torch.zeros(3000, dtype=torch.long), draws(3000)).flatten().long()
    shares = torch.bincount(drawn, minlength=5) / 3000
    assert shares[[0, 2]].tolist() == [0, 0]
    assert (shares[[1, 3, 4]] - 1 / 3).abs().max() < 0.05


def test_a_queue_of_one_picture_gives_noise_of_the_same_rms():
    """The one-shot trap: a queue fed by one reference would make the negative the positive."""
    queue = EmbeddingQueue(size=4, z_dim=5000)
    code = 3 * torch.ones(1, 5000)
    queue.push_(code, torch.tensor([7]))
    drawn = queue.draw(torch.tensor([7]), draws(1))
    assert drawn.square().mean().sqrt().item() == pytest.approx(3, rel=0.05)
    assert abs(torch.cosine_similarity(drawn, code).item()) < 0.1


def test_ema_by_hand():
    """0.75 * 2 + 0.25 * 6 = 3; half of the weight is left after one half-life."""
    average, current = torch.nn.Linear(1, 1, bias=False), torch.nn.Linear(1, 1, bias=False)
    average.weight.data.fill_(2.0)
    current.weight.data.fill_(6.0)
    update_ema_(average, current, 0.75)
    assert average.weight.item() == 3.0
    assert half_life_decay(batch=5, half_life=10) ** 2 == pytest.approx(0.5)


@pytest.fixture
def two_styles(tmp_path):
    """9 red pictures and a blue one, in a folder each."""
    for folder, colour, count in (("red", (255, 0, 0), 9), ("blue", (0, 0, 255), 1)):
        (tmp_path / folder).mkdir()
        for number in range(count):
            Image.new("RGB", (20, 12), colour).save(tmp_path / folder / f"{number}.png")
    return tmp_path


def test_styles_are_drawn_evenly(two_styles):
    torch.manual_seed(0)
    art = ImageSet(two_styles, resolution=8)
    images = art.batch(art.draw(400))
    assert images.shape == (400, 3, 8, 8)
    assert 0.4 < (images[:, 0, 0, 0] == 1).float().mean() < 0.6
    assert images.min() == -1 and images.max() == 1


def test_an_unreadable_picture_is_named_once_and_left_out(two_styles):
    (two_styles / "red" / "3.png").write_bytes(b"\x89PNG\r\n\x1a\n no more")
    art = ImageSet(two_styles, resolution=8)
    number = [path.name for path in art.paths].index("3.png")
    with pytest.warns(UserWarning, match="3.png") as caught:
        for _ in range(3):
            art.batch(torch.tensor([number]))
    assert len(caught) == 1


def test_folders_without_pictures_are_refused(tmp_path):
    with pytest.raises(BlendGANError, match="holds no pictures"):
        ImageSet(tmp_path, 8)
    with pytest.raises(BlendGANError, match="does not exist"):
        ImageSet(tmp_path / "nowhere", 8)
    (tmp_path / "only.png").write_bytes(b"nothing")
    with (
        pytest.warns(UserWarning, match="only.png"),
        pytest.raises(BlendGANError, match="none of the 1 pictures can be read"),
    ):
        ImageSet(tmp_path, 8).batch(torch.tensor([0]))


def test_affine_augmentation_moves_and_keeps_colours():
    """Colours stay within those of the picture: it interpolates and reflects, no more."""
    torch.manual_seed(0)
    images = torch.rand(8, 3, 16, 16) * 0.5 + 0.2
    moved = random_affine(images, draws(8))
    assert moved.shape == images.shape
    assert not torch.allclose(moved, images, atol=0.05)
    assert moved.min() >= images.min() - 1e-5 and moved.max() <= images.max() + 1e-5
    flat = torch.full((2, 3, 16, 16), 0.3)
    torch.testing.assert_close(random_affine(flat, draws(2)), flat)
