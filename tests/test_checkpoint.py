"""Checkpoints: what goes in comes out, and what is wrong is named."""

import errno
import json
import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from tiny_model import tiny_model

import blendgan_core
from blendgan_core import BlendGANError, CheckpointError, checkpoint, files
from blendgan_core.checkpoint import read
from blendgan_core.pickles import read_pickle
from trainer.run_state import save_state


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
    for no_name in (Path("."), tmp_path / ("x" * 250 + ".safetensors")):
        with pytest.raises(CheckpointError, match="could not be written"):
            blendgan_core.save(tiny_model(blendgan_core), no_name)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["file", "folder.safetensors"]


WRITERS = {
    "checkpoint": lambda path: blendgan_core.save(tiny_model(blendgan_core), path),
    "state": lambda path: save_state(path, {"step": 3}),
}


@pytest.mark.parametrize("write", WRITERS.values(), ids=WRITERS)
def test_a_power_cut_leaves_the_former_file_or_the_whole_new_one(write, tmp_path, monkeypatch):
    calls = []
    sync, replace = os.fsync, os.replace
    monkeypatch.setattr(os, "fsync", lambda file: calls.append(os.fstat(file)) or sync(file))
    monkeypatch.setattr(os, "replace", lambda *names: calls.append("rename") or replace(*names))
    path = tmp_path / "file"
    write(path)
    content, rename, *folder = calls
    assert content.st_ino == path.stat().st_ino and content.st_size == path.stat().st_size
    assert rename == "rename"
    assert [f.st_ino for f in folder] == ([] if os.name == "nt" else [tmp_path.stat().st_ino])


@pytest.mark.parametrize("write", WRITERS.values(), ids=WRITERS)
def test_a_disk_that_cannot_keep_a_file(write, tmp_path, monkeypatch):
    """A drive that syncs files but no folders will do."""
    path = tmp_path / "file"

    def broken_for(is_broken):
        def fsync(descriptor):
            if is_broken(os.fstat(descriptor).st_mode):
                raise OSError(errno.EIO, "the disk is broken")

        monkeypatch.setattr(os, "fsync", fsync)

    broken_for(stat.S_ISDIR)
    write(path)
    before = path.read_bytes()
    broken_for(stat.S_ISREG)
    with pytest.raises(BlendGANError, match="could not be written.*the disk is broken"):
        write(path)
    assert path.read_bytes() == before and list(tmp_path.iterdir()) == [path]


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


def test_what_is_no_file_is_named(saved, tmp_path, monkeypatch):
    _, path = saved
    places = {tmp_path: "is a folder", path / "x": "does not exist"}
    if os.name != "nt":
        os.mkfifo(tmp_path / "pipe")
        places |= {tmp_path / "pipe": "is a device or a pipe"}
        places |= {tmp_path / ("x" * 300): r"cannot be read \(File name too long\)"}
    for place, words in places.items():
        for function in (blendgan_core.load, checkpoint.found_parts, read_pickle):
            with pytest.raises(CheckpointError, match=f"{words}; expected a checkpoint file"):
                function(place)

    def denied(*_):
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(files, "open", denied, raising=False)
    with pytest.raises(CheckpointError, match=r"cannot be read \(Permission denied\)"):
        blendgan_core.load(path)


def test_a_header_is_read_once(saved, monkeypatch):
    _, path = saved
    asked, read_metadata = [], checkpoint.read_metadata
    monkeypatch.setattr(
        checkpoint, "read_metadata", lambda file: asked.append(file) or read_metadata(file)
    )
    blendgan_core.load(path)
    assert asked == [path]
    checkpoint.found_parts(path)
    assert asked == [path, path]


def test_loading_does_not_wake_the_compiler():
    """Some shapes on the meta device are worked out by PyTorch's compiler: two seconds of
    imports."""
    code = "import sys, blendgan_core as b; b.load(b.STARTER); print('sympy' in sys.modules)"
    root = Path(blendgan_core.__file__).parents[1]
    command = [sys.executable, "-c", code]
    found = subprocess.run(command, cwd=root, capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "False"
