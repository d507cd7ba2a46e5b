"""BlendGANLoader: a checkpoint file becomes a model."""

from comfy_api.latest import io

from ..blendgan_core import load
from . import checkpoints
from .devices import ManagedModel
from .types import ModelSocket


class BlendGANLoader(io.ComfyNode):
    @classmethod
    def define_schema(cls):
        return io.Schema(
            node_id="BlendGANLoader",
            display_name="Load BlendGAN",
            category="BlendGAN",
            description=(
                "Loads a BlendGAN checkpoint from models/blendgan: one of this project, or an "
                "official blendgan.pt. A small starter is built in and needs no download."
            ),
            search_aliases=["face stylization", "portrait style", "stylegan", "checkpoint"],
            inputs=[
                io.Combo.Input(
                    "checkpoint",
                    options=checkpoints.list_checkpoints(),
                    default=checkpoints.BUILT_IN,
                    tooltip="The built-in starter (64 x 64 pixels), or a file in models/blendgan.",
                ),
            ],
            outputs=[
                ModelSocket.Output(
                    display_name="model",
                    tooltip="The generator and the encoders that the checkpoint holds.",
                ),
            ],
        )

    @classmethod
    def fingerprint_inputs(cls, checkpoint):
        return checkpoints.fingerprint(checkpoint)

    @classmethod
    def execute(cls, checkpoint):
        return io.NodeOutput(ManagedModel(load(checkpoints.checkpoint_path(checkpoint))))
