"""What every training shares: its run folder, its loop, exact resume.

A run folder holds config.json, log.jsonl (one object a line), losses.png, metrics.png, alpha.png,
samples/*.png, events/ (for TensorBoard), state/ (all that resume needs) and final.safetensors. Each
step's random numbers are functions of (seed, step), so a run that was stopped, or killed, and
resumed equals one that was not.
Of several processes the first one writes; the others compute their share of each step.
"""

import hashlib
import json
import math
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path

import torch
from torch import Tensor, nn
from tqdm import tqdm

from blendgan_core.errors import BlendGANError
from blendgan_core.files import reason

from . import processes
from .draws import Draws
from .dry_run import Stateful, dry_run
from .run_log import RunLog
from .run_state import load_state, save_state, write_file
from .training_config import TrainingConfig, check_values, flag

Value = float | list[float]

# flags that a resumed run may change
MAY_CHANGE = {"out", "steps", "save_every", "device", "resume", "dry_run", "accumulate"}
LOG_EVERY = 10


class Run:
    """A run folder, and the loop that fills it."""

    def __init__(self, config: TrainingConfig, accumulate: int = 1):
        """accumulate: parts in which a process computes its share of a step."""
        self.config = config
        self.folder = config.out
        self.state_file = self.folder / "state" / "latest.pt"
        self.step = 0
        check_values(config)
        self._resumes = config.resume or (processes.restarted() and self.state_file.exists())
        if self._resumes:
            self._check_same_flags()
        elif self.state_file.exists() and not config.dry_run:
            raise BlendGANError(
                f"{self.folder} already holds a run; add --resume to go on with it, "
                "or choose another --out"
            )
        self.device = processes.join(config.device)
        self.samples = processes.samples_of(config.batch, accumulate)

    def seed_weights(self) -> None:
        """Seed torch for new weights, by no number that a user would give for a picture: a code of
        the same stream as the mapping network's weights is one of its rows, and ruins the face."""
        digest = hashlib.sha256(f"weights {self.config.seed}".encode()).digest()
        torch.manual_seed(int.from_bytes(digest[:8], "little") >> 1)

    def draws(self) -> Draws:
        """The random numbers of this process's samples for the step that is due."""
        return Draws(self.config.seed, self.step, self.samples, self.device)

    def loop(
        self,
        parts: dict[str, Stateful],
        step: Callable[[], dict[str, Tensor | float]],
        sample: Callable[[Path], None],
        finish: Callable[[], Path],
        networks: dict[str, nn.Module],
        measure: Callable[[], dict[str, float]] = dict,
    ) -> Path | None:
        """Run the steps that are left, then `finish`; return what it returns, or None in a process
        that is not the first.

        parts: everything that changes while training; step: one optimiser step, returns what to
        log, numbers or one number a layer; sample: writes a grid of pictures to the path that it is
        given; finish: writes the final checkpoint; networks: all that take part, to be counted by
        --dry-run, which returns None; measure: metrics for the log, taken beside each grid. SIGINT
        saves, finishes, then raises KeyboardInterrupt.
        """
        if self.config.dry_run:
            dry_run(self._flags(), parts, networks, self._seeded(step), self.device)
            return None
        if self._writes:
            with _writing(self.folder):
                self._open_folder()
        stopped = self._train(parts, self._seeded(step), sample, measure)
        final = finish() if self._writes else None
        processes.wait_for_all()
        if stopped:
            if self._writes:
                tqdm.write(f"stopped at step {self.step}: {final} holds it; add --resume to go on")
            raise KeyboardInterrupt
        return final

    @property
    def _writes(self) -> bool:
        return processes.rank() == 0

    def _open_folder(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        for torn in self.folder.glob(".*.tmp"):  # by a kill while a file was written
            torn.unlink()
        write_file(self.folder / "config.json", json.dumps(self._flags(), indent=2).encode())

    def _train(self, parts, step, sample, measure) -> bool:
        """Whether it was stopped by SIGINT."""
        latest = self._load(parts) if self._resumes else {}
        log = None
        if self._writes:
            with _writing(self.folder):
                log = RunLog(self.folder, self.step)
        started, first = time.perf_counter(), self.step
        left = tqdm(
            initial=first,
            total=self.config.steps,
            unit="step",
            dynamic_ncols=True,
            disable=not self._writes,
        )
        with _interruptible() as interrupted, left as bar:
            stopped = False
            while self.step < self.config.steps and not stopped:
                latest |= step()  # a lazy loss is logged with its last value
                bar.update()
                stopped = processes.any_of(bool(interrupted))
                due = self.step % self.config.save_every == 0 or self.step == self.config.steps
                if not (due or stopped) and self.step % LOG_EVERY:
                    continue
                latest = _plain(latest)
                self._refuse_nan(latest)
                if not self._writes:
                    continue
                images = (self.step - first) * self.config.batch
                speed = round(images / (time.perf_counter() - started), 2)
                row = latest | {"images_per_second": speed}
                bar.set_postfix({name: _brief(value) for name, value in row.items()})
                with _writing(self.folder), torch.random.fork_rng(devices=[]):
                    if due:
                        row |= measure()
                    log.write({"step": self.step, "images": self.step * self.config.batch} | row)
                    if due or stopped:
                        self._save(parts, latest)
                        log.plot()
                    if due:
                        grid = self.folder / "samples" / f"{self.step:07d}.png"
                        sample(grid)
                        log.add_grid(grid, self.step)
            return stopped

    def _seeded(self, step):
        """The step as a function of (seed, number of the step); it counts."""

        def seeded() -> dict[str, Tensor | float]:
            torch.manual_seed(step_seed(self.config.seed, self.step))
            losses = step()
            self.step += 1
            return losses

        return seeded

    def _save(self, parts: dict[str, Stateful], latest: dict[str, Value]) -> None:
        for name, part in parts.items():
            weights = part.parameters() if isinstance(part, nn.Module) else ()
            if not all(weight.isfinite().all() for weight in weights):
                raise BlendGANError(
                    f"weights of the {name} are not finite at step {self.step}; {self._last_good()}"
                )
        state = {name: part.state_dict() for name, part in parts.items()}
        save_state(self.state_file, state | {"step": self.step, "latest": latest})

    def _load(self, parts: dict[str, Stateful]) -> dict[str, Value]:
        state = load_state(self.state_file)
        if state is None:
            return {}
        for name, part in parts.items():
            part.load_state_dict(state[name])
        self.step = state["step"]
        return state["latest"]

    def _check_same_flags(self) -> None:
        config_file = self.folder / "config.json"
        if not config_file.exists():
            raise BlendGANError(
                f"{self.folder} holds no run to resume (no config.json); leave --resume out"
            )
        before, now = json.loads(config_file.read_text()), self._flags()
        changed = [k for k in now if k not in MAY_CHANGE and before.get(k) != now[k]]
        if changed:
            first, *others = changed
            also = "".join(f"; {flag(k)} is {now[k]}, before {before.get(k)}" for k in others)
            raise BlendGANError(
                f"{flag(first)} is {now[first]}, but the run in {self.folder} was "
                f"started with {before.get(first)}{also}. Resume with the same flags"
            )

    def _flags(self) -> dict:
        return json.loads(json.dumps(asdict(self.config), default=str))

    def _refuse_nan(self, values: dict[str, Value]) -> None:
        for name, value in values.items():
            for number in value if isinstance(value, list) else [value]:
                if not math.isfinite(number):
                    raise BlendGANError(
                        f"{name} became {number} at step {self.step}; {self._last_good()}"
                    )

    def _last_good(self) -> str:
        if not self.state_file.exists():
            return "no state was saved before. Start again with a lower --lr"
        return f"the last good state is in {self.state_file.parent}. Start again with a lower --lr"


def step_seed(seed: int, step: int) -> int:
    """A seed for one step that no other (seed, step) near it shares."""
    return (seed * 1_000_003 + step) % (1 << 63)


def _plain(values: dict[str, Tensor | Value]) -> dict[str, Value]:
    """Numbers for the log, each the mean over the processes."""
    tensors = [value for value in values.values() if isinstance(value, Tensor)]
    means = iter(processes.mean_of_values(tensors))
    return {
        name: next(means).tolist() if isinstance(value, Tensor) else value
        for name, value in values.items()
    }


def _brief(value: Value) -> str:
    if isinstance(value, list):
        return f"{min(value):.3g}..{max(value):.3g}"
    return f"{value:.3g}"


@contextmanager
def _writing(folder: Path) -> Iterator[None]:
    """What fails while the run folder is written to, told as a user can act on it."""
    try:
        yield
    except OSError as error:
        raise BlendGANError(
            f"{folder} could not be written to ({reason(error)}). The last good state is kept; "
            "free some space, or see that you may write there, then --resume"
        ) from error


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
