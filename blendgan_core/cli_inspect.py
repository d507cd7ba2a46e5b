"""`python -m blendgan_core inspect`: what a checkpoint holds and where it comes from."""

from argparse import Namespace
from dataclasses import asdict
from pathlib import Path

from torch import Tensor

from .blendgan import PARTS, BlendGAN
from .checkpoint import is_safetensors, load, read_header, read_part


def inspect(options: Namespace) -> int:
    """Print a checkpoint's kind, its parts with their sizes, and its provenance; return 0.

    Everything is loaded on the way, so a file that is inspected without an error is whole.
    """
    path = options.file
    model = load(path)
    ours = is_safetensors(path)
    print(f"{path}: {path.stat().st_size / 1e6:.1f} MB")
    print(f"kind: {read_header(path)['format'] if ours else 'upstream checkpoint'}")
    if model.generator is not None:
        print(f"resolution: {model.resolution} x {model.resolution}, {model.num_layers} layers")
    for name, state in states_by_part(path, model).items():
        print(f"{title(name)}: {describe(state)}")
        sizes = getattr(model.config, name, None)
        for key, value in asdict(sizes).items() if sizes else ():
            print(f"    {key}: {value}")
    for name in PARTS:
        if getattr(model, name) is None:
            print(f"{title(name)}: none (upstream brings it in {PARTS[name][1]})")
    if ours:
        print("provenance:" if model.provenance else "provenance: not stated")
        for key, value in model.provenance.items():
            print(f"    {key}: {value}")
    return 0


def states_by_part(path: Path, model: BlendGAN) -> dict[str, dict[str, Tensor]]:
    """Each part's tensors as they are stored; what only a fine-tune needs comes last."""
    if is_safetensors(path):
        stored = read_header(path)["keys"]
        ordered = [name for name in PARTS if name in stored]
        ordered += [name for name in stored if name not in PARTS]
        return {name: read_part(path, name) for name in ordered}
    return {name: getattr(model, name).state_dict() for name in PARTS if getattr(model, name)}


def title(name: str) -> str:
    """The name of a part for people."""
    return PARTS[name][0] if name in PARTS else name


def describe(state: dict[str, Tensor]) -> str:
    """How many numbers there are, and of which precision; counters of steps are left out."""
    tensors = [tensor for tensor in state.values() if tensor.is_floating_point()]
    dtypes = sorted({str(tensor.dtype).removeprefix("torch.") for tensor in tensors})
    count = sum(tensor.numel() for tensor in tensors)
    return f"{count:,} parameters (with buffers), {', '.join(dtypes)}"
