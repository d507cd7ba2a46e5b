"""WBMBlend: the weighted blending module gives faces a style, layer by layer."""

from comfy_api.latest import io

from . import devices
from .types import Blended, BlendedSocket, FaceSocket, ModelSocket, StyleSocket


class WBMBlend(io.ComfyNode):
    @classmethod
    def define_schema(cls):
        return io.Schema(
            node_id="WBMBlend",
            display_name="Blend Face and Style (WBM)",
            category="BlendGAN",
            description=(
                "Blends faces with styles layer by layer. One style serves all faces, and one face "
                "all styles; otherwise give as many styles as faces."
            ),
            search_aliases=["weighted blending module", "style strength", "indicator", "theta"],
            inputs=[
                ModelSocket.Input("model", tooltip="The model that made the face and the style."),
                FaceSocket.Input("face", tooltip="From Invert Face or Random Face."),
                StyleSocket.Input("style", tooltip="From Encode Style or Random Style."),
                io.Int.Input(
                    "indicator",
                    default=6,
                    min=0,
                    max=18,
                    tooltip="First layer that takes the style: 0 is the strongest style, the "
                    "model's number of layers (18 at 1024 px, 10 at 64 px) leaves the face alone.",
                ),
                io.Float.Input(
                    "theta",
                    default=1.0,
                    min=0.0,
                    max=1.0,
                    step=0.01,
                    tooltip="How much of the style that first layer takes: a fine control between "
                    "two indicators.",
                ),
            ],
            outputs=[
                BlendedSocket.Output(
                    display_name="blended", tooltip="The stylised faces, and the natural ones too."
                ),
            ],
        )

    @classmethod
    def execute(cls, model, face, style, indicator, theta):
        blendgan = model.loaded("generator")
        w = devices.keep(blendgan.blend(face.w_face, style.z_style, indicator, theta))
        return io.NodeOutput(Blended(w, face.w_face.expand_as(w)))
