"""The fine-tune node: a trainer in a process of its own, mostly a pretended one that is quick."""

import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
import torch
from PIL import Image
from tiny_model import pictures, tiny_model

PRETENDED = '''
"""Stands for trainer/attended.py: writes what a training writes, or does what NAME asks for."""
import json, pathlib, shutil, sys, time
flags = dict(zip(sys.argv[1:], sys.argv[2:]))
name, run = flags["--name"], pathlib.Path(flags["--out"])
listed = pathlib.Path(flags["--models-folder"], name + ".safetensors")
with open(listed.parent / "calls.txt", "a") as calls:
    calls.write(json.dumps(sys.argv[1:]) + "\\n")
(run / "samples").mkdir(parents=True)
torn = listed.with_name(f".{listed.name}.1.tmp")
if name.startswith("hangs"):
    torn.write_bytes(b"half")
    (run / "log.jsonl").write_text('{"step": 1}\\n{"ste')
    time.sleep(60)
if name.startswith("refuses"):
    print("|##  | 1/3", end="\\r", file=sys.stderr)
    sys.exit("error: nothing is to be learned from it; take another picture")
if name.startswith("lacks"):
    sys.exit("Traceback (most recent call last):\\nModuleNotFoundError: No module named 'tyro'")
if name.startswith("breaks"):
    torn.write_bytes(b"half")
    sys.exit("Traceback (most recent call last):\\nIndexError: our own mistake")
shutil.copy(GRID, run / "samples" / "0000003.png")
(run / "log.jsonl").write_text('{"step": 3}\\n')
start = pathlib.Path(flags["--checkpoint"]).read_bytes()
size = int.from_bytes(start[:8], "little")
header = json.loads(start[8 : 8 + size])
provenance = {"references": [pathlib.Path(flags["--ref"]).name]}
header["__metadata__"]["provenance"] = json.dumps(provenance)
text = json.dumps(header).encode()
text += b" " * (-len(text) % 8)
listed.write_bytes(len(text).to_bytes(8, "little") + text + start[8 + size :])
'''


@pytest.fixture
def folder(pack, core, models_folder, tmp_path, monkeypatch) -> Path:
    """models/blendgan with a start model, `base`; trained by PRETENDED."""
    import folder_paths

    grid = tmp_path / "grid.png"
    Image.new("RGB", (24, 8), "red").save(grid)
    script = tmp_path / "pretended.py"
    script.write_text(PRETENDED.replace("GRID", repr(str(grid))))
    monkeypatch.setattr(pack.nodes.trainer_process, "COMMAND", [sys.executable, "-I", str(script)])
    monkeypatch.setattr(folder_paths, "get_temp_directory", lambda: str(tmp_path / "temp"))
    core.save(tiny_model(core), models_folder / "base.safetensors")
    return models_folder


@pytest.fixture
def tune(run, folder):
    """tune(name=value, ..) -> the node's outputs."""
    defaults = {"checkpoint": "base.safetensors", "name": "ink", "mode": "fast", "steps": 3}
    defaults |= {"seed": 0, "delta": False}

    def tune(**inputs):
        return run("BlendGANFinetune", **(defaults | {"image": pictures()} | inputs))

    return tune


def calls(folder: Path) -> list[str]:
    """What the trainer was called with."""
    file = folder / "calls.txt"
    return file.read_text().splitlines() if file.exists() else []


def test_a_new_checkpoint_is_made_and_listed(pack, run, folder, tune):
    model, name = tune()
    assert name == "ink.safetensors" and name in pack.nodes.checkpoints.list_checkpoints()
    (loaded,) = run("BlendGANLoader", checkpoint=name)
    image = pictures()
    (one,) = run("StyleEncode", model=model, image=image)
    (other,) = run("StyleEncode", model=loaded, image=image)
    assert torch.equal(one.z_style, other.z_style)
    (call,) = calls(folder)
    for flag in ('"--mode", "fast"', '"--seed", "0"', '"--steps", "3"', '"--save-every", "1"'):
        assert flag in call
    assert "--delta" not in call


def test_zero_steps_are_the_trainers_own(pack, folder, tune):
    from trainer.finetune import DEFAULTS

    ours = pack.nodes.finetune.DEFAULT_STEPS
    assert ours == {mode: values["steps"] for mode, values in DEFAULTS.items()}
    tune(steps=0, mode="paper")
    assert '"--steps", "1000"' in calls(folder)[0]


def test_the_same_inputs_train_once(folder, tune):
    """As after a restart of ComfyUI, when its cache is empty."""
    tune()
    assert tune()[1] == "ink.safetensors" and len(calls(folder)) == 1
    assert tune(seed=1)[1] == "ink_2.safetensors"
    assert tune(image=pictures(seed=1))[1] == "ink_3.safetensors"
    assert tune(seed=1)[1] == "ink_2.safetensors"
    assert tune(name=" ink.safetensors ")[1] == "ink.safetensors" and len(calls(folder)) == 3
    (folder / "ink_2.safetensors").unlink()
    assert tune(seed=1)[1] == "ink_2.safetensors" and len(calls(folder)) == 4


def test_a_users_file_of_that_name_is_left_alone(folder, tune):
    (folder / "ink.safetensors").write_bytes(b"something else")
    assert tune()[1] == "ink_2.safetensors"
    assert (folder / "ink.safetensors").read_bytes() == b"something else"


def test_comfyui_runs_it_again_only_if_the_file_is_gone(nodes, folder, tune):
    def fingerprint(checkpoint="base.safetensors"):
        inputs = {"image": None, "mode": "fast", "steps": 3, "seed": 0, "delta": False}
        node = nodes["BlendGANFinetune"]
        return node.fingerprint_inputs(checkpoint=checkpoint, name="once", **inputs)

    before = fingerprint()
    tune(name="once")
    assert fingerprint() == before != fingerprint("once.safetensors")
    (folder / "once.safetensors").unlink()
    assert fingerprint() != before


@pytest.mark.parametrize("name", ["", " ", "a/b", "..", "con:", "x" * 101, "\n"])
def test_a_name_that_no_file_can_have_is_refused(core, folder, tune, name):
    with pytest.raises(core.BlendGANError, match="cannot be a file's"):
        tune(name=name)
    assert not calls(folder)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("refuses", "^nothing is to be learned from it; take another picture$"),
        ("lacks", "package tyro, which is not installed; run .* -m pip install scipy tqdm tyro$"),
        ("breaks", r"^the training failed \(IndexError: our own mistake\); ComfyUI's log"),
    ],
)
def test_a_failed_training_is_told_and_leaves_nothing(core, folder, tune, tmp_path, name, message):
    with pytest.raises(core.BlendGANError, match=message):
        tune(name=name)
    assert {path.name for path in folder.iterdir()} == {"base.safetensors", "calls.txt"}
    assert not list((tmp_path / "temp").rglob("*.*"))


def test_cancel_does_not_wait_for_the_training_and_leaves_nothing(pack, folder, tune, tmp_path):
    from comfy import model_management

    def cancel():
        while not calls(folder):
            time.sleep(0.01)
        cancelled.append(time.monotonic())
        model_management.interrupt_current_processing()

    cancelled: list[float] = []
    user = threading.Thread(target=cancel, daemon=True)
    user.start()
    with pytest.raises(model_management.InterruptProcessingException):
        tune(name="hangs")
    ended = time.monotonic()
    user.join()
    assert ended - cancelled[0] < 30  # a pretended training sleeps for a minute
    assert {path.name for path in folder.iterdir()} == {"base.safetensors", "calls.txt"}
    assert not list((tmp_path / "temp").rglob("*.*"))
    assert tune(name="afterwards")[1] == "afterwards.safetensors"


def test_the_bar_counts_steps_and_shows_the_grid(nodes, folder, tune, monkeypatch):
    import comfy.utils

    seen = []

    class Bar(comfy.utils.ProgressBar):
        def update_absolute(self, value, total=None, preview=None):
            super().update_absolute(value, total, preview)
            seen.append((value, preview))

    monkeypatch.setattr(comfy.utils, "ProgressBar", Bar)
    tune()
    assert seen[-1][0] == 3 and sorted(value for value, _ in seen) == [value for value, _ in seen]
    (preview,) = [preview for _, preview in seen if preview]
    assert preview[1].size == (24, 8)


def test_the_last_grid_stays_on_the_node(nodes, folder, tune, tmp_path):
    inputs = {"checkpoint": "base.safetensors", "image": pictures(), "name": "ink"}
    inputs |= {"mode": "fast", "steps": 3, "seed": 0, "delta": False}
    output = nodes["BlendGANFinetune"].EXECUTE_NORMALIZED(**inputs)
    (shown,) = output.ui["images"]
    assert (tmp_path / "temp" / shown["subfolder"] / shown["filename"]).is_file()
    assert shown["type"] == "temp"


def test_other_models_make_room(pack, tune, monkeypatch):
    from comfy import model_management

    moved = []
    monkeypatch.setattr(model_management, "unload_all_models", lambda: moved.append("all"))
    tune()
    assert moved == ["all"]


def test_the_real_trainer(pack, core, folder, tune, monkeypatch):
    """Two steps with two references, stored as a delta."""
    command = [sys.executable, str(Path(pack.__file__).parent / "trainer" / "attended.py")]
    monkeypatch.setattr(pack.nodes.trainer_process, "COMMAND", command)
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    inputs = {"image": pictures(2, height=40, width=48), "steps": 2, "name": "Tusche 墨"}
    model, name = tune(**inputs, delta=True)
    assert name == "Tusche 墨.safetensors"
    provenance = model.blendgan.provenance
    assert provenance["mode"] == "fast" and provenance["steps"] == 2
    assert len(provenance["references"]) == 2
    old = core.load(folder / "base.safetensors").generator.state_dict()
    new = model.blendgan.generator.state_dict()
    assert any(not torch.equal(new[key], old[key]) for key in new)
    assert (folder / name).stat().st_size < (folder / "base.safetensors").stat().st_size
    monkeypatch.setattr(pack.nodes.trainer_process, "COMMAND", ["no such program"])
    assert tune(**inputs, delta=True)[1] == name  # is not trained again


@pytest.mark.skipif(os.name != "posix", reason="on Windows the node alone ends the process")
def test_it_ends_with_the_process_that_started_it(pack, tmp_path):
    attended = Path(pack.__file__).parent / "trainer" / "attended.py"
    code = f"""if True:
        import importlib.util, os, threading
        spec = importlib.util.spec_from_file_location("attended", {str(attended)!r})
        attended = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(attended)
        if os.fork():
            os._exit(0)
        open({str(tmp_path / "pid")!r}, "w").write(str(os.getpid()))
        attended.end_with({os.getpid()})
    """
    finished = subprocess.run([sys.executable, "-c", code], timeout=30)
    assert finished.returncode == 0
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        try:
            os.kill(int((tmp_path / "pid").read_text() or 0), 0)
        except (FileNotFoundError, ValueError):
            pass
        except ProcessLookupError:
            return
        time.sleep(0.05)
    raise AssertionError("it outlived its parent")
