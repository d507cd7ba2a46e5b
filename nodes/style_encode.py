"""StyleEncode: pictures become style codes."""

from comfy_api.latest import io

from ..blendgan_core.mixing import mix_z
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
                io.Combo.Input(
                    "mode",
                    options=["one each", "average"],
                    default="one each",
                    optional=True,
                    tooltip="one each: every picture gives a style; average: all pictures give one "
                    "style together, such as several works of one artist.",
                ),
            ],
            outputs=[
                StyleSocket.Output(
                    display_name="style", tooltip="One style for each picture, or their average."
                ),
            ],
        )

    @classmethod
    def execute(cls, model, image, mode="one each"):
        blendgan = model.loaded("style_encoder")
        z_style = encode(blendgan.encode_style, image)
        if mode == "average":
            z_style = mix_z(z_style[:, None], [1.0] * len(z_style))  # K codes [1, S]
        return io.NodeOutput(Style(z_style))
