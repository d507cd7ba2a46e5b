"""The header of a safetensors file that holds one small network, not a BlendGAN checkpoint."""

from pathlib import Path

from .checkpoint import Header, is_safetensors, read_metadata
from .errors import CheckpointError, short


def read_network_header(path: Path, format_name: str, is_not: str, advice: str) -> Header:
    """The texts in the header, and the names of the tensors.

    Raises CheckpointError, with the advice, for a file that does not say that it has this format.
    is_not: what such a file fails to be, as in "is not an evaluator".
    """
    metadata, keys = read_metadata(path) if is_safetensors(path) else ({}, [])
    if metadata.get("format") != format_name:
        raise CheckpointError(
            f"{path} {is_not}: its header says format {short(metadata.get('format'))}, "
            f"expected {format_name!r}{advice}"
        )
    return metadata, keys
