"""What the commands share: load a model that fits the flags, name and write the results."""

import sys
from argparse import Namespace
from pathlib import Path

from torch import Tensor

from .blendgan import PARTS, BlendGAN
from .checkpoint import load
from .devices import choose_device
from .errors import BlendGANError, CheckpointError
from .images import WRITABLE, check_output, write_image


def load_model(options: Namespace, *parts: str) -> BlendGAN:
    """Load --checkpoint on --device; it must have these parts (attributes of BlendGAN).

    Also refuses an --indicator that does not fit the model, before any work is done.
    """
    model = load(options.checkpoint, device=choose_device(options.device))
    for part in parts:
        if getattr(model, part) is None:
            found = " and a ".join(PARTS[name][0] for name in PARTS if getattr(model, name))
            name, upstream_file = PARTS[part]
            raise CheckpointError(
                f"{options.checkpoint} holds a {found}, but this needs a {name}: give a checkpoint "
                f"that has one, or join the one of {upstream_file} to it with "
                "`python -m trainer.convert`"
            )
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
