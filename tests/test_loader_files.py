"""A model of several files in the loader: a pSp encoder of its own, a delta over the checkpoint."""

import os

import pytest
import torch
from tiny_model import pictures, tiny_model

CHECKPOINT = "base.safetensors"


@pytest.fixture
def files(core, models_folder):
    """A checkpoint, another of the same sizes with other weights, and deltas of either."""
    models = [tiny_model(core), tiny_model(core)]
    for parameter in models[1].parameters():
        parameter.data.mul_(1.5)
    for name, model in zip((CHECKPOINT, "other.safetensors"), models, strict=True):
        core.save(model, models_folder / name)
        old = model.generator.state_dict()
        new = old | {"blending.alpha": old["blending.alpha"] + 0.25}
        core.delta.write_delta(
            models_folder / f"delta of {name}",
            models_folder / name,
            core.delta.encode(new, old),
            {"seed": 1},
        )
    return models


def load(run, checkpoint=CHECKPOINT, **more):
    (model,) = run("BlendGANLoader", checkpoint=checkpoint, **more)
    return model.blendgan


def test_the_combos_offer_none_and_the_users_files(nodes, files):
    inputs = nodes["BlendGANLoader"].GET_NODE_INFO_V1()["input"]["optional"]
    assert list(inputs) == ["address", "precision", "psp", "delta"]
    for name in ("psp", "delta"):
        options = inputs[name][1]
        assert options["default"] == options["options"][0] == "none"
        assert CHECKPOINT in options["options"]


def test_none_is_the_checkpoint_alone(core, run, files, models_folder):
    plain, none = load(run), load(run, psp="none", delta="none")
    expected = core.load(models_folder / CHECKPOINT).state_dict()
    for model in (plain, none):
        assert all(torch.equal(value, expected[key]) for key, value in model.state_dict().items())


def test_the_psp_encoder_comes_from_its_own_file(run, files):
    model, other = load(run, psp="other.safetensors"), load(run, "other.safetensors")
    base = load(run)
    image = pictures().movedim(-1, 1)
    assert torch.equal(model.invert(image), other.invert(image))
    assert torch.equal(model.encode_style(image), base.encode_style(image))
    assert torch.equal(model.sample_face([1]), base.sample_face([1]))


def test_a_psp_encoder_may_be_all_that_is_added(core, run, files, models_folder):
    core.save(tiny_model(core, parts=("generator",)), models_folder / "faces.safetensors")
    encoder = core.BlendGAN.assemble(psp_encoder=files[0].psp_encoder)
    core.save(encoder, models_folder / "psp.safetensors")
    model = load(run, "faces.safetensors", psp="psp.safetensors")
    image = pictures().movedim(-1, 1)
    assert model.style_encoder is None
    assert torch.equal(model.invert(image), load(run).invert(image))


def test_a_file_without_a_psp_encoder_is_refused(core, run, files, models_folder):
    core.save(tiny_model(core, parts=("generator",)), models_folder / "faces.safetensors")
    with pytest.raises(core.CheckpointError, match=r"pSp encoder, but .*faces.* only: generator"):
        load(run, psp="faces.safetensors")


def test_a_psp_encoder_of_another_size_is_refused(core, run, files, models_folder):
    core.save(tiny_model(core, w_dim=24), models_folder / "wide.safetensors")
    with pytest.raises(core.CheckpointError, match=r"wide.* face codes of \[8, 24\], but .*base"):
        load(run, psp="wide.safetensors")


def test_a_delta_is_laid_over_its_checkpoint(run, files):
    base, model = load(run), load(run, delta=f"delta of {CHECKPOINT}")
    moved = model.generator.blending.alpha - base.generator.blending.alpha
    torch.testing.assert_close(moved, torch.full_like(moved, 0.25))
    alone = load(run, f"delta of {CHECKPOINT}")  # it finds its base by itself
    assert torch.equal(model.generator.blending.alpha, alone.generator.blending.alpha)


def test_delta_and_psp_together(run, files):
    model = load(run, psp="other.safetensors", delta=f"delta of {CHECKPOINT}")
    image = pictures().movedim(-1, 1)
    assert torch.equal(model.invert(image), load(run, "other.safetensors").invert(image))
    assert model.generator.blending.alpha[0] == pytest.approx(0.75, abs=1e-3)


def test_a_delta_of_another_checkpoint_is_refused(core, run, files):
    message = r"delta on top of 'other.safetensors' .*, and .*base.* is another file; choose"
    with pytest.raises(core.CheckpointError, match=message):
        load(run, delta="delta of other.safetensors")


def test_what_is_no_delta_is_refused(core, run, files, models_folder):
    with pytest.raises(core.CheckpointError, match="a whole checkpoint, not a delta; choose it as"):
        load(run, delta="other.safetensors")
    (models_folder / "blendgan.pt").write_bytes(b"PK\3\4")
    with pytest.raises(core.CheckpointError, match="is no delta"):
        load(run, delta="blendgan.pt")


def test_the_fingerprint_notices_each_file(nodes, files, models_folder):
    names = {"psp": "other.safetensors", "delta": f"delta of {CHECKPOINT}"}

    def fingerprint(**chosen):
        return nodes["BlendGANLoader"].fingerprint_inputs(CHECKPOINT, "", "fp32", **chosen)

    assert fingerprint() == fingerprint(psp="none", delta="none")
    for name, file in names.items():
        before = fingerprint(**{name: file})
        assert before == fingerprint(**{name: file}) != fingerprint()
        os.utime(models_folder / file, (1, 1))
        assert fingerprint(**{name: file}) != before
