"""Several processes under torchrun, on one machine, with gloo."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from golden_weights import relative_error
from safetensors.torch import load_file
from small_trainings import run_small_trainings

from blendgan_core.errors import BlendGANError
from trainer import processes
from trainer.synced_norm import SyncedBatchNorm2d

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="torchrun has no gloo there")

ROOT = Path(__file__).parents[1]


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
    shared = "--batch 8 --steps 4 --save-every 2 --device cpu"
    return {"root": root} | run_small_trainings(root, 8, shared, psp="--lr 0.001")


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


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_synced_normalisation_equals_pytorchs_in_both_precisions(dtype):
    """Of one process: outputs within one step of bf16 (2^-8), running statistics in fp32."""
    own, synced = torch.nn.BatchNorm2d(3), SyncedBatchNorm2d(3)
    x = (torch.randn(4, 3, 5, 5) * 2 + 1).to(dtype)
    wanted, found = own(x), synced(x)
    assert found.dtype == wanted.dtype == dtype
    torch.testing.assert_close(found.float(), wanted.float(), atol=2e-5, rtol=2**-8)
    torch.testing.assert_close(synced.running_mean, own.running_mean)
    torch.testing.assert_close(synced.running_var, own.running_var)


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
