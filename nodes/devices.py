"""Where models and results live. The only file that talks to ComfyUI's memory management."""

from collections.abc import Iterator

import comfy.model_management as management
import comfy.model_patcher
import comfy.utils
import torch
from torch import Tensor

from ..blendgan_core import BlendGAN
from ..blendgan_core.blendgan import PARTS, BlendGANConfig

CHUNK_PIXELS = 2**20  # one 1024 px picture at a time, sixteen of 256 px
CHUNK_MEMORY = 3 * 2**29  # bytes that a chunk's activations take at most, weights not counted


class ManagedModel:
    """A BlendGAN whose parts ComfyUI brings to the GPU and takes away again, each on its own.

    The official pSp encoder alone weighs 1 GB, so on a small card the parts take turns.
    """

    def __init__(self, blendgan: BlendGAN):
        self.blendgan = blendgan
        self.parts = {name: _one_part(blendgan, name) for name in PARTS if getattr(blendgan, name)}
        self.patchers = {
            name: comfy.model_patcher.CoreModelPatcher(
                getattr(part, name),
                load_device=management.get_torch_device(),
                offload_device=management.unet_offload_device(),
            )
            for name, part in self.parts.items()
        }

    def loaded(self, name: str) -> BlendGAN:
        """The model with that part on the compute device, and only that part to be used.

        name: a key of blendgan.PARTS. For a part that the checkpoint lacks this is the whole model,
        whose methods raise a CheckpointError that says so.
        """
        if name not in self.parts:
            return self.blendgan
        patcher = self.patchers[name]
        management.load_models_gpu([patcher], memory_required=CHUNK_MEMORY)
        return self.parts[name].to(patcher.load_device)  # loading may leave some parameters behind


def _one_part(blendgan: BlendGAN, name: str) -> BlendGAN:
    """A BlendGAN of one part, which shares its weights: its input follows that part's device."""
    part = BlendGAN()
    part.config = BlendGANConfig(**{name: getattr(blendgan.config, name)})
    setattr(part, name, getattr(blendgan, name))
    return part


def chunks(count: int, pixels: int) -> Iterator[slice]:
    """Slices of a batch of `count` pictures of that many pixels, about a megapixel each.

    Moves the progress bar of the node that runs. Between two chunks the user's Cancel takes effect.
    """
    size = max(1, CHUNK_PIXELS // pixels)
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
