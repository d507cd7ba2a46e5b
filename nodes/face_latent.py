"""FaceLatent: seeds become random faces."""

from comfy_api.latest import io

from . import devices, seeds
from .types import Face, FaceSocket, ModelSocket


class FaceLatent(io.ComfyNode):
    @classmethod
    def define_schema(cls):
        return io.Schema(
            node_id="FaceLatent",
            display_name="Random Face",
            category="BlendGAN",
            description="Draws random faces. A seed gives the same face on every machine.",
            search_aliases=["face latent", "sample face", "generate face", "z_face"],
            inputs=[
                ModelSocket.Input("model", tooltip="A model that has a generator."),
                seeds.seed_input("Seed of the first face; the others have the seeds that follow."),
                seeds.batch_size_input("How many faces."),
                io.Float.Input(
                    "truncation",
                    default=0.75,
                    min=0.0,
                    max=1.0,
                    step=0.01,
                    tooltip="1: as varied as the model can; lower: closer to its mean face, with "
                    "fewer flaws.",
                ),
            ],
            outputs=[
                FaceSocket.Output(display_name="face", tooltip="One face for each seed."),
            ],
        )

    @classmethod
    def execute(cls, model, seed, batch_size, truncation):
        blendgan = model.loaded("generator")
        w_face = blendgan.sample_face(seeds.consecutive(seed, batch_size), truncation)
        return io.NodeOutput(Face(devices.keep(w_face)))
