"""Puts ComfyUI in reach of the tests: strict stand-ins, or the real one if COMFYUI_PATH names it.

The stand-ins lie in tests/stubs. Either way the pack is loaded as ComfyUI loads it, under a module
name that is its path, so that an absolute import inside it fails here too.
"""

import asyncio
import importlib.util
import os
import sys
from pathlib import Path
from types import ModuleType

import pytest
import torch
from tiny_model import tiny_model

ROOT = Path(__file__).resolve().parent.parent
COMFYUI_PATH = os.environ.get("COMFYUI_PATH")

sys.path.insert(0, COMFYUI_PATH or str(Path(__file__).parent / "stubs"))
if COMFYUI_PATH:
    from comfy.cli_args import args

    args.cpu = not torch.cuda.is_available()  # ComfyUI asks for it, and must know before it loads


def pytest_addoption(parser):
    parser.addoption(
        "--write-node-schema",
        action="store_true",
        help="write tests/node_schema.json anew, by the ComfyUI of COMFYUI_PATH",
    )


@pytest.fixture(scope="session")
def pack() -> ModuleType:
    """The pack's root module."""
    name = str(ROOT).replace(".", "_x_")
    spec = importlib.util.spec_from_file_location(name, ROOT / "__init__.py")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="session")
def nodes(pack) -> dict[str, type]:
    """The node classes by id, handed over as ComfyUI asks for them."""

    async def hand_over() -> list[type]:
        extension = await pack.comfy_entrypoint()
        await extension.on_load()
        return await extension.get_node_list()

    return {node.GET_SCHEMA().node_id: node for node in asyncio.run(hand_over())}


@pytest.fixture(scope="session")
def core(pack) -> ModuleType:
    """The copy of blendgan_core that the pack uses; its classes are not those of a plain import."""
    return pack.blendgan_core


@pytest.fixture(scope="session")
def model(pack):
    """A managed model of 32 pixels and 8 layers with random weights and all parts."""
    return pack.nodes.devices.ManagedModel(tiny_model(pack.blendgan_core))


@pytest.fixture(scope="session")
def wide_model(pack):
    """Another model, with longer codes."""
    return pack.nodes.devices.ManagedModel(tiny_model(pack.blendgan_core, w_dim=24))


@pytest.fixture
def models_folder(pack, tmp_path, monkeypatch) -> Path:
    """An empty models/blendgan, the only search path."""
    import folder_paths

    folder = tmp_path / "models" / "blendgan"
    folder.mkdir(parents=True)
    entry = ([str(folder)], pack.nodes.checkpoints.EXTENSIONS)
    monkeypatch.setitem(folder_paths.folder_names_and_paths, "blendgan", entry)
    return folder


@pytest.fixture(scope="session")
def run(nodes):
    """run("NodeId", name=value, ..) -> the node's outputs; no gradients, as in ComfyUI."""

    def run_node(node_id: str, **inputs):
        with torch.inference_mode():
            return nodes[node_id].EXECUTE_NORMALIZED(**inputs).result

    return run_node


@pytest.fixture
def align(nodes, run):
    """align(image, ..): the node with its widgets as at first, but it looks for no face."""
    schema = nodes["FaceAlign"].GET_NODE_INFO_V1()["input"]["required"]
    defaults = {
        name: options["default"] for name, (_, options) in schema.items() if "default" in options
    }
    defaults |= {"resolution": 64, "find": "auto"}
    return lambda image, **inputs: run("FaceAlign", image=image, **{**defaults, **inputs})


@pytest.fixture
def refusal(nodes, align, monkeypatch):
    """refusal(image, ..) -> what Align Faces tells in place of crops; what follows does not run."""

    def message(image, **inputs):
        outputs = []
        execute = nodes["FaceAlign"].execute

        def listen(cls, **inputs):
            outputs.append(execute(**inputs))
            return outputs[0]

        with monkeypatch.context() as patch:
            patch.setattr(nodes["FaceAlign"], "execute", classmethod(listen))
            assert align(image, **inputs) == (None, None, None)  # one blocked value an output
        return outputs[0].block_execution

    return message


@pytest.fixture
def paste(run):
    def paste_back(image, faces, transform, shape="oval", feather=0.3, colour_match=0.0, **more):
        widgets = {"shape": shape, "feather": feather, "colour_match": colour_match}
        return run(
            "FacePasteBack", image=image, faces=faces, transform=transform, **widgets, **more
        )

    return paste_back
