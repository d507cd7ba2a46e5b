"""StyleMix: up to four styles become one, by weight."""

from comfy_api.latest import io

from . import styles
from .types import StyleSocket


class StyleMix(io.ComfyNode):
    @classmethod
    def define_schema(cls):
        return io.Schema(
            node_id="StyleMix",
            display_name="Mix Styles",
            category="BlendGAN",
            description=(
                "Mixes up to four styles by weight. A single style is mixed with every one of a "
                "batch; otherwise give batches of equal counts."
            ),
            search_aliases=["style blend", "combine styles", "average style", "style weights"],
            inputs=[
                StyleSocket.Input("style_1", tooltip="From Encode Style or Random Style."),
                StyleSocket.Input("style_2", tooltip="The style to mix with it."),
                _weight("weight_1"),
                _weight("weight_2"),
                StyleSocket.Input("style_3", optional=True, tooltip="A third style, if any."),
                StyleSocket.Input("style_4", optional=True, tooltip="A fourth style, if any."),
                _weight("weight_3", optional=True),
                _weight("weight_4", optional=True),
                styles.space_input(),
                styles.model_input(),
            ],
            outputs=[
                StyleSocket.Output(display_name="style", tooltip="The mix, one style an item."),
            ],
        )

    @classmethod
    def execute(
        cls,
        style_1,
        style_2,
        weight_1,
        weight_2,
        style_3=None,
        style_4=None,
        weight_3=1.0,
        weight_4=1.0,
        space="z",
        model=None,
    ):
        pairs = zip(
            (style_1, style_2, style_3, style_4),
            (weight_1, weight_2, weight_3, weight_4),
            strict=True,
        )
        given, weights = zip(*(pair for pair in pairs if pair[0] is not None), strict=True)
        return io.NodeOutput(styles.mix(styles.in_space(given, space, model), weights))


def _weight(name: str, optional: bool = False) -> io.Float.Input:
    return io.Float.Input(
        name,
        default=1.0,
        min=0.0,
        max=100.0,
        step=0.05,
        optional=optional,
        tooltip=f"How much of style_{name[-1]}, beside the other weights: only their proportion "
        "counts.",
    )
