"""`python -m trainer.convert`: official files and ours into one of ours."""

from pathlib import Path

import pytest
import torch
from official_files import blendgan_file, psp_file, tiny

import blendgan_core
from blendgan_core.checkpoint import read
from blendgan_core.errors import CheckpointError
from trainer.convert import ConvertConfig, convert


@pytest.fixture
def official(tmp_path) -> tuple[Path, Path]:
    torch.save(blendgan_file(), tmp_path / "blendgan.pt")
    torch.save(psp_file(), tmp_path / "psp_encoder.pt")
    return tmp_path / "blendgan.pt", tmp_path / "psp_encoder.pt"


def test_official_files_become_one_model(official, tmp_path, capsys):
    """The picture of the merged file is that of the parts, each loaded from its own file."""
    out = convert(ConvertConfig(inputs=official, out=tmp_path / "new" / "all.safetensors"))
    merged = blendgan_core.load(out)
    blendgan, psp = (blendgan_core.load(path) for path in official)
    face, art = torch.rand(1, 3, 70, 70) * 2 - 1, torch.rand(1, 3, 50, 80) * 2 - 1
    w = blendgan.blend(psp.invert(face), blendgan.encode_style(art))
    assert torch.equal(merged.stylize(face, art), blendgan.synthesize(w))
    assert "generator, style encoder, pSp encoder" in capsys.readouterr().out
    provenance = read(out).provenance
    assert provenance["kind"] == "converted"
    assert provenance["sources"] == [
        {"file": "blendgan.pt", "parts": ["generator", "style_encoder"]},
        {"file": "psp_encoder.pt", "parts": ["psp_encoder"]},
    ]


def test_half_is_half_the_size_and_close(official, tmp_path):
    full = convert(ConvertConfig(inputs=official, out=tmp_path / "full.safetensors"))
    half = convert(ConvertConfig(inputs=official, out=tmp_path / "half.safetensors", half=True))
    tensors = blendgan_core.load(half).state_dict()
    for key, tensor in blendgan_core.load(full).state_dict().items():
        torch.testing.assert_close(tensors[key], tensor, rtol=1e-3, atol=1e-6)
    assert read(half).states["generator"]["synthesis.constant"].dtype == torch.float16
    assert half.stat().st_size < 0.6 * full.stat().st_size


def test_our_files_keep_their_discriminators_and_history(official, tmp_path):
    model = blendgan_core.load(official[0])
    ours = tmp_path / "ours.safetensors"
    extras = {"d_face": {"a.weight": torch.ones(2)}}
    blendgan_core.save(model, ours, metadata={"kind": "gan", "steps": 3}, extras=extras)
    out = tmp_path / "all.safetensors"
    convert(ConvertConfig(inputs=(ours, official[1]), out=out))
    assert torch.equal(read(out).extras["d_face"]["a.weight"], torch.ones(2))
    first = read(out).provenance["sources"][0]
    assert first["provenance"] == {"kind": "gan", "steps": 3}


@pytest.mark.parametrize("half", [False, True])
def test_nothing_is_written_on_an_error(official, tmp_path, half):
    out = tmp_path / "all.safetensors"
    with pytest.raises(CheckpointError, match=r"both hold the part 'generator'; leave one"):
        convert(ConvertConfig(inputs=(official[0], official[0]), out=out, half=half))
    assert not list(tmp_path.glob("*safetensors*"))


def test_parts_of_different_models_do_not_merge(official, tmp_path):
    other = {key: value for key, value in tiny("style_encoder", z_style=12).items()}
    torch.save(other, tmp_path / "style_encoder.pt")
    generator = {"g_ema": tiny("generator"), "latent_avg": torch.zeros(1, 8)}
    torch.save(generator, tmp_path / "generator.pt")
    inputs = (tmp_path / "generator.pt", tmp_path / "style_encoder.pt")
    with pytest.raises(
        CheckpointError, match=r"style_encoder.pt makes style codes of 12 .* takes 8"
    ):
        convert(ConvertConfig(inputs=inputs, out=tmp_path / "all.safetensors"))
    psp = {f"encoder.{key}": value for key, value in tiny("psp_encoder", z_style=12).items()}
    torch.save({"state_dict": psp, "latent_avg": torch.zeros(12)}, tmp_path / "psp.pt")
    inputs = (tmp_path / "generator.pt", tmp_path / "psp.pt")
    with pytest.raises(CheckpointError, match=r"face codes of \[10, 12\], but .* takes \[10, 8\]"):
        convert(ConvertConfig(inputs=inputs, out=tmp_path / "all.safetensors"))


def test_weights_that_16_bits_cannot_hold(official, tmp_path):
    data = blendgan_file()
    data["g_ema"]["conv1.activate.bias"][0] = -1e5
    torch.save(data, official[0])
    out = tmp_path / "all.safetensors"
    with pytest.raises(CheckpointError, match=r"convs.0.bias' .* up to 1e\+05, .* without --half"):
        convert(ConvertConfig(inputs=official[:1], out=out, half=True))
    assert not out.exists()


def test_the_name_must_be_one_that_the_nodes_list(official, tmp_path):
    with pytest.raises(CheckpointError, match=r"ends in .safetensors"):
        convert(ConvertConfig(inputs=official, out=tmp_path / "all.pt"))
    with pytest.raises(CheckpointError, match=r"no input file"):
        convert(ConvertConfig(inputs=(), out=tmp_path / "all.safetensors"))
