"""What a discriminator sees of a small set, and how ADA's probability follows its certainty."""

import math

import pytest
import torch

from trainer.discriminator_augment import (
    OBSERVATIONS,
    Augmentation,
    adaptive_augmentation,
    colour_changes,
    sampled_positions,
)
from trainer.draws import Draws

UNCHANGED = {  # the numbers of sampled_positions that do nothing: every operation happens at p = 1
    "mirror": 0.0,
    "quarter": 0.0,
    "blit_x": 0.5,
    "blit_y": 0.5,
    "angle_before": 0.5,
    "angle_after": 0.5,
}


class Fixed:
    """Draws with given numbers: all operations happen, normal numbers are 0."""

    def __init__(self, **numbers: float):
        self.numbers = list((UNCHANGED | numbers).values())

    def uniform(self, count: int) -> torch.Tensor:
        return torch.tensor([self.numbers if count == len(self.numbers) else [0.0] * count])

    def normal(self, count: int) -> torch.Tensor:
        return torch.zeros(1, count)


def some_draws(samples=range(8), step: int = 0) -> Draws:
    return Draws(seed=3, step=step, samples=samples, device="cpu")


def make_images(count: int = 8, size: int = 16) -> torch.Tensor:
    generator = torch.Generator().manual_seed(1)
    return torch.rand(count, 3, size, size, generator=generator) * 2 - 1


def make_augmentation(kind: str, p: float = 0.0, colour: bool = True) -> Augmentation:
    augmentation = Augmentation(kind, colour)
    if kind == "ada":
        augmentation.p.fill_(p)
    return augmentation


@pytest.mark.parametrize("kind", ["none", "ada"])
def test_nothing_to_do_gives_the_very_tensor_and_draws_nothing(kind):
    images, draws = make_images(), some_draws()
    assert make_augmentation(kind, p=0.0)(images, draws) is images
    assert torch.equal(draws.uniform(5), some_draws().uniform(5))


@pytest.mark.parametrize("colour", [True, False])
@pytest.mark.parametrize("kind", ["ada", "diffaugment"])
def test_a_sample_gets_the_same_whichever_batch_it_is_in(kind, colour):
    images, augmentation = make_images(), make_augmentation(kind, 0.7, colour)
    state = torch.get_rng_state()
    whole = augmentation(images, some_draws())
    assert torch.equal(torch.get_rng_state(), state)
    assert whole.shape == images.shape and not torch.allclose(whole, images, atol=0.1)
    for part in (slice(0, None, 2), slice(1, None, 2)):
        share = augmentation(images[part], some_draws(range(8)[part]))
        torch.testing.assert_close(share, whole[part], rtol=0, atol=1e-5)
    assert not torch.allclose(augmentation(images, some_draws(step=1)), whole, atol=0.1)


def test_without_colour_ada_keeps_colours():
    """A picture of one colour stays as it is, wherever its pixels come from."""
    images = torch.tensor([0.9, -0.3, -1.0]).view(1, 3, 1, 1).expand(64, 3, 16, 16)
    plain = make_augmentation("ada", 1.0, colour=False)(images, some_draws(range(64)))
    torch.testing.assert_close(plain, images, rtol=0, atol=1e-5)
    coloured = make_augmentation("ada", 1.0)(images, some_draws(range(64)))
    changed = (coloured - images).abs().amax(dim=[1, 2, 3])
    assert changed.min() > 0.01


@pytest.mark.parametrize(
    ("numbers", "expected"),
    [
        ({}, lambda x: x),
        ({"mirror": 0.5}, lambda x: x.flip(3)),
        ({"quarter": 0.25}, lambda x: x.rot90(1, (2, 3))),
        ({"quarter": 0.5}, lambda x: x.rot90(2, (2, 3))),
        ({"angle_before": 0.75}, lambda x: x.rot90(1, (2, 3))),
        ({"angle_after": 0.75}, lambda x: x.rot90(1, (2, 3))),
        # 16 pixels: 0.75 is half of the furthest shift, which is 2; the border is reflected
        ({"blit_x": 0.75}, lambda x: torch.cat([x[..., :1], x[..., :-1]], dim=3)),
        ({"blit_y": 0.0}, lambda x: torch.cat([x[:, :, 2:], x[:, :, -2:].flip(2)], dim=2)),
    ],
)
def test_whole_pixels_are_moved_exactly(numbers, expected):
    images = make_images(1)
    moved = adaptive_augmentation(images, torch.ones(()), False, Fixed(**numbers))
    torch.testing.assert_close(moved, expected(images), rtol=0, atol=1e-4)


def test_a_turn_keeps_rings_round_and_sharp():
    """Rings of five pixels' wavelength look the same however they are turned; plain bilinear
    sampling misses them by .09 on average."""
    place = torch.arange(32) - 15.5
    rings = torch.cos((place[:, None] ** 2 + place**2).sqrt() * 2 * math.pi / 5)
    rings = rings.expand(1, 3, 32, 32)
    draws = Fixed(angle_before=0.6)  # 36 degrees
    turned = adaptive_augmentation(rings, torch.ones(()), False, draws)
    middle = slice(10, 22)  # where no corner turned out of the picture is seen
    difference = (turned - rings)[:, :, middle, middle]
    assert 0.001 < difference.abs().mean() < 0.05


def share(happened: torch.Tensor) -> float:
    return happened.float().mean().item()


@pytest.mark.parametrize("p", [0.3, 0.8])
def test_each_geometric_operation_happens_at_probability_p(p):
    """Read from the matrices: scaling alone changes their determinant's size, flips its sign, and
    unequal singular values need the anisotropic scaling."""
    matrices = sampled_positions(torch.tensor(p), 256, some_draws(range(4000)))
    linear, shift = matrices[:, :2, :2], matrices[:, :2, 2]
    determinant, values = torch.linalg.det(linear), torch.linalg.svdvals(linear)
    near = {"abs": 0.04}  # five standard deviations of a share of 4000
    assert share(determinant < 0) == pytest.approx(p / 2, **near)
    assert share((determinant.abs() - 1).abs() > 1e-4) == pytest.approx(p, **near)
    assert share(values[:, 0] / values[:, 1] > 1 + 1e-4) == pytest.approx(p, **near)
    assert share((linear.abs() > 1e-4).all(dim=2).all(dim=1)) == pytest.approx(p, **near)  # turned
    # a whole shift and a fractional one; one in 65 ** 2 whole shifts is none
    assert share((shift.abs() > 1e-4).any(dim=1)) == pytest.approx(1 - (1 - p) ** 2, **near)
    # three quarter turns of four are one, two of them swap rows and columns
    unturned = (linear.abs() < 1e-4).sum(dim=[1, 2]) == 2
    swapped = linear[unturned][:, 0, 0].abs() < 1e-4
    assert share(swapped) == pytest.approx(p / 2, abs=0.09)


@pytest.mark.parametrize("p", [0.3, 0.8])
def test_each_colour_operation_happens_at_probability_p(p):
    matrices, brightness = colour_changes(torch.tensor(p), some_draws(range(4000)))
    near = {"abs": 0.04}
    assert share(brightness != 0) == pytest.approx(p, **near)
    grey = (matrices @ torch.full((3,), 0.5))[:, 0] * 2  # contrast, or its opposite
    assert share(grey < 0) == pytest.approx(p / 2, **near)
    assert share((grey.abs() - 1).abs() > 1e-4) == pytest.approx(p, **near)
    yellow = torch.tensor([1.0, 1.0, -2.0]) / math.sqrt(6)  # of length 1, without grey
    vivid = (matrices @ yellow).norm(dim=1) / grey.abs()
    assert share((vivid - 1).abs() > 1e-4) == pytest.approx(p, **near)
    cosine = torch.cosine_similarity(matrices @ yellow, yellow.expand(len(matrices), 3))
    assert share(cosine < 1 - 1e-6) == pytest.approx(p, **near)


def test_the_operations_are_as_strong_as_the_papers():
    """Root mean squares at p = 1, each worked out from the deviations in the paper's table."""
    one, near = torch.ones(()), {"rel": 0.06}

    def size(values: torch.Tensor) -> float:
        return values.square().mean().sqrt().item()

    positions = sampled_positions(one, 256, some_draws(range(4000)))
    determinant = torch.linalg.det(positions).abs()  # the scale's square
    assert size(determinant.log2()) == pytest.approx(2 * 0.2, **near)
    values = torch.linalg.svdvals(positions[:, :2, :2])  # the stretch, and one over it
    assert size((values[:, 0] / values[:, 1]).log2()) == pytest.approx(2 * 0.2, **near)
    # a size is 2; evenly up to 1/8, then normal by 1/8, enlarged by scale and stretch
    enlarged = math.exp(2 * (2 * math.log(2) * 0.2) ** 2 / 2)
    shift = 2 * math.sqrt((1 / 8) ** 2 / 3 + (1 / 8) ** 2 * enlarged)
    assert size(positions[:, :2, 2]) == pytest.approx(shift, **near)

    matrices, brightness = colour_changes(one, some_draws(range(4000)))
    grey = matrices.sum(dim=2)[:, 0]
    assert size(brightness / grey) == pytest.approx(0.2, **near)
    assert size(grey.abs().log2()) == pytest.approx(0.5, **near)
    vivid = torch.linalg.det(matrices).div(grey).sqrt() / grey.abs()
    assert size(vivid.log2()) == pytest.approx(1.0, **near)


def test_diffaugment_shifts_by_up_to_an_eighth_and_cuts_a_square_out():
    """A picture that numbers its pixels from 1, so every pixel tells where it was."""
    size, count = 16, 200
    images = torch.arange(1.0, size * size + 1).view(1, 1, size, size).expand(count, 3, -1, -1)
    seen = make_augmentation("diffaugment", colour=False)(images, some_draws(range(count)))
    assert torch.equal(seen[:, 0], seen[:, 1]) and torch.equal(seen[:, 0], seen[:, 2])
    shifts, blank = set(), []
    for picture in seen[:, 0]:
        kept = picture.nonzero()
        number = picture[picture > 0].long() - 1
        origin = torch.stack([number // size, number % size], dim=1)
        (shift,) = {tuple(each) for each in (origin - kept).tolist()}  # one for all pixels
        shifts.add(shift)
        covered = (size - abs(shift[0])) * (size - abs(shift[1]))
        blank.append(covered - len(kept))  # what was cut of the part in view
    assert shifts == {(y, x) for y in range(-2, 3) for x in range(-2, 3)}
    assert max(blank) == 64 and 0 < min(blank) < 32  # half by half; less where it juts out


def test_diffaugment_changes_colours_only_if_asked_to():
    """By hand: + (.75 - .5); half the distance from the grey, then from the mean of all, .35."""
    images = torch.zeros(1, 3, 4, 4)
    images[:, 0, 2:] = 0.6
    places, colours = {"down": 0.5, "right": 0.5, "top": 0.0, "left": 0.0}, (0.75, 0.25, 0.0)

    class Draws:
        def uniform(self, count):
            return torch.tensor([{4: tuple(places.values()), 3: colours}[count]])

    expected = torch.full((1, 3, 4, 4), 0.3)
    expected[:, :, 2:] = torch.tensor([0.5, 0.35, 0.35]).view(3, 1, 1)
    expected[:, :, :1, :1] = images[:, :, :1, :1] = 0  # the cut juts out at the upper left
    torch.testing.assert_close(make_augmentation("diffaugment")(images, Draws()), expected)
    plain = make_augmentation("diffaugment", colour=False)(images, Draws())
    assert torch.equal(plain, images)


@pytest.mark.parametrize("kind", ["ada", "diffaugment"])
def test_the_generator_gets_the_true_gradient(kind):
    """Either augmentation is affine in the pictures, so a difference is exact at any distance."""
    images, augmentation = make_images(2).requires_grad_(), make_augmentation(kind, 1.0)
    weights, direction = make_images(4).split(2)

    def loss(x: torch.Tensor) -> torch.Tensor:
        return (augmentation(x, some_draws(range(2))) * weights).sum()

    loss(images).backward()
    with torch.no_grad():
        expected = (loss(images + direction) - loss(images - direction)) / 2
    assert expected.abs() > 1
    torch.testing.assert_close((images.grad * direction).sum(), expected, rtol=1e-4, atol=1e-3)


def observe_(augmentation: Augmentation, sign: float, times: int, count: int = 50) -> None:
    for _ in range(times):
        augmentation.observe_(torch.tensor(sign), count)


def test_p_follows_the_discriminators_certainty():
    """By hand: 4 x 50 pictures of 2000 move p by .1."""
    augmentation = Augmentation("ada", colour=True, target=0.6, images=2000)
    observe_(augmentation, 0.9, OBSERVATIONS - 1)
    assert augmentation.p == 0
    observe_(augmentation, 0.9, 1)
    assert augmentation.p.item() == pytest.approx(0.1)
    observe_(augmentation, 0.9, 2 * OBSERVATIONS)
    assert augmentation.p.item() == pytest.approx(0.3)
    observe_(augmentation, 0.4, OBSERVATIONS)
    assert augmentation.p.item() == pytest.approx(0.2)
    observe_(augmentation, -1.0, 1)
    observe_(augmentation, 1.0, 3)  # the mean of the four decides: (3 - 1) / 4 < .6
    assert augmentation.p.item() == pytest.approx(0.1)
    observe_(augmentation, -1.0, 5 * OBSERVATIONS)
    assert augmentation.p == 0
    observe_(augmentation, 1.0, 20 * OBSERVATIONS)
    assert augmentation.p == 1


def test_the_defaults_are_the_papers():
    augmentation = Augmentation("ada", colour=True)
    observe_(augmentation, 0.61, OBSERVATIONS, count=500_000 // OBSERVATIONS // 2)
    assert augmentation.p.item() == pytest.approx(0.5)
    observe_(augmentation, 0.59, OBSERVATIONS, count=500_000 // OBSERVATIONS // 4)
    assert augmentation.p.item() == pytest.approx(0.25)


@pytest.mark.parametrize("stop", range(1, 9))
def test_a_resumed_p_equals_an_unbroken_one(stop):
    signs = torch.rand(24, generator=torch.Generator().manual_seed(0))
    unbroken, resumed = (Augmentation("ada", True, target=0.5, images=900) for _ in range(2))
    for sign in signs:
        unbroken.observe_(sign, 7)
    for sign in signs[:stop]:
        resumed.observe_(sign, 7)
    state = resumed.state_dict()
    resumed = Augmentation("ada", True, target=0.5, images=900)
    resumed.load_state_dict(state)
    for sign in signs[stop:]:
        resumed.observe_(sign, 7)
    assert unbroken.p > 0
    for name, value in unbroken.state_dict().items():
        assert torch.equal(resumed.state_dict()[name], value), name


@pytest.mark.parametrize("kind", ["none", "diffaugment"])
def test_other_kinds_have_no_state(kind):
    augmentation = make_augmentation(kind)
    augmentation.observe_(torch.tensor(1.0), 8)
    assert not augmentation.state_dict()
