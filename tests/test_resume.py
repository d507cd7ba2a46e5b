"""A training that was killed, interrupted or ran out of disk goes on to the very weights of an
unbroken run."""

import json
import signal
import sys
from pathlib import Path

import pytest
from faulty_commands import run_command
from resumption import assert_same_weights
from small_trainings import run_small_trainings

import blendgan_core
from blendgan_core.checkpoint import read_header

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGKILL")

STEPS = 4


@pytest.fixture(scope="module")
def commands(tmp_path_factory) -> dict[str, list[str]]:
    """Flags without --out of each training, by name; the unbroken runs lie in ROOT/NAME."""
    root = tmp_path_factory.mktemp("unbroken")
    shared = f"--batch 2 --steps {STEPS} --save-every 2 --device cpu"
    return {"root": root} | run_small_trainings(root, pictures=4, shared=shared)


def unbroken(commands, name: str) -> Path:
    return commands["root"] / name / "final.safetensors"


def files(folder: Path) -> list[Path]:
    paths = [path.relative_to(folder) for path in folder.rglob("*")]
    return sorted(path for path in paths if path.parts[0] != "events")


def without_speed(log: Path) -> list[dict]:
    rows = [json.loads(line) for line in log.read_text().splitlines()]
    return [{k: v for k, v in row.items() if k != "images_per_second"} for row in rows]


@pytest.mark.parametrize(
    ("name", "fault"),
    [
        ("style_encoder", "killed in the second save"),
        ("style_encoder", "killed before the final checkpoint appears"),
        ("gan", "killed in the third step"),
        ("psp", "killed in the third step"),
        ("psp", "killed before the second state appears"),
        ("finetune", "killed in the second save"),
    ],
)
def test_killed_and_resumed_equals_unbroken(commands, tmp_path, name, fault):
    out, printed = tmp_path / "run", tmp_path / "printed.txt"
    command = [*commands[name], "--out", str(out)]
    assert run_command(name, command, printed, fault) == -signal.SIGKILL
    assert not (out / "final.safetensors").exists()
    assert run_command(name, [*command, "--resume"], printed) == 0, printed.read_text()
    assert_same_weights(unbroken(commands, name), out / "final.safetensors")
    assert without_speed(out / "log.jsonl") == without_speed(commands["root"] / name / "log.jsonl")
    assert files(out) == files(commands["root"] / name)


def test_a_full_disk_ends_in_one_line_and_keeps_the_last_good_state(commands, tmp_path):
    out, printed = tmp_path / "run", tmp_path / "printed.txt"
    command = [*commands["psp"], "--out", str(out)]
    assert run_command("psp", command, printed, "full disk at the second save") == 2
    last = printed.read_text().strip().splitlines()[-1]
    assert last.startswith(f"error: the state could not be written to {out}/state/latest.pt")
    assert "No space left on device" in last and "The last good state is kept" in last
    assert [file.name for file in (out / "state").iterdir()] == ["latest.pt"]
    assert run_command("psp", [*command, "--resume"], printed) == 0, printed.read_text()
    assert_same_weights(unbroken(commands, "psp"), out / "final.safetensors")


@pytest.mark.parametrize("name", ["gan", "psp"])
def test_an_interrupt_leaves_a_usable_checkpoint_and_can_be_resumed(commands, tmp_path, name):
    out, printed = tmp_path / "run", tmp_path / "printed.txt"
    command = [*commands[name], "--out", str(out)]
    assert run_command(name, command, printed, "interrupted in the third step") == 130
    assert "add --resume to go on" in printed.read_text()
    final = out / "final.safetensors"
    blendgan_core.load(final)
    provenance = read_header(final)["provenance"]
    assert "3 x 2" in provenance["psp"] if name == "psp" else provenance["steps"] == 3
    assert run_command(name, [*command, "--resume"], printed) == 0, printed.read_text()
    assert_same_weights(unbroken(commands, name), final)
