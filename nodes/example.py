"""BlendGANExample: pictures that come with the pack, so that a template runs before any upload."""

from pathlib import Path

from comfy_api.latest import io

from ..blendgan_core.images import read_image
from .images import to_image

FOLDER = Path(__file__).parent.parent / "docs" / "images"
PICTURES = {
    "photo: astronaut": "astronaut.png",
    "art: amber oil": "art_amber_oil.jpg",
    "art: crimson oil": "art_crimson_oil.jpg",
    "art: naive oil": "art_naive_oil.jpg",
    "art: engraving": "art_engraving.jpg",
}


class BlendGANExample(io.ComfyNode):
    @classmethod
    def define_schema(cls):
        return io.Schema(
            node_id="BlendGANExample",
            display_name="Example Picture (BlendGAN)",
            category="BlendGAN",
            description=(
                "A public-domain photo or painting to try things with, cropped as the model "
                "expects it. For a picture of your own use Load Image in its place."
            ),
            search_aliases=["sample image", "demo picture", "test portrait"],
            inputs=[
                io.Combo.Input(
                    "picture",
                    options=list(PICTURES),
                    default=next(iter(PICTURES)),
                    tooltip="A photo for Invert Face, a piece of art for Encode Style.",
                ),
            ],
            outputs=[
                io.Image.Output(display_name="image", tooltip="One picture of 256 x 256 pixels."),
            ],
        )

    @classmethod
    def execute(cls, picture):
        return io.NodeOutput(to_image(read_image(FOLDER / PICTURES[picture])[None]))
