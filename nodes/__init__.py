"""The ComfyUI nodes, one file per idea, and the entrypoint that hands them over."""

from comfy_api.latest import ComfyExtension, io

from . import checkpoints
from .example import BlendGANExample
from .face_align import FaceAlign
from .face_latent import FaceLatent
from .face_paste_back import FacePasteBack
from .finetune import BlendGANFinetune
from .generate import BlendGANGenerate
from .indicator_sweep import IndicatorSweep
from .loader import BlendGANLoader
from .psp_invert import PSPInvert
from .style_encode import StyleEncode
from .style_interpolate import StyleInterpolate
from .style_latent import StyleLatent
from .style_mix import StyleMix
from .wbm_blend import WBMBlend


class BlendGANExtension(ComfyExtension):
    async def on_load(self) -> None:
        checkpoints.register_folder()

    async def get_node_list(self) -> list[type[io.ComfyNode]]:
        return [
            BlendGANLoader,
            BlendGANExample,
            StyleEncode,
            StyleLatent,
            StyleMix,
            StyleInterpolate,
            PSPInvert,
            FaceLatent,
            WBMBlend,
            BlendGANGenerate,
            IndicatorSweep,
            FaceAlign,
            FacePasteBack,
            BlendGANFinetune,
        ]


async def comfy_entrypoint() -> BlendGANExtension:
    """What ComfyUI calls once when it starts."""
    return BlendGANExtension()
