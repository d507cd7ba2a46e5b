"""Damages good checkpoints of every kind and loads what comes out.

    python tests/fuzz_checkpoints.py --seconds 60 [--seed 0]      mutate and load for that long
    python tests/fuzz_checkpoints.py --seed 0 --case 1234         make one case's file again
    python tests/fuzz_checkpoints.py --files FILE ..              load these files as they are

Each file must either load, or be refused by a CheckpointError of one line that names it; within
TIME_LIMIT seconds of a processor and MEMORY_LIMIT bytes, and without running anything: no other
process, no file written, no connection, no code of the file's. The loading is done in a process of
its own, so that a crash is a finding and not the end. Prints one line for each finding, then the
counts; --files prints what became of each file, as JSON. Exits with 1 if there was a finding. Linux
and macOS only.
"""

import argparse
import ctypes
import gc
import json
import logging
import os
import resource
import select
import shutil
import signal
import sys
import tempfile
import time
import traceback
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from random import Random

# ruff: noqa: E402
sys.path.insert(0, str(Path(__file__).parents[1]))

import torch
from mutations import BLIND, edit_pickles, edit_values, edit_zip, lie_in_header
from official_files import (
    blendgan_file,
    encoder_file,
    nvidia_network,
    psp_file,
    stylegan2_file,
    write_pickle,
)
from tiny_model import tiny_model

import blendgan_core
from blendgan_core.errors import CheckpointError

TIME_LIMIT = 10  # seconds of computing for one file
MEMORY_LIMIT = 1 << 29  # bytes that a process may grow by; the files have less than 1 MB
ADDRESS_SPACE = 4 << 30
FORBIDDEN = (  # what Python's audit calls the deeds of a process
    "os.exec os.fork os.forkpty os.kill os.posix_spawn os.putenv os.remove os.rename os.spawn "
    "os.system os.truncate subprocess.Popen socket.connect socket.bind shutil.rmtree "
    "shutil.copyfile ctypes.dlopen pty.spawn webbrowser.open code.__new__"
).split()


def good_files(folder: Path) -> dict[Path, list]:
    """A small file of each kind -> the mutations that know its format."""
    model = tiny_model(blendgan_core)
    extras = {"queue": {"codes": torch.ones(3, 16)}}
    files: dict[Path, list] = {}
    for name, dtype in (("ours", None), ("half", torch.float16)):
        path = blendgan_core.save(
            model, folder / f"{name}.safetensors", {"kind": "gan", "steps": 3}, extras, dtype
        )
        files[path] = [lie_in_header]
    options = argparse.Namespace(lr=0.1, ids=[1, 2], device="cuda:0")
    upstream = {
        "blendgan": blendgan_file() | {"truncation": 0.7},
        "psp": psp_file() | {"opts": options},
        "stylegan2": stylegan2_file(),
        "e4e": encoder_file("Encoder4Editing"),
    }
    for name, data in upstream.items():
        for is_zip in (True, False):
            path = folder / f"{name}_{'zip' if is_zip else 'old'}.pt"
            torch.save(data, path, _use_new_zipfile_serialization=is_zip)
            files[path] = [edit_values, edit_zip if is_zip else edit_pickles]
    network = {"G_ema": nvidia_network("nvidia_generator", source="raise SystemExit"), "D": None}
    files[write_pickle(folder / "nvidia.pkl", network)] = [edit_pickles]
    return files


def mutated(files: dict[Path, list], seed: int, case: int, folder: Path) -> Path:
    """The file of a case, which (seed, case) alone decides."""
    rng = Random(f"{seed}/{case}")
    path = rng.choice(list(files))
    data = good = path.read_bytes()
    for _ in range(rng.choice((1, 1, 1, 2, 3))):
        mutations = files[path] if rng.random() < 0.6 else BLIND
        if data is not good:  # torch.load alone, which this one needs, can hang on damaged data
            mutations = [mutation for mutation in mutations if mutation is not edit_values]
        try:
            data = rng.choice(mutations)(data, rng)
        except Exception:  # the data is damaged so far that it cannot be taken apart again
            data = rng.choice(BLIND)(data, rng)
    out = folder / f"case_{seed}_{case}{path.suffix}"
    out.write_bytes(data)
    return out


def warm_up(folder: Path) -> None:
    """Let torch import what it builds networks and formats its complaints with."""
    blendgan_core.load(blendgan_core.save(tiny_model(blendgan_core), folder / "warm.safetensors"))
    path = folder / "warm_up.pt"
    for pickle in (b"\x80\x02cos\nsystem\n.", b"\x80\x02K\x01)R."):
        path.write_bytes(pickle)
        with suppress(Exception):
            torch.load(path, weights_only=True)


def examine(path: Path, deeds: list[str]) -> tuple[str, str]:
    """("loaded", ""), ("refused", the message) or ("finding", what is wrong)."""
    deeds.clear()
    try:
        blendgan_core.load(path)
        verdict = ("loaded", "")
    except CheckpointError as error:
        message = str(error)
        if str(path) not in message or len(message.splitlines()) != 1 or len(message) > 1500:
            verdict = ("finding", f"a message of another form: {message[:2000]!r}")
        else:
            verdict = ("refused", message)
    except BaseException as error:
        where = traceback.extract_tb(error.__traceback__)[-1]
        verdict = ("finding", f"{type(error).__name__} at {where.filename}:{where.lineno}: {error}")
    return ("finding", f"it did {deeds[:3]}") if deeds else verdict


def outcomes(make: Callable[[int], Path | None]) -> Iterator[tuple[int, str, str]]:
    """(number, verdict, text) of the files that make(0), make(1), .. give, until it gives None."""
    number = 0
    while True:
        reader, writer = os.pipe()
        child = os.fork()
        if child == 0:
            os.close(reader)
            _work(make, number, writer)
        os.close(writer)
        finished, reason = False, "the process died"
        for result in _lines(reader):
            if result == "finished":
                finished = True
            elif result == "late":
                os.kill(child, signal.SIGKILL)
            else:
                yield number, *result
                number += 1
        os.close(reader)
        status = os.waitpid(child, 0)[1]
        if finished:
            return
        if status & 127 in (signal.SIGKILL, signal.SIGXCPU):
            reason = f"it took more than {TIME_LIMIT} s"
        yield number, "finding", f"{reason} (status {status})"
        number += 1


def _lines(reader: int) -> Iterator[object]:
    """What the child writes, each line as JSON, to its end; "late" if it seems to wait forever."""
    text = b""
    while select.select([reader], [], [], 10 * TIME_LIMIT)[0]:
        chunk = os.read(reader, 1 << 16)
        if not chunk:
            return
        *whole, text = (text + chunk).split(b"\n")
        yield from map(json.loads, whole)
    yield "late"


def _work(make: Callable[[int], Path | None], number: int, writer: int) -> None:
    """The child: load file after file, tell what became of each, and never return."""
    torch.set_num_threads(1)
    logging.disable()
    gc.collect()  # what the parent left lying about would hide what a file takes
    if sys.platform == "linux":  # elsewhere the addresses in use are not told so easily
        ctypes.CDLL(None).malloc_trim(0)  # as would what it freed, which the heap still holds
        pages = int(Path("/proc/self/statm").read_text().split()[0])
        limit = pages * resource.getpagesize() + ADDRESS_SPACE
        resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
        forget_peak = open("/proc/self/clear_refs", "wb", buffering=0)  # noqa: SIM115
    deeds: list[str] = []
    sys.addaudithook(lambda event, args: _watch(event, args, deeds))
    with os.fdopen(writer, "w", buffering=1) as results:
        while (path := make(number)) is not None:
            usage = resource.getrusage(resource.RUSAGE_SELF)
            seconds = int(usage.ru_utime + usage.ru_stime) + 1 + TIME_LIMIT
            resource.setrlimit(resource.RLIMIT_CPU, (seconds, resource.RLIM_INFINITY))
            if sys.platform == "linux":
                forget_peak.seek(0)
                forget_peak.write(b"5")
            before = _peak_memory()
            result = examine(path, deeds)
            if (taken := _peak_memory() - before) > MEMORY_LIMIT:
                result = ("finding", f"it took {taken / 1e6:.0f} MB")
            results.write(json.dumps(result) + "\n")
            number += 1
        results.write('"finished"\n')
    os._exit(0)


def _peak_memory() -> int:
    """Bytes; on Linux since the peak was forgotten, elsewhere of the whole process."""
    if sys.platform != "linux":
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    status = Path("/proc/self/status").read_text()
    return int(status.split("VmHWM:")[1].split()[0]) * 1024


def _watch(event: str, arguments: tuple, deeds: list[str]) -> None:
    """Note what only code of the file's would do. A first import of a library's module runs code
    that the library makes up too, so that is done before, by `warm_up`."""
    written = event == "open" and isinstance(arguments[1], str) and arguments[1][:1] in "wax+"
    made_up = event == "exec" and getattr(arguments[0], "co_filename", "") == "<string>"
    if event in FORBIDDEN or written or made_up:
        deeds.append(f"{event}{arguments!r}"[:200])


def fuzz(seconds: float, seed: int) -> int:
    """Mutate and load; the exit code."""
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        files = good_files(folder)
        for path in files:
            if (verdict := examine(path, [])) != ("loaded", ""):
                raise AssertionError(f"{path.name} is to be a good file: {verdict}")
        end = time.monotonic() + seconds

        def make(case: int) -> Path | None:
            for old in folder.glob("case_*"):
                old.unlink()
            return mutated(files, seed, case, folder) if time.monotonic() < end else None

        counts: Counter[str] = Counter()
        for case, verdict, text in outcomes(make):
            counts[verdict] += 1
            if verdict == "finding":
                print(f"finding: --seed {seed} --case {case}: {text}", flush=True)
    totals = [f"{counts[verdict]} {verdict}" for verdict in ("loaded", "refused", "finding")]
    print(f"seed {seed}: {', '.join(totals)}")
    return int(counts["finding"] > 0)


def remade(seed: int, case: int) -> Path:
    """The file of a case, kept in the current folder."""
    with tempfile.TemporaryDirectory() as temporary:
        path = mutated(good_files(Path(temporary)), seed, case, Path(temporary))
        return Path(shutil.copy(path, Path.cwd()))


def show(paths: list[Path]) -> int:
    """Load files as they are; one JSON line for each."""
    found = list(outcomes(lambda number: paths[number] if number < len(paths) else None))
    for number, verdict, text in found:
        print(json.dumps({"file": str(paths[number]), "verdict": verdict, "text": text}))
    return int(any(verdict == "finding" for _, verdict, _ in found))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=0)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--case", type=int)
    parser.add_argument("--files", type=Path, nargs="+", default=[])
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        warm_up(Path(temporary))
    if options.case is not None:
        options.files.append(remade(options.seed, options.case))
    code = show(options.files)
    if options.seconds:
        code |= fuzz(options.seconds, options.seed)
    raise SystemExit(code)
