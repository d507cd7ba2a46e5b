"""A training in a process of its own, shown on the node's bar and ended by the user's Cancel."""

import atexit
import json
import logging
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from PIL import Image

from ..blendgan_core import BlendGANError
from . import devices

ROOT = Path(__file__).absolute().parent.parent  # of the pack
COMMAND = [
    *(sys.executable, "-X", "utf8"),
    *(["-s"] if sys.flags.no_user_site else []),
    str(ROOT / "trainer" / "attended.py"),
]
PACKAGES = ("scipy", "tqdm", "tyro")  # that the trainer needs besides what ComfyUI brings
POLL_SECONDS = 0.1
PREVIEWS = 10  # sample grids in the course of a training

logger = logging.getLogger(__name__)


def train(command: str, flags: list[str], folder: Path, steps: int) -> Path | None:
    """Run `python -m trainer.COMMAND` with these flags -> the last grid of samples, if any.

    folder: an empty one for the run. Shows its steps and its grids on the node. BlendGANError says
    why a training failed; whatever ends this, the process has ended too.
    """
    run = folder / "run"
    flags = [command, *flags, "--out", str(run), "--steps", str(steps)]
    flags += ["--save-every", str(max(1, steps // PREVIEWS)), "--device", devices.compute_device()]
    show = devices.show_progress(steps)
    with open(folder / "told.txt", "w+b") as told, open(folder / "errors.txt", "w+b") as errors:
        with _process(flags, told, errors) as process:
            shown, running = None, True
            while running:
                running = process.poll() is None  # asked first: what it wrote last is shown too
                grid = _last_grid(run)
                if grid == shown:
                    show(_last_step(run))
                else:
                    show(_last_step(run), lambda path=grid: _open(path))
                    shown = grid
                time.sleep(POLL_SECONDS if running else 0)
        for stream in (told, errors):
            stream.seek(0)
        for line in told.read().decode(errors="replace").splitlines():
            logger.info("%s: %s", command, line)
        if process.returncode:
            raise BlendGANError(_why(process.returncode, errors.read().decode(errors="replace")))
    return _last_grid(run)


@contextmanager
def _process(flags: list[str], told, errors) -> Iterator[subprocess.Popen]:
    """The process, with a group of its own, which has ended when the block is left."""
    process = subprocess.Popen(
        [*COMMAND, *flags],
        cwd=ROOT,
        stdin=subprocess.DEVNULL,
        stdout=told,
        stderr=errors,
        start_new_session=os.name == "posix",
        creationflags=getattr(subprocess, "CREATE_NEW_PROCESS_GROUP", 0),  # of Windows
    )

    def end() -> None:
        if process.poll() is not None:
            return
        if os.name == "posix":
            os.killpg(process.pid, signal.SIGKILL)
        else:
            process.kill()
        process.wait()

    atexit.register(end)
    try:
        yield process
    finally:
        end()
        atexit.unregister(end)


def _last_step(run: Path) -> int:
    """The step of the last whole row in the run's log; 0 before there is one."""
    try:
        lines = (run / "log.jsonl").read_text(encoding="utf-8").splitlines(keepends=True)
    except OSError:
        return 0
    rows = [line for line in lines if line.endswith("\n")]
    return json.loads(rows[-1])["step"] if rows else 0


def _last_grid(run: Path) -> Path | None:
    return max((run / "samples").glob("[0-9]*.png"), default=None)


def _open(path: Path) -> Image.Image:
    with Image.open(path) as picture:
        return picture.convert("RGB")


def _why(code: int, errors: str) -> str:
    """What to tell the user of a training that ended with this code and wrote this to stderr."""
    lines = [line.strip() for line in re.split(r"[\r\n]+", errors) if line.strip()]
    last = lines[-1] if lines else ""
    missing = re.match(r"ModuleNotFoundError: No module named '([\w.]+)'", last)
    if missing:
        packages = " ".join(PACKAGES)
        return (
            f"the trainer needs the Python package {missing[1]}, which is not installed; run "
            f'"{sys.executable}" -m pip install {packages}'
        )
    if last.startswith("error: "):  # meant for the user
        return last.removeprefix("error: ")
    logger.error("The training failed:\n%s", errors)
    if code < 0:
        return f"the training was ended by signal {-code}; the system may be short of memory"
    return f"the training failed ({last or f'exit code {code}'}); ComfyUI's log has all of it"
