"""StyleLatent: seeds become random styles."""

from comfy_api.latest import io

from . import devices, seeds
from .types import ModelSocket, Style, StyleSocket


class StyleLatent(io.ComfyNode):
    @classmethod
    def define_schema(cls):
        return io.Schema(
            node_id="StyleLatent",
            display_name="Random Style",
            category="BlendGAN",
            description="Draws random styles. A seed gives the same style on every machine.",
            search_aliases=["style latent", "sample style", "z_style"],
            inputs=[
                ModelSocket.Input("model", tooltip="A model that has a generator."),
                seeds.seed_input("Seed of the first style; the others have the seeds that follow."),
                seeds.batch_size_input("How many styles."),
            ],
            outputs=[
                StyleSocket.Output(display_name="style", tooltip="One style for each seed."),
            ],
        )

    @classmethod
    def execute(cls, model, seed, batch_size):
        blendgan = model.loaded("generator")
        z_style = blendgan.sample_style(seeds.consecutive(seed, batch_size))
        return io.NodeOutput(Style(devices.keep(z_style)))
