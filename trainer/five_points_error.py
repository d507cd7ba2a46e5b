"""`python -m trainer.five_points_error`: how far found points lie from those that people marked.

    python -m trainer.five_points_error --photos docs/images --landmarks docs/images/faces.json

An error is a distance over that of the marked eyes; the mean is over the five points of all faces
that were found.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

from blendgan_core.alignment import five_points
from blendgan_core.errors import BlendGANError
from blendgan_core.face_points import WEIGHTS, FacePoints, load_networks
from blendgan_core.images import read_image, to_uint8

from .cli import run_cli
from .landmarks import read_landmarks

NAMES = ("left eye", "right eye", "nose", "mouth, left", "mouth, right")
FOUND = 0.5  # distance of the middles of two faces, over the eyes', up to which they are one


@dataclass(frozen=True, kw_only=True)
class FivePointsErrorConfig:
    """Compare found points with marked ones."""

    photos: Path
    """folder of photos"""
    landmarks: Path
    """the marked points, a file as `trainer.prepare --landmarks` reads it"""
    weights: Path = WEIGHTS
    """networks of trainer.five_points"""
    draw: Path | None = None
    """folder for the photos with marked points in green and found ones in red"""


def measure(config: FivePointsErrorConfig) -> np.ndarray:
    """Print and return the errors [F, 5] of the faces found."""
    finder = FacePoints(*load_networks(config.weights))
    errors, missed, others = [], 0, 0
    for name, faces in read_landmarks(config.landmarks).items():
        image = read_image(config.photos / name)
        found = finder(image)
        marked = [five_points(face) for face in faces]
        matched = [nearest(points, found) for points in marked]
        errors += [
            points_error(p, f) for p, f in zip(marked, matched, strict=True) if f is not None
        ]
        missed += sum(points is None for points in matched)
        others += len(found) - sum(points is not None for points in matched)
        if config.draw:
            config.draw.mkdir(parents=True, exist_ok=True)
            picture = Image.fromarray(to_uint8(image[None])[0])
            mark_(picture, marked, (0, 255, 0))
            mark_(picture, found, (255, 0, 0))
            picture.save(config.draw / f"{Path(name).stem}.png")
    if not errors:
        raise BlendGANError(f"none of the {missed} marked faces was found")
    print(f"found {len(errors)} of {len(errors) + missed} faces, and {others} that are not marked")
    for name, mean in zip(NAMES, np.mean(errors, axis=0), strict=True):
        print(f"{name:14}{mean:6.1%}")
    print(f"{'mean':14}{np.mean(errors):6.1%}")
    return np.array(errors)


def points_error(marked: np.ndarray, found: np.ndarray) -> np.ndarray:
    """[5, 2] and [5, 2] -> each point's distance, over that of the marked eyes: [5]."""
    return np.hypot(*(found - marked).T) / np.hypot(*(marked[1] - marked[0]))


def nearest(marked: np.ndarray, found: list[np.ndarray]) -> np.ndarray | None:
    """The found face that is this marked one, if there is one."""
    eyes = np.hypot(*(marked[1] - marked[0]))
    away = [np.hypot(*(face.mean(axis=0) - marked.mean(axis=0))) / eyes for face in found]
    best = int(np.argmin([*away, FOUND]))
    return found[best] if best < len(found) else None


def mark_(picture: Image.Image, faces: list[np.ndarray], colour: tuple[int, int, int]) -> None:
    """Draw a ring around every point."""
    canvas = ImageDraw.Draw(picture)
    for face in faces:
        radius = max(np.hypot(*(face[1] - face[0])) / 20, 2)
        for point in face:
            canvas.ellipse([*(point - radius), *(point + radius)], outline=colour, width=2)


if __name__ == "__main__":
    run_cli(measure, FivePointsErrorConfig)
