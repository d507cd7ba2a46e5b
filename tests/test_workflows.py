"""The graphs that ship as templates: complete, reproducible, and wired so that they run."""

import json
from pathlib import Path

import pytest
from PIL import Image
from tiny_model import tiny_model

FOLDER = Path(__file__).parent.parent / "workflows"
WORKFLOWS = sorted(FOLDER.glob("*.json"))
# ComfyUI's own nodes that the graphs may use; they must be as old as the version the pack asks for
CORE_NODES = {"MarkdownNote", "PreviewImage", "SaveImage", "ImageStitch", "ImageScaleToTotalPixels"}
WIDGETS = ("BOOLEAN", "COMBO", "INT", "FLOAT", "STRING")

for_each_workflow = pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.stem)


def test_both_ways_ship():
    assert [path.stem for path in WORKFLOWS] == ["latent_guided", "reference_guided"]


@for_each_workflow
def test_it_has_a_thumbnail(path):
    with Image.open(path.with_suffix(".jpg")) as thumbnail:
        assert thumbnail.format == "JPEG" and min(thumbnail.size) >= 256


@for_each_workflow
def test_it_runs(path, pack, run, nodes):
    """Follows the links from node to node, with a tiny model for the starter."""
    graph = json.loads(path.read_text())
    assert graph["version"] == 0.4
    links = {
        link[0]: link for link in graph["links"]
    }  # id, from node, its slot, to node, slot, type
    model = pack.nodes.devices.ManagedModel(tiny_model(pack.blendgan_core))
    outputs, images = {}, []
    for node in sorted(graph["nodes"], key=lambda node: node["order"]):
        for slot in node.get("inputs", []):
            if slot.get("link") is not None:
                assert links[slot["link"]][3] == node["id"]
                assert links[slot["link"]][5] == slot["type"]
        if node["type"] in CORE_NODES:
            continue
        schema = nodes[node["type"]].GET_NODE_INFO_V1()["input"]
        inputs = widget_values(node, schema["required"], schema.get("optional", {}))
        for slot in node["inputs"]:
            _, source, source_slot, *_ = links[slot["link"]]
            inputs[slot["name"]] = outputs[source, source_slot]
        if node["type"] == "BlendGANLoader":
            assert inputs["checkpoint"] == "starter (built in)" and inputs["address"] == ""
            result = (model,)
        else:
            result = run(node["type"], **inputs)
        outputs |= {(node["id"], slot): value for slot, value in enumerate(result)}
        images += result if node["type"] == "BlendGANGenerate" else []
    assert len(images) == 2 and images[0].shape == images[1].shape


def widget_values(node: dict, required: dict, optional: dict) -> dict:
    """A node's saved widgets by name. A seed is followed by what happens to it after a run.

    A graph may be older than a node's last optional widgets, which then have their defaults.
    """
    saved = iter(node["widgets_values"])
    values = {}
    for name, (kind, options) in (required | optional).items():
        if kind not in WIDGETS:
            continue
        values[name] = next(saved, None)
        if values[name] is None and name in optional:
            values.pop(name)
            continue
        if kind == "COMBO":
            assert values[name] in options["options"]
        elif kind in ("INT", "FLOAT"):
            assert options["min"] <= values[name] <= options["max"]
        if options.get("control_after_generate"):
            assert next(saved) == "fixed"
    assert list(saved) == []
    return values
