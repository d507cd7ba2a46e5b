"""PSPInvert: photos of faces become latents that regenerate them."""

import logging

import torch
from comfy_api.latest import io
from PIL import Image
from torch import Tensor

from ..blendgan_core.images import center_square, to_uint8
from ..blendgan_core.refinement import KEEP_CLOSE
from . import devices
from .devices import ManagedModel
from .encoding import encode
from .images import from_image
from .types import Face, FaceSocket, ModelSocket

REFINEMENT_MEMORY = 2**32  # bytes of one 1024 px picture's activations and gradients

logger = logging.getLogger(__name__)


class PSPInvert(io.ComfyNode):
    @classmethod
    def define_schema(cls):
        return io.Schema(
            node_id="PSPInvert",
            display_name="Invert Face (pSp)",
            category="BlendGAN",
            description=(
                "Finds the latent that regenerates a photographed face, by the pSp encoder. The "
                "face must be cropped: upright, centred, from the hair to below the chin."
            ),
            search_aliases=["photo to latent", "gan inversion", "face encoder", "psp encoder"],
            inputs=[
                ModelSocket.Input("model", tooltip="A model that has a pSp encoder."),
                io.Image.Input(
                    "image",
                    tooltip="One or more cropped faces of any size. Of a picture that is not "
                    "square the centre square is taken.",
                ),
                io.Int.Input(
                    "refine_steps",
                    default=0,
                    min=0,
                    max=1000,
                    optional=True,
                    tooltip="Steps that move each latent from the encoder's answer towards what "
                    "regenerates the photo best. 0: none; 50 gets the shape and the colours, 200 "
                    "the features too. Each takes as long as generating some pictures.",
                ),
                io.Float.Input(
                    "keep_close",
                    default=KEEP_CLOSE,
                    min=0.0,
                    max=1.0,
                    step=0.01,
                    optional=True,
                    tooltip="What holds a refined latent near the encoder's answer. Lower: nearer "
                    "to the photo, with more blots; higher: a cleaner face, less like the photo.",
                ),
            ],
            outputs=[
                FaceSocket.Output(display_name="face", tooltip="One face for each picture."),
            ],
        )

    @classmethod
    def execute(cls, model, image, refine_steps=0, keep_close=KEEP_CLOSE):
        blendgan = model.loaded("psp_encoder")
        height, width = image.shape[1:3]
        if height != width:
            logger.info("Invert Face: took the centre square of %d x %d pixels", width, height)

        def invert(images: Tensor) -> Tensor:
            return blendgan.invert(center_square(images)[0])

        w_face = encode(invert, image)
        if refine_steps:
            w_face = _refine(model, image, w_face, refine_steps, keep_close)
        return io.NodeOutput(Face(w_face))


def _refine(
    model: ManagedModel, image: Tensor, w_face: Tensor, steps: int, keep_close: float
) -> Tensor:
    """The latents [N, L, W] of the faces in IMAGE, refined; on the intermediate device."""
    helps = [name for name in ("style_encoder",) if name in model.patchers]
    blendgan = model.loaded("generator", *helps, memory=REFINEMENT_MEMORY)
    show = devices.show_progress(len(image) * steps)
    refined = []
    for number in range(len(image)):  # one by one, or large photos would not fit

        def report(done: int, picture: Tensor, before: int = number * steps) -> None:
            show(before + done, lambda: Image.fromarray(to_uint8(picture)[0]))

        photo = center_square(from_image(image[number, None]))[0]
        w = blendgan.refine(photo, w_face[number, None], steps, keep_close, report)
        refined.append(devices.keep(w))
    return torch.cat(refined)
