"""Layer swapping (Pinkney and Adler 2020): the coarse layers of one generator, the fine ones of
another that was fine-tuned from it.

The face's shape comes from the coarse layers, which know natural faces, the look from the fine
ones, which know one style. `trainer.layer_swap` makes the fine-tuned generators.
"""

from copy import deepcopy
from pathlib import Path

from blendgan_core.checkpoint import build, read
from blendgan_core.errors import BlendGANError, CheckpointError
from blendgan_core.generator import Generator

from .fingerprint import fingerprint
from .styles import STYLES

PARENT = "parent_sha256"  # in the provenance: the fingerprint of the generator that was fine-tuned


def swap_layers(natural: Generator, tuned: Generator, swap_from: int) -> Generator:
    """`natural` with `tuned`'s layers from `swap_from` on; its mapping networks stay.

    swap_from: 0 (all of `tuned`'s) .. L (none), counted as an indicator counts layers.
    """
    swapped = deepcopy(natural)
    state, other = swapped.synthesis.state_dict(), tuned.synthesis.state_dict()
    mixed = {key: (other if layer_of(key) >= swap_from else state)[key] for key in state}
    swapped.synthesis.load_state_dict(mixed)
    return swapped


def layer_of(key: str) -> int:
    """The layer that a weight of the synthesis network belongs to: that whose latent feeds it, with
    its noise and, in layer 0, the learnt constant."""
    kind, _, rest = key.replace("noise_", "noises.").partition(".")
    if kind == "constant":
        return 0
    number = int(rest.split(".")[0])
    return 2 * number + 1 if kind == "to_rgbs" else number


def check_swap_from(swap_from: int | None, num_layers: int) -> int:
    """--swap-from, or the middle. Raises BlendGANError for one that the model has not."""
    if swap_from is None:
        return num_layers // 2
    if not 0 <= swap_from <= num_layers:
        raise BlendGANError(
            f"--swap-from is {swap_from}, expected 0 (all layers) to {num_layers} (none)"
        )
    return swap_from


def find_tuned(folder: Path) -> dict[str, Path]:
    """The file of every style. Raises CheckpointError if one is missing."""
    files = {style: folder / f"{style}.safetensors" for style in STYLES}
    missing = [path.name for path in files.values() if not path.is_file()]
    if missing:
        raise CheckpointError(
            f"{folder} lacks {', '.join(missing)}; expected a generator for each of the "
            f"{len(files)} styles. `python -m trainer.layer_swap --checkpoint FILE --portraits DIR "
            f"--out {folder}` makes them, with --resume those that are left"
        )
    return files


def load_tuned(path: Path, generator: Generator) -> Generator:
    """A generator that was fine-tuned from this one. Raises BlendGANError for one of
    other sizes or with another parent."""
    contents = read(path, parts=("generator",), extras=False)
    found = contents.configs["generator"]
    if found != generator.config:
        raise BlendGANError(
            f"{path} has a generator of other sizes ({found}); the one that is measured has "
            f"{generator.config}. Layers can be swapped with one that was fine-tuned from it only"
        )
    parent = contents.provenance.get(PARENT)
    if parent not in (None, fingerprint(generator.synthesis)):
        raise BlendGANError(
            f"{path} was fine-tuned from another generator, sha256 {parent[:12]}.., so its layers "
            "do not fit. Make it anew by `python -m trainer.layer_swap` from this checkpoint"
        )
    return build(contents, path).generator
