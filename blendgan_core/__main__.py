"""`python -m blendgan_core`: stylise portraits, draw pairs, look into a checkpoint."""

import argparse
import sys
from pathlib import Path

from .checkpoint import STARTER
from .cli_inspect import inspect
from .cli_pairs import pairs
from .cli_shared import show_warnings
from .cli_stylize import stylize
from .errors import BlendGANError
from .hub import local_path
from .precision import PRECISIONS

HUB = "an address on the hub, hf://owner/repo[@revision]/file.safetensors"
EXIT_USER_ERROR = 2
EXIT_INTERRUPTED = 130  # 128 + SIGINT, what a shell reports


def main(arguments: list[str] | None = None) -> int:
    """Run one command and return its exit code; a user's error is one line on stderr and 2."""
    show_warnings()
    try:
        options = build_parser().parse_args(arguments)
        return options.run(options)
    except BlendGANError as error:
        print(f"error: {' '.join(str(error).splitlines())}", file=sys.stderr)
        return EXIT_USER_ERROR
    except OSError as error:  # such as a folder that may not be entered
        if error.filename is None:
            raise
        print(f"error: {error.filename}: {error.strerror}; check the path", file=sys.stderr)
        return EXIT_USER_ERROR
    except KeyboardInterrupt:
        return EXIT_INTERRUPTED


class Parser(argparse.ArgumentParser):
    """A parser whose complaint is one line too, in place of a screenful of usage."""

    def error(self, message: str):
        raise BlendGANError(f"{message}; see `{self.prog} --help`")


def build_parser() -> Parser:
    """Every command with its flags; `run` in the parsed options is the function to call."""
    parser = Parser(
        prog="python -m blendgan_core",
        description="A face and a piece of art in, a stylised portrait out.",
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    _add_stylize(commands)
    _add_pairs(commands)
    _add_inspect(commands)
    return parser


def _add_stylize(commands) -> None:
    command = commands.add_parser(
        "stylize",
        help="portraits in the style of pictures",
        description="Paint every --face in the style of every --style. The largest face of a photo "
        "is found and turned upright; a square crop with the face in its usual place is taken as "
        "it is, and a picture without a face that is found by its centre square. It says which.",
        epilog="In a folder or list, a picture that cannot be read is named and skipped, the "
        "others go on, and the exit code is 2 in the end; it is 0 only if everything was made.",
    )
    command.add_argument(
        "--face",
        required=True,
        nargs="+",
        type=Path,
        metavar="PATH",
        help="photos of faces, or folders of them",
    )
    command.add_argument(
        "--align",
        choices=("auto", "off"),
        default="auto",
        help="off: look for no face, take the centre square of each photo (default: %(default)s)",
    )
    command.add_argument(
        "--style",
        required=True,
        nargs="+",
        type=Path,
        metavar="PATH",
        help="pictures whose style to take, or folders of them",
    )
    _add_blending(command)
    _add_model(command)
    command.add_argument(
        "--out",
        required=True,
        type=Path,
        metavar="PATH",
        help="one face and one style: a .png, .jpg or .webp file; otherwise a folder, made if need "
        "be, which gets <face>__<style>.png",
    )
    command.add_argument(
        "--sheet",
        type=Path,
        metavar="FILE",
        help="also write one picture with all styles in a row, all faces in a column, and the "
        "results between them",
    )
    command.set_defaults(run=stylize)


def _add_pairs(commands) -> None:
    command = commands.add_parser(
        "pairs",
        help="random faces, natural and stylised side by side",
        description="Draw random faces, each as it is (left) and stylised (right).",
    )
    command.add_argument(
        "--count", type=_positive, default=1, metavar="N", help="how many (default: %(default)s)"
    )
    command.add_argument(
        "--seed",
        type=_seed,
        default=0,
        metavar="S",
        help="pair k, from 0 on, draws its face from seed S + k (default: %(default)s)",
    )
    style = command.add_mutually_exclusive_group()
    style.add_argument(
        "--style-seed",
        type=_seed,
        metavar="S",
        help="seed of one random style for all pairs (default: each pair's own seed)",
    )
    style.add_argument(
        "--style", type=Path, metavar="PATH", help="picture whose style all pairs take"
    )
    command.add_argument(
        "--truncation",
        type=_share,
        default=0.75,
        metavar="T",
        help="how far faces may stray from the mean face, 0..1 (default: %(default)s)",
    )
    _add_blending(command)
    _add_model(command)
    command.add_argument(
        "--out",
        required=True,
        type=Path,
        metavar="PATH",
        help="one pair: a .png, .jpg or .webp file; otherwise a folder, made if need be, which "
        "gets pair_<seed>.png",
    )
    command.set_defaults(run=pairs)


def _add_inspect(commands) -> None:
    command = commands.add_parser(
        "inspect",
        help="what a checkpoint holds",
        description="Say what a checkpoint holds: parts, sizes, precision, and its origin.",
    )
    command.add_argument(
        "file", type=Path, metavar="FILE", help=f"ours, an upstream checkpoint, or {HUB}"
    )
    command.set_defaults(run=_inspect)


def _inspect(options: argparse.Namespace) -> int:
    options.file = local_path(options.file)
    return inspect(options)


def _add_blending(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "--indicator",
        type=int,
        default=6,
        metavar="I",
        help="first layer that takes the style: 0 is strongest, the number of layers leaves the "
        "face as it is (default: %(default)s)",
    )
    command.add_argument(
        "--theta",
        type=_share,
        default=1.0,
        metavar="T",
        help="how much of the style that first layer takes, 0..1 (default: %(default)s)",
    )


def _add_model(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "--checkpoint",
        type=Path,
        default=STARTER,
        metavar="FILE",
        help=f"ours, an upstream checkpoint, or {HUB} (default: the starter that comes with the "
        "project)",
    )
    command.add_argument(
        "--device",
        choices=("auto", "cpu", "cuda", "mps"),
        default="auto",
        help="auto takes the first that is there of cuda, mps, cpu (default: %(default)s)",
    )
    command.add_argument(
        "--precision",
        choices=tuple(PRECISIONS),
        default="fp32",
        help="what the convolutions compute in: bf16 and fp16 need half the memory and are faster "
        "on a GPU, bf16 also on newer CPUs; colours differ by less than 1%% (default: %(default)s)",
    )
    command.add_argument(
        "--batch",
        type=_positive,
        default=8,
        metavar="N",
        help="pictures made at once; fewer need less memory (default: %(default)s)",
    )


def _positive(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"expected a whole number from 1 on, found {text!r}")
    return int(text)


def _seed(text: str) -> int:
    if not text.isdecimal() or int(text) >= 2**64:  # where PyTorch's seeds end
        raise argparse.ArgumentTypeError(f"expected a whole number in 0..2^64-1, found {text!r}")
    return int(text)


def _share(text: str) -> float:
    try:
        share = float(text)
    except ValueError:
        share = -1.0
    if not 0 <= share <= 1:
        raise argparse.ArgumentTypeError(f"expected a number in 0..1, found {text!r}")
    return share


if __name__ == "__main__":
    sys.stdout.reconfigure(errors="backslashreplace")  # a file name that the terminal cannot show
    sys.exit(main())
