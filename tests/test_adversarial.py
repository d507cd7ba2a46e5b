"""One step of the game: who sees what, and with which weight (paper, sections 3.3 and 3.4)."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from blendgan_core.config import GeneratorConfig, StyleEncoderConfig
from blendgan_core.generator import Generator
from blendgan_core.precision import PRECISIONS
from blendgan_core.style_encoder import StyleEncoder
from trainer.adversarial import Adversaries, Part
from trainer.adversarial_config import AdversarialConfig
from trainer.draws import Draws
from trainer.processes import samples_of

CONFIG = AdversarialConfig(
    out=Path("unused"), steps=1, batch=2, r1_every=2, path_length_every=1, queue_size=8
)


def make_game(**changes) -> Adversaries:
    torch.manual_seed(0)
    sizes = GeneratorConfig(
        resolution=16, z_dim=8, w_dim=8, mapping_layers=2, channel_base=128, channel_max=8
    )
    encoder = StyleEncoder(
        StyleEncoderConfig(image_size=32, vgg_width=2, hidden_dim=8, predictor_layers=2, z_dim=8)
    )
    encoder.random_vgg_(0)
    return Adversaries(replace(CONFIG, **changes), Generator(sizes), encoder, torch.device("cpu"))


@pytest.mark.parametrize("augment", ["none", "ada"])
def test_a_step_in_two_parts_equals_one_in_one(augment):
    """Samples are dealt out as the minibatch standard deviation groups them."""
    generator = torch.Generator().manual_seed(2)
    natural, art = torch.rand(2, 8, 3, 16, 16, generator=generator) * 2 - 1
    whole, parts = (
        make_game(batch=8, accumulate=count, augment=augment, ada_images=20) for count in (1, 2)
    )
    for step in range(2):
        for game, samples in ((whole, samples_of(8)), (parts, samples_of(8, accumulate=2))):
            drawn = Draws(0, step, samples, "cpu")
            losses = game.step(natural[samples], drawn, art[samples], torch.tensor(samples))
            if augment == "ada":
                assert losses["ada_face"] >= 0
    assert torch.equal(whole.queue.pictures, parts.queue.pictures)
    for (name, one), two in zip(
        whole.state_dict().items(), parts.state_dict().values(), strict=True
    ):
        torch.testing.assert_close(two, one, rtol=1e-3, atol=1e-4, msg=name)


def seen_dtypes(network: torch.nn.Module) -> set[tuple[torch.dtype, int]]:
    """Is filled with (dtype, height) of whatever its layers give while they are trained."""
    seen = set()

    def look(_module, _inputs, out):
        if torch.is_grad_enabled() and out.ndim == 4:
            seen.add((out.dtype, out.shape[2]))

    for module in network.modules():
        module.register_forward_hook(look)
    return seen


@pytest.mark.parametrize("precision", ["bf16", "fp16"])
def test_half_precision_is_near_fp32_in_a_step(pictures, precision):
    natural, art = pictures
    exact = make_game(r1_every=1).step(natural, draws(), art, torch.arange(2))
    game = make_game(r1_every=1, precision=precision, half_resolutions=2)
    judged, made = seen_dtypes(game.d_face.trunk), seen_dtypes(game.generator.synthesis)
    game._optimize(
        game.d_optimizer,
        game._parts(natural, draws(), art, torch.arange(2)),
        game._discriminator_losses,
    )
    half = PRECISIONS[precision]
    assert {(half, 16), (half, 8), (torch.float32, 4)} <= judged and (
        torch.float32,
        8,
    ) not in judged
    game._optimize(
        game.g_optimizer,
        game._parts(natural, draws(), art, torch.arange(2)),
        game._generator_losses,
    )
    assert {(half, 16), (half, 8)} <= made and (half, 4) not in made
    game = make_game(r1_every=1, precision=precision, half_resolutions=2)
    losses = game.step(natural, draws(), art, torch.arange(2))
    for key, value in exact.items():
        torch.testing.assert_close(losses[key], value, rtol=0.1, atol=0.02, msg=key)
    assert all(weight.dtype == torch.float32 for weight in game.parameters())


def draws(count: int = 2) -> Draws:
    return Draws(seed=0, step=0, samples=range(count), device="cpu")


@pytest.fixture
def pictures() -> tuple[torch.Tensor, torch.Tensor]:
    """Natural and artistic ones."""
    generator = torch.Generator().manual_seed(1)
    return tuple(torch.rand(2, 2, 3, 16, 16, generator=generator) * 2 - 1)


def record_calls(network: torch.nn.Module) -> list:
    """Every call's inputs, and whether the network was being trained then."""
    calls, forward = [], network.forward

    def recorded(*inputs):
        calls.append((*(x.detach() for x in inputs), next(network.parameters()).requires_grad))
        return forward(*inputs)

    network.forward = recorded
    return calls


@pytest.mark.parametrize("negatives", [("queued",), ("paired",), ("mismatched",)])
def test_d_style_latent_sees_the_pairs_of_equation_8(pictures, negatives):
    natural, art = pictures
    game = make_game(negatives=negatives)
    calls = record_calls(game.d_style_latent)
    game.step(natural, draws(), art, torch.arange(2))
    z_style = game.style_encoder(art)
    other = z_style.flip(0)  # of two pictures, the only code that is not the own one
    real, fake, r1, for_g = calls
    assert torch.equal(real[0], art) and torch.equal(real[1], z_style) and real[2]
    assert torch.equal(fake[0], art) == (negatives == ("mismatched",))
    assert torch.equal(fake[1], z_style if negatives == ("paired",) else other) and fake[2]
    assert torch.equal(r1[0], art) and torch.equal(r1[1], z_style)
    assert not torch.equal(for_g[0], art) and torch.equal(for_g[1], z_style) and not for_g[2]


def test_each_discriminator_gets_its_own_domain(pictures):
    natural, art = pictures
    game = make_game()
    on_faces, on_art = record_calls(game.d_face), record_calls(game.d_style)
    game.step(natural, draws(), art, torch.arange(2))
    assert torch.equal(on_faces[0][0], natural) and torch.equal(on_art[0][0], art)
    assert not torch.equal(on_faces[1][0], on_art[1][0])  # i = L and i = 0


def test_generator_wants_its_pictures_taken_for_real_by_all_three(pictures):
    """softplus(-logit) each (eq. 9)."""
    natural, art = pictures
    game = make_game()
    logits = {}
    for name, network in game.discriminators.items():

        def recorded(*inputs, name=name, forward=network.forward):
            logits[name] = forward(*inputs)
            return logits[name]

        network.forward = recorded
    groups = list(game._generator_losses(Part(natural, draws(), art, game.style_encoder(art))))
    losses = {name: loss for group in groups for name, loss in group.items()}
    for name in ("face", "style", "style_latent"):
        expected = torch.nn.functional.softplus(-logits[f"d_{name}"]).mean()
        torch.testing.assert_close(losses[f"g_{name}"], expected)


def test_an_update_goes_down_the_weighted_sum_of_the_mean_losses():
    game = make_game()
    constant = game.generator.synthesis.constant
    parts = [Part(torch.full((1,), value), draws(1)) for value in (1.0, 3.0)]
    losses = {"some": lambda x: x * constant.sum(), "others": lambda x: x * 5 * constant.sum()}
    means = game._optimize(
        game.g_optimizer,
        parts,
        lambda part: [{name: loss(part.natural.item())} for name, loss in losses.items()],
        weight=0.5,
    )
    assert (constant.grad == 0.5 * 2 * (1 + 5)).all()
    assert means["others"] == pytest.approx(5 * means["some"].item(), rel=1e-4)


def test_lazy_penalties_come_in_their_steps_with_their_weights(pictures, monkeypatch):
    """r1_gamma / 2 * r1_every; path lengths at i = L and i = 0 in turn."""
    natural, art = pictures
    game = make_game(r1_gamma=3.0)
    updates, optimize = [], game._optimize

    def recorded(optimizer, parts, losses_of, weight=1.0, **options):
        updates.append(weight)
        return optimize(optimizer, parts, losses_of, weight, **options)

    monkeypatch.setattr(game, "_optimize", recorded)
    first = game.step(natural, draws(), art, torch.arange(2))
    second = game.step(natural, draws(), art, torch.arange(2))
    assert {"r1_face", "r1_style", "r1_style_latent", "path_length"} <= first.keys()
    assert "r1_face" not in second and "path_length" in second
    assert updates == [1, 3.0 / 2 * 2, 1, 2] + [1, 1, 2]
    assert (game.path_length_means > 0).all()  # one for each i


def test_path_length_mean_moves_by_a_hundredth(pictures):
    natural, art = pictures
    game = make_game()
    lengths = game.step(natural, draws(), art, torch.arange(2))["path_length"]
    torch.testing.assert_close(game.path_length_means[0], 0.01 * lengths)


def test_a_wild_path_length_changes_nothing(pictures, monkeypatch):
    natural, _ = pictures
    game = make_game()
    monkeypatch.setattr(
        "trainer.adversarial.path_lengths", lambda images, w, draws: images.mean() * torch.inf
    )
    before = game.generator.synthesis.constant.detach().clone()
    assert game._path_length_step([Part(natural, draws())]) == {}
    assert torch.equal(game.generator.synthesis.constant, before)
    assert (game.path_length_means == 0).all()


def test_the_average_lags_behind_and_alpha_moves(pictures):
    natural, art = pictures
    game = make_game(ema_images=1e9)
    before = game.average.synthesis.constant.clone()
    alpha = game.generator.blending.alpha.detach().clone()
    game.step(natural, draws(), art, torch.arange(2))
    torch.testing.assert_close(game.average.synthesis.constant, before, rtol=0, atol=1e-5)
    assert not torch.equal(game.generator.synthesis.constant, before)
    assert not torch.equal(game.generator.blending.alpha, alpha)


def test_the_frozen_style_encoder_is_no_part_of_the_state():
    assert not any("vgg" in key for key in make_game().state_dict())
