"""Face landmarks to the crop of FFHQ: eyes level, the face filling a square picture.

The rule is that of the FFHQ data set (Karras et al. 2019, appendix A). Points are (x, y) in pixels
of the upright picture, x to the right, y down, whole numbers in the middle of a pixel; left and
right are the viewer's.
"""

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.nn import functional as F

from .errors import ImageError
from .images import from_uint8, to_uint8

EYES_OF_68 = (slice(36, 42), slice(42, 48))  # the contours of the left and of the right eye
MOUTH_OF_68 = (48, 54)  # the outer corners
# Of MediaPipe's mesh: points on the lids of the left and of the right eye, the corners of the mouth
EYES_OF_MESH = ([33, 133, 159, 145, 160, 144, 158, 153], [362, 263, 386, 374, 387, 373, 385, 380])
NOSE_OF_MESH = 1
MOUTH_OF_MESH = (61, 291)
SHAPES = ((5, 2), (68, 2), (468, 2), (478, 2))
SUPERSAMPLING = 4  # the crop is sampled at this multiple of its side, then averaged
GUARD = 0.1  # pixels kept around the crop, as a share of its side, for the blurred padding
PADDING = 0.3  # as a share of the crop's side
BLUR = 0.02  # standard deviation far outside the picture, as a share of the crop's side


def five_points(landmarks: np.ndarray) -> np.ndarray:
    """landmarks: [P, 2] -> [5, 2]: left eye, right eye, nose, mouth's left and right.

    P is 5, as above; 68, in the order of iBUG 300-W, as dlib and face-alignment give them; 468 or
    478, MediaPipe's mesh without or with irises. Raises ImageError for another number, for values
    that are not finite, and for points that are no unmirrored face: seen along the eyes from left
    to right, the mouth must lie on the right-hand side.
    """
    points = np.asarray(landmarks, dtype=np.float64)
    if points.shape not in SHAPES:
        raise ImageError(
            f"expected 5, 68, 468 or 478 landmarks [x, y], found an array {list(points.shape)}"
        )
    if not np.isfinite(points).all():
        raise ImageError("a landmark is not a finite number")
    if len(points) == 68:
        eyes = [points[contour].mean(axis=0) for contour in EYES_OF_68]
        points = np.stack([*eyes, points[30], *points[list(MOUTH_OF_68)]])
    elif len(points) > 68:
        eyes = [points[lids].mean(axis=0) for lids in EYES_OF_MESH]
        points = np.stack([*eyes, points[NOSE_OF_MESH], *points[list(MOUTH_OF_MESH)]])
    eye_to_eye = points[1] - points[0]
    eye_to_mouth = points[3:].mean(axis=0) - points[:2].mean(axis=0)
    if eye_to_eye[0] * eye_to_mouth[1] - eye_to_eye[1] * eye_to_mouth[0] <= 0:
        raise ImageError(
            "the landmarks are not those of a face; expected, from the viewer's side, left eye, "
            "right eye, nose, left and right corner of the mouth"
        )
    return points


def ffhq_quad(landmarks: np.ndarray) -> np.ndarray:
    """landmarks: [P, 2], see five_points -> corners of the crop [4, 2]: upper left, lower left,
    lower right, upper right of the face. The errors are those of five_points."""
    left_eye, right_eye, _, mouth_left, mouth_right = five_points(landmarks)
    eyes = (left_eye + right_eye) / 2
    eye_to_eye = right_eye - left_eye
    eye_to_mouth = (mouth_left + mouth_right) / 2 - eyes
    # Both the line of the eyes and the line down the face say which way is right.
    right = eye_to_eye + eye_to_mouth[::-1] * [1, -1]
    half = max(2.0 * np.hypot(*eye_to_eye), 1.8 * np.hypot(*eye_to_mouth))
    right *= half / np.hypot(*right)
    down = right[::-1] * [-1, 1]
    centre = eyes + 0.1 * eye_to_mouth
    return np.stack(
        [centre - right - down, centre - right + down, centre + right + down, centre + right - down]
    )


def quad_side(quad: np.ndarray) -> float:
    """quad: [4, 2] -> the side of the square in pixels of the picture."""
    return float(np.hypot(*(quad[3] - quad[0])))


def share_outside(quad: np.ndarray, width: int, height: int) -> float:
    """quad: [4, 2] -> share of its area that lies beyond a picture's border, 0..1."""
    step = ((np.arange(64) + 0.5) / 64)[:, None]
    down, right = step * (quad[1] - quad[0]), step * (quad[3] - quad[0])
    points = quad[0] + down[:, None] + right  # [64, 64, 2]
    inside = (points >= -0.5) & (points < [width - 0.5, height - 0.5])
    return 1 - float(inside.all(axis=-1).mean())


def crop_face(image: Tensor, landmarks: np.ndarray, resolution: int) -> Tensor:
    """image: [3, H, W] in [-1, 1], landmarks: [P, 2], see five_points -> [3, R, R], R = resolution.

    What the crop takes from beyond the border is mirrored and blurred, as in FFHQ.
    """
    return crop_quad(image, ffhq_quad(landmarks), resolution)


def crop_quad(image: Tensor, quad: np.ndarray, resolution: int) -> Tensor:
    """image: [3, H, W] in [-1, 1], quad: [4, 2], see ffhq_quad -> [3, R, R] in [-1, 1]."""
    left, top, right, bottom = crop_region(quad, resolution, image.shape[2], image.shape[1])
    quad = quad - np.array([left, top], dtype=np.float64)
    picture = Image.fromarray(to_uint8(image[None, :, top:bottom, left:right])[0])
    shrink = _shrink(quad, resolution)
    if shrink > 1:
        picture = picture.resize(
            [max(round(side / shrink), 1) for side in picture.size], Image.Resampling.LANCZOS
        )
        quad /= shrink  # it slides by (shrink - 1) / 2 pixels, in FFHQ too
    picture, quad = _cut_out(picture, quad)
    picture, quad = _pad(picture, quad)
    size = SUPERSAMPLING * resolution
    picture = picture.transform(
        (size, size), Image.Transform.QUAD, (quad + 0.5).flatten(), Image.Resampling.BILINEAR
    )
    picture = picture.resize((resolution, resolution), Image.Resampling.LANCZOS)
    return from_uint8(np.array(picture))


def crop_region(quad: np.ndarray, resolution: int, width: int, height: int) -> tuple[int, ...]:
    """The part of a picture that crop_quad looks at, in whole pixels: left, top, right, bottom.

    To crop the cut-out part by the moved quad is the same as to crop the picture. Raises ImageError
    if the quad lies outside.
    """
    shrink = _shrink(quad, resolution)
    left, top, right, bottom = _bounds(quad)
    # what Lanczos reaches over when it shrinks, and no border where there is none
    reach = _guard(quad / shrink) * shrink + (4 * shrink if shrink > 1 else 0) + 5
    left, top = (max(edge - reach, 0) // shrink * shrink for edge in (left, top))
    right, bottom = (-(-(edge + reach) // shrink) * shrink for edge in (right, bottom))
    right, bottom = min(right, width), min(bottom, height)
    if left >= right or top >= bottom:
        raise ImageError("the face lies outside of the picture")
    return int(left), int(top), int(right), int(bottom)


def _shrink(quad: np.ndarray, resolution: int) -> int:
    """By how much a picture is made smaller before it is sampled."""
    return max(int(quad_side(quad) / resolution / 2), 1)


def _bounds(quad: np.ndarray) -> np.ndarray:
    """[4, 2] -> whole pixels around it: [left, top, right, bottom]."""
    return np.concatenate([np.floor(quad.min(axis=0)), np.ceil(quad.max(axis=0))]).astype(int)


def _guard(quad: np.ndarray) -> int:
    return max(round(GUARD * quad_side(quad)), 3)


def _cut_out(picture: Image.Image, quad: np.ndarray) -> tuple[Image.Image, np.ndarray]:
    """The part of the picture that the crop needs, and the quad in it."""
    guard, (left, top, right, bottom) = _guard(quad), _bounds(quad)
    left, top = max(left - guard, 0), max(top - guard, 0)
    right, bottom = min(right + guard, picture.width), min(bottom + guard, picture.height)
    if left >= right or top >= bottom:
        raise ImageError("the face lies outside of the picture")
    return picture.crop((left, top, right, bottom)), quad - [left, top]


def _pad(picture: Image.Image, quad: np.ndarray) -> tuple[Image.Image, np.ndarray]:
    """Mirror the picture where the crop reaches over its border; blur it, and fade it to the
    median colour, the further out the more."""
    guard, (left, top, right, bottom) = _guard(quad), _bounds(quad)
    beyond = np.array([-left, -top, right - picture.width, bottom - picture.height]) + guard
    if beyond.max() <= guard - 4:
        return picture, quad
    side = quad_side(quad)
    left, top, right, bottom = np.maximum(beyond, max(round(PADDING * side), 1))
    pixels = np.pad(
        np.asarray(picture, dtype=np.float32), ((top, bottom), (left, right), (0, 0)), "reflect"
    )
    height, width, _ = pixels.shape
    x, y = np.arange(width, dtype=np.float32), np.arange(height, dtype=np.float32)[:, None]
    # 0 at the picture's border, 1 at the padding's, below 0 inside the picture
    across = 1 - np.minimum(x / left, (width - 1 - x) / right)
    along = 1 - np.minimum(y / top, (height - 1 - y) / bottom)
    distance = np.maximum(across, along)[..., None]
    blurred = _gaussian_blur(pixels, BLUR * side)
    pixels += (blurred - pixels) * np.clip(3 * distance + 1, 0, 1)
    pixels += (np.median(pixels, axis=(0, 1)) - pixels) * np.clip(distance, 0, 1)
    padded = Image.fromarray(np.clip(np.rint(pixels), 0, 255).astype(np.uint8))
    return padded, quad + [left, top]


def _gaussian_blur(pixels: np.ndarray, sigma: float) -> np.ndarray:
    """pixels: [H, W, 3] -> the same, blurred, mirrored beyond its border."""
    radius = int(4 * sigma + 0.5)
    offsets = torch.arange(-radius, radius + 1, dtype=torch.float64)
    kernel = torch.exp(-0.5 * (offsets / sigma) ** 2)
    kernel = (kernel / kernel.sum()).float().expand(3, 1, 1, -1)
    planes = torch.from_numpy(pixels).permute(2, 0, 1)[None]  # [1, 3, H, W]
    planes = F.pad(planes, (radius, radius, radius, radius), "reflect")
    along_rows = F.conv2d(planes, kernel.contiguous(), groups=3)
    blurred = F.conv2d(along_rows, kernel.transpose(2, 3).contiguous(), groups=3)
    return blurred[0].permute(1, 2, 0).numpy()
