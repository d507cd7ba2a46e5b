"""`--dry-run`: what a training would be and cost, from some of its steps; nothing is written."""

import sys
import time
from collections.abc import Callable, Iterable
from typing import Any, Protocol

import torch
from torch import Tensor, nn

CYCLE = 16  # steps after the first, so that penalties that are due each 4 or 16 steps take part
LIMIT = 60  # seconds after which no further step is begun


class Stateful(Protocol):
    """A network or an optimiser."""

    def state_dict(self) -> dict[str, Any]: ...

    def load_state_dict(self, state_dict: dict[str, Any]) -> Any: ...


def dry_run(
    flags: dict[str, Any],
    parts: dict[str, Stateful],
    networks: dict[str, nn.Module],
    step: Callable[[], Any],
    device: torch.device,
) -> None:
    """Print configuration, networks, memory and time.

    flags: the configuration; parts: everything that changes while training; networks: all that take
    part; step: one optimiser step. It changes the parts, which are of no use afterwards.
    """
    print("configuration")
    for name, value in flags.items():
        if name not in ("resume", "dry_run"):
            print(f"  {name:<22} {_words(value)}")
    optimizers = [part for part in parts.values() if isinstance(part, torch.optim.Optimizer)]
    trained = {id(p) for o in optimizers for group in o.param_groups for p in group["params"]}
    print("\nnetworks" + " " * 25 + "parameters")
    for name, network in networks.items():
        count = sum(p.numel() for p in network.parameters())
        state = "trained" if any(id(p) in trained for p in network.parameters()) else "not trained"
        print(f"  {name:<22} {count:>19,}  {state}")
    seconds = _time_steps(step, device, max(1, int(flags["steps"])))
    print("\nmemory")
    for name, size in _memory(networks, optimizers, device).items():
        print(f"  {name:<34} {size / 2**20:>9,.1f} MiB")
    state_bytes = _bytes(_tensors([part.state_dict() for part in parts.values()]))
    print(f"  {'on disk: a state, kept once':<34} {state_bytes / 2**20:>9,.1f} MiB")
    _print_time(seconds, int(flags["steps"]), int(flags["batch"]), device)
    print(f"\nnothing was written; without --dry-run it goes to {flags['out']}")


def _time_steps(step: Callable[[], Any], device: torch.device, most: int) -> list[float]:
    """Seconds of each step; the first one warms up and takes all lazy penalties."""
    seconds = []
    began = time.perf_counter()
    while len(seconds) < min(1 + CYCLE, most) and (
        len(seconds) < 2 or time.perf_counter() - began < LIMIT
    ):
        started = time.perf_counter()
        step()
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        elif device.type == "mps":
            torch.mps.synchronize()
        seconds.append(time.perf_counter() - started)
    return seconds


def _print_time(seconds: list[float], steps: int, batch: int, device: torch.device) -> None:
    counted = seconds[1:] or seconds
    each = sum(counted) / len(counted)
    print(f"\ntime on {_device_name(device)}")
    print(f"  {each:.3g} s a step, {batch / each:.3g} images a second")
    print(f"  {_duration(each * steps)} for {steps} steps, without sample grids and saving")
    if len(counted) == CYCLE:
        print(f"  (the mean of {CYCLE} steps after the first, which took {seconds[0]:.3g} s)")
    else:
        print(f"  (from {len(counted)} steps only, {CYCLE} make a cycle: a rough estimate)")


def _memory(
    networks: dict[str, nn.Module],
    optimizers: Iterable[torch.optim.Optimizer],
    device: torch.device,
) -> dict[str, int]:
    weights = {t.data_ptr(): t for n in networks.values() for t in (*n.parameters(), *n.buffers())}
    gradients = [t.grad for t in weights.values() if t.grad is not None]
    known = {
        "weights": _bytes(weights.values()),
        "gradients": _bytes(gradients),
        "optimiser": _bytes(_tensors([o.state_dict() for o in optimizers])),
    }
    peak = _peak(device)
    if peak is None:
        return known
    if device.type == "cpu":
        return known | {"measured peak of the whole process": peak}
    return known | {
        "activations (the rest of the peak)": peak - sum(known.values()),
        "measured peak on the device": peak,
    }


def _peak(device: torch.device) -> int | None:
    """The most bytes that were in use so far; None where that cannot be told."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device)
    if device.type == "cpu" and sys.platform != "win32":
        from resource import RUSAGE_SELF, getrusage

        unit = 1 if sys.platform == "darwin" else 1024
        return getrusage(RUSAGE_SELF).ru_maxrss * unit
    return None


def _tensors(value: Any) -> Iterable[Tensor]:
    if isinstance(value, Tensor):
        yield value
    elif isinstance(value, dict):
        for part in value.values():
            yield from _tensors(part)
    elif isinstance(value, list):
        for part in value:
            yield from _tensors(part)


def _bytes(tensors: Iterable[Tensor]) -> int:
    return sum(tensor.numel() * tensor.element_size() for tensor in tensors)


def _device_name(device: torch.device) -> str:
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    return f"{device.type}, {torch.get_num_threads()} threads" if device.type == "cpu" else "mps"


def _duration(seconds: float) -> str:
    minutes, hours, days = seconds / 60, seconds / 3600, seconds / 86400
    if days >= 2:
        return f"{days:.1f} days"
    if hours >= 2:
        return f"{hours:.1f} hours"
    return f"{minutes:.1f} minutes" if minutes >= 2 else f"{seconds:.0f} seconds"


def _words(value: Any) -> str:
    if isinstance(value, list):
        return " ".join(map(str, value)) or "none"
    return str(value)
