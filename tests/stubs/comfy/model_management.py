"""Stand-in for `comfy.model_management` on a machine without a GPU."""

import torch

from .model_patcher import ModelPatcher

_interrupted = False


class InterruptProcessingException(BaseException):
    """The user pressed Cancel. Not an Exception, so `except Exception` lets it through."""


def interrupt_current_processing(value: bool = True) -> None:
    global _interrupted
    _interrupted = value


def throw_exception_if_processing_interrupted() -> None:
    """Raises once; the flag is then down again."""
    global _interrupted
    if _interrupted:
        _interrupted = False
        raise InterruptProcessingException()


def get_torch_device() -> torch.device:
    return torch.device("cpu")


def unet_offload_device() -> torch.device:
    return torch.device("cpu")


def intermediate_device() -> torch.device:
    return torch.device("cpu")


def intermediate_dtype() -> torch.dtype:
    return torch.float32


def load_models_gpu(models: list[ModelPatcher], memory_required: float = 0) -> None:
    """The real one may leave some parameters behind; a node must not rely on it alone."""
    for patcher in models:
        patcher.model.device = patcher.load_device


def unload_all_models() -> None:
    """Moves what load_models_gpu loaded back to where it came from."""


def soft_empty_cache(force: bool = False) -> None:
    """Gives freed memory back to the device."""
