"""BlendGANExample: pictures that come with the pack, so that a template runs before any upload."""

import json
import math
from pathlib import Path

import numpy as np
import torch
from comfy_api.latest import io
from PIL import Image

from ..blendgan_core.images import from_uint8, read_image, to_uint8
from ..blendgan_core.quads import scaled
from . import devices
from .images import to_image
from .types import LandmarksSocket

FOLDER = Path(__file__).parent.parent / "docs" / "images"
LANDMARKS = FOLDER / "faces.json"  # as `python -m trainer.prepare --landmarks` reads it
PICTURES = {
    "photo: astronaut": "astronaut.png",
    "art: amber oil": "art_amber_oil.jpg",
    "art: crimson oil": "art_crimson_oil.jpg",
    "art: naive oil": "art_naive_oil.jpg",
    "art: engraving": "art_engraving.jpg",
    "photo: group": "group.jpg",
    "art: cel drawing": "style_cel.png",
    "art: ink drawing": "style_ink.png",
    "art: neon lines": "style_neon.png",
    "art: pencil drawing": "style_pencil.png",
    "art: watercolour": "style_watercolour.png",
}
# Five points of a face in a picture of side 1 whose crop, by FFHQ's rule, is the whole picture: the
# eyes 1/4 apart, the mouth 1/3.6 below them.
ALIGNED = np.array(
    [[0.375, 0.4722], [0.625, 0.4722], [0.5, 0.6], [0.42, 0.75], [0.58, 0.75]], dtype=np.float64
)
VIEW, VIEW_OF_CROP = 0.68, 0.9  # share of the picture that the camera sees, of a photo or of a crop
ZOOM = 0.08  # by how much of itself the view grows and shrinks


class BlendGANExample(io.ComfyNode):
    @classmethod
    def define_schema(cls):
        return io.Schema(
            node_id="BlendGANExample",
            display_name="Example Picture (BlendGAN)",
            category="BlendGAN",
            description=(
                "A free photo, painting or drawing to try things with, cropped as the model "
                "expects it, and a photo of several people, as a picture or as a clip. For a "
                "picture of your own use Load Image in its place."
            ),
            search_aliases=["sample image", "demo picture", "test portrait"],
            inputs=[
                io.Combo.Input(
                    "picture",
                    options=list(PICTURES),
                    default=next(iter(PICTURES)),
                    tooltip="A photo for Invert Face, a piece of art for Encode Style, the group "
                    "for Align Faces.",
                ),
                io.Int.Input(
                    "frames",
                    default=1,
                    min=1,
                    max=600,
                    optional=True,
                    tooltip="1: the picture. More: a clip of so many frames, in which the camera "
                    "moves over the picture and comes back to where it began.",
                ),
            ],
            outputs=[
                io.Image.Output(
                    display_name="image",
                    tooltip="One picture, square but for the group (1080 x 720), or a clip.",
                ),
                LandmarksSocket.Output(
                    display_name="face_landmarks",
                    tooltip="Eyes, nose and mouth of each face, for Align Faces.",
                ),
            ],
        )

    @classmethod
    def execute(cls, picture, frames=1):
        image = read_image(FOLDER / PICTURES[picture])
        faces = _faces(PICTURES[picture], image.shape[2])
        if frames == 1:
            return io.NodeOutput(to_image(image[None]), _landmarks([faces], *image.shape[1:]))
        return io.NodeOutput(*_clip(image, faces, frames))


def _faces(name: str, side: int) -> list[np.ndarray]:
    """The five points [5, 2] of each face in a picture of the folder, in pixels."""
    known = json.loads(LANDMARKS.read_text(encoding="utf-8"))
    return [np.array(face) for face in known.get(name, [scaled(ALIGNED - 0.5, side, side)])]


def _landmarks(frames: list[list[np.ndarray]], height: int, width: int) -> dict:
    """FACE_LANDMARKS as ComfyUI's own, but for five points a face and no mesh to draw."""
    return {
        "frames": [
            [
                {
                    "landmarks_xy": points.astype(np.float32),
                    "bbox_xyxy": np.concatenate([points.min(axis=0), points.max(axis=0)]),
                    "score": 1.0,
                }
                for points in faces
            ]
            for faces in frames
        ],
        "image_size": (height, width),
        "connection_sets": {},
    }


def _clip(image: torch.Tensor, faces: list[np.ndarray], frames: int) -> tuple[torch.Tensor, dict]:
    """A camera goes around a picture [3, H, W] once -> IMAGE [frames, h, w, 3], FACE_LANDMARKS.

    A face is in a frame's landmarks if all of its points are in view.
    """
    photo = Image.fromarray(to_uint8(image[None])[0])
    share = VIEW if photo.width != photo.height else VIEW_OF_CROP
    width, height = (round(share * side / 2) * 2 for side in photo.size)  # codecs want even sides
    clip, seen = [], []
    for part in devices.chunks(frames, width * height):
        for number in range(part.start, part.stop):
            turn = 2 * math.pi * number / frames
            zoom = 1 + ZOOM * math.sin(turn)
            size = np.array([width, height]) * zoom
            free = np.array(photo.size) - size
            # not far down: heads are in the upper half of most pictures
            corner = free * [(1 - math.cos(turn)) / 2, 0.3 * (1 - math.sin(turn))]
            view = photo.resize(
                (width, height), Image.Resampling.BICUBIC, box=(*corner, *(corner + size))
            )
            clip.append(to_image(from_uint8(np.array(view))[None]))
            moved = [scaled(points - corner, 1 / zoom, 1 / zoom) for points in faces]
            seen.append(
                [face for face in moved if (face > 0).all() and (face < [width, height]).all()]
            )
    return torch.cat(clip), _landmarks(seen, height, width)
