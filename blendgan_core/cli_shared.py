"""What the commands share: load a model that fits the flags, name and write the results."""

import logging
import sys
from argparse import Namespace
from pathlib import Path

from torch import Tensor

from .blendgan import BlendGAN
from .checkpoint import load
from .devices import choose_device
from .errors import BlendGANError
from .images import WRITABLE, check_output, write_image
from .precision import PRECISIONS


def load_model(options: Namespace, *parts: str) -> BlendGAN:
    """These parts of --checkpoint, on --device and in --precision.

    Also refuses an --indicator that does not fit the generator, before any work is done.
    """
    model = load(
        options.checkpoint,
        device=choose_device(options.device),
        dtype=PRECISIONS[options.precision],
        parts=parts,
    )
    if model.generator is not None:
        model.generator.blending.share(options.indicator, options.theta)  # raises if out of range
    return model


def output_paths(out: Path, names: list[str]) -> list[Path]:
    """Where the results go: a single one to the file `out`, or each to `out`/<name>.png.

    `out` is a folder if it is one already, or has no suffix, or several results go there. Raises
    BlendGANError before the work for what could not be written after it.
    """
    if len(names) > 1 and out.suffix.lower() in WRITABLE and not out.is_dir():
        raise BlendGANError(
            f"--out {out} is one picture, but {len(names)} will be made: give a folder"
        )
    is_file = len(names) == 1 and out.suffix and not out.is_dir()
    paths = [out] if is_file else [out / f"{name}.png" for name in names]
    for path in paths:
        check_output(path)
    return paths


def write_result(path: Path, image: Tensor) -> None:
    """Write image [3, H, W] in [-1, 1] and tell where it is."""
    write_image(path, image)
    print(f"wrote {path}", flush=True)


def warn(message: str) -> None:
    """One line on stderr; the command goes on."""
    print(f"warning: {message}", file=sys.stderr, flush=True)


def show_warnings() -> None:
    """Let what the core logs, which ComfyUI shows by itself, look like a command's warnings."""
    logging.getLogger(__package__).handlers = [_WarningLines()]


class _WarningLines(logging.Handler):
    def emit(self, record: logging.LogRecord) -> None:
        warn(record.getMessage())
