"""One step of the game: who sees what, and with which weight (paper, sections 3.3 and 3.4)."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from blendgan_core.config import GeneratorConfig, StyleEncoderConfig
from blendgan_core.generator import Generator
from blendgan_core.style_encoder import StyleEncoder
from trainer.adversarial import AdversarialConfig, Adversaries

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
    game.step(natural, art, torch.arange(2))
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
    game.step(natural, art, torch.arange(2))
    assert torch.equal(on_faces[0][0], natural) and torch.equal(on_art[0][0], art)
    assert not torch.equal(on_faces[1][0], on_art[1][0])  # i = L and i = 0


def test_generator_wants_its_pictures_taken_for_real_by_all_three(pictures, monkeypatch):
    """softplus(-logit) each, and their plain sum (eq. 9)."""
    _, art = pictures
    game = make_game()
    logits, updates = {}, []
    for name, network in game.discriminators.items():

        def recorded(*inputs, name=name, forward=network.forward):
            logits[name] = forward(*inputs)
            return logits[name]

        network.forward = recorded
    monkeypatch.setattr(game, "_update", lambda optimizer, loss: updates.append(loss.item()))
    losses = game._generator_step(2, game.style_encoder(art))
    for name in ("face", "style", "style_latent"):
        expected = torch.nn.functional.softplus(-logits[f"d_{name}"]).mean()
        torch.testing.assert_close(losses[f"g_{name}"], expected.detach())
    assert updates == [pytest.approx(sum(losses.values()).item())]


def test_lazy_penalties_come_in_their_steps_with_their_weights(pictures, monkeypatch):
    """r1_gamma / 2 * r1_every; path lengths at i = L and i = 0 in turn."""
    natural, art = pictures
    game = make_game(r1_gamma=3.0)
    updates = []
    monkeypatch.setattr(game, "_update", lambda optimizer, loss: updates.append(loss.item()))
    first = game.step(natural, art, torch.arange(2))
    second = game.step(natural, art, torch.arange(2))
    r1 = sum(first[f"r1_{name}"].item() for name in ("face", "style", "style_latent"))
    assert updates[1] == pytest.approx(3.0 / 2 * 2 * r1)
    assert "r1_face" not in second and "path_length" in second
    assert len(updates) == 4 + 3
    assert (game.path_length_means > 0).all()  # one for each i


def test_path_length_mean_moves_by_a_hundredth(pictures, monkeypatch):
    natural, art = pictures
    game = make_game()
    monkeypatch.setattr(game, "_update", lambda optimizer, loss: None)
    lengths = game.step(natural, art, torch.arange(2))["path_length"]
    torch.testing.assert_close(game.path_length_means[0], 0.01 * lengths)


def test_the_average_lags_behind_and_alpha_moves(pictures):
    natural, art = pictures
    game = make_game(ema_images=1e9)
    before = game.average.synthesis.constant.clone()
    alpha = game.generator.blending.alpha.detach().clone()
    game.step(natural, art, torch.arange(2))
    torch.testing.assert_close(game.average.synthesis.constant, before, rtol=0, atol=1e-5)
    assert not torch.equal(game.generator.synthesis.constant, before)
    assert not torch.equal(game.generator.blending.alpha, alpha)


def test_the_frozen_style_encoder_is_no_part_of_the_state():
    assert not any("vgg" in key for key in make_game().state_dict())
