"""FaceAlign: faces are cut out of whole photos and clips, upright, as the model expects them."""

import logging

import numpy as np
import torch
from comfy_api.latest import io
from torch import Tensor

from ..blendgan_core import BlendGANError
from ..blendgan_core.paste_back import bounds, coverage, places, strips
from ..blendgan_core.quads import box_quad, cut, cut_region, whole_quad
from ..blendgan_core.tracking import CHOICES, choose
from . import devices
from .face_finding import Pictures
from .images import from_image, to_image
from .types import BoxesSocket, LandmarksSocket, Transform, TransformSocket

logger = logging.getLogger(__name__)

FIND = ("auto", "landmarks", "bboxes", "mask", "manual box", "whole picture", "faces")
MISSING = ("error if none", "error if any", "pass through")
MAX_SIDE = 16384
SUPERSAMPLED = 16  # samples that one pixel of a crop takes


class FaceAlign(io.ComfyNode):
    @classmethod
    def define_schema(cls):
        return io.Schema(
            node_id="FaceAlign",
            display_name="Align Faces",
            category="BlendGAN",
            description=(
                "Cuts faces out of photos or the frames of a clip, upright and filling the crop, "
                "as Invert Face needs them. Paste Faces Back puts the results where they were."
            ),
            search_aliases=["face crop", "ffhq align", "crop faces", "face detailer", "group"],
            inputs=[
                io.Image.Input("image", tooltip="Photos, or the frames of a clip, of any size."),
                io.Combo.Input(
                    "find",
                    options=list(FIND),
                    default="faces",
                    tooltip="How faces are found. faces, auto: by the first of face_landmarks, "
                    "bboxes and mask that is connected. If none is, faces looks for them itself, "
                    "by networks of its own; auto takes the whole picture as a face.",
                ),
                io.Combo.Input(
                    "face",
                    options=list(CHOICES),
                    default="all",
                    tooltip="Which faces of each picture are taken.",
                ),
                io.Int.Input(
                    "index",
                    default=0,
                    min=0,
                    max=999,
                    tooltip="Which one, by index: 0 is the leftmost face.",
                ),
                *_box_inputs(),
                io.Float.Input(
                    "margin",
                    default=1.6,
                    min=0.5,
                    max=5.0,
                    step=0.05,
                    tooltip="The crop's side over the longer side of the box or mask. 1.6 suits "
                    "boxes from forehead to chin; 1 takes the box itself as the crop.",
                ),
                io.Int.Input(
                    "resolution",
                    default=256,
                    min=16,
                    max=4096,
                    step=8,
                    tooltip="Width and height of the crops; 256 is what the encoders look at.",
                ),
                io.Float.Input(
                    "smoothing",
                    default=0.0,
                    min=0.0,
                    max=30.0,
                    step=0.5,
                    tooltip="0: each picture stands for itself. Above 0 they are frames of a clip: "
                    "people are followed, and crops steadied over about so many frames.",
                ),
                io.Combo.Input(
                    "missing",
                    options=list(MISSING),
                    default="error if none",
                    tooltip="When to stop for want of a face: if no picture has one, if any has "
                    "none, or never. Pictures without a face are left as they are.",
                ),
                LandmarksSocket.Input(
                    "face_landmarks",
                    optional=True,
                    tooltip="From ComfyUI's Detect Face Landmarks (MediaPipe); the best way.",
                ),
                BoxesSocket.Input(
                    "bboxes",
                    optional=True,
                    extra_dict={"forceInput": True},  # the page would make widgets of it
                    tooltip="Boxes around upright faces, from any detector.",
                ),
                io.Mask.Input(
                    "mask", optional=True, tooltip="One upright face, painted roughly over."
                ),
            ],
            outputs=[
                io.Image.Output(
                    display_name="faces",
                    tooltip="The crops, picture by picture, in each from left to right.",
                ),
                TransformSocket.Output(
                    display_name="transform", tooltip="Where they were, for Paste Faces Back."
                ),
                io.Mask.Output(
                    display_name="mask", tooltip="The crops' squares, one mask for each picture."
                ),
            ],
        )

    @classmethod
    def execute(
        cls,
        image,
        find,
        face,
        index,
        x,
        y,
        width,
        height,
        margin,
        resolution,
        smoothing,
        missing,
        face_landmarks=None,
        bboxes=None,
        mask=None,
    ):
        pictures = Pictures(len(image), image.shape[2], image.shape[1])
        connected = {"landmarks": face_landmarks, "bboxes": bboxes, "mask": mask}
        find = _source(find, connected)
        if find == "landmarks":
            pictures.from_landmarks(face_landmarks)
        elif find == "bboxes":
            pictures.from_boxes(bboxes, margin)
        elif find == "mask":
            pictures.from_mask(mask, margin)
        elif find == "manual box":
            pictures.everywhere(box_quad(x, y, width, height, margin))
        elif find == "faces":
            pictures.from_pictures(image)
        else:
            pictures.everywhere(whole_quad(pictures.width, pictures.height))
        chosen = choose(pictures.quads, face, index, smoothing)
        nobody = _complaint(chosen, missing, pictures.problems)
        if nobody:  # blocks what follows and shows the message there; other branches go on
            return io.NodeOutput(None, None, None, block_execution=nobody)
        frames = [number for number, quads in enumerate(chosen) for _ in quads]
        quads = np.array([quad for quads in chosen for quad in quads]).reshape(-1, 4, 2)
        transform = Transform(len(image), pictures.width, pictures.height, tuple(frames), quads)
        faces = _crops(image, transform, resolution)
        return io.NodeOutput(faces, transform, _squares(transform))


def _box_inputs() -> list[io.Int.Input]:
    """The widgets of the manual box."""
    return [
        io.Int.Input("x", default=0, min=0, max=MAX_SIDE, tooltip="Left edge of the manual box."),
        io.Int.Input("y", default=0, min=0, max=MAX_SIDE, tooltip="Top edge of the manual box."),
        io.Int.Input("width", default=512, min=1, max=MAX_SIDE, tooltip="Width of the manual box."),
        io.Int.Input(
            "height",
            default=512,
            min=1,
            max=MAX_SIDE,
            tooltip="Height of the manual box, around an upright face from forehead to chin.",
        ),
    ]


def _source(find: str, connected: dict) -> str:
    """What `find` means with these sockets connected; BlendGANError if that one is not."""
    if find in ("auto", "faces"):
        otherwise = "whole picture" if find == "auto" else find
        return next((name for name, value in connected.items() if value is not None), otherwise)
    if find in connected and connected[find] is None:
        socket = "face_landmarks" if find == "landmarks" else find
        raise BlendGANError(
            f"find is {find!r}, but nothing is connected to {socket}; connect it, or choose "
            "'manual box' or 'whole picture'"
        )
    return find


def _complaint(frames: list[list], missing: str, problems: list[str]) -> str:
    """What is wrong if more pictures have no face than `missing` allows, else ""."""
    empty = [number for number, quads in enumerate(frames) if not quads]
    why = f" ({problems[0]})" if problems else ""
    if problems:
        logger.warning("Align Faces: left out %d faces%s", len(problems), why)
    too_many = {
        "error if any": len(empty) > 0,
        "error if none": len(empty) == len(frames),
        "pass through": False,
    }
    if not too_many[missing]:
        return ""
    return (
        f"Align Faces: no face was found in {len(empty)} of {len(frames)} pictures, first in "
        f"picture {empty[0]}{why}; try a manual box or a mask, or set missing to 'pass through'"
    )


def _crops(image: Tensor, transform: Transform, resolution: int) -> Tensor:
    """IMAGE [M, R, R, 3]; a graph goes on only with a picture, so for want of a face there is one
    crop, the centre of the first picture, which Paste Faces Back passes over."""
    quads, frames = transform.quads, transform.frames
    if not len(quads):
        quads, frames = [whole_quad(transform.width, transform.height)], [0]
    faces = None
    for part in devices.chunks(len(quads), SUPERSAMPLED * resolution**2):
        for number in range(part.start, part.stop):
            quad, frame = quads[number], frames[number]
            left, top, right, bottom = cut_region(
                quad, resolution, transform.width, transform.height
            )
            region = from_image(image[frame : frame + 1, top:bottom, left:right])[0]
            face = to_image(cut(region, quad - [left, top], resolution)[None])
            if faces is None:
                faces = face.new_empty(len(quads), *face.shape[1:])
            faces[number] = face[0]
    return faces


def _squares(transform: Transform) -> Tensor:
    """MASK [N, H, W]: 1 where a crop was cut out."""
    mask = devices.keep(
        torch.zeros(
            transform.count, transform.height, transform.width, dtype=devices.result_dtype()
        )
    )
    for frame, quad in zip(transform.frames, transform.quads, strict=True):
        for box in strips(bounds(quad, transform.width, transform.height)):
            left, top, right, bottom = box
            region = mask[frame, top:bottom, left:right]
            region.copy_(region.maximum(coverage(places(quad, box), 0, "square").to(region)))
    return mask
