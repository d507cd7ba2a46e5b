"""PSPInvert: photos of faces become latents that regenerate them."""

import logging

from comfy_api.latest import io
from torch import Tensor

from ..blendgan_core.images import center_square
from .encoding import encode
from .types import Face, FaceSocket, ModelSocket

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
            ],
            outputs=[
                FaceSocket.Output(display_name="face", tooltip="One face for each picture."),
            ],
        )

    @classmethod
    def execute(cls, model, image):
        blendgan = model.loaded("psp_encoder")
        height, width = image.shape[1:3]
        if height != width:
            logger.info("Invert Face: took the centre square of %d x %d pixels", width, height)

        def invert(images: Tensor) -> Tensor:
            return blendgan.invert(center_square(images)[0])

        return io.NodeOutput(Face(encode(invert, image)))
