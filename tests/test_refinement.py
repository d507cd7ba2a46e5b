"""Refinement of pSp's latents: nearer to the photo, near the encoder's answer, each for itself."""

import pytest
import torch
from tiny_model import pictures, tiny_model

import blendgan_core
from blendgan_core.layers import average_pool
from blendgan_core.refinement import distance

STEPS = 12


@pytest.fixture(scope="module")
def tiny():
    return tiny_model(blendgan_core)


@pytest.fixture(scope="module")
def photos():
    """Two pictures of soft noise, [2, 3, 40, 40]."""
    noise = torch.rand(2, 3, 5, 5, generator=torch.Generator().manual_seed(1)) * 2 - 1
    return torch.nn.functional.interpolate(noise, size=40, mode="bilinear")


def error(model, w, photos) -> torch.Tensor:
    """The mean difference of each picture to its photo: [N]."""
    difference = model.synthesize(w) - average_pool(photos, model.resolution)
    return difference.abs().mean(dim=(1, 2, 3))


def test_it_comes_nearer_to_the_photo_and_stays_where_it_is_held(tiny, photos):
    start = tiny.invert(photos)
    free = tiny.refine(photos, start, 40, keep_close=0)
    held = tiny.refine(photos, start, 40, keep_close=1)
    assert (error(tiny, free, photos) < 0.95 * error(tiny, start, photos)).all()
    assert (held - start).norm() < 0.8 * (free - start).norm()


def test_without_a_style_encoder_the_pixels_compare(photos):
    model = tiny_model(blendgan_core, parts=("generator", "psp_encoder"))
    start = model.invert(photos)
    refined = model.refine(photos, start, 40, keep_close=0)
    assert (error(model, refined, photos) < 0.95 * error(model, start, photos)).all()


def test_no_step_changes_nothing(tiny, photos):
    start = tiny.invert(photos)
    assert torch.equal(tiny.refine(photos, start, 0), start)


def test_each_picture_is_refined_for_itself_and_always_alike(tiny, photos):
    start = tiny.invert(photos)
    both = tiny.refine(photos, start, STEPS)
    torch.manual_seed(5)
    for number in range(2):
        one = slice(number, number + 1)
        assert torch.equal(tiny.refine(photos[one], start[one], STEPS), both[one])


def test_every_step_is_reported_and_may_end_the_work(tiny, photos):
    seen = []

    def report(done, picture):
        assert picture.shape == (1, 3, 32, 32) and not picture.requires_grad
        seen.append(done)
        if done == 5:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        tiny.refine(photos, tiny.invert(photos), 3, report=report)
    assert seen == [1, 2, 3, 4, 5]  # of 2 pictures with 3 steps each


def test_the_model_is_as_before(tiny, photos):
    before = {key: value.clone() for key, value in tiny.state_dict().items()}
    tiny.refine(photos, tiny.invert(photos), STEPS)
    assert all(torch.equal(value, before[key]) for key, value in tiny.state_dict().items())


def test_half_precision_is_refined_in_full(tiny, photos):
    from blendgan_core.precision import prepare_

    half = tiny_model(blendgan_core)
    prepare_(half, torch.bfloat16)
    start = half.invert(photos)
    refined = half.refine(photos, start, STEPS)
    assert refined.dtype == torch.float32
    assert (error(half, refined, photos) < error(half, start, photos)).all()
    assert half.generator.synthesis.dtype == torch.bfloat16


def test_the_distance_by_hand():
    """Layers that moved by 1 and 3: their mean square is 5, and 1 around their mean of 2."""
    moved = torch.tensor([1.0, 3.0]).view(1, 2, 1).expand(1, 2, 4)
    assert distance(moved).item() == pytest.approx(6)


def test_latents_of_another_model_are_refused(tiny, photos):
    with pytest.raises(blendgan_core.BlendGANError, match=r"\(2, 8, 24\), this model needs"):
        tiny.refine(photos, torch.zeros(2, 8, 24), STEPS)


# the node


@pytest.fixture
def loaded_as_in_comfyui(pack, run, models_folder):
    """Weights that were read under inference mode, which autograd refuses."""
    core = pack.blendgan_core
    core.save(tiny_model(core), models_folder / "tiny.safetensors")
    (model,) = run("BlendGANLoader", checkpoint="tiny.safetensors")
    assert model.blendgan.generator.synthesis.constant.is_inference()
    return model


def test_the_node_refines_under_inference_mode(run, loaded_as_in_comfyui):
    model, image = loaded_as_in_comfyui, pictures(2, height=40, width=60)
    (plain,) = run("PSPInvert", model=model, image=image)
    (none,) = run("PSPInvert", model=model, image=image, refine_steps=0, keep_close=0.5)
    assert torch.equal(plain.w_face, none.w_face)
    (refined,) = run("PSPInvert", model=model, image=image, refine_steps=STEPS)
    assert refined.w_face.shape == plain.w_face.shape
    photo = image[:, :, 10:50].movedim(-1, 1) * 2 - 1
    expected = model.blendgan.refine(photo, plain.w_face, STEPS)
    torch.testing.assert_close(refined.w_face, expected)
    assert not torch.allclose(refined.w_face, plain.w_face)


def test_a_checkpoint_without_a_generator_says_so(pack, core, run):
    encoder = tiny_model(pack.blendgan_core, parts=("psp_encoder",))
    model = pack.nodes.devices.ManagedModel(encoder)
    with pytest.raises(core.CheckpointError, match="needs a generator"):
        run("PSPInvert", model=model, image=pictures(), refine_steps=STEPS)


def test_the_bar_moves_and_cancel_takes_effect_at_once(pack, run, model, monkeypatch):
    import comfy.utils
    from comfy import model_management

    seen = []

    class Bar(comfy.utils.ProgressBar):
        def update_absolute(self, value, total=None, preview=None):
            super().update_absolute(value, total, preview)
            if self.total == 2 * STEPS:
                seen.append((value, preview))
                if value == STEPS + 1:
                    model_management.interrupt_current_processing()

    monkeypatch.setattr(comfy.utils, "ProgressBar", Bar)
    with pytest.raises(model_management.InterruptProcessingException):
        run("PSPInvert", model=model, image=pictures(2), refine_steps=STEPS)
    assert [value for value, _ in seen] == list(range(1, STEPS + 2))
    (kind, picture, _) = seen[0][1]
    assert kind == "JPEG" and picture.size == (32, 32)
