"""What the page gets from the pack: its JavaScript, where Node.js is at hand to run it."""

import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest
import torch

from blendgan_core.blending import WeightedBlendingModule

ROOT = Path(__file__).parent.parent
SCRIPTS = ROOT / "nodes" / "web" / "js"
SCHEMA = json.loads((ROOT / "tests" / "node_schema.json").read_text())


def test_every_type_of_ours_has_a_colour():
    types = {name for node in SCHEMA.values() for name in node["output"]}
    ours = {name for name in types if name.startswith("BLENDGAN_")}
    coloured = re.findall(r"^  (BLENDGAN_\w+):", (SCRIPTS / "socket_colours.js").read_text(), re.M)
    assert ours and ours <= set(coloured)


def test_scripts_import_only_what_exists():
    """The pack's own files, and the page's app, three levels up from where they are served."""
    for script in SCRIPTS.glob("*.js"):
        for name in re.findall(r'from "(.+)";', script.read_text()):
            assert name == "../../../scripts/app.js" or (SCRIPTS / name).is_file(), script.name


def evaluate(script: str, expression: str):
    """The value of a JavaScript expression that may use what a script of ours defines."""
    node = shutil.which("node")
    if node is None:
        pytest.skip("Node.js is not installed")
    program = (SCRIPTS / script).read_text() + f"\nconsole.log(JSON.stringify({expression}))"
    done = subprocess.run(
        [node, "--input-type=module"], input=program, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_the_chart_draws_the_mask_that_the_model_uses():
    cases = [(indicator, theta) for indicator in range(6) for theta in (0.0, 0.3, 1.0)]
    drawn = evaluate("blend_curve.js", f"{json.dumps(cases)}.map((c) => blendMask(5, ...c))")
    blending = WeightedBlendingModule(num_layers=5, alpha=1.0)
    used = torch.stack([blending.share(indicator, theta) for indicator, theta in cases])
    torch.testing.assert_close(torch.tensor(drawn), used.detach())


def test_a_curve_is_numbers_from_0_to_1():
    texts = ["0.5, 1 0", " .25,\n1 ", "", "   ", "0.5; 1", "half", "1.1", "-0.1", "NaN"]
    parsed = evaluate("blend_curve.js", f"{json.dumps(texts)}.map(parseCurve)")
    assert parsed == [[0.5, 1, 0], [0.25, 1], *[None] * 7]


def test_a_written_curve_is_read_back():
    values = [0, 0.123, 0.999, 1]
    assert evaluate("blend_curve.js", f"parseCurve(formatCurve({values}))") == [0, 0.12, 1, 1]


@pytest.mark.parametrize(
    "start, end, expected",
    [
        ((1, 0.2), (3, 0.6), [9, 0.2, 0.4, 0.6, 9]),
        ((3, 0.6), (1, 0.2), [9, 0.2, 0.4, 0.6, 9]),
        ((4, 0.0), (4, 1.0), [9, 9, 9, 9, 1.0]),
    ],
)
def test_a_fast_stroke_leaves_no_layer_out(start, end, expected):
    """By hand: halfway between 0.2 and 0.6 lies 0.4; within one layer the last value stays."""
    points = [json.dumps({"layer": layer, "value": value}) for layer, value in (start, end)]
    drawn = evaluate("blend_curve.js", f"stroke([9, 9, 9, 9, 9], {', '.join(points)})")
    assert drawn == pytest.approx(expected)
