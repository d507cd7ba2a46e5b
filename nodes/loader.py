"""BlendGANLoader: a checkpoint file, of this machine or of the hub, becomes a model."""

from comfy_api.latest import io

from ..blendgan_core.joined import load_joined
from ..blendgan_core.precision import PRECISIONS
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
                "Loads a BlendGAN checkpoint from models/blendgan: one of this project, an "
                "official one, or a StyleGAN2, pSp or e4e file. A small starter is built in."
            ),
            search_aliases=["face stylization", "portrait style", "stylegan", "checkpoint"],
            inputs=[
                io.Combo.Input(
                    "checkpoint",
                    options=checkpoints.list_checkpoints(),
                    default=checkpoints.BUILT_IN,
                    tooltip="The built-in starter (64 x 64 pixels), or a file in models/blendgan.",
                ),
                io.String.Input(
                    "address",
                    default="",
                    optional=True,
                    tooltip="A checkpoint on the Hugging Face hub, to be taken in place of the one "
                    "above: hf://owner/repo/file.safetensors. It is downloaded once.",
                ),
                io.Combo.Input(
                    "precision",
                    options=list(PRECISIONS),
                    default="fp32",
                    optional=True,
                    tooltip="What the convolutions compute in. fp16 and bf16 take half the memory "
                    "and are faster on a GPU; colours differ by less than 1%.",
                ),
                io.Combo.Input(
                    "psp",
                    options=checkpoints.list_files(),
                    default=checkpoints.NONE,
                    optional=True,
                    tooltip="A file whose pSp encoder takes the place of the checkpoint's own, "
                    "such as the official psp_encoder.pt beside blendgan.pt.",
                ),
                io.Combo.Input(
                    "delta",
                    options=checkpoints.list_files(),
                    default=checkpoints.NONE,
                    optional=True,
                    tooltip="A style that was learned as a delta, to be laid over the checkpoint. "
                    "It must have been made from this very checkpoint.",
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
    def fingerprint_inputs(
        cls,
        checkpoint,
        address="",
        precision="fp32",
        psp=checkpoints.NONE,
        delta=checkpoints.NONE,
    ):
        files = [checkpoints.fingerprint(checkpoint, address)]
        files += [checkpoints.fingerprint(name) for name in (psp, delta)]
        return [files, precision]

    @classmethod
    def execute(
        cls,
        checkpoint,
        address="",
        precision="fp32",
        psp=checkpoints.NONE,
        delta=checkpoints.NONE,
    ):
        blendgan = load_joined(
            checkpoints.checkpoint_path(checkpoint, address),
            psp=checkpoints.file_path(psp),
            delta=checkpoints.file_path(delta),
            dtype=PRECISIONS[precision],
        )
        return io.NodeOutput(ManagedModel(blendgan))
