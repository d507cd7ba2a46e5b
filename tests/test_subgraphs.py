"""The subgraphs that the page offers as single nodes: wired so that they run."""

from pathlib import Path

import numpy as np
import pytest
import torch
from graphs import SUBGRAPH_OUTPUT, read_graph, run_graph, widget_values
from PIL import Image
from tiny_model import pictures

FOLDER = Path(__file__).parent.parent / "subgraphs"
SUBGRAPHS = sorted(FOLDER.glob("*.json"))

for_each_subgraph = pytest.mark.parametrize("path", SUBGRAPHS, ids=lambda path: path.stem)


def parts(path: Path) -> tuple[dict, dict]:
    """The one node of the root graph, and the definition that it stands for."""
    graph = read_graph(path)
    (node,), (definition,) = graph["nodes"], graph["definitions"]["subgraphs"]
    assert graph["links"] == [] and node["type"] == definition["id"]
    return node, definition


def test_the_one_for_beginners_ships():
    assert [path.stem for path in SUBGRAPHS] == ["Stylize Faces"]


@for_each_subgraph
def test_the_node_shows_what_the_definition_has(path):
    node, definition = parts(path)
    assert node["title"] == definition["name"] == path.stem
    for end in ("inputs", "outputs"):
        shown = [(slot["name"], slot["type"]) for slot in node[end]]
        assert shown == [(slot["name"], slot["type"]) for slot in definition[end]]


@for_each_subgraph
def test_its_widgets_have_the_values_saved_inside(path, nodes):
    node, definition = parts(path)
    inside = {inner["id"]: inner for inner in definition["nodes"]}
    links = {link["id"]: link for link in definition["links"]}
    saved = iter(node["widgets_values"])
    for shown, entry in zip(node["inputs"], definition["inputs"], strict=True):
        link = links[entry["linkIds"][0]]
        target = inside[link["target_id"]]
        fed = target["inputs"][link["target_slot"]]
        assert ("widget" in shown) == ("widget" in fed)
        if "widget" in fed:
            assert next(saved) == widget_values(target, nodes)[fed["name"]]
    assert list(saved) == []


@for_each_subgraph
def test_it_runs(path, model, run, nodes):
    _, definition = parts(path)
    photo = Image.open(FOLDER.parent / "docs" / "images" / "group.jpg")
    faces = torch.from_numpy(np.array(photo)).float()[None] / 255  # found with nothing connected
    images = {
        slot: faces if entry["name"] == "photo" else pictures(1)
        for slot, entry in enumerate(definition["inputs"])
        if entry["type"] == "IMAGE"
    }
    outputs = run_graph(definition, nodes, run, model, images)
    ends = [link for link in definition["links"] if link["target_id"] == SUBGRAPH_OUTPUT]
    assert len(ends) == len(definition["outputs"])
    for link in ends:
        assert outputs[link["origin_id"], link["origin_slot"]].ndim == 4
