"""Where models and results live. The only file that talks to ComfyUI's memory management."""

import time
from collections.abc import Callable, Iterator

import comfy.model_management as management
import comfy.model_patcher
import comfy.utils
import torch
from PIL import Image
from torch import Tensor

from ..blendgan_core import BlendGAN
from ..blendgan_core.blendgan import PARTS

CHUNK_PIXELS = 2**20  # one 1024 px picture at a time, sixteen of 256 px
CPU_CHUNK_PIXELS = 2**16  # on a CPU, which a larger batch makes no faster, for a prompt Cancel
CHUNK_MEMORY = 3 * 2**29  # bytes that a chunk's activations take at most, weights not counted
PREVIEW_SIDE = 1024  # pixels
PREVIEW_SECONDS = 0.5  # from one preview to the next


class ManagedModel:
    """A BlendGAN whose parts ComfyUI brings to the GPU and takes away again, each on its own.

    The official pSp encoder alone weighs 1 GB, so on a small card the parts take turns.
    """

    def __init__(self, blendgan: BlendGAN):
        self.blendgan = blendgan
        self.patchers = {
            name: comfy.model_patcher.CoreModelPatcher(
                getattr(blendgan, name),
                load_device=management.get_torch_device(),
                offload_device=management.unet_offload_device(),
            )
            for name in PARTS
            if getattr(blendgan, name)
        }

    def loaded(self, *names: str, memory: int = CHUNK_MEMORY) -> BlendGAN:
        """A model of these parts on the compute device, and of no others.

        names: keys of blendgan.PARTS; memory: bytes that computing takes besides the weights. If
        the checkpoint lacks one of the parts this is the whole model, whose methods raise a
        CheckpointError that says so.
        """
        if not self.patchers.keys() >= set(names):
            return self.blendgan
        patchers = [self.patchers[name] for name in names]
        management.load_models_gpu(patchers, memory_required=memory)
        # it shares the weights; a model's input follows the device of the part that takes it
        parts = BlendGAN.assemble(**{name: getattr(self.blendgan, name) for name in names})
        return parts.to(patchers[0].load_device)  # loading may leave some parameters behind


def make_room() -> None:
    """Take all models from the compute device, so that another process finds its memory free."""
    management.unload_all_models()
    management.soft_empty_cache()


def compute_device() -> str:
    """The device that ComfyUI computes on, as a training's --device takes it."""
    device = management.get_torch_device()
    return str(device) if device.type in ("cpu", "cuda", "mps") else "auto"


def stop_if_cancelled() -> None:
    """Raise what ends the node if the user pressed Cancel."""
    management.throw_exception_if_processing_interrupted()


def show_progress(total: int) -> Callable[[int, Callable[[], Image.Image] | None], None]:
    """show(done, draw): moves the bar of the node that runs to done of `total`, and shows beneath
    it the picture that draw() makes, which it does now and then only. The user's Cancel takes
    effect there."""
    bar = comfy.utils.ProgressBar(total)
    shown = float("-inf")

    def show(done: int, draw: Callable[[], Image.Image] | None = None) -> None:
        nonlocal shown
        stop_if_cancelled()
        preview = None
        if draw is not None and time.monotonic() - shown >= PREVIEW_SECONDS:
            preview = ("JPEG", draw(), PREVIEW_SIDE)
            shown = time.monotonic()
        bar.update_absolute(done, total, preview)

    return show


def chunks(count: int, pixels: int) -> Iterator[slice]:
    """Slices of a batch of `count` pictures of that many pixels, about a megapixel each on a GPU.

    Moves the progress bar of the node that runs. Between two chunks the user's Cancel takes effect.
    """
    on_cpu = management.get_torch_device().type == "cpu"
    size = max(1, (min(CHUNK_PIXELS, CPU_CHUNK_PIXELS) if on_cpu else CHUNK_PIXELS) // pixels)
    bar = comfy.utils.ProgressBar(count)
    for start in range(0, count, size):
        management.throw_exception_if_processing_interrupted()
        stop = min(start + size, count)
        yield slice(start, stop)
        bar.update(stop - start)


def keep(result: Tensor) -> Tensor:
    """Move a result to where ComfyUI keeps what nodes hand on."""
    return result.to(management.intermediate_device())


def result_dtype() -> torch.dtype:
    """The type that ComfyUI wants an IMAGE to have."""
    return management.intermediate_dtype()
