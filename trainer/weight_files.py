"""Weights of networks that other projects trained, each from a file that a flag names.

Whatever is wrong with such a file is told in one line, with the flag.
"""

from collections.abc import Mapping
from pathlib import Path

from safetensors.torch import load_file
from torch import Tensor, nn

from blendgan_core.checkpoint import is_safetensors, read_metadata
from blendgan_core.contents import State
from blendgan_core.errors import CheckpointError, short
from blendgan_core.pickles import read_pickle
from blendgan_core.upstream_keys import Rule, fill


def read_weights(flag: str, path: Path) -> State:
    """The tensors of a state dict that torch.save or safetensors wrote, by their keys.

    Runs no code from the file. Raises CheckpointError if it is damaged or something else.
    """
    try:
        if is_safetensors(path):
            read_metadata(path)  # which tells what is wrong with a damaged one
            return load_file(path)
        content: Mapping = read_pickle(path)
    except CheckpointError as error:
        raise CheckpointError(f"{flag}: {error}") from error
    return {str(key): value for key, value in content.items() if isinstance(value, Tensor)}


def fill_(
    network: nn.Module,
    state: State,
    rules: tuple[Rule, ...],
    flag: str,
    source: str | Path,
    expected: str,
) -> None:
    """Copy weights into a network, which may need only some of them.

    rules: what `state` calls the network's weights; source: where it was read; expected: in words,
    what should be there. Raises CheckpointError if a weight is missing or of another shape.
    """
    seen = {  # how many batches a normalisation has seen: never used, and not in every file
        key: value
        for key, value in network.state_dict().items()
        if key.endswith("num_batches_tracked")
    }
    try:
        network.load_state_dict(fill(network, state, rules, seen))
    except CheckpointError as error:
        raise CheckpointError(
            f"{flag} {source} is not {expected}: {error}; found {len(state)} tensors, the "
            f"first are {short(sorted(state)[:3])}. Give {flag} that file"
        ) from error
