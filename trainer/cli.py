"""How every training command starts: flags from a config, one line for a user's error."""

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from blendgan_core.cli_shared import show_warnings
from blendgan_core.errors import BlendGANError

from .flags import parse_flags

EXIT_USER_ERROR = 2
EXIT_INTERRUPTED = 130  # 128 + SIGINT, what a shell reports


def run_cli(function: Callable[[Any], Any], config_class: type) -> None:
    """Parse the flags into config_class, call function with it, and exit like a good command.

    config_class: a dataclass; its fields, defaults and docstrings become the flags and --help.
    A BlendGANError, a failing file or too little memory on the device ends as one line on stderr
    and exit code 2, Ctrl-C as exit code 130; any other exception is our own mistake and keeps its
    traceback.
    """
    config = parse_flags(config_class, f"python -m trainer.{Path(sys.argv[0]).stem}")
    show_warnings()
    try:
        function(config)
    except BlendGANError as error:
        print(f"error: {error}", file=sys.stderr)
        raise SystemExit(EXIT_USER_ERROR) from None
    except OSError as error:  # such as a full disk
        reason = f"{error.filename or 'a file'}: {error.strerror or error}"
        print(f"error: {reason}; check the path and the space left", file=sys.stderr)
        raise SystemExit(EXIT_USER_ERROR) from None
    except torch.OutOfMemoryError as error:
        first = str(error).splitlines()[0]
        print(f"error: {first} A lower --batch needs less", file=sys.stderr)
        raise SystemExit(EXIT_USER_ERROR) from None
    except KeyboardInterrupt:
        raise SystemExit(EXIT_INTERRUPTED) from None
