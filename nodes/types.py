"""What travels along the wires between the nodes."""

from dataclasses import dataclass

import numpy as np
from comfy_api.latest import io
from torch import Tensor

ModelSocket = io.Custom("BLENDGAN_MODEL")  # carries a devices.ManagedModel
StyleSocket = io.Custom("BLENDGAN_STYLE")  # carries a Style
FaceSocket = io.Custom("BLENDGAN_FACE")  # carries a Face
BlendedSocket = io.Custom("BLENDGAN_BLENDED")  # carries a Blended
TransformSocket = io.Custom("BLENDGAN_TRANSFORM")  # carries a Transform
# ComfyUI's own, of its MediaPipe nodes; face_finding.py says what they carry
LandmarksSocket = io.Custom("FACE_LANDMARKS")
BoxesSocket = io.Custom("BOUNDING_BOX")


@dataclass(frozen=True)
class Style:
    """Style codes, on the intermediate device."""

    z_style: Tensor  # [N, S]
    w_style: Tensor | None = None  # [N, L, W]; where it is there it stands in place of z_style


@dataclass(frozen=True)
class Face:
    """Faces as layered latents, on the intermediate device."""

    w_face: Tensor  # [N, L, W]


@dataclass(frozen=True)
class Blended:
    """Faces that took a style, and the same faces without it, on the intermediate device."""

    w: Tensor  # [N, L, W]
    w_face: Tensor  # [N, L, W]
    preserve_colour: float = 0.0  # 0..1, how much of the natural picture's palette is kept


@dataclass(frozen=True)
class Transform:
    """Where crops were cut out of a batch of pictures; none of them if no picture had a face."""

    count: int  # of pictures
    width: int
    height: int
    frames: tuple[int, ...]  # [M], ascending: the picture that each crop was cut from
    quads: np.ndarray  # [M, 4, 2], see blendgan_core/quads.py
