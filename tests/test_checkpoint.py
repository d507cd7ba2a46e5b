"""Checkpoints: what goes in comes out, and what is wrong is named."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from tiny_model import tiny_model

import blendgan_core
from blendgan_core import CheckpointError
from blendgan_core.checkpoint import read


@pytest.fixture
def saved(tmp_path):
    model = tiny_model(blendgan_core)
    extras = {"queue": {"codes": torch.arange(6.0).view(3, 2)}}
    path = blendgan_core.save(model, tmp_path / "model.safetensors", {"seed": 3}, extras)
    return model, path


def test_round_trip_is_exact(saved):
    model, path = saved
    again = blendgan_core.load(path)
    assert again.config == model.config
    assert again.provenance == {"seed": 3}
    for (name, before), after in zip(
        model.state_dict().items(), again.state_dict().values(), strict=True
    ):
        assert torch.equal(before, after), name
    assert not any(p.requires_grad for p in again.parameters())
    assert not again.training


def test_header_and_extras(saved):
    _, path = saved
    assert read(path).provenance == {"seed": 3}
    assert torch.equal(read(path).extras["queue"]["codes"], torch.arange(6.0).view(3, 2))
    assert "d_face" not in read(path).extras


def test_half_precision_halves_the_file_and_loads_as_fp32(saved, tmp_path):
    model, path = saved
    half = blendgan_core.save(model, tmp_path / "half.safetensors", dtype=torch.float16)
    assert half.stat().st_size < 0.7 * path.stat().st_size
    assert blendgan_core.load(half).generator.w_mean.dtype == torch.float32


def test_a_failed_save_leaves_nothing_behind(tmp_path):
    blocked = tmp_path / "folder.safetensors"
    blocked.mkdir()
    with pytest.raises(CheckpointError, match="could not be written"):
        blendgan_core.save(tiny_model(blendgan_core), blocked)
    (tmp_path / "file").touch()
    with pytest.raises(CheckpointError, match="could not be written"):
        blendgan_core.save(tiny_model(blendgan_core), tmp_path / "file" / "model.safetensors")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["file", "folder.safetensors"]


def rewrite(path, **changes):
    """Write the file again with other metadata."""
    with open(path, "rb") as file:
        header = json.loads(file.read(int.from_bytes(file.read(8), "little")))
    save_file(load_file(path), path, metadata=header["__metadata__"] | changes)


@pytest.mark.parametrize(
    "damage, message",
    [
        (lambda p: p.write_bytes(p.read_bytes()[:-50]), "damaged or cut short"),
        (lambda p: p.write_bytes(p.read_bytes()[:20]), "damaged or cut short"),
        (lambda p: rewrite(p, format="other"), "not a BlendGAN checkpoint.*'other'"),
        (lambda p: rewrite(p, config="{"), "damaged header"),
        (lambda p: rewrite(p, config='{"engine": {}}'), "holds the parts"),
        (lambda p: rewrite(p, config="null"), "damaged header"),
        (lambda p: rewrite(p, config='{"generator": 3}'), "damaged header"),
        (lambda p: rewrite(p, provenance="[1]"), "damaged header"),
        (lambda p: rewrite(p, config='{"psp_encoder": {"image_size": 48}}'), "impossible sizes"),
        (lambda p: rewrite(p, config='{"generator": {"z_dim": "x"}}'), "impossible sizes"),
        (lambda p: rewrite(p, config='{"generator": {"size": 3}}'), "damaged config"),
        (lambda p: rewrite(p, config='{"generator": {"resolution": 16}}'), "does not fit"),
        (lambda p: p.unlink(), "does not exist"),
    ],
)
def test_bad_files_are_named(saved, damage, message):
    _, path = saved
    damage(path)
    with pytest.raises(CheckpointError, match=message) as caught:
        blendgan_core.load(path)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_loading_does_not_wake_the_compiler():
    """Some shapes on the meta device are worked out by PyTorch's compiler: two seconds of
    imports."""
    code = "import sys, blendgan_core as b; b.load(b.STARTER); print('sympy' in sys.modules)"
    root = Path(blendgan_core.__file__).parents[1]
    command = [sys.executable, "-c", code]
    found = subprocess.run(command, cwd=root, capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "False"
