"""Photos with faces at known places, for the tests of Align Faces and Paste Faces Back."""

import numpy as np
import torch
from test_paste_back import waves

POINTS = np.array([[40, 50], [60, 50], [50, 65], [42, 80], [58, 80]], dtype=np.float64)
BOX = {"x": 60.0, "y": 40.0, "width": 30.0, "height": 40.0, "label": "face", "score": 0.9}


def photo(width=160, height=120, count=1) -> torch.Tensor:
    """A smooth IMAGE; the frames are alike."""
    picture = (waves(width, height) + 1) / 2
    return picture.permute(1, 2, 0).expand(count, -1, -1, -1).contiguous()


def face(x=0.0, y=0.0, scale=0.4) -> dict:
    """A face as Detect Face Landmarks gives it: 478 points, of which the lids lie at the eye's
    middle. At scale 0.4 its crop is 43 pixels wide, around (20 + x, 21 + y)."""
    mesh = np.zeros((478, 2), dtype=np.float32)
    mesh[[33, 133, 159, 145, 160, 144, 158, 153]] = POINTS[0]
    mesh[[362, 263, 386, 374, 387, 373, 385, 380]] = POINTS[1]
    mesh[[1, 61, 291]] = POINTS[2:]
    mesh = mesh * scale + np.array([x, y], dtype=np.float32)
    box = np.concatenate([mesh.min(axis=0), mesh.max(axis=0)])
    return {"bbox_xyxy": box, "landmarks_xy": mesh, "blendshapes": {}, "score": 0.9}


def landmarks(*frames: list[dict], size=(120, 160)) -> dict:
    return {"frames": list(frames), "image_size": size, "connection_sets": {}}
