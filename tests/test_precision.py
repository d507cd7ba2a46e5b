"""Half precision: what is stored in it, and that every way through the model agrees with fp32."""

import pytest
import torch
from golden_weights import relative_error
from tiny_model import tiny_model

import blendgan_core


@pytest.fixture
def path(tmp_path):
    return blendgan_core.save(tiny_model(blendgan_core), tmp_path / "tiny.safetensors")


@pytest.mark.parametrize("dtype, tolerance", [(torch.bfloat16, 0.05), (torch.float16, 0.01)])
def test_pictures_and_codes_agree_with_fp32(path, dtype, tolerance):
    full, half = blendgan_core.load(path), blendgan_core.load(path, dtype=dtype)
    generator = torch.Generator().manual_seed(0)
    face, art = (torch.rand(2, 3, 40, 40, generator=generator) * 2 - 1 for _ in range(2))
    for found, expected in (
        (half.encode_style(art), full.encode_style(art)),
        (half.invert(face), full.invert(face)),
        (half.stylize(face, art), full.stylize(face, art)),
    ):
        assert found.dtype == torch.float32
        assert relative_error(found, expected) < tolerance
    assert torch.equal(half.sample_face([1]), full.sample_face([1]))  # mapping stays in fp32


def test_what_is_stored_in_half_precision(path):
    model = blendgan_core.load(path, dtype=torch.bfloat16)
    assert model.style_encoder.vgg[0].weight.dtype == torch.bfloat16
    assert model.style_encoder.predictor[0].weight.dtype == torch.bfloat16
    assert model.style_encoder.predictor[1].weight.dtype == torch.float32
    assert model.psp_encoder.lateral_fine.weight.dtype == torch.bfloat16
    assert model.psp_encoder.input_layer[1].running_var.dtype == torch.float32
    assert {p.dtype for p in model.generator.parameters()} == {torch.float32}
    assert model.generator.synthesis.dtype == torch.bfloat16


def test_a_model_ready_to_compute_saves_what_it_loaded(path, tmp_path):
    """The order of its weights in memory is not that of the file."""
    model = blendgan_core.load(path)
    again = blendgan_core.save(model, tmp_path / "again.safetensors")
    assert again.read_bytes()[-1000:] == path.read_bytes()[-1000:]
    for one, other in zip(
        model.state_dict().values(), blendgan_core.load(again).state_dict().values(), strict=True
    ):
        assert torch.equal(one, other)
