"""`python -m blendgan_core inspect`: what a checkpoint holds and where it comes from."""

from argparse import Namespace
from dataclasses import asdict

from torch import Tensor

from .blendgan import PARTS
from .checkpoint import build, read


def inspect(options: Namespace) -> int:
    """Print a checkpoint's kind, its parts with their sizes, and its provenance; return 0.

    Everything is loaded on the way, so a file that is inspected without an error is whole.
    """
    path = options.file
    contents = read(path)
    model = build(contents, path)  # takes the tensors over without a copy where they are fp32
    print(f"{path}: {path.stat().st_size / 1e6:.1f} MB")
    print(f"kind: {contents.kind}")
    if model.generator is not None:
        print(f"resolution: {model.resolution} x {model.resolution}, {model.num_layers} layers")
    for name, state in (contents.states | contents.extras).items():
        print(f"{title(name)}: {describe(state)}")
        sizes = getattr(model.config, name, None)
        for key, value in asdict(sizes).items() if sizes else ():
            print(f"    {key}: {value}")
    for name in PARTS:
        if getattr(model, name) is None:
            print(f"{title(name)}: none (upstream brings it in {PARTS[name][1]})")
    print("provenance:" if contents.provenance else "provenance: not stated")
    for key, value in contents.provenance.items():
        print(f"    {key}: {value}")
    return 0


def title(name: str) -> str:
    """The name of a part for people."""
    return PARTS[name][0] if name in PARTS else name


def describe(state: dict[str, Tensor]) -> str:
    """How many numbers there are, and of which precision; counters of steps are left out."""
    tensors = [tensor for tensor in state.values() if tensor.is_floating_point()]
    dtypes = sorted({str(tensor.dtype).removeprefix("torch.") for tensor in tensors})
    count = sum(tensor.numel() for tensor in tensors)
    return f"{count:,} parameters (with buffers), {', '.join(dtypes)}"
