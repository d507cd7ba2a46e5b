"""StyleEncode: pictures become style codes."""

from comfy_api.latest import io

from .encoding import encode
from .types import ModelSocket, Style, StyleSocket


class StyleEncode(io.ComfyNode):
    @classmethod
    def define_schema(cls):
        return io.Schema(
            node_id="StyleEncode",
            display_name="Encode Style",
            category="BlendGAN",
            description="Reads the style of a painting, a drawing or any other picture.",
            search_aliases=["style reference", "art style", "style encoder", "z_style"],
            inputs=[
                ModelSocket.Input("model", tooltip="A model that has a style encoder."),
                io.Image.Input(
                    "image",
                    tooltip="One or more style references of any size; portraits that are cropped "
                    "like the face work best.",
                ),
            ],
            outputs=[
                StyleSocket.Output(display_name="style", tooltip="One style for each picture."),
            ],
        )

    @classmethod
    def execute(cls, model, image):
        blendgan = model.loaded("style_encoder")
        return io.NodeOutput(Style(encode(blendgan.encode_style, image)))
