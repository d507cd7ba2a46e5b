"""Runs a saved graph as ComfyUI would, from node to node, with a tiny model for the starter."""

import json
from pathlib import Path

# ComfyUI's own nodes that the graphs may use; they must be as old as the version the pack asks for
CORE_NODES = {
    "CreateVideo",
    "ImageScaleToTotalPixels",
    "ImageStitch",
    "MarkdownNote",
    "PreviewImage",
    "SaveAnimatedWEBP",
    "SaveImage",
    "SaveVideo",
}
WIDGETS = ("BOOLEAN", "COMBO", "INT", "FLOAT", "STRING")
SUBGRAPH_INPUT, SUBGRAPH_OUTPUT = -10, -20  # the ids of a subgraph's own ends


def read_graph(path: Path) -> dict:
    graph = json.loads(path.read_text(encoding="utf-8"))
    assert graph["version"] == 0.4
    return graph


def run_graph(graph: dict, nodes: dict[str, type], run, model, given: dict | None = None) -> dict:
    """Run our nodes of a graph, or of a subgraph's definition -> {(node id, slot): value}.

    given: {slot: value} of a subgraph's inputs. Those that feed a widget and are not given leave it
    as it was saved. ComfyUI's own nodes do not run, and may only take what ours make. Nothing is
    trained: the model itself stands for the one that BlendGANFinetune would make.
    """
    links = {id: link for id, *link in map(_as_list, graph["links"])}
    outputs = {(SUBGRAPH_INPUT, slot): value for slot, value in (given or {}).items()}
    for node in sorted(graph["nodes"], key=lambda node: node["order"]):
        for slot in node.get("inputs", []):
            if slot.get("link") is not None:
                *_, target, _, kind = links[slot["link"]]
                assert target == node["id"] and kind == slot["type"]
        if node["type"] in CORE_NODES:
            continue
        inputs = widget_values(node, nodes)
        for slot in node["inputs"]:
            if slot["link"] is None:
                continue
            source, source_slot, *_ = links[slot["link"]]
            if source != SUBGRAPH_INPUT or source_slot in (given or {}):
                inputs[slot["name"]] = outputs[source, source_slot]
        if node["type"] == "BlendGANLoader":
            assert inputs["checkpoint"] == "starter (built in)" and inputs["address"] == ""
            result = (model,)
        elif node["type"] == "BlendGANFinetune":
            assert inputs["checkpoint"] == "starter (built in)" and inputs["image"].ndim == 4
            result = (model, inputs["name"])
        else:
            result = run(node["type"], **inputs)
        outputs |= {(node["id"], slot): value for slot, value in enumerate(result)}
    return outputs


def _as_list(link: list | dict) -> list:
    """[id, from node, its slot, to node, slot, type]; a subgraph writes the same with names."""
    return link if isinstance(link, list) else list(link.values())


def widget_values(node: dict, nodes: dict[str, type]) -> dict:
    """A node's saved widgets by name. A seed is followed by what happens to it after a run.

    A graph may be older than a node's last optional widgets, which then have their defaults.
    """
    schema = nodes[node["type"]].GET_NODE_INFO_V1()["input"]
    optional = schema.get("optional", {})
    saved = list(node["widgets_values"])
    values = {}
    for name, (kind, options) in (schema["required"] | optional).items():
        if kind not in WIDGETS or (name in optional and not saved):
            continue
        values[name] = saved.pop(0)
        if kind == "COMBO":
            assert values[name] in options["options"]
        elif kind in ("INT", "FLOAT"):
            assert options["min"] <= values[name] <= options["max"]
        if options.get("control_after_generate"):
            assert saved.pop(0) == "fixed"
    assert saved == []
    return values
