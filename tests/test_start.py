"""What the pack adds to ComfyUI's start: its own few modules, and nothing read, run or printed."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
# optional, slow to import, or of the trainer; the core imports what it needs of them when it does
LATER = {"huggingface_hub", "scipy", "sklearn", "tensorboard", "torchvision", "tqdm", "tyro"}
START = """
import asyncio, importlib.util, json, sys, threading
import torch, safetensors.torch, numpy, PIL.Image  # what ComfyUI has imported before
sys.path.insert(0, "tests/stubs")
import comfy_api.latest, comfy.model_management, comfy.model_patcher, comfy.utils, folder_paths
sys.modules["huggingface_hub"] = None  # as where it is not installed
before, opened = set(sys.modules), []
sys.addaudithook(lambda event, args: event == "open" and opened.append(str(args[0])))

async def start():
    spec = importlib.util.spec_from_file_location("a_pack", "__init__.py")
    pack = sys.modules["a_pack"] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(pack)
    extension = await pack.comfy_entrypoint()
    await extension.on_load()
    nodes = {node.GET_SCHEMA().node_id: node for node in await extension.get_node_list()}
    [node.GET_NODE_INFO_V1() for node in nodes.values()]
    return nodes

nodes = asyncio.run(start())
found = {"modules": list(set(sys.modules) - before), "opened": opened[:]}
found["threads"] = threading.active_count()
try:
    nodes["BlendGANLoader"].execute("starter (built in)", address="hf://owner/repo/a.safetensors")
except Exception as error:
    found["without the hub"] = str(error)
print(json.dumps(found))
"""


@pytest.fixture(scope="module")
def start() -> dict:
    """Of a new process that loads the pack: its new modules, the files it opened, its threads."""
    done = subprocess.run(
        [sys.executable, "-c", START],
        cwd=ROOT,
        env=os.environ | {"OMP_NUM_THREADS": "1", "PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0 and done.stderr == "", done.stderr
    return json.loads(done.stdout)  # fails if the pack printed anything


def test_slow_and_optional_libraries_are_left_for_later(start):
    imported = {name.split(".")[0] for name in start["modules"]}
    assert "a_pack" in imported and not imported & LATER
    assert not any("trainer" in name.split(".") for name in start["modules"])


def test_no_weights_or_pictures_are_read(start):
    opened = {Path(name).suffix for name in start["opened"]}
    assert ".py" in opened or ".pyc" in opened
    assert not opened & {".safetensors", ".npz", ".pt", ".png", ".jpg"}


def test_nothing_is_left_running(start):
    assert start["threads"] == 1


def test_without_huggingface_hub_only_its_addresses_fail_and_say_why(start):
    assert "pip install huggingface_hub" in start["without the hub"]
