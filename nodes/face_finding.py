"""What the sockets and widgets of Align Faces say, as quads: where faces lie in each picture.

FACE_LANDMARKS, of ComfyUI's MediaPipe nodes, is {"frames": [for each picture: [for each face:
{"landmarks_xy": [P, 2] in pixels, ..}]], "image_size": (H, W), ..}. BOUNDING_BOX is one box {"x",
"y", "width", "height", ..} in pixels, a list of them, or such a list for each picture.
"""

import logging
from dataclasses import dataclass, field

import numpy as np
from torch import Tensor

from ..blendgan_core import BlendGANError, ImageError
from ..blendgan_core.alignment import ffhq_quad, share_outside
from ..blendgan_core.errors import short
from ..blendgan_core.face_points import load_face_points
from ..blendgan_core.quads import box_quad, mask_box, scaled
from .images import from_image

logger = logging.getLogger(__name__)

MAX_OUTSIDE = 0.6  # of the crop, which is about twice as wide as the face
SAME_SHAPE = 0.02  # by which the ratio of the sides of "the same" picture may differ


@dataclass
class Pictures:
    """The size of the pictures, and what was found in them."""

    count: int
    width: int
    height: int
    quads: list[list[np.ndarray]] = field(default_factory=list)  # of each picture
    problems: list[str] = field(default_factory=list)  # of faces that were left out

    def from_landmarks(self, landmarks: dict) -> None:
        """Faces with 5, 68, 468 or 478 points. BlendGANError if that is not what it is, or if it
        belongs to other pictures."""
        try:
            frames = [[face["landmarks_xy"] for face in faces] for faces in landmarks["frames"]]
            height, width = landmarks.get("image_size") or (self.height, self.width)
        except (AttributeError, KeyError, TypeError, ValueError):
            raise BlendGANError(
                "face_landmarks: expected the output of Detect Face Landmarks, found "
                f"{short(landmarks)}"
            ) from None
        scale = self._scale("the face_landmarks", width, height)
        self._fill(
            "the face_landmarks",
            [
                [lambda p=points: ffhq_quad(scaled(_array(p), *scale)) for points in faces]
                for faces in frames
            ],
        )

    def from_boxes(self, boxes: dict | list, margin: float) -> None:
        """Boxes around faces. BlendGANError as above."""
        frames = [[boxes]] if isinstance(boxes, dict) else boxes
        if isinstance(frames, list) and all(isinstance(box, dict) for box in frames) and frames:
            frames = [frames]
        try:
            found = [
                [[float(box[side]) for side in ("x", "y", "width", "height")] for box in faces]
                for faces in frames
            ]
        except (KeyError, TypeError, ValueError):
            raise BlendGANError(
                "bboxes: expected boxes with x, y, width and height in pixels, found "
                f"{short(boxes)}"
            ) from None
        self._fill(
            "the bboxes",
            [[lambda b=box: box_quad(*b, margin) for box in faces] for faces in found] or [[]],
        )

    def from_mask(self, mask: Tensor, margin: float) -> None:
        """mask: [N or 1, h, w], or [h, w]; one face in each. BlendGANError as above."""
        mask = mask[None] if mask.dim() == 2 else mask
        frames = [mask_box(each) for each in mask]
        if not any(frames):
            self.problems.append("the mask is empty, as Load Image's is unless one was painted")
        elif mask.shape[1:] != (self.height, self.width):
            across, down = self._scale("the mask", mask.shape[2], mask.shape[1])
            frames = [
                box and (box[0] * across, box[1] * down, box[2] * across, box[3] * down)
                for box in frames
            ]
        self._fill(
            "the mask",
            [[lambda b=box: box_quad(*b, margin)] if box else [] for box in frames],
        )

    def from_pictures(self, image: Tensor) -> None:
        """image: IMAGE [N, H, W, C]; what the networks that come with the project find in it."""
        find = load_face_points()
        frames = [find(from_image(image[number, None])[0]) for number in range(self.count)]
        self._fill(
            "the pictures",
            [[lambda p=points: ffhq_quad(p) for points in faces] for faces in frames],
        )

    def everywhere(self, quad: np.ndarray) -> None:
        """The same place in every picture."""
        self._fill("the box", [[lambda: quad]])

    def _scale(self, what: str, width: int, height: int) -> tuple[float, float]:
        """From a smaller or larger version of the pictures to these: factors across and down."""
        across, down = self.width / width, self.height / height
        if abs(across / down - 1) > SAME_SHAPE:
            raise BlendGANError(
                f"{what}: made for pictures of {width} x {height} pixels, these have {self.width} "
                f"x {self.height}; connect the same pictures to both"
            )
        if (width, height) != (self.width, self.height):
            logger.info("%s: scaled by %.3g and %.3g to fit the pictures", what, across, down)
        return across, down

    def _fill(self, what: str, frames: list[list]) -> None:
        """frames: for each picture, or once for all, functions that give a quad or say why not."""
        if len(frames) not in (1, self.count):
            raise BlendGANError(
                f"{what}: made for {len(frames)} pictures, but there are {self.count}; connect the "
                "same pictures to both"
            )
        self.quads = [[] for _ in range(self.count)]
        for number, faces in enumerate(frames):
            for face in faces:
                try:
                    self.quads[number].append(self._usable(face()))
                except ImageError as error:
                    self.problems.append(f"picture {number}: {error}")
        if len(frames) == 1:
            self.quads = [list(self.quads[0]) for _ in range(self.count)]

    def _usable(self, quad: np.ndarray) -> np.ndarray:
        outside = share_outside(quad, self.width, self.height)
        if outside > MAX_OUTSIDE:
            raise ImageError(
                f"a face is cut by the border, {outside:.0%} of its crop lies beyond it (at most "
                f"{MAX_OUTSIDE:.0%} can be made up)"
            )
        return quad


def _array(points: object) -> np.ndarray:
    """Numbers [.., 2]; what is none becomes an array that five_points refuses."""
    try:
        found = np.asarray(points, dtype=np.float64)
    except (TypeError, ValueError):
        found = np.empty((0, 2))
    return found if found.shape[-1:] == (2,) else np.empty((0, 2))
