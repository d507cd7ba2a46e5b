"""Photos to aligned crops in several processes; the crops do not depend on how many."""

import multiprocessing
import os
import signal
import threading
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import torch
from PIL import Image
from torch import Tensor

from blendgan_core.alignment import crop_quad, ffhq_quad, quad_side, share_outside
from blendgan_core.errors import BlendGANError, ImageError
from blendgan_core.images import center_square, to_uint8

from .landmarks import FaceDetector, Faces
from .picture_sources import open_source

PHOTOS_AT_A_TIME = 4  # handed to a worker at once


@dataclass(frozen=True, kw_only=True)
class CropConfig:
    """Which faces become pictures, and of what size."""

    photos: Path
    """folder of photos or art (or a zip, or shards); its subfolders are kept, they are the
    styles"""
    detector: Path | None = None
    """find the faces with OpenCV (pip install opencv-python-headless) and this model file, YuNet's
    face_detection_yunet_2023mar.onnx of github.com/opencv/opencv_zoo"""
    whole: bool = False
    """the pictures are aligned already: take the centre square"""
    faces: Literal["largest", "all"] = "largest"
    """which faces of a photo"""
    resolution: int = 256
    """side of the output pictures in pixels, 16 to 2048"""
    min_side: int | None = None
    """drop a face whose crop has a smaller side than this in the photo, in pixels; half of
    --resolution if not given, so that nothing is enlarged more than twice"""
    max_outside: float = 0.25
    """drop a face of whose crop more than this share, 0 to 1, lies beyond the photo's border; what
    is missing is mirrored and blurred, as in FFHQ"""


@dataclass(frozen=True)
class Task:
    """One photo: its number and name in --photos, the name of its crops, its faces if known."""

    index: int
    photo: str
    crop: str
    faces: Faces | None


@dataclass(frozen=True)
class Outcome:
    """What became of a photo: names of crops, and a reason and detail for each that was dropped."""

    photo: str
    crops: list[str]
    dropped: list[tuple[str, str]]


class Cropper:
    """Turns photos into crops below a folder."""

    def __init__(self, config: CropConfig, folder: Path):
        self.config = config
        self.folder = folder
        self.source = open_source(config.photos)
        self.detector = FaceDetector(config.detector) if config.detector else None
        self.smallest = config.resolution / 2 if config.min_side is None else config.min_side

    def run(self, task: Task) -> Outcome:
        """Crop the faces of one photo and write them."""
        if self.source.names[task.index].as_posix() != task.photo:
            raise BlendGANError(f"{self.config.photos} changed meanwhile; give the command again")
        outcome = Outcome(task.photo, [], [])
        try:
            image = self.source.read(task.index)
        except ImageError as error:
            outcome.dropped.append(("unreadable", str(error)))
            return outcome
        if self.config.whole:
            self._crop_whole(image, task.crop, outcome)
        else:
            self._crop_faces(image, task, outcome)
        return outcome

    def _crop_whole(self, image: Tensor, name: str, outcome: Outcome) -> None:
        square, _ = center_square(image)
        if self._is_large_enough(square.shape[-1], outcome):
            picture = Image.fromarray(to_uint8(square[None])[0])
            size = (self.config.resolution, self.config.resolution)
            self._write(picture.resize(size, Image.Resampling.LANCZOS), name, outcome)

    def _crop_faces(self, image: Tensor, task: Task, outcome: Outcome) -> None:
        faces = self.detector(image) if self.detector else task.faces
        if not faces:
            where = "the detector finds" if self.detector else "the landmarks name"
            outcome.dropped.append(("no face", f"{where} none"))
        quads = []
        for face in faces:
            try:
                quads.append(ffhq_quad(face))
            except ImageError as error:
                outcome.dropped.append(("unusable landmarks", str(error)))
        if self.config.faces == "largest":
            quads = [max(quads, key=quad_side)] if quads else []
        for number, quad in enumerate(quads):
            outside = share_outside(quad, image.shape[2], image.shape[1])
            if outside == 1 or outside > self.config.max_outside:
                detail = f"{outside:.0%} of the crop lies beyond it"
                outcome.dropped.append(("cut by the border", detail))
            elif self._is_large_enough(quad_side(quad), outcome):
                crop = crop_quad(image, quad, self.config.resolution)
                suffix = f"-{number}" if self.config.faces == "all" else ""
                self._write(Image.fromarray(to_uint8(crop[None])[0]), task.crop + suffix, outcome)

    def _is_large_enough(self, side: float, outcome: Outcome) -> bool:
        if side < self.smallest:
            detail = f"the side is {side:.0f} pixels, expected {self.smallest:.0f} or more"
            outcome.dropped.append(("too small", detail))
        return side >= self.smallest

    def _write(self, picture: Image.Image, name: str, outcome: Outcome) -> None:
        target = self.folder / f"{name}.png"
        target.parent.mkdir(parents=True, exist_ok=True)
        partial = target.with_suffix(".partial")  # one left by a killed run is overwritten
        picture.save(partial, format="PNG")
        os.replace(partial, target)
        outcome.crops.append(f"{name}.png")


def crop_all(
    tasks: list[Task], config: CropConfig, folder: Path, workers: int
) -> Iterator[Outcome]:
    """Crop the tasks' faces into a folder, in this process or in several -> outcomes in order."""
    workers = min(workers, len(tasks))
    if workers <= 1:
        cropper = Cropper(config, folder)
        yield from map(cropper.run, tasks)
        return
    pool = ProcessPoolExecutor(
        workers, multiprocessing.get_context("spawn"), _start_worker, (config, folder)
    )
    try:
        yield from pool.map(_run_task, tasks, chunksize=PHOTOS_AT_A_TIME)
    except BrokenProcessPool:
        raise BlendGANError(
            "a worker was ended from outside, perhaps for want of memory; the same command goes "
            "on, perhaps with fewer --workers"
        ) from None
    finally:
        pool.shutdown(cancel_futures=True)


def _start_worker(config: CropConfig, folder: Path) -> None:
    global _cropper
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's
    threading.Thread(target=_end_with_parent, daemon=True).start()
    torch.set_num_threads(1)
    _cropper = Cropper(config, folder)


def _end_with_parent() -> None:
    """A parent that is killed takes its workers along; they would wait for work for ever."""
    multiprocessing.parent_process().join()
    os._exit(1)


def _run_task(task: Task) -> Outcome:
    return _cropper.run(task)
