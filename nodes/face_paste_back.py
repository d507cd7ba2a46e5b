"""FacePasteBack: stylised faces return to the photos or the clip that they were cut from."""

import numpy as np
import torch
from comfy_api.latest import io
from torch import Tensor
from torch.nn import functional as F

from ..blendgan_core import BlendGANError
from ..blendgan_core.alignment import quad_side
from ..blendgan_core.paste_back import (
    SHAPES,
    bounds,
    coverage,
    fit,
    match_to_original,
    pixels_under,
    places,
    strips,
    warp,
)
from ..blendgan_core.quads import scaled
from . import devices
from .face_finding import SAME_SHAPE
from .images import from_image, to_image
from .types import Transform, TransformSocket


class FacePasteBack(io.ComfyNode):
    @classmethod
    def define_schema(cls):
        return io.Schema(
            node_id="FacePasteBack",
            display_name="Paste Faces Back",
            category="BlendGAN",
            description=(
                "Puts stylised faces back into the photos or the frames that Align Faces cut them "
                "from. What lies outside of the mask stays as it is, to the last bit."
            ),
            search_aliases=["face paste", "uncrop", "composite face", "face detailer", "stitch"],
            inputs=[
                io.Image.Input("image", tooltip="The pictures that went into Align Faces."),
                io.Image.Input(
                    "faces",
                    tooltip="The stylised crops, as many and in the order as Align Faces gave "
                    "them; of any size.",
                ),
                TransformSocket.Input("transform", tooltip="From Align Faces."),
                io.Combo.Input(
                    "shape",
                    options=list(SHAPES),
                    default="oval",
                    tooltip="What of the crop is painted: an oval around the head, or all of it.",
                ),
                io.Float.Input(
                    "feather",
                    default=0.5,
                    min=0.0,
                    max=1.0,
                    step=0.01,
                    tooltip="How softly its border fades: 0 is a hard edge, 1 fades from the "
                    "middle on.",
                ),
                io.Float.Input(
                    "colour_match",
                    default=0.5,
                    min=0.0,
                    max=1.0,
                    step=0.01,
                    tooltip="How far each face takes the palette of the photo that it covers: 0 "
                    "keeps the style's colours, 1 has no jump of colours.",
                ),
                io.Mask.Input(
                    "mask",
                    optional=True,
                    tooltip="Limits where it paints, as a segmentation of the people does. One for "
                    "all pictures or one for each.",
                ),
            ],
            outputs=[
                io.Image.Output(display_name="image", tooltip="As many pictures as went in."),
                io.Mask.Output(
                    display_name="mask", tooltip="Where and how much each picture was painted on."
                ),
            ],
        )

    @classmethod
    def execute(cls, image, faces, transform, shape, feather, colour_match, mask=None):
        count, height, width = image.shape[:3]
        quads = _quads_for(transform, count, width, height)
        _check_count(faces, transform)
        _check_mask(mask, count, width, height)
        result = devices.keep(image).to(devices.result_dtype())
        result = result.expand(-1, -1, -1, max(image.shape[3], 3)).clone()
        painted = result.new_zeros(count, height, width)
        numbers = _crops_of_each(transform)
        for part in devices.chunks(count, width * height):
            for frame in range(part.start, part.stop):
                # a large face is near, and covers what is behind it
                for number in sorted(numbers[frame], key=lambda crop: quad_side(quads[crop])):
                    quad = quads[number]
                    crop = fit(from_image(faces[number : number + 1])[0], quad)
                    if colour_match:
                        x, y, inside = pixels_under(quad, *crop.shape[1:], width, height)
                        original = from_image(image[frame][y, x][None])[0].to(crop)
                        crop = match_to_original(
                            crop, original, inside, colour_match, feather, shape
                        )
                    limit = None if mask is None else mask[frame % len(mask)]
                    _paint_(result[frame], painted[frame], crop, quad, feather, shape, limit)
        return io.NodeOutput(result, painted)


def _quads_for(transform: Transform, count: int, width: int, height: int) -> np.ndarray:
    """The quads [M, 4, 2] in pictures of this size; BlendGANError if they are other pictures."""
    across, down = width / transform.width, height / transform.height
    if count != transform.count or abs(across / down - 1) > SAME_SHAPE:
        raise BlendGANError(
            f"the faces were cut from {transform.count} pictures of {transform.width} x "
            f"{transform.height} pixels, but image has {count} of {width} x {height}; connect the "
            "pictures that went into Align Faces"
        )
    return scaled(transform.quads, across, down)


def _check_count(faces: Tensor, transform: Transform) -> None:
    expected = len(transform.quads)
    if len(faces) != max(expected, 1):  # without any face there is one that stands in
        raise BlendGANError(
            f"Align Faces gave {expected} crops, but {len(faces)} faces came back; blend each "
            "face with one style, so that there are as many"
        )


def _check_mask(mask: Tensor | None, count: int, width: int, height: int) -> None:
    if mask is None:
        return
    across, down = width / mask.shape[-1], height / mask.shape[-2]
    if mask.dim() != 3 or len(mask) not in (1, count) or abs(across / down - 1) > SAME_SHAPE:
        raise BlendGANError(
            f"the mask is {list(mask.shape)}, expected 1 or {count} masks of {width} x {height} "
            "pixels, or of another size with the same ratio of sides"
        )


def _crops_of_each(transform: Transform) -> list[list[int]]:
    """For each picture the numbers of its crops."""
    numbers: list[list[int]] = [[] for _ in range(transform.count)]
    for number, frame in enumerate(transform.frames):
        numbers[frame].append(number)
    return numbers


def _paint_(
    picture: Tensor,
    painted: Tensor,
    crop: Tensor,
    quad: np.ndarray,
    feather: float,
    shape: str,
    limit: Tensor | None,
) -> None:
    """Lay a crop [3, r, s] over a picture [H, W, C] in [0, 1], and note it in painted [H, W]."""
    height, width = painted.shape
    if limit is not None and limit.shape != painted.shape:
        limit = F.interpolate(
            limit[None, None].float(), size=(height, width), mode="bilinear", align_corners=False
        )[0, 0]
    for box in strips(bounds(quad, width, height)):
        left, top, right, bottom = box
        at = places(quad, box).to(picture.device)
        weight = coverage(at, feather, shape)  # [h, w]
        if limit is not None:
            weight = weight * limit[top:bottom, left:right].to(weight).clamp(0, 1)
        colours = to_image(warp(crop.to(picture.device), at)[None])[0].float()  # [h, w, 3]
        region = picture[top:bottom, left:right, :3]  # alpha stays as it is
        mixed = torch.lerp(region.float(), colours, weight[..., None])
        region.copy_(torch.where(weight[..., None] > 0, mixed.to(region), region))
        noted = painted[top:bottom, left:right]
        noted.copy_(noted + (weight * (1 - noted.float())).to(noted))
