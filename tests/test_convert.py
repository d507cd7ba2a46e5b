"""`python -m trainer.convert`: official files and ours into one of ours."""

import json
from pathlib import Path

import pytest
import torch
from golden_weights import GOLDENS
from official_files import blendgan_file, encoder_file, psp_file, stylegan2_file, tiny
from safetensors.torch import load_file
from tiny_model import tiny_model

import blendgan_core
from blendgan_core.checkpoint import read
from blendgan_core.errors import BlendGANError, CheckpointError
from blendgan_core.style_encoder import fold_gram_weight
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


def test_weights_that_16_bits_cannot_hold_keep_theirs(official, tmp_path):
    data = blendgan_file()
    data["g_ema"]["conv1.activate.bias"][0] = -1e5
    torch.save(data, official[0])
    out = tmp_path / "all.safetensors"
    convert(ConvertConfig(inputs=official[:1], out=out, half=True))
    stored = load_file(out)
    wide = {name: weight for name, weight in stored.items() if weight.dtype == torch.float32}
    assert list(wide) == ["generator.synthesis.convs.0.bias"]
    assert next(iter(wide.values()))[0] == -1e5
    bias = blendgan_core.load(out).generator.synthesis.convs[0].bias
    assert bias[0] == -1e5


def test_the_name_must_be_one_that_the_nodes_list(official, tmp_path):
    with pytest.raises(CheckpointError, match=r"ends in .safetensors \(ours\) or .pt \(the off"):
        convert(ConvertConfig(inputs=official, out=tmp_path / "all.ckpt"))
    with pytest.raises(CheckpointError, match=r"no input file"):
        convert(ConvertConfig(inputs=(), out=tmp_path / "all.safetensors"))


def there_and_back(path: Path, tmp_path: Path, **flags) -> dict:
    """An official file as the official file that ours of it becomes."""
    ours = convert(ConvertConfig(inputs=(path,), out=tmp_path / "ours.safetensors"))
    back = convert(ConvertConfig(inputs=(ours,), out=tmp_path / "back.pt", **flags))
    return torch.load(back, weights_only=True)


def different(found: dict, expected: dict) -> list[str]:
    """Keys of tensors that are not the same bit for bit; the keys and shapes must be."""
    assert found.keys() == expected.keys()
    assert all(found[key].shape == expected[key].shape for key in found)
    return [
        key
        for key in found
        if found[key].dtype != expected[key].dtype or not torch.equal(found[key], expected[key])
    ]


def test_the_official_blendgan_file_there_and_back(tmp_path):
    """By the keys of the official code: all of them, blur kernels and noise included.

    Alpha is 1 - add_weight, which rounds values below 1/2; of the first layer over Gram matrices
    only the symmetric part counts.
    """
    data = blendgan_file() | {"truncation": 0.7}
    state = data["g_ema"]
    state["add_weight"] = torch.linspace(0, 1, 10).view(1, 10, 1)
    rules = json.loads((GOLDENS / "generator.spec.json").read_text())["keys"]
    kernels = {key: rule["value"] for key, rule in rules.items() if rule["kind"] == "const"}
    assert len(kernels) == 8
    state |= {key: torch.tensor(value) for key, value in kernels.items()}
    torch.save(data, tmp_path / "blendgan.pt")
    found = there_and_back(tmp_path / "blendgan.pt", tmp_path)
    assert found.keys() == data.keys() and found["truncation"] == 0.7
    assert torch.equal(found["latent_avg"], data["latent_avg"])
    first = "embedder.embedder_mlp.0.weight"
    assert set(different(found["g_ema"], state)) <= {first, "add_weight"}
    torch.testing.assert_close(found["g_ema"]["add_weight"], state["add_weight"], rtol=0, atol=6e-8)
    full = state[first]
    symmetric = full.clone()
    for start, c in ((0, 2), (4, 4), (20, 8), (84, 16), (340, 16)):
        matrix = full[:, start : start + c * c].view(-1, c, c)
        symmetric[:, start : start + c * c] = ((matrix + matrix.mT) / 2).flatten(1)
    torch.testing.assert_close(found["g_ema"][first], symmetric, rtol=0, atol=1e-6)
    assert torch.equal(fold_gram_weight(found["g_ema"][first], 2), fold_gram_weight(full, 2))


def test_alpha_out_of_range_and_exact_halves(tmp_path):
    """The official code clamps add_weight when it blends; from 1/2 on 1 - x is exact."""
    data = blendgan_file()
    weights = torch.tensor([-0.5, 1.5, 0.5, 0.501, 0.7, 0.9, 0.999, 1, 0, 0.75]).view(1, 10, 1)
    data["g_ema"]["add_weight"] = weights
    torch.save(data, tmp_path / "blendgan.pt")
    found = there_and_back(tmp_path / "blendgan.pt", tmp_path)["g_ema"]["add_weight"]
    assert torch.equal(found, weights.clamp(0, 1))


def test_the_official_psp_file_there_and_back(tmp_path):
    data = psp_file()
    data["state_dict"]["encoder.input_layer.1.num_batches_tracked"] = torch.tensor(7)
    data["latent_avg"] = torch.randn(10, 8)
    torch.save(data, tmp_path / "psp_encoder.pt")
    found = there_and_back(tmp_path / "psp_encoder.pt", tmp_path)
    assert found.keys() == data.keys() and torch.equal(found["latent_avg"], data["latent_avg"])
    integers = "num_batches_tracked"  # the spec draws them as floats
    assert all(key.endswith(integers) for key in different(found["state_dict"], data["state_dict"]))


def test_a_style_encoder_alone_there_and_back(tmp_path):
    state = tiny("style_encoder")
    torch.save(state, tmp_path / "style_encoder.pt")
    found = there_and_back(tmp_path / "style_encoder.pt", tmp_path)
    assert different(found, state) == ["embedder_mlp.0.weight"]


def test_ours_there_and_back_gives_the_same_pictures(tmp_path, capsys):
    """All but what the official layout has no place for, which is said in one line."""
    model = tiny_model(blendgan_core, parts=("generator",))
    model.generator.blending.alpha.data.copy_(torch.linspace(0, 1, 8))
    model.generator.w_mean.normal_()
    path = tmp_path / "ours.safetensors"
    blendgan_core.save(model, path, {"steps": 3}, {"d_face": {"a": torch.ones(1)}})
    assert there_and_back(path, tmp_path)["g_ema"]["add_weight"].dtype == torch.float32
    left_out = "left out, since the official layout has no place for it: d_face, the provenance\n"
    assert left_out in capsys.readouterr().out
    again = blendgan_core.load(tmp_path / "back.pt")
    w = model.blend(model.sample_face([1]), model.sample_style([2]), indicator=2)
    w_again = again.blend(again.sample_face([1]), again.sample_style([2]), indicator=2)
    torch.testing.assert_close(w_again, w, rtol=0, atol=1e-6)
    torch.testing.assert_close(again.synthesize(w), model.synthesize(w), rtol=0, atol=1e-5)
    model.generator.style_mean += 1
    blendgan_core.save(model, path)
    there_and_back(path, tmp_path)
    assert "the distribution of random styles" in capsys.readouterr().out


def test_what_no_official_file_holds_is_refused(official, tmp_path):
    out = tmp_path / "back.pt"
    with pytest.raises(CheckpointError, match=r"no official file .* --parts generator style_enc"):
        convert(ConvertConfig(inputs=official, out=out))
    model = tiny_model(blendgan_core, parts=("style_encoder", "psp_encoder"))
    ours = blendgan_core.save(model, tmp_path / "ours.safetensors")
    for part, reason in {
        "style_encoder": r"the style encoder: its image_size is 32, there it would be 256; name",
        "psp_encoder": r"the pSp encoder: the trunk has stages of \[4, 8\] channels, expected four",
    }.items():
        with pytest.raises(CheckpointError, match=rf"back.pt was not .* cannot hold {reason}"):
            convert(ConvertConfig(inputs=(ours,), out=out, parts=(part,)))
    assert not list(tmp_path.glob("*back*"))


def test_parts_choose(official, tmp_path):
    out = convert(ConvertConfig(inputs=official, out=tmp_path / "p.pt", parts=("psp_encoder",)))
    assert torch.load(out, weights_only=True).keys() == {"state_dict", "latent_avg"}
    parts = ("generator", "psp_encoder")
    out = convert(ConvertConfig(inputs=official, out=tmp_path / "o.safetensors", parts=parts))
    assert list(read(out).states) == ["generator", "psp_encoder"]
    with pytest.raises(BlendGANError, match=r"--parts names 'd_face'; the inputs hold: generator,"):
        convert(ConvertConfig(inputs=official, out=out, parts=("d_face",)))


def test_a_generator_without_styles_gives_way(official, tmp_path, capsys):
    """The decoder of a pSp file, beside the generator that knows styles, in either order."""
    torch.save(encoder_file("GradualStyleEncoder"), tmp_path / "psp_and_decoder.pt")
    pair = (official[0], tmp_path / "psp_and_decoder.pt")
    expected = blendgan_core.load(official[0]).generator.state_dict()
    for inputs in (pair, pair[::-1]):
        out = convert(ConvertConfig(inputs=inputs, out=tmp_path / "all.safetensors"))
        shown = capsys.readouterr().out
        assert f"left out: the generator of {pair[1]}, since another" in shown
        found = read(out).states
        assert set(found) == {"generator", "style_encoder", "psp_encoder"}
        assert all(torch.equal(found["generator"][key], expected[key]) for key in expected)


def test_a_stylegan2_keeps_its_discriminator(tmp_path):
    torch.save(stylegan2_file(), tmp_path / "stylegan2.pt")
    inputs = (tmp_path / "stylegan2.pt",)
    out = convert(ConvertConfig(inputs=inputs, out=tmp_path / "all.safetensors"))
    assert {"d_face"} == set(read(out).extras)


def test_what_does_not_fit_its_own_sizes_is_not_written(official, tmp_path):
    ours = convert(ConvertConfig(inputs=official[:1], out=tmp_path / "ours.safetensors"))
    data = ours.read_bytes().replace(rb"\"mapping_layers\": 8", rb"\"mapping_layers\": 7")
    ours.write_bytes(data)
    with pytest.raises(CheckpointError, match=r"ours.safetensors: its generator does not fit the"):
        convert(ConvertConfig(inputs=(ours,), out=tmp_path / "again.safetensors"))
    assert not (tmp_path / "again.safetensors").exists()


def test_a_converted_stylegan2_still_knows_no_styles(tmp_path):
    """So that its generator gives way again, and a training draws a style mapping of its own."""
    plain = tmp_path / "plain.pt"
    torch.save(stylegan2_file(), plain)
    out = convert(ConvertConfig(inputs=(plain,), out=tmp_path / "plain.safetensors"))
    assert not read(out).knows_styles
    assert read(blendgan_core.STARTER).knows_styles
