"""Training on people drawn natural and in styles: pairs, losses, prior, exact resume."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from PIL import Image
from resumption import assert_same_weights, cut_and_resumed
from safetensors.torch import load_file
from twin_pictures import draw_twins

import blendgan_core
from blendgan_core.blendgan import BlendGAN
from blendgan_core.checkpoint import read_header, save
from blendgan_core.config import GeneratorConfig
from blendgan_core.errors import BlendGANError
from trainer.camera import as_photographed
from trainer.critic import Critic
from trainer.draws import Draws
from trainer.likeness_network import (
    Likeness,
    LikenessConfig,
    Of,
    likeness_loss,
    save_likeness,
)
from trainer.picture_losses import picture_losses
from trainer.pretrain import (
    PretrainConfig,
    blur_latents,
    faces_between,
    pretrain,
)
from trainer.pretrain_losses import layer_spread
from trainer.style_encoder import StyleEncoderTrainingConfig, train_style_encoder
from trainer.twins import Twins


@pytest.fixture(scope="module")
def twins(tmp_path_factory) -> Path:
    return draw_twins(tmp_path_factory.mktemp("twins"))


@pytest.fixture(scope="module")
def style_encoder(twins, tmp_path_factory) -> Path:
    config = StyleEncoderTrainingConfig(
        art=(twins / "styled",),
        vgg="random",
        vgg_width=2,
        image_size=32,
        hidden_dim=16,
        z_dim=16,
        batch=4,
        steps=2,
        device="cpu",
        out=tmp_path_factory.mktemp("style") / "run",
    )
    return train_style_encoder(config)


def config_of(twins: Path, style_encoder: Path, out: Path) -> PretrainConfig:
    return PretrainConfig(
        natural=(twins / "natural",),
        twins=twins,
        art=(twins / "styled",),
        style_encoder=style_encoder,
        resolution=32,
        z_dim=16,
        w_dim=16,
        channel_base=256,
        channel_max=8,
        channels=(4, 4, 8, 8),
        blocks=(1, 1, 1, 1),
        batch=2,
        steps=6,
        save_every=3,
        device="cpu",
        out=out,
    )


def network_file(folder: Path, of: Of = "face") -> Path:
    """A small network that was not trained."""
    torch.manual_seed(0)
    return save_likeness(
        Likeness(LikenessConfig(channels=(8,) * 4)), folder / "l.safetensors", 1, of
    )


def photo_flags(folder: Path) -> dict:
    """One white photo, which is to take the place of half of the faces."""
    Image.new("RGB", (32, 32), "white").save(folder / "photo.png")
    return {"photos": (folder / "photo.png",), "photo_share": 0.5}


@pytest.fixture(scope="module", autouse=True)
def short_prior():
    """Few pictures in place of thousands."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("trainer.pretrain.PRIOR_PICTURES", 32)
        yield


# ---- Pairs ----


def test_a_styled_picture_comes_with_its_person_and_its_neighbour(twins):
    """By hand: person p is 100 + 5 p grey; neighbours are 0 and 1, 2 and 3, 4 and 5."""
    pairs = Twins(twins, 32)
    light = [n for n, path in enumerate(pairs.styled.paths) if path.parent.name == "light"]
    photos, styled, looks = (
        ((batch[:, 0, 0, 0] + 1) * 127.5).round().int().tolist()
        for batch in pairs.batch(torch.tensor(light), "cpu")
    )
    people = [int(pairs.styled.paths[n].stem) for n in light]
    assert photos == [100 + 5 * p for p in people]
    assert styled == [160 + 5 * p for p in people]
    assert looks == [160 + 5 * (p ^ 1) for p in people]


@pytest.mark.parametrize(
    ("missing", "message"),
    [
        (["styled/dark/3.png"], "holds 5 pictures; expected pairs"),
        (["natural/3.png"], "dark/3.png has no natural version"),
    ],
)
def test_a_missing_twin_is_named(twins, tmp_path, missing, message):
    for path in twins.rglob("*.png"):
        name = path.relative_to(twins)
        if name.as_posix() not in missing:
            (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / name).write_bytes(path.read_bytes())
    with pytest.raises(BlendGANError, match=message):
        Twins(tmp_path, 32)


# ---- Losses and latents ----


def test_equal_pictures_have_no_loss_and_places_do_not_matter_to_grams(style_encoder):
    encoder = blendgan_core.load(style_encoder).style_encoder
    picture = torch.rand(1, 3, 32, 32) * 2 - 1
    same = picture_losses(encoder, picture, picture)
    assert all(loss.item() == pytest.approx(0, abs=1e-6) for loss in same.values())
    moved = picture_losses(encoder, picture, picture.roll(16, dims=3))
    other = picture_losses(encoder, picture, picture.round())
    assert moved["pixels"] > other["pixels"] and moved["gram"] < other["gram"]
    with torch.no_grad():
        cosine = torch.cosine_similarity(encoder(picture), encoder(picture.round())).item()
    assert other["code"].item() == pytest.approx(1 - cosine, abs=1e-5) and cosine < 0.999


def test_a_stroke_may_lie_anywhere_within_four_pixels(style_encoder):
    """By hand: a line of height 1 on a ground of 0, moved by two pixels: full places see two wrong
    rows of 32, averages of 4 x 4 none; other fine shares lie between."""
    encoder = blendgan_core.load(style_encoder).style_encoder
    line, moved = torch.zeros(2, 1, 3, 32, 32)
    line[..., 8, :], moved[..., 10, :] = 1, 1
    losses = [picture_losses(encoder, line, moved, fine) for fine in (1, 0.5, 0)]
    assert [each["pixels"].item() for each in losses] == pytest.approx([2 / 32, 1 / 32, 0])
    perceptual = losses[0]["perceptual"].item()
    assert losses[1]["perceptual"].item() == pytest.approx(perceptual / 2)
    assert losses[2]["perceptual"] == 0 and losses[2]["gram"] == losses[0]["gram"]


def test_every_tap_has_an_equal_share_of_the_gram_distance(style_encoder):
    encoder = blendgan_core.load(style_encoder).style_encoder
    pictures = torch.rand(2, 2, 3, 32, 32)
    ours, theirs = (encoder.features(x) for x in pictures)
    a, b = (encoder.standardize(encoder.grams(taps)) for taps in (ours, theirs))
    sizes = [tap.shape[1] * (tap.shape[1] + 1) // 2 for tap in ours]
    by_hand = [part.mean() for part in (a - b).abs().split(sizes, dim=1)]
    found = picture_losses(encoder, *pictures)["gram"]
    torch.testing.assert_close(found, sum(by_hand) / 5)


def test_latents_move_by_their_share_and_alike_in_all_layers():
    w_face = torch.randn(40, 1, 1000).expand(-1, 3, -1)
    moved = blur_latents(w_face, Draws(0, 0, range(20), "cpu"), 0.1) - w_face
    torch.testing.assert_close(moved[:, 0], moved[:, 2])
    assert moved.std().item() == pytest.approx(0.1 * w_face.std().item(), rel=0.1)
    assert (moved[0] - moved[20]).abs().mean() > 0.05  # a draw for each face
    assert torch.equal(blur_latents(w_face, Draws(0, 0, range(20), "cpu"), 0), w_face)


def test_a_share_of_the_faces_is_seen_as_a_camera_takes_it():
    """Colours differ in both, blur and noise in what is seen alone; the rest stays as it is."""
    faces = torch.rand(32, 3, 32, 32) * 2 - 1
    seen, wanted = as_photographed(faces, 0.5)
    assert torch.equal(seen[16:], faces[16:]) and torch.equal(wanted[16:], faces[16:])
    for picture in (seen, wanted):
        assert (picture[:16] - faces[:16]).abs().mean() > 0.05
        assert picture.abs().max() <= 1
    taken = (seen - wanted)[:16].abs().amax(dim=(1, 2, 3))
    assert 4 <= (taken > 0).sum() <= 16  # a quarter or more is blurred, noisy or blocky
    assert as_photographed(faces, 0)[0] is faces


def test_layers_lie_apart_as_a_share_of_how_far_faces_do():
    """By hand: two faces at 2 and -2, whose layers lie 1 above and below: 1 / 4, at any scale."""
    w_face = torch.tensor([[3.0, 1.0], [-1.0, -3.0]])[..., None]
    assert layer_spread(w_face).item() == pytest.approx(0.25)
    assert layer_spread(0.1 * w_face + 5).item() == pytest.approx(0.25, rel=1e-3)
    assert layer_spread(torch.ones(2, 3, 4)) == 0  # of faces that are all one


def test_strangers_lie_between_two_of_the_faces():
    """Four faces, each one axis: a stranger has shares of two, which sum to 1; of 4,000 each pair
    gets a sixth and each face a mean share of a quarter. One latent for all layers."""
    w_face = torch.eye(4)[:, None] + torch.tensor([-1.0, 0.0, 1.0])[:, None]
    drawn = faces_between(w_face, Draws(0, 0, range(4000), "cpu"))
    assert drawn.shape == (4000, 3, 4) and torch.equal(drawn[:, 0], drawn[:, 2])
    shares = drawn[:, 0]
    assert ((shares > 0).sum(dim=1) == 2).all()
    torch.testing.assert_close(shares.sum(dim=1), torch.ones(4000))
    torch.testing.assert_close(shares.mean(dim=0), torch.full((4,), 0.25), atol=0.02, rtol=0)
    _, counts = (shares > 0).unique(dim=0, return_counts=True)
    assert len(counts) == 6 and counts.min() > 580  # 667 of each, deviation 24
    assert shares.max() > 0.98  # up to the faces themselves


# ---- The critic ----


def test_the_critic_learns_what_is_drawn_and_in_which_style():
    """Bright pictures go with code +1, dark ones with -1, and what is made is grey."""
    sizes = GeneratorConfig(resolution=8, z_dim=1, w_dim=4, channel_base=64, channel_max=8)
    torch.manual_seed(3)
    critic = Critic(sizes, lr=0.01, r1_gamma=0.01)
    codes = torch.tensor([[1.0], [1.0], [-1.0], [-1.0]])
    drawn = codes[:, :, None, None] * torch.full((4, 3, 8, 8), 0.8)
    made = torch.zeros(4, 3, 8, 8)
    for step in range(200):
        losses = critic.learn(step, drawn, made, codes, -codes)
    assert losses["critic"] < 0.5  # 1.39 of one that knows nothing
    with torch.no_grad():
        deceived = [critic.loss_of(x, codes) for x in (drawn, made, -drawn)]
    assert deceived[0] < min(deceived[1:])
    assert not any(weight.requires_grad for weight in critic.parameters())


# ---- The training ----


def test_stopped_and_resumed_equals_unbroken(twins, style_encoder, tmp_path):
    config = config_of(twins, style_encoder, tmp_path / "unbroken")
    config = replace(config, critic_weight=0.1, code_weight=0.5, fresh_styles=True, photo_share=0.5)
    unbroken = pretrain(config)
    model = blendgan_core.load(unbroken)
    picture = torch.zeros(1, 3, 32, 32)
    assert model.stylize(picture, picture, indicator=0).shape == (1, 3, 32, 32)
    assert read_header(unbroken)["provenance"]["images"] == 12
    assert "d_style_latent" in read_header(unbroken)["keys"]

    config = replace(config, out=tmp_path / "resumed")
    pretrain(replace(config, steps=3))
    assert_same_weights(unbroken, pretrain(replace(config, resume=True)))


def test_photos_take_the_place_of_faces_in_every_second_step(
    twins, style_encoder, tmp_path, monkeypatch
):
    """Of two faces a step one is a photo: white, where all others are grey."""
    seen = []

    def watch(faces: torch.Tensor, share: float):
        seen.append((faces > 0.99).flatten(1).all(dim=1).tolist())
        return as_photographed(faces, share)

    monkeypatch.setattr("trainer.pretrain_pictures.as_photographed", watch)
    config = replace(config_of(twins, style_encoder, tmp_path / "run"), steps=4)
    pretrain(replace(config, **photo_flags(tmp_path)))
    assert seen == [[True, False], [False, False]] * 2


def test_a_network_of_styles_teaches_and_the_mapping_that_draws_faces_stays(
    twins, style_encoder, tmp_path
):
    """--random-faces mapping: the mapping of --init draws the strangers and is the same after the
    training; otherwise the Gaussian of the latents takes its place."""
    path = network_file(tmp_path, "style")
    config = config_of(twins, style_encoder, tmp_path / "first")
    first = pretrain(replace(config, steps=1))
    config = replace(config, init=first, random_faces="mapping", out=tmp_path / "without")
    without = load_file(pretrain(config))
    config = replace(config, style_likeness=path, out=tmp_path / "unbroken")
    unbroken = pretrain(config)
    weights, before = load_file(unbroken), load_file(first)
    logged = json.loads((tmp_path / "unbroken" / "log.jsonl").read_text().splitlines()[-1])
    assert all(0 < logged[f"{kind}_style"] < 1 for kind in ("styled", "stranger"))
    assert any(not torch.equal(weight, without[name]) for name, weight in weights.items())
    kept = [name for name in weights if "face_mapping" in name]
    assert kept and all(torch.equal(weights[name], before[name]) for name in kept)
    between = load_file(pretrain(replace(config, random_faces="between", out=tmp_path / "between")))
    assert any(not torch.equal(between[name], before[name]) for name in kept)

    config = replace(config, out=tmp_path / "resumed")
    target = "trainer.pretrain.blur_latents"
    assert_same_weights(unbroken, cut_and_resumed(pretrain, config, target, blur_latents, 4))


def test_a_likeness_network_judges_no_photos(twins, style_encoder, tmp_path, monkeypatch):
    """Of two faces a step, every second step, one is a photo: of the natural faces one is left."""
    path = network_file(tmp_path)
    seen = []

    def watch(network, made, wanted):
        assert len(made) == len(wanted)
        seen.append(len(made))
        return likeness_loss(network, made, wanted)

    monkeypatch.setattr("trainer.pretrain_losses.likeness_loss", watch)
    config = config_of(twins, style_encoder, tmp_path / "run")
    pretrain(replace(config, likeness=path, steps=2, **photo_flags(tmp_path)))
    assert seen == [1, 2, 1, 2, 2, 2]  # natural, styled, strangers: half of them, then all


def test_a_likeness_network_teaches_random_faces_and_is_resumed(twins, style_encoder, tmp_path):
    path = network_file(tmp_path)
    config = config_of(twins, style_encoder, tmp_path / "without")
    without = load_file(pretrain(replace(config, anneal=0.5)))
    config = replace(config, likeness=path, anneal=0.5, out=tmp_path / "unbroken")
    unbroken = pretrain(config)
    weights = load_file(unbroken)
    rows = (tmp_path / "unbroken" / "log.jsonl").read_text().splitlines()
    logged = json.loads(rows[-1])
    assert all(0 < logged[f"{kind}_likeness"] < 1 for kind in ("natural", "styled", "stranger"))
    assert any(not torch.equal(weight, without[name]) for name, weight in weights.items())

    config = replace(config, out=tmp_path / "resumed")
    target = "trainer.pretrain.faces_between"
    assert_same_weights(unbroken, cut_and_resumed(pretrain, config, target, faces_between, 4))


def test_it_goes_on_from_a_checkpoint_and_learns(twins, style_encoder, tmp_path):
    """60 steps halve the natural faces' error; noise and what a game left are carried over."""
    config = config_of(twins, style_encoder, tmp_path / "first")
    first = pretrain(replace(config, steps=1))
    model = blendgan_core.load(first)
    with torch.no_grad():
        model.generator.synthesis.convs[0].noise_strength.fill_(8)
    start = tmp_path / "start.safetensors"
    save(model, start, {}, {"queue": {"codes": torch.ones(2, 16)}})

    longer = replace(config, init=start, steps=60, save_every=60, out=tmp_path / "second")
    second = pretrain(replace(longer, ema_images=10))
    faces = torch.full((1, 3, 32, 32), -0.1)
    before, after = (
        (m.synthesize(m.invert(faces)) - faces).abs().mean()
        for m in (model, blendgan_core.load(second))
    )
    assert after < before / 2
    assert "queue" in read_header(second)["keys"]
    assert "d_style_latent" not in read_header(second)["keys"]
    after_noise = blendgan_core.load(second).generator.synthesis.convs[0].noise_strength
    assert 7 < after_noise.item() < 8  # 60 steps of at most 0.01


def test_layers_weight_brings_a_faces_latents_together(twins, style_encoder, tmp_path):
    spreads = []
    for weight in (0.0, 1.0):
        out = tmp_path / str(weight)
        config = replace(config_of(twins, style_encoder, out), layers_weight=weight)
        model = blendgan_core.load(pretrain(replace(config, steps=30, ema_images=2)))
        faces = torch.linspace(-0.2, 0, 6)[:, None, None, None].expand(-1, 3, 32, 32)
        spreads.append(layer_spread(model.invert(faces)).item())
    assert spreads[1] < spreads[0] / 2


@pytest.mark.parametrize(
    "wrong, message",
    [
        ({"anneal": 1.5}, "--anneal is 1.5, expected 0..1"),
        ({"encoder_rate": 0.0}, "--encoder-rate is 0.0, expected more than 0"),
        ({"photos": (Path("photos"),)}, "but --photo-share is 0"),
        ({"likeness": Path("no.safetensors")}, "--likeness no.safetensors is no file that exists"),
        ({"style_likeness": Path("x")}, "--style-likeness x .* trainer.likeness --of style"),
        ({"random_faces": "mapping"}, "draws them by --init's face mapping; give it"),
    ],
)
def test_what_a_flag_cannot_have_is_refused(twins, style_encoder, tmp_path, wrong, message):
    with pytest.raises(BlendGANError, match=message):
        pretrain(replace(config_of(twins, style_encoder, tmp_path / "run"), **wrong))
    assert not (tmp_path / "run").exists()


def test_a_start_without_a_generator_is_refused(twins, style_encoder, tmp_path):
    encoder_only = tmp_path / "style.safetensors"
    save(BlendGAN.assemble(None, blendgan_core.load(style_encoder).style_encoder), encoder_only)
    config = config_of(twins, style_encoder, tmp_path / "run")
    with pytest.raises(BlendGANError, match="has no generator to start from"):
        pretrain(replace(config, init=encoder_only))
