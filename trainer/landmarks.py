"""Where faces lie in photos: a file with landmarks, or a detector that the user has installed.

A landmarks file is JSON, photo -> faces -> 5 or 68 points [x, y],

    {"anna/1.jpg": [[[203, 101], [247, 103], [226, 125], [204, 141], [244, 141]]], "b.jpg": []}

or CSV, one face a line: the photo, then 10 or 136 numbers x1, y1, x2, y2, ..; a first line without
numbers is a heading. A photo is named by its path inside --photos, with slashes. Points are pixels
of the upright photo (as its EXIF tag turns it); 5 are left eye, right eye, nose, left and right
corner of the mouth as the viewer sees them, 68 are those of dlib (iBUG 300-W).
"""

import csv
import json
from pathlib import Path

import numpy as np
from PIL import Image
from torch import Tensor

from blendgan_core.errors import BlendGANError, short
from blendgan_core.images import to_uint8

Faces = list[np.ndarray]  # of one photo, each [5, 2] or [68, 2]

MODEL = "face_detection_yunet_2023mar.onnx"
LOOK_AT = (640, 320)  # longer side in pixels; YuNet finds faces of 10 to 300 pixels
CERTAIN = 0.8  # score from which on something is a face


def read_landmarks(path: Path) -> dict[str, Faces]:
    """A landmarks file -> the faces of each photo; BlendGANError names the entry that is wrong."""
    if not path.is_file():
        raise BlendGANError(f"{path} does not exist; expected a .json or .csv with landmarks")
    try:
        text = path.read_text(encoding="utf-8-sig")
        found = _parse_csv(path, text) if path.suffix.lower() == ".csv" else json.loads(text)
    except ValueError as error:
        raise _wrong(path, str(error)) from None
    if not isinstance(found, dict):
        raise _wrong(path, short(found))
    for photo, faces in found.items():
        if not isinstance(faces, list):
            raise _wrong(path, f"{photo}: {short(faces)}")
    return {photo: [_points(path, photo, face) for face in faces] for photo, faces in found.items()}


def _parse_csv(path: Path, text: str) -> dict[str, list[list[float]]]:
    found: dict[str, list[list[float]]] = {}
    for number, row in enumerate(csv.reader(text.splitlines())):
        try:
            values = [float(value) for value in row[1:]]
        except ValueError:
            if number == 0:
                continue  # the heading
            raise _wrong(path, f"line {number + 1}: {short(row)}") from None
        if row:
            found.setdefault(row[0], []).append(values)
    return found


def _points(path: Path, photo: str, face: object) -> np.ndarray:
    try:
        values = np.asarray(face, dtype=np.float64)
    except (TypeError, ValueError):
        values = np.empty(0)
    if values.size not in (10, 136) or values.shape[-1:] not in ((2,), (10,), (136,)):
        raise _wrong(path, f"{photo}: {short(face)}")
    return values.reshape(-1, 2)


def _wrong(path: Path, found: str) -> BlendGANError:
    return BlendGANError(
        f"{path} is not a landmarks file: expected photo -> faces -> 5 or 68 points [x, y] in JSON "
        f"or CSV (see trainer/landmarks.py), found {found}"
    )


class FaceDetector:
    """OpenCV's YuNet: faces and their five points. Needs the package and the model's file."""

    def __init__(self, model: Path):
        try:
            import cv2
        except ImportError:
            raise BlendGANError(
                "--detector needs OpenCV: pip install opencv-python-headless; or give --landmarks"
            ) from None
        if not model.is_file():
            raise BlendGANError(
                f"{model} does not exist; expected {MODEL} (MIT licence, 230 kB), from "
                "models/face_detection_yunet of github.com/opencv/opencv_zoo"
            )
        cv2.setNumThreads(1)  # the photos are shared out over processes
        try:
            self._network = cv2.FaceDetectorYN.create(str(model), "", (320, 320), CERTAIN)
        except cv2.error as error:
            reason = str(error).splitlines()[0]
            raise BlendGANError(f"{model} is not {MODEL}, which was expected ({reason})") from None

    def __call__(self, image: Tensor) -> Faces:
        """image: [3, H, W] in [-1, 1] -> its faces, each [5, 2], in the image's pixels."""
        picture = Image.fromarray(to_uint8(image[None])[0])
        for longest in LOOK_AT:
            scale = min(longest / max(picture.size), 1)
            size = tuple(max(round(side * scale), 1) for side in picture.size)
            pixels = np.asarray(picture.resize(size, Image.Resampling.BOX))
            self._network.setInputSize(size)
            _, rows = self._network.detect(np.ascontiguousarray(pixels[..., ::-1]))  # OpenCV's BGR
            if rows is not None:
                # box, the person's right eye (the viewer's left one), .., score
                points = rows[:, 4:14].reshape(-1, 5, 2)  # [faces, 5, 2]
                return list(points * (np.array(picture.size) / size))
        return []
