"""StyleInterpolate: a batch of styles that leads from one key style to the next, frame by frame."""

import torch
from comfy_api.latest import io

from ..blendgan_core.mixing import EASINGS, keyframes
from . import styles
from .types import StyleSocket


class StyleInterpolate(io.ComfyNode):
    @classmethod
    def define_schema(cls):
        return io.Schema(
            node_id="StyleInterpolate",
            display_name="Animate Styles",
            category="BlendGAN",
            description=(
                "Leads from one style to the next over a number of frames, one style a frame. All "
                "styles of all sockets, in their order, are the key styles."
            ),
            search_aliases=["style interpolation", "morph styles", "style video", "keyframes"],
            inputs=[
                StyleSocket.Input(
                    "style_1",
                    tooltip="The first key style, or a batch of them; at least two in all.",
                ),
                io.Int.Input(
                    "frames",
                    default=24,
                    min=1,
                    max=4096,
                    tooltip="How many styles come out, one for each frame of the clip.",
                ),
                io.Combo.Input(
                    "easing",
                    options=list(EASINGS),
                    default="smooth",
                    tooltip="The pace between two key styles: even, slow at both of them, slow at "
                    "the start, or slow at the end.",
                ),
                io.Boolean.Input(
                    "loop",
                    default=False,
                    tooltip="On: the last key style leads back to the first, and no frame is "
                    "doubled where the clip starts again. Off: it ends with the last one.",
                ),
                StyleSocket.Input("style_2", optional=True, tooltip="What comes after style_1."),
                StyleSocket.Input("style_3", optional=True, tooltip="What comes after style_2."),
                StyleSocket.Input("style_4", optional=True, tooltip="What comes after style_3."),
                styles.space_input(),
                styles.model_input(),
            ],
            outputs=[
                StyleSocket.Output(display_name="style", tooltip="One style for each frame."),
            ],
        )

    @classmethod
    def execute(
        cls,
        style_1,
        frames,
        easing,
        loop,
        style_2=None,
        style_3=None,
        style_4=None,
        space="z",
        model=None,
    ):
        given = [style for style in (style_1, style_2, style_3, style_4) if style is not None]
        keys = styles.join(styles.in_space(given, space, model))
        before, after, progress = keyframes(len(keys.z_style), frames, easing, loop)
        ends = [styles.pick(keys, before), styles.pick(keys, after)]
        return io.NodeOutput(styles.mix(ends, torch.stack([1 - progress, progress])))
