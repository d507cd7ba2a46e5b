"""The graphs that ship as templates: complete, reproducible, and wired so that they run."""

from itertools import combinations
from pathlib import Path

import pytest
from graphs import CORE_NODES, read_graph, run_graph
from PIL import Image

FOLDER = Path(__file__).parent.parent / "workflows"
WORKFLOWS = sorted(FOLDER.glob("*.json"))
ROOM = 60  # pixels between two boxes, for the lower one's title

EXPECTED = [
    "group_photo",
    "indicator_sweep",
    "latent_guided",
    "one_shot_finetune",
    "reference_guided",
    "style_mix",
    "video",
]

for_each_workflow = pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.stem)


def test_all_of_them_ship():
    assert [path.stem for path in WORKFLOWS] == EXPECTED


@for_each_workflow
def test_it_has_a_thumbnail(path):
    with Image.open(path.with_suffix(".jpg")) as thumbnail:
        assert thumbnail.format == "JPEG" and min(thumbnail.size) >= 256


@for_each_workflow
def test_no_box_lies_on_another(path):
    """Nor so near that it would in Nodes 2.0, where boxes are some 15% higher."""
    boxes = [(*node["pos"], *node["size"]) for node in read_graph(path)["nodes"]]
    for (x, y, width, height), (x2, y2, width2, height2) in combinations(boxes, 2):
        beside = x + width < x2 or x2 + width2 < x
        below = y + height + ROOM <= y2 or y2 + height2 + ROOM <= y
        assert beside or below, ((x, y), (x2, y2))


@for_each_workflow
def test_it_runs(path, model, run, nodes):
    graph = read_graph(path)
    shorten_clips(graph)
    outputs = run_graph(graph, nodes, run, model)
    ours = {node["id"] for node in graph["nodes"] if node["type"] not in CORE_NODES}
    pictures = [
        outputs[source, slot]
        for _, source, slot, *_, kind in graph["links"]
        if kind == "IMAGE" and source in ours
    ]
    assert pictures
    for images in pictures:
        assert images.ndim == 4 and images.shape[-1] == 3
        assert 0 <= images.min() < images.max() <= 1


def shorten_clips(graph: dict) -> None:
    for node in graph["nodes"]:
        if node["type"] == "BlendGANExample":
            picture, frames = node["widgets_values"] + [1] * (2 - len(node["widgets_values"]))
            node["widgets_values"] = [picture, min(frames, 6)]
