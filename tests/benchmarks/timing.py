"""Time two ways of doing the same in turn, A B A B .., so that a machine's mood meets both."""

import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path


def seconds(action: Callable[[], object]) -> float:
    """Wall-clock seconds of one call."""
    start = time.perf_counter()
    action()
    return time.perf_counter() - start


def compare(ours: Callable[[], object], other: Callable[[], object], runs: int) -> tuple:
    """(median seconds of ours, of the other, median of the ratios other / ours), one warm-up
    each."""
    ours(), other()
    pairs = [(seconds(ours), seconds(other)) for _ in range(runs)]
    mine, theirs = zip(*pairs, strict=True)
    ratios = [b / a for a, b in pairs]
    return statistics.median(mine), statistics.median(theirs), statistics.median(ratios)


def whole_process(command: Sequence[str], folder: Path) -> tuple[float, float]:
    """(wall-clock seconds, peak resident memory in bytes) of a command run in a folder.

    Raises CalledProcessError with what it wrote if it fails.
    """
    start = time.perf_counter()
    process = subprocess.Popen(
        command, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )
    output = process.stdout.read()
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    elapsed = time.perf_counter() - start
    if process.returncode:
        raise subprocess.CalledProcessError(process.returncode, command, output.decode())
    unit = 1 if sys.platform == "darwin" else 1024
    return elapsed, usage.ru_maxrss * unit
