"""`python trainer/attended.py COMMAND FLAGS`: `python -m trainer.COMMAND FLAGS`, which ends with
the process that started it, however that one ends.

A file to be run by its path, since the Python that comes with ComfyUI for Windows looks for modules
in fixed folders only.
"""

import os
import runpy
import sys
import threading
import time
from pathlib import Path


def end_with(parent: int) -> None:
    """Wait for the parent's end, then end at once. On Windows, where a process keeps the number of
    its lost parent, this waits for ever."""
    while os.getppid() == parent:
        time.sleep(1)
    os._exit(1)


def run_command() -> None:
    """Run the module that the command line names with the flags that follow."""
    here = Path(__file__).absolute().parent
    sys.path = [str(here.parent), *(entry for entry in sys.path if entry != str(here))]
    runpy.run_module(f"trainer.{sys.argv.pop(1)}", run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    threading.Thread(target=end_with, args=(os.getppid(),), daemon=True).start()
    run_command()
