"""BlendGANGenerate: latents become pictures, the stylised and the natural one of each pair."""

import torch
from comfy_api.latest import io
from torch import Tensor

from ..blendgan_core import BlendGAN, BlendGANError
from ..blendgan_core.colour import match_colours
from . import devices, seeds
from .images import to_image
from .types import BlendedSocket, ModelSocket


class BlendGANGenerate(io.ComfyNode):
    @classmethod
    def define_schema(cls):
        return io.Schema(
            node_id="BlendGANGenerate",
            display_name="Generate Portrait (BlendGAN)",
            category="BlendGAN",
            description="Makes the stylised portraits, and the same faces without the style.",
            search_aliases=["blendgan sampler", "synthesize", "stylized portrait", "decode"],
            inputs=[
                ModelSocket.Input("model", tooltip="The model that made the blended faces."),
                BlendedSocket.Input("blended", tooltip="From Blend Face and Style."),
                io.Combo.Input(
                    "noise",
                    options=["fixed", "seeded"],
                    default="fixed",
                    tooltip="Fine detail such as strands of hair. fixed: the one stored with the "
                    "model; seeded: drawn from the seed, the same for all faces.",
                ),
                seeds.seed_input("Seed of the noise; counts only if noise is seeded."),
            ],
            outputs=[
                io.Image.Output(display_name="stylised", tooltip="One portrait for each face."),
                io.Image.Output(
                    display_name="natural",
                    tooltip="The same faces without the style.",
                ),
            ],
        )

    @classmethod
    def execute(cls, model, blended, noise, seed):
        blendgan = model.loaded("generator")
        _check_fits(blended.w, blendgan)
        noise = seed if noise == "seeded" else "fixed"
        stylised, natural = [], []
        for part in devices.chunks(len(blended.w), 2 * blendgan.resolution**2):
            art = blendgan.synthesize(blended.w[part], noise)
            photo = blendgan.synthesize(blended.w_face[part], noise)
            if blended.preserve_colour:  # the palettes are of what one sees, hence the clamps
                art = match_colours(art.clamp(-1, 1), photo.clamp(-1, 1), blended.preserve_colour)
            stylised.append(to_image(art))
            natural.append(to_image(photo))
        return io.NodeOutput(torch.cat(stylised), torch.cat(natural))


def _check_fits(w: Tensor, blendgan: BlendGAN) -> None:
    """BlendGANError unless w [N, L, W] has this model's L and W."""
    layers, size = w.shape[1:]
    needed = blendgan.num_layers, blendgan.config.generator.w_dim
    if (layers, size) != needed:
        raise BlendGANError(
            f"the blended faces have {layers} layers of {size} values, this model needs "
            f"{needed[0]} of {needed[1]}; blend them with the same checkpoint"
        )
