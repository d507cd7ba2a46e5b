"""Errors that a user can cause. Each message says what was found, what was expected and what to
do."""

from reprlib import Repr

_repr = Repr()
_repr.maxstring = _repr.maxother = _repr.maxlong = 120


def short(value: object) -> str:
    """repr, cut to about a line: what a message shows of a file's content, however long it is."""
    return _repr.repr(value)


class BlendGANError(ValueError):
    """Something about the user's input; its message is one line, fit to be shown as it is."""

    def __init__(self, message: str):
        super().__init__(" ".join(message.splitlines()))  # a damaged file may bring in others


class CheckpointError(BlendGANError):
    """A weights file that is missing, damaged, or not what the call needs."""


class ImageError(BlendGANError):
    """A picture that is missing, damaged, or not a picture."""
