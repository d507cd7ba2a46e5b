"""What every training shares: its flags, its run folder, its loop, exact resume.

A run folder holds config.json, log.jsonl (one object a line), samples/*.png, state/ (all that
resume needs) and final.safetensors. Every step is seeded by (seed, step), so a run that was
stopped and resumed equals one that was not.
"""

import json
import os
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Protocol

import torch
from torch import Tensor
from tqdm import tqdm

from blendgan_core.errors import BlendGANError
from blendgan_core.pickles import DAMAGED

# flags that a resumed run may change
MAY_CHANGE = {"out", "steps", "save_every", "device", "resume"}
LOG_EVERY = 10
POSITIVE = (
    *("steps", "batch", "save_every", "lr", "r1_every", "path_length_every", "ema_images"),
    *("queue_size", "temperature", "resolution", "image_size"),
)


@dataclass(frozen=True, kw_only=True)
class TrainingConfig:
    """The flags that every training shares."""

    out: Path
    """the run folder: config, log, sample grids, resumable state, final.safetensors"""
    steps: int
    """optimiser steps"""
    batch: int
    """pictures a step"""
    seed: int = 0
    """seeds the weights, the data order and all noise"""
    save_every: int = 500
    """steps between saved states and sample grids"""
    device: str = "auto"
    """cpu, cuda, mps, or auto for the best that is there"""
    resume: bool = False
    """go on from the state in --out"""


class Stateful(Protocol):
    """A network or an optimiser."""

    def state_dict(self) -> dict[str, Any]: ...

    def load_state_dict(self, state_dict: dict[str, Any]) -> Any: ...


class Run:
    """A run folder, and the loop that fills it."""

    def __init__(self, config: TrainingConfig):
        self.config = config
        self.folder = config.out
        self.state_file = self.folder / "state" / "latest.pt"
        self.step = 0
        for name in POSITIVE:
            if getattr(config, name, 1) <= 0:
                raise BlendGANError(
                    f"--{name.replace('_', '-')} is {getattr(config, name)}, expected more than 0"
                )
        if config.resume:
            self._check_same_flags()
        elif self.state_file.exists():
            raise BlendGANError(
                f"{self.folder} already holds a run; add --resume to go on with it, "
                "or choose another --out"
            )

    def loop(
        self,
        parts: dict[str, Stateful],
        step: Callable[[], dict[str, Tensor | float]],
        sample: Callable[[Path], None],
    ) -> None:
        """Run the steps that are left.

        parts: everything that changes while training; step: one optimiser step, returns what to
        log; sample: writes a grid of pictures to the path that it is given. SIGINT saves, then
        stops.
        """
        (self.folder / "samples").mkdir(parents=True, exist_ok=True)
        self.state_file.parent.mkdir(exist_ok=True)
        _write(self.folder / "config.json", json.dumps(self._flags(), indent=2).encode())
        if self.config.resume:
            self._load(parts)
        log = self.folder / "log.jsonl"
        self._drop_log_after(self.step, log)
        started, first = time.perf_counter(), self.step
        latest: dict[str, Tensor | float] = {}  # a lazy loss is logged with its last value
        with _interruptible() as interrupted, open(log, "a", encoding="utf-8") as lines:
            bar = tqdm(initial=self.step, total=self.config.steps, unit="step", dynamic_ncols=True)
            while self.step < self.config.steps:
                torch.manual_seed(step_seed(self.config.seed, self.step))
                latest |= step()
                self.step += 1
                bar.update()
                due = self.step % self.config.save_every == 0 or self.step == self.config.steps
                stopped = bool(interrupted)
                if due or stopped or self.step % LOG_EVERY == 0:
                    speed = (
                        (self.step - first) * self.config.batch / (time.perf_counter() - started)
                    )
                    values = {name: float(value) for name, value in latest.items()}
                    self._refuse_nan(values)
                    bar.set_postfix(
                        {k: f"{v:.3g}" for k, v in values.items()} | {"img/s": f"{speed:.1f}"}
                    )
                    row = {"step": self.step, "images": self.step * self.config.batch, **values}
                    lines.write(json.dumps(row | {"images_per_second": round(speed, 2)}) + "\n")
                    lines.flush()
                if due or stopped:
                    self._save(parts)
                if due:
                    with torch.random.fork_rng(devices=[]):
                        sample(self.folder / "samples" / f"{self.step:07d}.png")
                if stopped:
                    bar.close()
                    tqdm.write(f"stopped at step {self.step}; add --resume to go on")
                    raise KeyboardInterrupt
            bar.close()

    def _save(self, parts: dict[str, Stateful]) -> None:
        for name, part in parts.items():
            networks = part.parameters() if isinstance(part, torch.nn.Module) else ()
            if not all(weight.isfinite().all() for weight in networks):
                raise BlendGANError(
                    f"weights of the {name} are not finite at step {self.step}; the last good one "
                    f"is in {self.state_file.parent}. Start again with a lower --lr"
                )
        state = {name: part.state_dict() for name, part in parts.items()} | {"step": self.step}
        temporary = self.state_file.with_suffix(".tmp")
        try:
            torch.save(state, temporary)
            os.replace(temporary, self.state_file)  # the last good state stays until this is whole
        except (OSError, RuntimeError) as error:
            temporary.unlink(missing_ok=True)
            raise BlendGANError(
                f"the state could not be written to {self.state_file}: "
                f"{str(error).splitlines()[0]}. The last good state is kept; "
                "free some space, then --resume"
            ) from error

    def _load(self, parts: dict[str, Stateful]) -> None:
        if not self.state_file.exists():
            return  # it was stopped before its first save
        try:
            state = torch.load(self.state_file, map_location="cpu", weights_only=True)
        except DAMAGED as error:
            raise BlendGANError(
                f"{self.state_file} is damaged; delete {self.folder} or choose another --out"
            ) from error
        for name, part in parts.items():
            part.load_state_dict(state[name])
        self.step = state["step"]

    def _check_same_flags(self) -> None:
        config_file = self.folder / "config.json"
        if not config_file.exists():
            raise BlendGANError(
                f"{self.folder} holds no run to resume (no config.json); leave --resume out"
            )
        before, now = json.loads(config_file.read_text()), self._flags()
        changed = [k for k in now if k not in MAY_CHANGE and before.get(k) != now[k]]
        if changed:
            name = changed[0]
            raise BlendGANError(
                f"--{name.replace('_', '-')} is {now[name]}, but the run in {self.folder} was "
                f"started with {before.get(name)}; resume with the same flags"
            )

    def _flags(self) -> dict:
        return json.loads(json.dumps(asdict(self.config), default=str))

    def _refuse_nan(self, values: dict[str, float]) -> None:
        bad = [
            name for name, value in values.items() if value != value or abs(value) == float("inf")
        ]
        if bad:
            raise BlendGANError(
                f"{bad[0]} became {values[bad[0]]} at step {self.step}; the last good state is in "
                f"{self.state_file.parent}. Start again with a lower --lr"
            )

    @staticmethod
    def _drop_log_after(step: int, log: Path) -> None:
        if log.exists():
            lines = log.read_text().splitlines(keepends=True)
            kept = [
                line for line in lines if line.endswith("\n") and json.loads(line)["step"] <= step
            ]
            _write(log, "".join(kept).encode())


def step_seed(seed: int, step: int) -> int:
    """A seed for one step that no other (seed, step) near it shares."""
    return (seed * 1_000_003 + step) % (1 << 63)


def _write(path: Path, content: bytes) -> None:
    temporary = path.with_name(path.name + ".tmp")
    temporary.write_bytes(content)
    os.replace(temporary, path)


class _Flag:
    def __init__(self):
        self.set = False

    def __bool__(self) -> bool:
        return self.set


@contextmanager
def _interruptible() -> Iterator[_Flag]:
    """Turns the first SIGINT into a flag, so that no step is torn; a second one ends at once."""
    flag = _Flag()

    def handle(_signal, _frame):
        if flag.set:
            raise KeyboardInterrupt
        flag.set = True

    before = signal.signal(signal.SIGINT, handle)
    try:
        yield flag
    finally:
        signal.signal(signal.SIGINT, before)
