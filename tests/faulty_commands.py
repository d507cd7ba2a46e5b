"""Runs a training command in a process of its own, which meets a chosen fault.

The processes are forked from one server that has imported the trainer, so each starts at once.
"""

import errno
import importlib
import io
import multiprocessing
import os
import signal
import sys
from pathlib import Path

COMMANDS = {
    "style_encoder": ("train_style_encoder", "StyleEncoderTrainingConfig"),
    "gan": ("train_gan", "GanConfig"),
    "psp": ("train_psp", "PSPTrainingConfig"),
    "finetune": ("finetune", "FinetuneConfig"),
}


def run_command(name: str, flags: list[str], output: Path, fault: str = "none") -> int:
    """`python -m trainer.NAME FLAGS` -> exit code, -9 if it was killed.

    output: a file for what it prints; fault: a key of FAULTS.
    """
    context = multiprocessing.get_context("forkserver")
    trainings = [f"trainer.{module}" for module in COMMANDS]
    context.set_forkserver_preload([*trainings, "torch._dynamo"])  # optimisers import it when used
    process = context.Process(target=_command, args=(name, flags, output, fault))
    process.start()
    process.join()
    return process.exitcode


def _command(name: str, flags: list[str], output: Path, fault: str) -> None:
    import torch

    from trainer.cli import run_cli

    with open(output, "w") as file:
        for stream in (1, 2):
            os.dup2(file.fileno(), stream)
    sys.stdout, sys.stderr = os.fdopen(1, "w"), os.fdopen(2, "w")
    torch.set_num_threads(1)
    module = importlib.import_module(f"trainer.{name}")
    if name == "finetune":
        module.models_folder = lambda: output.parent / "models"
    FAULTS[fault](name)
    sys.argv = [f"trainer/{name}.py", *flags]
    function, config_class = COMMANDS[name]
    run_cli(getattr(module, function), getattr(module, config_class))


def _die(*_) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def _at_call(number: int, owner, name: str, act, when=lambda *args: True):
    """Let the given call of owner.name, of those that `when` holds for, do `act` instead."""
    original, calls = getattr(owner, name), []

    def function(*args, **kwargs):
        if when(*args):
            calls.append(name)
            if len(calls) == number:
                return act(original, *args, **kwargs)
        return original(*args, **kwargs)

    setattr(owner, name, function)


def _in_the_third_step(name: str, act=_die):
    import torch

    before = 6 if name in ("gan", "finetune") else 2  # optimiser steps with lazy penalties
    _at_call(before + 1, torch.optim.Adam, "step", act)


def _in_the_second_save(name: str):
    import torch

    def half(save, state, file):
        whole = io.BytesIO()
        save(state, whole)
        file.write(whole.getvalue()[: len(whole.getvalue()) // 2])
        file.flush()
        _die()

    _at_call(2, torch, "save", half)


def _before_the_second_state_appears(name: str):
    _at_call(2, os, "replace", _die, lambda _, to: Path(to).name == "latest.pt")


def _before_the_final_checkpoint_appears(name: str):
    _at_call(1, os, "replace", _die, lambda _, to: Path(to).name == "final.safetensors")


def _full_disk_at_the_second_save(name: str):
    import torch

    class FullDisk(io.RawIOBase):
        def write(self, content):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    _at_call(2, torch, "save", lambda save, state, file: save(state, FullDisk()))


def _interrupt_in_the_third_step(name: str):
    def interrupt(step, *args, **kwargs):
        signal.raise_signal(signal.SIGINT)
        return step(*args, **kwargs)

    _in_the_third_step(name, interrupt)


FAULTS = {
    "none": lambda name: None,
    "killed in the third step": _in_the_third_step,
    "killed in the second save": _in_the_second_save,
    "killed before the second state appears": _before_the_second_state_appears,
    "killed before the final checkpoint appears": _before_the_final_checkpoint_appears,
    "full disk at the second save": _full_disk_at_the_second_save,
    "interrupted in the third step": _interrupt_in_the_third_step,
}
