"""WBMBlend: the weighted blending module gives faces a style, layer by layer."""

from comfy_api.latest import io

from ..blendgan_core import BlendGAN, BlendGANError
from . import devices, styles
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
                io.Float.Input(
                    "strength",
                    default=1.0,
                    min=0.0,
                    max=1.0,
                    step=0.01,
                    optional=True,
                    tooltip="How much of all this: 0 leaves the face as it is, 1 is the whole "
                    "blend.",
                ),
                io.String.Input(
                    "curve",
                    default="",
                    optional=True,
                    tooltip="A share of the style for each layer, from coarse to fine, in place of "
                    "the model's own and of indicator and theta: as many numbers from 0 to 1 as "
                    "it has layers, with commas or spaces between. Empty: the model's own.",
                ),
                io.Float.Input(
                    "preserve_colour",
                    default=0.0,
                    min=0.0,
                    max=1.0,
                    step=0.01,
                    optional=True,
                    tooltip="1 gives the portrait the palette of the natural face, so that only "
                    "shapes and strokes come from the style; 0 takes the style's colours.",
                ),
            ],
            outputs=[
                BlendedSocket.Output(
                    display_name="blended", tooltip="The stylised faces, and the natural ones too."
                ),
            ],
            has_intermediate_output=True,  # the chart is sent again where the blend is cached
        )

    @classmethod
    def execute(
        cls, model, face, style, indicator, theta, strength=1.0, curve="", preserve_colour=0.0
    ):
        blendgan = model.loaded("generator")
        shares = _read_curve(curve)
        w_style = styles.mapped(style, model)
        w = devices.keep(blendgan.blend_w(face.w_face, w_style, indicator, theta, strength, shares))
        blended = Blended(w, face.w_face.expand_as(w), preserve_colour)
        return io.NodeOutput(blended, ui=_chart(blendgan, indicator, theta, strength, shares))


def _read_curve(text: str) -> list[float] | None:
    """The numbers of the widget; None if it is empty."""
    if not text.strip():
        return None
    try:
        return [float(number) for number in text.replace(",", " ").split()]
    except ValueError as error:
        raise BlendGANError(
            f"the curve has a value that is not a number ({error}): expected numbers from 0 to 1 "
            "with commas or spaces between, such as 0, 0.25, 0.5"
        ) from None


def _chart(
    blendgan: BlendGAN, indicator: int, theta: float, strength: float, shares: list[float] | None
) -> dict[str, list]:
    """What the page draws in the node: alpha, mask and share of each layer."""
    blending = blendgan.generator.blending
    lines = {
        "alpha": blending.alpha.clamp(0, 1),
        "mask": blending.mask(indicator, theta),
        "share": blending.share(indicator, theta, strength, shares),
    }
    return {"blendgan_curve": [{name: line.float().tolist() for name, line in lines.items()}]}
