"""NVIDIA's network pickles: the original pictures, and nothing from the file runs.

The pickles are written here, with the structure of NVIDIA's and none of its code
(official_files.py); the expected values are of the original code (goldens/README.md).
"""

import contextlib
import io
import os
import pickle
import random
import struct
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from golden_weights import draw, relative_error, vectors
from official_files import Persistent, nvidia_network, persistent, write_pickle

import blendgan_core
from blendgan_core.checkpoint import read
from blendgan_core.discriminators import Discriminator
from blendgan_core.errors import CheckpointError

TOLERANCE = 1e-4
DAMAGED = "network.pkl is cut off, damaged or not a checkpoint"


def networks(**changes) -> dict:
    """What a training of NVIDIA's saves; changes: attributes of the generator, by path."""
    return {
        "G": nvidia_network("nvidia_discriminator"),  # the wrong one, which must not be looked at
        "D": nvidia_network("nvidia_discriminator"),
        "G_ema": nvidia_network("nvidia_generator", **changes),
        "training_set_kwargs": {"path": "C:\\me\\faces.zip", "xflip": True, "labels": None},
        "augment_pipe": None,
    }


def compare(path: Path, golden: dict[str, torch.Tensor], capsys) -> None:
    """Our networks out of the pickle against what the original ones computed."""
    contents = read(path)
    model = blendgan_core.load(path)
    discriminator = Discriminator(contents.configs["generator"])
    discriminator.load_state_dict(contents.extras["d_face"])
    with torch.no_grad():
        found = {
            "picture": model.synthesize(model.map_face(golden["in/z"])),
            "picture_trunc0.5": model.synthesize(model.map_face(golden["in/z"], truncation=0.5)),
            "logits": discriminator(golden["in/images"]),
        }
    for name, value in found.items():
        error = relative_error(value, golden[name])
        with capsys.disabled():
            print(f"\n  {path.name} {name:20} relative error {error:.1e}", end="")
        assert value.shape == golden[name].shape and error <= TOLERANCE, name


@pytest.mark.parametrize("protocol", [3, 4, 5])
def test_pictures_and_logits_are_those_of_the_original_code(tmp_path, capsys, protocol):
    path = write_pickle(tmp_path / f"protocol{protocol}", networks(), protocol)
    compare(path, vectors("nvidia"), capsys)


@pytest.mark.parametrize("variable", ["STYLEGAN2_ADA_PATH", "STYLEGAN3_PATH"])
def test_pickles_of_the_original_code(tmp_path, capsys, variable):
    """A pickle written by a checkout of NVIDIA's code, against what that code computes with it."""
    if variable not in os.environ:
        pytest.skip(f"pickles of NVIDIA's own code were not checked: {variable} names no clone")
    script = Path(__file__).with_name("nvidia_original.py")
    command = [sys.executable, "-W", "ignore", script, os.environ[variable], tmp_path]
    subprocess.run(command, check=True)
    with np.load(tmp_path / "network.npz") as file:
        golden = {key: torch.from_numpy(file[key]) for key in file.files}
    compare(tmp_path / "network.pkl", golden, capsys)


def test_it_knows_natural_faces_only(tmp_path):
    path = write_pickle(tmp_path / "network.pkl", networks())
    contents = read(path)
    assert contents.kind == "NVIDIA network pickle" and not contents.knows_styles
    assert contents.provenance == {"training_set": {"path": "faces.zip", "xflip": True}}
    model = blendgan_core.load(path)
    w_face = model.sample_face([1])
    for indicator in (0, 3, 8):
        assert torch.equal(model.blend(w_face, torch.randn(1, 16), indicator), w_face)
    z = torch.randn(2, 16)
    assert torch.equal(model.map_style(z), model.map_face(z))  # where a training starts


def test_what_a_pickle_may_lack(tmp_path):
    """The discriminator, the averaged generator, and the mean of w, which then is measured."""
    tensors = draw("nvidia_generator")
    mean = tensors.pop("mapping.w_avg")
    attributes = {"": {"c_dim": 0, "img_channels": 3}}
    contents = read(
        write_pickle(tmp_path / "network.pkl", {"G": persistent(tensors, attributes), "D": None})
    )
    assert not contents.extras and not contents.provenance
    w_mean = contents.states["generator"]["w_mean"]
    assert torch.isfinite(w_mean).all() and not torch.equal(w_mean, mean)


def test_a_discriminator_of_another_kind_is_left_out(tmp_path):
    data = networks()
    data["D"] = nvidia_network("nvidia_discriminator", b32={"architecture": "orig"})
    contents = read(write_pickle(tmp_path / "network.pkl", data))
    assert not contents.extras
    assert "the architecture 'orig' in 'b32'" in contents.provenance["left_out"]
    tensors = draw("nvidia_discriminator")
    del tensors["b8.skip.weight"]
    data["D"] = persistent(tensors, {})
    contents = read(write_pickle(tmp_path / "network.pkl", data))
    assert "'b8.skip.weight' is missing" in contents.provenance["left_out"]


def stylegan3() -> dict:
    tensors = {"synthesis.input.freqs": torch.ones(4, 2), "synthesis.L0_36_512.bias": torch.ones(1)}
    return {"G_ema": persistent(tensors, {"synthesis": {"down_filter": np.ones(3)}})}


def other_filter() -> dict:
    tensors = draw("nvidia_generator")
    tensors["synthesis.b8.conv0.resample_filter"] = torch.ones(4, 4) / 16
    return {"G_ema": persistent(tensors, {"": {"c_dim": 0, "img_channels": 3}})}


def incomplete(key: str) -> dict:
    tensors = draw("nvidia_generator")
    del tensors[key]
    return {"G_ema": persistent(tensors, {"": {"c_dim": 0, "img_channels": 3}})}


@pytest.mark.parametrize(
    ("data", "found"),
    [
        (networks(root={"c_dim": 10}), "class-conditional generator, of 10 classes; expected"),
        (networks(root={"img_channels": 1}), "pictures of 1 channels, expected the three of RGB"),
        (networks(synthesis__b8={"architecture": "resnet"}), "'resnet' in 'synthesis.b8', expect"),
        (networks(mapping__fc1={"activation": "relu"}), "'relu' in 'mapping.fc1', expected 'lrelu"),
        (networks(mapping__fc0={"bias_gain": 1}), "bias_gain '1' in 'mapping.fc0', expected 0.01"),
        (stylegan3(), "network pickle of StyleGAN3; expected StyleGAN2 without classes"),
        (other_filter(), r"another filter than \[1, 3, 3, 1\], see 'synthesis.b8.conv0.resample_f"),
        (incomplete("synthesis.b16.torgb.bias"), "'synthesis.b16.torgb.bias' is missing"),
        (incomplete("synthesis.b32.conv1.weight"), "'synthesis.b32.conv1.weight' is missing"),
        (incomplete("mapping.fc1.weight"), "'mapping.fc1.weight' is missing"),
        ({"G_ema": persistent({"fc.bias": torch.ones(1)}, {}, name="Net")}, "generator, 'Net'"),
        ({"weights": [1.0], "epoch": 3}, r"found \['epoch', 'weights'\]. Save weights as"),
        ([1, 2], "expected a dictionary with 'G_ema' or 'G', found a list"),
    ],
)
def test_what_it_refuses(tmp_path, data, found):
    path = write_pickle(tmp_path / "network.pkl", data)
    with pytest.raises(CheckpointError, match=rf"network.pkl (is|has) .*{found}") as error:
        read(path)
    assert "\n" not in str(error.value)


def test_pickles_of_tensorflow_are_named(tmp_path):
    path = tmp_path / "stylegan2-ffhq-config-f.pkl"
    path.write_bytes(b"\x80\x03cdnnlib.tflib.network\nNetwork\nq\x00)\x81q\x01.")
    with pytest.raises(CheckpointError, match="ffhq-config-f.pkl is .* TensorFlow .* legacy.py"):
        read(path)


class Call:
    """Pickles as a call."""

    def __init__(self, function, *arguments):
        self.call = function, arguments

    def __reduce__(self):
        return self.call


def hostile(proof: Path) -> dict[str, Call]:
    code = f"open({str(proof)!r}, 'w')"
    nested = pickle.dumps(Call(os.system, f"echo run > {proof}"))
    return {
        "(posix|nt).system": Call(os.system, f"echo run > {proof}"),
        "builtins.eval": Call(eval, code),
        "builtins.exec": Call(exec, code),
        "builtins.__import__": Call(__import__, "os"),
        "builtins.getattr": Call(getattr, Call(__import__, "os"), "system"),
        "_pickle.loads": Call(pickle.loads, nested),
        "torch.serialization.load": Call(torch.load, str(proof)),
    }


@pytest.mark.parametrize("name", hostile(Path("proof")))
def test_no_call_of_a_pickle_runs(tmp_path, name):
    proof = tmp_path / "proof"
    data = networks() | {"augment_pipe": hostile(proof)[name]}
    path = write_pickle(tmp_path / "network.pkl", data)
    with pytest.raises(CheckpointError, match=rf"network.pkl was not loaded: .*'{name}', which"):
        read(path)
    assert not proof.exists()


def test_the_source_in_a_pickle_does_not_run(tmp_path):
    proof = tmp_path / "proof"
    source = f"open({str(proof)!r}, 'w')"
    data = networks() | {"D": nvidia_network("nvidia_discriminator", source)}
    data["G_ema"] = nvidia_network("nvidia_generator", source)
    assert read(write_pickle(tmp_path / "network.pkl", data)).extras
    assert not proof.exists()


def module(parameters: dict, modules: dict | None = None) -> Persistent:
    state = {"_parameters": parameters, "_buffers": {}, "_modules": modules or {}}
    return Persistent("", "Generator", state)


def old_format(value) -> bytes:
    """What torch.save wrote before it wrote zip archives, which is how a storage is pickled."""
    file = io.BytesIO()
    torch.save(value, file, _use_new_zipfile_serialization=False)
    return file.getvalue()


STORAGE = torch.ones(4).__reduce_ex__(2)[1][0]  # of four numbers


def tensor(written: bytes, size=(4,), stride=(1,), offset=0) -> Call:
    storage = Call(torch.storage._load_from_bytes, written)
    return Call(torch._utils._rebuild_tensor_v2, storage, offset, size, stride, False, {})


def zipped_storage() -> bytes:
    file = io.BytesIO()
    torch.save(STORAGE, file)
    return file.getvalue()


@pytest.mark.parametrize(
    "parameters",
    [
        {"weight": tensor(old_format(STORAGE), size=(10**12,))},
        {"weight": tensor(old_format(STORAGE), size=(10**12,), stride=(0,))},
        {"weight": tensor(old_format(STORAGE), size=(0, 10**12), stride=(1, 0))},
        {"weight": tensor(old_format(STORAGE), size=(2,), offset=3)},
        {"weight": tensor(old_format(STORAGE), size=(2,), offset=-1)},
        {"weight": tensor(old_format([1.0]))},
        {"weight": tensor(zipped_storage())},  # it could hold far more than its size
        {"weight": Call(torch.storage._load_from_bytes, old_format(STORAGE))},
        {"weight": torch.float32},
        {"weight": 1},
    ],
)
def test_tensors_that_are_not_what_they_claim(tmp_path, parameters):
    """None may take the memory that it claims."""
    path = write_pickle(tmp_path / "network.pkl", {"G_ema": module(parameters)})
    with pytest.raises(CheckpointError, match="network.pkl (is cut off, damaged|was not loaded)"):
        read(path)


def test_code_inside_a_storage_does_not_run(tmp_path):
    proof = tmp_path / "proof"
    written = old_format(Call(os.system, f"echo run > {proof}"))
    path = write_pickle(tmp_path / "network.pkl", {"G_ema": module({"weight": tensor(written)})})
    with pytest.raises(CheckpointError, match=DAMAGED):
        read(path)
    assert not proof.exists()


def test_storages_cannot_take_more_memory_than_their_file(tmp_path):
    """One megabyte, written once, that a thousand tensors ask for."""
    written = old_format(torch.ones(250_000).__reduce_ex__(2)[1][0])
    data = {"G_ema": module({str(n): tensor(written) for n in range(1000)})}
    path = write_pickle(tmp_path / "network.pkl", data)
    assert path.stat().st_size < 2_000_000
    with pytest.raises(CheckpointError, match=DAMAGED):
        read(path)


def test_a_module_that_contains_itself_many_times(tmp_path):
    layer = module({})
    for _ in range(40):  # 2^40 layers, if each was visited wherever it appears
        layer = module({}, {"a": layer, "b": layer})
    path = write_pickle(tmp_path / "network.pkl", {"G_ema": layer})
    with pytest.raises(CheckpointError, match=DAMAGED):
        read(path)


@pytest.mark.parametrize(
    ("content", "found"),
    [
        (b"\x80\x04}r\xff\xff\xff\x7f.", "is cut off, damaged"),  # 16 GB for a memo of that size
        (b"\x80\x04\x8e" + struct.pack("<Q", 10**12) + b".", "is cut off, damaged"),
        (b"\x80\x04\x95" + struct.pack("<Q", 10**12) + b"}.", "is cut off, damaged"),
        (b"\x80\x04" + b"N0" * 600_000 + b"}.", "more than 1,000,000 operations"),
        (b"\x80\x04\x82\x01.", "is cut off, damaged"),  # a number of the extension registry
        (b"\x80\x04Pid\n.", "is cut off, damaged"),
        (b"\x80\x04ios\nsystem\n.", "is cut off, damaged"),
        (b"\x80\x04(ios\nsystem\n.", "was not loaded: .*'os.system'"),
    ],
)
def test_small_pickles_that_ask_for_much(tmp_path, content, found):
    path = tmp_path / "network.pkl"
    path.write_bytes(content)
    with pytest.raises(CheckpointError, match=f"network.pkl (is a pickle of )?{found}"):
        read(path)


def test_damaged_pickles_are_refused_or_read(tmp_path):
    """Cut off or with flipped bytes, in the structure or in the weights."""
    path = write_pickle(tmp_path / "network.pkl", networks())
    whole, rng = path.read_bytes(), random.Random(0)
    for length in (1, 2, 30, 1000, len(whole) // 2, len(whole) - 1):
        path.write_bytes(whole[:length])
        with pytest.raises(CheckpointError, match="is cut off, damaged or not a checkpoint"):
            read(path)
    for _ in range(12):
        damaged = bytearray(whole)
        damaged[rng.randrange(len(damaged))] ^= 1 << rng.randrange(8)
        path.write_bytes(damaged)
        with contextlib.suppress(CheckpointError):
            read(path)
