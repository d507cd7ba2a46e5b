"""The texts of the nodes in other languages; the page merges them by node, input and output.

English is the schema's own text, written by `pytest tests/test_locales.py --write-node-schema`.
"""

import json
import re
from pathlib import Path

import pytest

LOCALES = Path(__file__).parent.parent / "locales"


def english(nodes: dict[str, type]) -> dict:
    """What locales/en/nodeDefs.json holds, from the schemas."""
    entries = {}
    for node_id, node in sorted(nodes.items()):
        info = node.GET_NODE_INFO_V1()
        shown = [info["input"][kind] for kind in info["input"].keys() - {"hidden"}]
        inputs = {name: value for group in shown for name, value in group.items()}
        outputs = zip(info["output_name"], info["output_tooltips"], strict=True)
        entries[node_id] = {
            "display_name": info["display_name"],
            "description": info["description"],
            "inputs": {
                name: {"name": name, "tooltip": options["tooltip"]}
                for name, (_, options) in inputs.items()
            },
            "outputs": {
                str(index): {"name": name, "tooltip": tooltip}
                for index, (name, tooltip) in enumerate(outputs)
            },
        }
    return entries


def read(language: str) -> dict:
    return json.loads((LOCALES / language / "nodeDefs.json").read_text(encoding="utf-8"))


def texts(entry: dict, prefix: str = "") -> dict[str, str]:
    """{"WBMBlend.inputs.theta.tooltip": text} of nested entries."""
    found = {}
    for key, value in entry.items():
        nested = texts(value, f"{prefix}{key}.") if isinstance(value, dict) else None
        found |= nested or {prefix + key: value}
    return found


def test_english_is_the_schema(nodes, models_folder, request):
    expected = english(nodes)
    if request.config.getoption("--write-node-schema"):
        text = json.dumps(expected, indent=1, ensure_ascii=False) + "\n"
        (LOCALES / "en" / "nodeDefs.json").write_text(text, encoding="utf-8")
    assert read("en") == expected


def test_every_text_of_the_schema_is_in_chinese(nodes, models_folder):
    chinese, expected = texts(read("zh")), texts(english(nodes))
    missing, stale = expected.keys() - chinese.keys(), chinese.keys() - expected.keys()
    assert not missing, f"locales/zh/nodeDefs.json lacks {sorted(missing)}"
    assert not stale, f"locales/zh/nodeDefs.json still has {sorted(stale)}"
    for key, text in chinese.items():
        needs_no_translation = key.endswith(".name")  # theta, x
        assert needs_no_translation or re.search("[\u4e00-\u9fff]", text), key


@pytest.mark.parametrize("language", ["en", "zh"])
def test_no_text_holds_signs_that_the_page_takes_for_its_own(language):
    """vue-i18n reads {name}, @:link and one | many in what it shows."""
    for key, text in texts(read(language)).items():
        assert text.strip() and not re.search(r"[{}@|]", text), key
