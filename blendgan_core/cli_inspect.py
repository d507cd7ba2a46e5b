"""`python -m blendgan_core inspect`: what a checkpoint holds and where it comes from."""

from argparse import Namespace
from dataclasses import asdict

from torch import Tensor, nn

from .blendgan import PARTS
from .checkpoint import assemble, read
from .errors import short

DEEPEST = 24  # characters of indentation


def inspect(options: Namespace) -> int:
    """Print a checkpoint's kind, its parts with their sizes, and its provenance; return 0.

    Everything is read on the way, so a file that is inspected without an error is whole. Weights
    that are not numbers are warned of.
    """
    path = options.file
    contents = read(path)
    model = assemble(contents, path)  # around the same tensors, so at no cost of memory
    print(f"{path}: {path.stat().st_size / 1e6:.1f} MB")
    print(f"kind: {contents.kind}")
    if model.generator is not None:
        print(f"resolution: {model.resolution} x {model.resolution}, {model.num_layers} layers")
        if not contents.knows_styles:
            print("styles: none yet; its generator is the start of a training (trainer.gan --init)")
    for name, state in contents.states.items():
        print(f"{PARTS[name][0]}: {count(state, getattr(model, name))}")
        for key, value in asdict(contents.configs[name]).items():
            print(f"    {key}: {value}")
    for name, (label, upstream_file) in PARTS.items():
        if name not in contents.states:
            print(f"{label}: none (upstream brings it in {upstream_file})")
    for name, state in contents.extras.items():
        print(f"{name}: {count(state)}")
    print("provenance:" if contents.provenance else "provenance: not stated")
    print_nested(contents.provenance)
    return 0


def print_nested(values: dict, indent: str = "    ") -> None:
    """A line for each value, and deeper indented ones for the values in it."""
    for key, value in values.items():
        below = value if isinstance(value, list) else [value]
        if len(indent) < DEEPEST and below and all(isinstance(item, dict) for item in below):
            print(f"{indent}{printable(key)}:")
            for item in below:
                print_nested(item, indent + "    ")
        elif isinstance(value, list) and all(isinstance(item, str) for item in value):
            print(f"{indent}{printable(key)}: {printable(', '.join(value))}")
        else:
            shown = value if isinstance(value, str) else short(value)
            print(f"{indent}{printable(key)}: {printable(shown)}")


def printable(text: str) -> str:
    """Without line breaks, and without what a terminal would take for a command."""
    return "".join(char if char.isprintable() else "?" for char in text)


def count(state: dict[str, Tensor], module: nn.Module | None = None) -> str:
    """How many numbers there are, and in which precision they are stored.

    module: the network that they belong to, which knows what is a parameter and what a buffer.
    Counters of steps are left out.
    """
    tensors = {key: tensor for key, tensor in state.items() if tensor.is_floating_point()}
    dtypes = sorted({str(tensor.dtype).removeprefix("torch.") for tensor in tensors.values()})
    total = sum(tensor.numel() for tensor in tensors.values())
    if module is None:
        numbers = f"{total:,} numbers"
    else:
        parameters = sum(parameter.numel() for parameter in module.parameters())
        numbers = f"{parameters:,} parameters, {total - parameters:,} numbers in buffers"
    return f"{numbers}, {', '.join(dtypes)}"
