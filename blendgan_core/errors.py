"""Errors that a user can cause. Each message says what was found, what was expected and what to
do."""


class BlendGANError(ValueError):
    """Something about the user's input; its message is one line, fit to be shown as it is."""


class CheckpointError(BlendGANError):
    """A weights file that is missing, damaged, or not what the call needs."""


class ImageError(BlendGANError):
    """A picture that is missing, damaged, or not a picture."""
