"""Several processes under torchrun, on one machine, with gloo."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from faulty_commands import run_command
from golden_weights import relative_error
from PIL import Image
from safetensors.torch import load_file

from blendgan_core.errors import BlendGANError
from trainer import processes

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="torchrun has no gloo there")

ROOT = Path(__file__).parents[1]
SIZES = "--resolution 16 --z-dim 16 --w-dim 16 --channel-base 256 --channel-max 8"


def torchrun(count: int, *command: str, restarts: int = 0) -> subprocess.Popen:
    environment = os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)}
    flags = ["--standalone", "--nproc_per_node", str(count), "--max-restarts", str(restarts)]
    return subprocess.Popen(
        [sys.executable, "-m", "torch.distributed.run", *flags, *command],
        cwd=ROOT,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def finish(process: subprocess.Popen) -> str:
    output, _ = process.communicate(timeout=300)
    assert process.returncode == 0, output
    return output


@pytest.fixture(scope="module")
def flags(tmp_path_factory) -> dict[str, list[str]]:
    """Each training's flags without --out; ROOT holds what one process made of them."""
    root = tmp_path_factory.mktemp("alone")
    rng = np.random.default_rng(0)
    for folder in ("natural", "art/rough", "art/smooth"):
        (root / folder).mkdir(parents=True)
        for number in range(8):
            pixels = rng.integers(0, 256, (32, 32, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(root / folder / f"{number}.png")
    shared = "--batch 8 --steps 4 --save-every 2 --device cpu"
    final = {name: root / name / "final.safetensors" for name in ("style_encoder", "gan", "psp")}
    text = {
        "style_encoder": f"--art {root}/art --vgg random --vgg-width 2 --image-size 32 "
        "--hidden-dim 16 --z-dim 16",
        "gan": f"--natural {root}/natural --art {root}/art {SIZES} --r1-every 2 "
        f"--path-length-every 2 --queue-size 16 --style-encoder {final['style_encoder']}",
        "psp": f"--generator {final['gan']} --natural {root}/natural --latent-weight 0.1 "
        "--image-size 32 --channels 4 4 8 8 --blocks 1 1 1 1 --lr 0.001",
        "finetune": f"--ref {root}/art/rough/0.png --mode paper --name new "
        f"--checkpoint {final['psp']}",
    }
    commands = {name: f"{words} {shared}".split() for name, words in text.items()}
    for name, command in commands.items():
        out = ["--out", str(root / name)]
        code = run_command(name, [*command, *out], root / f"{name}.txt")
        assert code == 0, (root / f"{name}.txt").read_text()
    return {"root": root} | commands


def last_row(log: Path) -> dict:
    return json.loads(log.read_text().splitlines()[-1])


def launched(name: str, models: Path) -> list[str]:
    """How a training is named to torchrun; a fine-tune lists its checkpoint in `models`."""
    if name != "finetune":
        return ["-m", f"trainer.{name}"]
    script = models / "finetune.py"
    script.write_text(
        "from pathlib import Path\n"
        "from trainer import cli, finetune\n"
        f"finetune.models_folder = lambda: Path({str(models)!r})\n"
        "cli.run_cli(finetune.finetune, finetune.FinetuneConfig)\n"
    )
    return [str(script)]


@pytest.mark.parametrize("name", ["style_encoder", "gan", "psp", "finetune"])
def test_two_processes_with_half_a_batch_each_equal_one(flags, tmp_path, name):
    command = [*launched(name, tmp_path), *flags[name], "--out", str(tmp_path / name)]
    output = finish(torchrun(2, *command))
    folders = flags["root"] / name, tmp_path / name
    alone, together = (load_file(folder / "final.safetensors") for folder in folders)
    assert alone.keys() == together.keys()
    # all as one vector: Adam moves a weight whose gradient is nearly 0 by its sign alone
    vectors = [
        torch.cat([state[key].float().flatten() for key in alone]) for state in (together, alone)
    ]
    assert relative_error(*vectors) < 2e-3
    alone, together = (last_row(folder / "log.jsonl") for folder in folders)
    assert alone.keys() == together.keys()
    for key in alone.keys() - {"images_per_second"}:
        assert together[key] == pytest.approx(alone[key], rel=5e-3, abs=1e-4), key
    assert output.count("0/4 [") == 1  # one process tells


def test_a_lost_worker_is_restarted_and_the_run_goes_on_from_its_state(flags, tmp_path):
    command = [w if w != "4" else "40" for w in flags["gan"]]
    process = torchrun(2, "-m", "trainer.gan", *command, "--out", str(tmp_path / "run"), restarts=1)
    state = tmp_path / "run" / "state" / "latest.pt"
    deadline = time.monotonic() + 120
    while not state.exists() and time.monotonic() < deadline:
        time.sleep(0.05)
    workers = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
    os.kill(int(workers[1]), signal.SIGKILL)
    finish(process)
    finish(torchrun(2, "-m", "trainer.gan", *command, "--out", str(tmp_path / "unbroken")))
    broken, whole = (load_file(tmp_path / run / "final.safetensors") for run in ("run", "unbroken"))
    assert all(torch.equal(broken[key], whole[key]) for key in whole)


def test_a_batch_that_does_not_divide_is_refused():
    with pytest.raises(BlendGANError, match="--batch is 6.*multiple of 4"):
        processes.samples_of(6, accumulate=4)


def test_shares_together_are_the_batch(monkeypatch):
    monkeypatch.setattr(processes, "count", lambda: 2)
    dealt = []
    for rank in (0, 1):
        monkeypatch.setattr(processes, "rank", lambda rank=rank: rank)
        dealt.append(processes.samples_of(16, accumulate=2))
    assert dealt[0] == [0, 4, 8, 12, 1, 5, 9, 13]
    assert sorted(dealt[0] + dealt[1]) == list(range(16))
