"""Hostile files: one clear line, in bounded time and memory, and nothing in them runs.

fuzz_checkpoints.py loads them all, in a process that it watches.
"""

import json
import os
import re
import signal
import struct
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from hostile_files import (
    HEADERS,
    calling_pickles,
    damaged_safetensors,
    lying_archives,
    lying_headers,
    lying_pickles,
    metadata_of,
)
from safetensors.torch import load_file, save_file
from tiny_model import tiny_model

import blendgan_core
from blendgan_core.__main__ import main
from blendgan_core.finite import is_finite

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="the fuzzing forks processes")
FUZZ = Path(__file__).parent / "fuzz_checkpoints.py"
DAMAGED = "is cut off, damaged or not a checkpoint"


@pytest.fixture(scope="module")
def proof(tmp_path_factory) -> Path:
    """What calls in the files would write."""
    return tmp_path_factory.mktemp("proof") / "proof"


@pytest.fixture(scope="module")
def results(tmp_path_factory, proof) -> dict[str, dict[str, tuple[str, str]]]:
    """(verdict, text) by group and name of the files, from a process that is watched; and what
    some seconds of fuzzing found."""
    folder = tmp_path_factory.mktemp("hostile")
    groups = {
        "headers": lying_headers(folder),
        "safetensors": damaged_safetensors(folder),
        "archives": lying_archives(folder),
        "pickles": lying_pickles(folder),
        "calls": calling_pickles(folder, proof),
    }
    paths = [path for files in groups.values() for path in files.values()]
    command = [sys.executable, str(FUZZ), "--seconds", "3", "--seed", "0", "--files"]
    done = subprocess.run([*command, *paths], capture_output=True, text=True, timeout=300)
    shown = done.stdout.splitlines()
    assert len(shown) > len(paths), done.stderr
    lines = iter([json.loads(line) for line in shown[: len(paths)]])
    found = {
        group: {name: ((line := next(lines))["verdict"], line["text"]) for name in files}
        for group, files in groups.items()
    }
    return found | {"fuzzing": {"output": ("", "\n".join(shown[len(paths) :]))}}


def test_headers_that_lie(results):
    for name, (verdict, text) in results["headers"].items():
        assert verdict == "refused" and re.search(HEADERS[name][1], text), (name, text)


def test_damaged_safetensors(results):
    for name, (verdict, text) in results["safetensors"].items():
        assert verdict == "refused" and re.search("damaged|not a BlendGAN", text), (name, text)


def test_archives_that_lie(results):
    """Two of them name what would make room for 10 GB; a deep list is read, and is nothing."""
    for name, (verdict, text) in results["archives"].items():
        expected = f"{DAMAGED}|is not a BlendGAN checkpoint|'(.*bytearray|torch.Tensor)', which cou"
        assert verdict == "refused" and re.search(expected, text), (name, text)


def test_plain_pickles_that_lie(results):
    for name, (verdict, text) in results["pickles"].items():
        assert verdict == "refused" and re.search(f"could run code|{DAMAGED}", text), (name, text)


def test_calls_in_pickles_do_not_happen(results, proof):
    for name, (verdict, text) in results["calls"].items():
        assert verdict == "refused" and re.search(f"could run code|{DAMAGED}", text), (name, text)
    assert not proof.exists()


def test_a_key_twice_and_many_tensors(tmp_path):
    """Nothing to refuse, but nothing to stumble over or to wait for either."""
    model = tiny_model(blendgan_core, parts=("generator",))
    good = blendgan_core.save(model, tmp_path / "good.safetensors")
    data = good.read_bytes()
    size = int.from_bytes(data[:8], "little")
    twice = data[8 : 8 + size].replace(rb"\"w_dim\"", rb"\"w_dim\": 1, \"w_dim\"", 1)
    assert len(twice) > size
    path = tmp_path / "twice.safetensors"
    path.write_bytes(struct.pack("<Q", len(twice)) + twice + data[8 + size :])
    assert blendgan_core.load(path).config == model.config
    many = {f"extra.{number}": torch.zeros(1) for number in range(5000)}
    save_file(load_file(good) | many, path, metadata=metadata_of(good))
    start = time.process_time()
    assert blendgan_core.load(path).config == model.config
    assert time.process_time() - start < 5  # 20 s when the file was opened for each tensor


def test_fuzzing_finds_nothing(results):
    output = results["fuzzing"]["output"][1]
    refused = re.fullmatch(r"seed 0: \d+ loaded, (\d+) refused, 0 finding", output)
    assert refused and int(refused[1]) > 0, output


BAD_LOADERS = {
    "ValueError": (lambda path: int("x"), "ValueError at .*invalid literal"),
    "another message": (lambda path: refuse("no path"), "a message of another form"),
    "a call": (lambda path: os.system("true"), "it did .*os.system"),
    "code": (lambda path: exec("1"), "it did .*exec"),  # noqa: S102
    "a written file": (lambda path: open(path, "w").close(), "it did .*open"),
    "a crash": (lambda path: os.kill(os.getpid(), signal.SIGTERM), r"died \(status 15\)"),
    "memory": (lambda path: len(b"x" * (6 * 10**8)), r"it took \d+ MB"),
    "time": (lambda path: endless(), "it took more than 1 s"),
}


def endless():
    while True:
        pass


def refuse(message: str):
    raise blendgan_core.CheckpointError(message)


@pytest.mark.parametrize("name", BAD_LOADERS)
def test_the_fuzzing_sees_what_it_looks_for(name, tmp_path, monkeypatch):
    """By loaders that do what ours must not do; the file after a crash is loaded all the same."""
    import fuzz_checkpoints

    if name == "memory":  # a heap of freed blocks, held by the last one, must not hide it
        blocks = [bytearray(100_000) for _ in range(7000)]
        del blocks[:-1]
    loader, expected = BAD_LOADERS[name]
    if name == "time":  # the others may be slow on a busy machine
        monkeypatch.setattr(fuzz_checkpoints, "TIME_LIMIT", 1)
    monkeypatch.setattr(
        blendgan_core, "load", lambda path: loader(path) if path.name == "bad" else None
    )
    paths = [tmp_path / "good", tmp_path / "bad", tmp_path / "good"]
    found = list(fuzz_checkpoints.outcomes(lambda n: paths[n] if n < len(paths) else None))
    assert [verdict for _, verdict, _ in found] == ["loaded", "finding", "loaded"]
    assert re.search(expected, found[1][2]), found[1]


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16, torch.float64])
def test_finite_weights(dtype):
    largest = torch.finfo(dtype).max
    good = torch.tensor([largest, largest, -largest, 0], dtype=dtype)
    assert (
        is_finite(good)
        and is_finite(torch.zeros(0, dtype=dtype))
        and is_finite(torch.ones(2).int())
    )
    for value in (float("nan"), float("inf"), -float("inf")):
        assert not is_finite(torch.cat([good, torch.tensor([value], dtype=dtype)]))


def test_broken_weights_are_warned_of(tmp_path, caplog, capsys):
    model = tiny_model(blendgan_core, parts=("generator",))
    path = blendgan_core.save(model, tmp_path / "good.safetensors")
    blendgan_core.load(path)
    assert not caplog.records
    model.generator.synthesis.convs[2].bias.data[1] = float("nan")
    extras = {"d_face": {"out.bias": torch.tensor([float("inf")])}}
    path = blendgan_core.save(model, tmp_path / "bad.safetensors", extras=extras)
    blendgan_core.load(path)
    (record,) = caplog.records  # what only a training needs is not read to load a model
    warning = f"{path} holds NaN or infinite weights in generator.synthesis.convs.2.bias"
    assert record.levelname == "WARNING" and record.getMessage().startswith(warning)
    capsys.readouterr()  # an earlier test's command may have left the printing of warnings on
    assert main(["inspect", str(path)]) == 0
    shown = capsys.readouterr()
    assert shown.err.startswith(f"warning: {warning} and 1 other tensor: its")
    assert shown.err.count("\n") == 1 and "generator: " in shown.out
    model.generator.w_mean[0] = float("nan")
    path = blendgan_core.save(model, tmp_path / "worse.safetensors", extras=extras)
    assert main(["inspect", str(path)]) == 0
    assert " and 2 other tensors: its" in capsys.readouterr().err
