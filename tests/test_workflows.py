"""The graphs that ship as templates: complete, reproducible, and wired so that they run."""

from pathlib import Path

import pytest
from graphs import read_graph, run_graph
from PIL import Image

FOLDER = Path(__file__).parent.parent / "workflows"
WORKFLOWS = sorted(FOLDER.glob("*.json"))

for_each_workflow = pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.stem)


def test_both_ways_ship():
    assert [path.stem for path in WORKFLOWS] == ["latent_guided", "reference_guided"]


@for_each_workflow
def test_it_has_a_thumbnail(path):
    with Image.open(path.with_suffix(".jpg")) as thumbnail:
        assert thumbnail.format == "JPEG" and min(thumbnail.size) >= 256


@for_each_workflow
def test_it_runs(path, model, run, nodes):
    graph = read_graph(path)
    outputs = run_graph(graph, nodes, run, model)
    makers = [node["id"] for node in graph["nodes"] if node["type"] == "BlendGANGenerate"]
    assert makers
    for maker in makers:
        assert outputs[maker, 0].shape == outputs[maker, 1].shape
