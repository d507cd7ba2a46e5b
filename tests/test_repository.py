"""Promises of the repository as a whole: its requirements, its imports, its text."""

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PACKAGES = ("blendgan_core", "nodes", "trainer")
COMFYUI = {"comfy", "comfy_api", "comfy_extras", "comfy_execution", "folder_paths", "server"}
# lower bounds that the oldest ComfyUI in use satisfies; tyro is the one package it lacks
IN_COMFYUI = {
    "torch": (2, 7),
    "torchvision": (0, 22),
    "safetensors": (0, 4, 2),
    "numpy": (1, 25),
    "pillow": (9, 5),
    "huggingface-hub": (0, 26),
    "scipy": (1, 8),
    "tqdm": (4, 64),
}


def sources(package: str) -> list[Path]:
    return sorted((ROOT / package).rglob("*.py"))


def imports(path: Path, *, at_module_level: bool) -> set[str]:
    """What a file imports, "" for relative ones inside its package: top-level names, dots kept.

    at_module_level: leave out what is only imported when some function runs.
    """
    tree = ast.parse(path.read_text(encoding="utf-8"))
    lazy = set()
    if at_module_level:
        functions = (ast.FunctionDef, ast.AsyncFunctionDef)
        for function in (node for node in ast.walk(tree) if isinstance(node, functions)):
            lazy.update(ast.walk(function))
    found = set()
    for node in ast.walk(tree):
        if node in lazy:
            continue
        if isinstance(node, ast.Import):
            found.update(name.name.split(".")[0] for name in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = "." * node.level + (node.module or "")
            if node.level == 0:
                found.add(base.split(".")[0])
            elif node.module is None:
                found.update(base + name.name for name in node.names)
            else:
                found.add(base)
    return found


def test_requirements_have_only_low_lower_bounds():
    """A pin or a high bound would make pip replace what works in somebody's ComfyUI."""
    lines = (ROOT / "requirements.txt").read_text(encoding="utf-8").splitlines()
    wanted = [line for line in lines if line and not line.startswith("#")]
    for line in wanted:
        match = re.fullmatch(r"([a-z-]+)>=(\d+(?:\.\d+)*)", line)
        assert match, f"{line!r} is not a lower bound"
        name, bound = match[1], tuple(int(number) for number in match[2].split("."))
        assert name == "tyro" or bound <= IN_COMFYUI[name], f"{line!r} asks for too much"


@pytest.mark.parametrize("package", PACKAGES)
def test_imports_run_one_way(package):
    """nodes -> blendgan_core <- trainer; the core knows neither of them, nor ComfyUI."""
    forbidden = {
        "blendgan_core": COMFYUI | {"nodes", "trainer"},
        "nodes": {"trainer"},
        "trainer": COMFYUI | {"nodes"},
    }[package]
    for path in sources(package):
        found = imports(path, at_module_level=False)
        outside = {name for name in found if not re.match(r"\.[^.]", name)}  # not `.sibling`
        packages = {name.lstrip(".").split(".")[0] for name in outside}
        assert not packages & forbidden, f"{path.name} imports {packages & forbidden}"


@pytest.mark.parametrize("package", ["blendgan_core", "nodes"])
def test_the_pack_imports_itself_relatively(package):
    """ComfyUI gives the pack a name of its own choice, so an absolute import would miss it."""
    for path in sources(package):
        assert not imports(path, at_module_level=False) & set(PACKAGES), path


@pytest.mark.parametrize("package", PACKAGES)
def test_no_import_needs_torchvision(package):
    """One that does not fit its torch fails on import, and only pretrained weights need it."""
    for path in sources(package):
        assert "torchvision" not in imports(path, at_module_level=True), path


def test_the_core_needs_only_what_comfyui_has():
    allowed = {"torch", "numpy", "safetensors", "PIL"} | set(sys.stdlib_module_names)
    for path in sources("blendgan_core"):
        third_party = {
            name for name in imports(path, at_module_level=True) if not name.startswith(".")
        }
        assert third_party <= allowed, f"{path.name} imports {third_party - allowed}"


def tracked_texts() -> list[Path]:
    """The repository's text files: what git tracks, or would."""
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard"]
    try:
        listed = subprocess.run(
            command, cwd=ROOT, capture_output=True, text=True, check=True
        ).stdout
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("not a git clone")
    paths = [ROOT / line for line in listed.splitlines()]
    suffixes = {".py", ".md", ".toml", ".txt", ".json", ".js", ".yml", ".yaml", ".sh", ""}
    return [path for path in paths if path.suffix in suffixes and path.is_file()]


def test_no_text_names_a_path_of_some_machine():
    pattern = re.compile(r"(?<![\w.:/])/(?:home|root|Users|work|tmp|mnt|opt)/[\w.]")
    for path in tracked_texts():
        hit = pattern.search(path.read_text(encoding="utf-8"))
        assert not hit, f"{path.relative_to(ROOT)} says {hit[0]!r}"


def test_no_source_file_is_too_long():
    for package in (*PACKAGES, "tests"):
        for path in sources(package):
            length = len(path.read_text(encoding="utf-8").splitlines())
            assert length <= 400, f"{path.relative_to(ROOT)} has {length} lines; split it"
