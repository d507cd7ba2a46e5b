"""Every training for some steps on tiny networks; stopped and resumed it equals an unbroken run."""

import json
import signal
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from resumption import assert_same_weights
from safetensors.torch import load_file

import blendgan_core
from blendgan_core.checkpoint import read_header
from blendgan_core.errors import BlendGANError
from trainer import finetune as finetune_module
from trainer import psp as psp_module
from trainer.finetune import FinetuneConfig, finetune
from trainer.gan import GanConfig, train_gan
from trainer.psp import PSPTrainingConfig, train_psp
from trainer.style_encoder import StyleEncoderTrainingConfig, train_style_encoder

SHARED = {"batch": 2, "steps": 6, "save_every": 3, "device": "cpu"}


@pytest.fixture(scope="module")
def faces(tmp_path_factory) -> Path:
    """Folders `natural` and `art`, the latter with two styles, of random pictures of 32 pixels."""
    root = tmp_path_factory.mktemp("faces")
    rng = np.random.default_rng(0)
    for folder in ("natural", "art/rough", "art/smooth"):
        (root / folder).mkdir(parents=True)
        for number in range(6):
            grain = 32 if folder == "art/rough" else 4
            pixels = rng.integers(0, 256, (grain, grain, 3), dtype=np.uint8)
            picture = Image.fromarray(pixels).resize((32, 32), Image.Resampling.BILINEAR)
            picture.save(root / folder / f"{number}.png")
    return root


def style_encoder_config(faces: Path, out: Path) -> StyleEncoderTrainingConfig:
    return StyleEncoderTrainingConfig(
        art=(faces / "art",),
        vgg="random",
        vgg_width=2,
        image_size=32,
        hidden_dim=16,
        z_dim=16,
        out=out,
        **SHARED | {"batch": 4},
    )


def gan_config(faces: Path, out: Path, style_encoder: Path) -> GanConfig:
    return GanConfig(
        natural=(faces / "natural",),
        art=(faces / "art",),
        style_encoder=style_encoder,
        resolution=32,
        z_dim=16,
        w_dim=16,
        channel_base=256,
        channel_max=8,
        r1_every=2,
        path_length_every=2,
        queue_size=16,
        negatives=("queued", "paired", "mismatched"),
        ema_images=100,
        out=out,
        **SHARED,
    )


def psp_config(faces: Path, out: Path, generator: Path) -> PSPTrainingConfig:
    return PSPTrainingConfig(
        generator=generator,
        natural=(faces / "natural",),
        latent_weight=0.1,
        image_size=32,
        channels=(4, 4, 8, 8),
        blocks=(1, 1, 1, 1),
        out=out,
        **SHARED,
    )


@pytest.fixture(scope="module")
def chain(faces, tmp_path_factory) -> dict[str, Path]:
    """The three trainings of the paper, one after the other: name -> final checkpoint."""
    root = tmp_path_factory.mktemp("runs")
    style_encoder = train_style_encoder(style_encoder_config(faces, root / "style_encoder"))
    gan = train_gan(gan_config(faces, root / "gan", style_encoder))
    psp = train_psp(psp_config(faces, root / "psp", gan))
    return {"style_encoder": style_encoder, "gan": gan, "psp": psp}


def test_the_last_checkpoint_stylises_and_carries_what_a_finetune_needs(chain):
    model = blendgan_core.load(chain["psp"])
    out = model.stylize(torch.zeros(1, 3, 32, 32), torch.zeros(1, 3, 32, 32), indicator=0)
    assert out.shape == (1, 3, 32, 32)
    header = read_header(chain["psp"])
    assert {"d_face", "d_style", "d_style_latent", "queue"} <= set(header["keys"])
    assert header["provenance"]["images"] == 12


@pytest.mark.parametrize("name", ["style_encoder", "gan", "psp"])
def test_a_run_folder_is_complete(chain, name):
    folder = chain[name].parent
    lines = [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]
    assert [line["step"] for line in lines] == [3, 6]
    assert all(line["images_per_second"] > 0 for line in lines)
    assert sorted(p.name for p in (folder / "samples").iterdir()) == ["0000003.png", "0000006.png"]
    assert json.loads((folder / "config.json").read_text())["steps"] == 6


@pytest.mark.parametrize("name", ["style_encoder", "gan", "psp"])
def test_stopped_and_resumed_equals_unbroken(faces, chain, tmp_path, name):
    train, config = {
        "style_encoder": (train_style_encoder, style_encoder_config(faces, tmp_path)),
        "gan": (train_gan, gan_config(faces, tmp_path, chain["style_encoder"])),
        "psp": (train_psp, psp_config(faces, tmp_path, chain["gan"])),
    }[name]
    train(replace(config, steps=3))
    assert_same_weights(chain[name], train(replace(config, resume=True)))


def test_an_interrupt_saves_and_resumes(faces, chain, tmp_path, monkeypatch):
    config = psp_config(faces, tmp_path, chain["gan"])
    steps_seen = []

    def interrupt_second(*args):
        steps_seen.append(len(steps_seen))
        if len(steps_seen) == 2:
            signal.raise_signal(signal.SIGINT)
        return original(*args)

    original = psp_module.reconstruction_losses
    monkeypatch.setattr("trainer.psp.reconstruction_losses", interrupt_second)
    with pytest.raises(KeyboardInterrupt):
        train_psp(config)
    assert len(steps_seen) == 2
    resumed = train_psp(replace(config, resume=True))
    unbroken, again = load_file(chain["psp"]), load_file(resumed)
    assert all(torch.equal(unbroken[key], again[key]) for key in unbroken)


def test_no_seed_gives_a_code_that_is_a_row_of_the_weights(chain):
    weight = load_file(chain["gan"])["generator.face_mapping.layers.0.weight"]
    for seed in range(50):
        z = torch.randn(len(weight), generator=torch.Generator().manual_seed(seed))
        assert torch.cosine_similarity(weight, z[None]).max() < 0.95


def test_training_changes_what_it_should_and_nothing_else(chain):
    """pSp's generator is frozen; so is the GAN's style encoder."""
    style_encoder, gan, psp = (load_file(chain[n]) for n in ("style_encoder", "gan", "psp"))
    for key, value in style_encoder.items():
        assert torch.equal(gan[key], value), key
    for key, value in gan.items():
        assert torch.equal(psp[key], value), key
    alpha = gan["generator.blending.alpha"]
    assert ((alpha != 0.3) & (alpha >= 0) & (alpha <= 1)).all()


def test_natural_branch_alone_then_all_three_from_it(faces, chain, tmp_path):
    config = gan_config(faces, tmp_path / "natural", chain["style_encoder"])
    natural = train_gan(replace(config, art=(), style_encoder=None, steps=2))
    assert set(read_header(natural)["keys"]) == {"generator", "d_face"}
    full = replace(config, out=tmp_path / "full", init=natural, steps=1, lr=1e-9)
    after = load_file(train_gan(full))
    before = load_file(natural)
    key = "generator.face_mapping.layers.0.weight"
    torch.testing.assert_close(after[key], before[key], rtol=1e-4, atol=1e-4)
    key = "d_face.trunk.from_rgb.weight"
    torch.testing.assert_close(after[key], before[key], rtol=1e-4, atol=1e-4)


def test_starting_from_a_whole_model_keeps_its_style_branch(faces, chain, tmp_path):
    """Also when it has no discriminators, as converted official weights."""
    whole = blendgan_core.save(blendgan_core.load(chain["gan"]), tmp_path / "whole.safetensors")
    config = gan_config(faces, tmp_path / "run", chain["style_encoder"])
    after = load_file(train_gan(replace(config, init=whole, steps=1, lr=1e-9, alpha_lr=1e-9)))
    before = load_file(whole)
    for key in ("style_mapping.layers.0.weight", "blending.alpha"):
        key = f"generator.{key}"
        torch.testing.assert_close(after[key], before[key], rtol=1e-4, atol=1e-4)


def test_alpha_can_be_fixed_at_any_start(faces, chain, tmp_path):
    """To the last bit, while the rest learns; also where --init brings an alpha."""
    config = gan_config(faces, tmp_path, chain["style_encoder"])
    fixed = replace(config, init=chain["gan"], steps=2, alpha_init=0.75, alpha_lr=0)
    before, after = load_file(chain["gan"]), load_file(train_gan(fixed))
    assert (after["generator.blending.alpha"] == 0.75).all()
    key = "generator.synthesis.to_rgbs.0.bias"
    assert not torch.equal(after[key], before[key])


def test_psp_goes_on_from_an_encoder(faces, chain, tmp_path):
    """With a rate of nearly 0 the encoder is still that of --init; a file without is refused."""
    config = replace(psp_config(faces, tmp_path / "on", chain["gan"]), init=chain["psp"], steps=1)
    before = load_file(chain["psp"])
    after = load_file(train_psp(replace(config, lr=1e-9)))
    for name, weight in before.items():
        if name.startswith("psp_encoder.heads"):
            torch.testing.assert_close(weight, after[name], atol=1e-6, rtol=0, msg=name)
    with pytest.raises(BlendGANError, match="has no pSp encoder to start from"):
        train_psp(replace(config, init=chain["gan"], out=tmp_path / "refused"))
    with pytest.raises(BlendGANError, match="--trunk and --init both say where to start"):
        train_psp(replace(config, trunk=chain["psp"], out=tmp_path / "refused"))


def test_finetune_writes_a_checkpoint_for_the_loader(faces, chain, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(finetune_module, "models_folder", lambda: tmp_path / "models")
    reference = faces / "art" / "rough" / "0.png"
    config = FinetuneConfig(
        ref=(reference,),
        mode="paper",
        checkpoint=chain["psp"],
        name="rough",
        out=tmp_path / "run",
        steps=3,
        save_every=3,
        device="cpu",
    )
    listed = finetune(config)
    assert listed == tmp_path / "models" / "rough.safetensors"
    assert str(listed) in capsys.readouterr().out
    before, after = load_file(chain["psp"]), load_file(listed)
    assert {k.split(".")[0] for k in after} == {"generator", "style_encoder", "psp_encoder"}
    header = read_header(tmp_path / "run" / "final.safetensors")
    assert "d_style_latent" in header["keys"]
    assert header["provenance"]["parent_provenance"]["kind"] == "gan"
    key = "generator.synthesis.convs.0.conv.weight"
    assert not torch.equal(before[key], after[key])
    key = "style_encoder.predictor.0.weight"
    assert torch.equal(before[key], after[key])
    assert blendgan_core.load(listed).stylize(*torch.zeros(2, 1, 3, 32, 32)).isfinite().all()


@pytest.mark.parametrize(
    "changes, message",
    [
        ({"style_encoder": None}, "--art needs --style-encoder"),
        ({"natural": (Path("nowhere"),)}, "nowhere does not exist"),
        ({"init": Path("nowhere.pt")}, "--init nowhere.pt is no file that exists"),
        ({"style_encoder": Path("gone.pt")}, "--style-encoder gone.pt is no file that exists"),
        ({"accumulate": 3}, "--batch is 2, all processes together, and does not divide among"),
        ({"steps": -1}, "--steps is -1"),
        ({"r1_every": 0}, "--r1-every is 0"),
        ({"natural": ()}, "no folder of pictures was given"),
        ({"negatives": ()}, "--negatives is empty"),
        ({"device": "tpu9"}, "--device tpu9 cannot be used"),
        ({"resume": True}, "holds no run to resume"),
    ],
)
def test_bad_flags_are_named(faces, chain, tmp_path, changes, message):
    config = gan_config(faces, tmp_path / "run", chain["style_encoder"])
    with pytest.raises(BlendGANError, match=message):
        train_gan(replace(config, **changes))
    assert not (tmp_path / "run").exists()


def test_a_run_is_neither_overwritten_nor_resumed_with_other_flags(faces, chain):
    config = gan_config(faces, chain["gan"].parent, chain["style_encoder"])
    with pytest.raises(BlendGANError, match="already holds a run; add --resume"):
        train_gan(config)
    with pytest.raises(BlendGANError, match=r"--lr is 0.1, but the run in .* started with 0.002"):
        train_gan(replace(config, resume=True, lr=0.1))


@pytest.mark.parametrize("mode", ["paper", "fast"])
def test_finetune_resumes_exactly(faces, chain, tmp_path, monkeypatch, mode):
    config = FinetuneConfig(
        ref=(faces / "art" / "rough" / "0.png",),
        mode=mode,
        checkpoint=chain["psp"],
        out=tmp_path / "unbroken",
        name="new",
        steps=4,
        save_every=2,
        device="cpu",
    )
    models = {}
    for folder, parts in {"unbroken": (4,), "resumed": (2, 4)}.items():
        monkeypatch.setattr(finetune_module, "models_folder", lambda: tmp_path / "m" / folder)  # noqa: B023
        for steps in parts:
            resume = steps != parts[0]
            changes = {"out": tmp_path / folder, "steps": steps, "resume": resume}
            models[folder] = load_file(finetune(replace(config, **changes)))
    assert all(torch.equal(models["resumed"][k], v) for k, v in models["unbroken"].items())


def test_finetune_does_not_overwrite_a_checkpoint(faces, chain, tmp_path, monkeypatch):
    monkeypatch.setattr(finetune_module, "models_folder", lambda: tmp_path)
    (tmp_path / "0.safetensors").write_text("precious")
    config = FinetuneConfig(ref=(faces / "art" / "rough" / "0.png",), checkpoint=chain["psp"])
    with pytest.raises(BlendGANError, match="exists already; choose another --name"):
        finetune(config)


def test_infinite_weights_are_never_saved(faces, chain, tmp_path, monkeypatch):
    """A finite loss may have an infinite gradient: the root at 0."""
    config = replace(psp_config(faces, tmp_path, chain["gan"]), save_every=1)

    def root_of_zero(criteria, base, encoder, *_):
        return {"l2": (encoder.latent_avg * 0 + next(encoder.parameters()).sum() * 0).sqrt().sum()}

    monkeypatch.setattr("trainer.psp.reconstruction_losses", root_of_zero)
    with pytest.raises(BlendGANError, match="weights of the encoder are not finite at step 1"):
        train_psp(config)
    assert not (tmp_path / "state" / "latest.pt").exists()


def test_a_loss_that_is_not_a_number_stops_and_keeps_the_last_good_state(
    faces, chain, tmp_path, monkeypatch
):
    config = psp_config(faces, tmp_path, chain["gan"])
    train_psp(replace(config, steps=3))
    good = (tmp_path / "state" / "latest.pt").read_bytes()
    nan = {"l2": torch.tensor(float("nan"), requires_grad=True)}
    monkeypatch.setattr("trainer.psp.reconstruction_losses", lambda *_: nan)
    with pytest.raises(BlendGANError, match="l2 became nan at step 6"):
        train_psp(replace(config, resume=True))
    assert (tmp_path / "state" / "latest.pt").read_bytes() == good
