"""Five points on faces: what the networks say, brought to the photo's pixels; how they learn."""

import json
import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from blendgan_core.errors import CheckpointError
from blendgan_core.face_networks import CROP, STRIDE, FaceFinder, PointRefiner
from blendgan_core.face_points import FacePoints, load_networks, similarity, template
from trainer.camera import jpeg
from trainer.five_points import FivePointsConfig, train_five_points
from trainer.five_points_cutouts import cut_out
from trainer.five_points_samples import Cutouts, draw_samples
from trainer.portrait_attributes import draw_attributes
from trainer.portraits import paint_portrait


class BrightSpot(nn.Module):
    """Stands in for the finder: a face is where a spot is white, of the template's shape."""

    def forward(self, image):
        share = nn.functional.avg_pool2d(image.mean(dim=1, keepdim=True), STRIDE)[:, 0]
        points = (template() - CROP / 2) / 2  # its eyes are 10 pixels apart
        shape = (len(image), 5, 2, *share.shape[1:])
        return 200 * (share - 0.9), points[None, :, :, None, None].expand(shape)


class Contented(nn.Module):
    """Stands in for the refiner: every face is where it should be."""

    def forward(self, image):
        count = len(image)
        return template().expand(count, 5, 2), torch.ones(count, 5), torch.full((count,), 5.0)


@pytest.mark.parametrize(("width", "height"), [(320, 240), (131, 317), (900, 601)])
def test_what_is_found_at_any_size_comes_back_in_the_photos_pixels(width, height):
    image = torch.full((3, height, width), -1.0)
    x, y = round(0.7 * width), round(0.4 * height)
    image[:, y - 12 : y + 12, x - 12 : x + 12] = 1
    faces = FacePoints(BrightSpot(), Contented())(image)
    assert faces
    spread = template().numpy() - CROP / 2
    for face in faces:
        scale = np.hypot(*(face[1] - face[0])) / np.hypot(*(spread[1] - spread[0]))
        middle = (face - spread * scale).mean(axis=0)
        np.testing.assert_allclose(middle, [x - 0.5, y - 0.5], atol=12)  # inside the spot


def test_similarity_by_hand():
    """Doubled, turned by a quarter, moved by (3, 4)."""
    here = torch.view_as_complex(template())
    there = torch.view_as_real(2j * here + complex(3, 4))
    turn, move = similarity(there[None])
    torch.testing.assert_close(turn, torch.tensor([2j]))
    torch.testing.assert_close(move, torch.tensor([3 + 4j]), atol=1e-4, rtol=0)


def test_the_mirrored_photo_has_the_mirrored_points():
    """The refiner looks at both, whatever its weights."""
    torch.manual_seed(0)
    finder = FacePoints(FaceFinder(), PointRefiner(8))
    picture = torch.rand(1, 3, 90, 120)
    points = torch.tensor([[[40.0, 30], [70, 34], [52, 50], [42, 62], [64, 66]]])
    straight, certainty = finder._refine(picture, points)
    mirrored = torch.stack([120 - points[..., 0], points[..., 1]], dim=2)[:, [1, 0, 2, 4, 3]]
    other, same = finder._refine(picture.flip(3), mirrored)
    torch.testing.assert_close(other[:, [1, 0, 2, 4, 3], 0], 120 - straight[..., 0])
    torch.testing.assert_close(other[:, [1, 0, 2, 4, 3], 1], straight[..., 1])
    torch.testing.assert_close(certainty, same)


def test_a_portrait_is_cut_out():
    """On any backdrop it is painted as painted there; the corners are empty, the nose is not."""
    attributes = replace(draw_attributes(np.random.default_rng(3)), hair_length=0.1, hat="")
    cutout = cut_out(attributes, 48)
    rng = np.random.default_rng(attributes.seed)
    painted = np.clip(paint_portrait(attributes, 48, rng, backdrop=0.6), 0, 1)
    laid = cutout[..., :3] + (1 - cutout[..., 3:]) * 0.6
    assert np.abs(laid - painted).mean() < 0.01
    assert cutout[0, 0, 3] < 0.01 and cutout[26, 24, 3] > 0.99


def test_samples_say_where_the_points_are():
    """Cut-outs are black with a white dot at every point; it stays bright wherever it goes."""
    axis = (np.arange(128) + 0.5) / 128
    known = np.array([[0.38, 0.42], [0.62, 0.42], [0.5, 0.55], [0.4, 0.68], [0.6, 0.68]])
    away = (axis[None, None] - known[:, 0, None, None]) ** 2
    away = away + (axis[None, :, None] - known[:, 1, None, None]) ** 2
    dots = np.exp(-away / (2 * 0.018**2)).max(axis=0)
    picture = torch.from_numpy(np.stack([dots, dots, dots, np.ones_like(dots)]) * 255).byte()
    cutouts = Cutouts(picture[None], torch.from_numpy(known)[None].float())
    scenes = torch.zeros(2, 3, 32, 32, dtype=torch.uint8)
    for finding in (False, True):
        source = cutouts.halved() if finding else cutouts
        samples = draw_samples(source, scenes, 64, finding, torch.Generator().manual_seed(0))
        lit = []
        for image, points, is_face in zip(*vars(samples).values(), strict=True):
            unit = points * (2 / CROP) - 1
            if is_face and unit.abs().max() < 0.95:
                grey = image.mean(dim=0)[None, None]
                at = nn.functional.grid_sample(grey, unit[None, None], align_corners=False)
                lit.append((at > grey.mean() + grey.std()).float().mean().item())
        assert len(lit) > 20 and np.mean(lit) > 0.8


def test_jpeg_keeps_flat_blocks_and_loses_fine_ones():
    torch.manual_seed(0)
    images = torch.rand(2, 3, 16, 24)
    torch.testing.assert_close(jpeg(images, torch.full((2,), 1e-6)), images, atol=1e-4, rtol=0)
    coarse = jpeg(images, torch.full((2,), 4.0))
    blocks = coarse.unfold(2, 8, 8).unfold(3, 8, 8)
    assert blocks.std(dim=(4, 5)).max() < images.std() / 2


def test_ten_steps_learn_and_a_resumed_run_equals_an_unbroken_one(tmp_path, monkeypatch):
    flags = {"people": 4, "scenes": 4, "batch": 8, "save_every": 5, "device": "cpu"}
    monkeypatch.setattr("trainer.five_points.HELD_OUT", 4)
    flags |= {"cutouts": tmp_path, "ema_images": 10}
    config = FivePointsConfig(out=tmp_path / "whole", steps=10, **flags)
    whole = train_five_points(config)
    rows = [json.loads(line) for line in (tmp_path / "whole" / "log.jsonl").open()]
    assert math.isfinite(rows[-1]["metric_error"]) and rows[-1]["find"] > 0
    broken = replace(config, out=tmp_path / "broken", steps=5)
    train_five_points(broken)
    again = train_five_points(replace(broken, steps=10, resume=True))
    assert again.read_bytes() == whole.read_bytes()
    finder, refiner = load_networks(whole)
    assert isinstance(finder, FaceFinder) and isinstance(refiner, PointRefiner)


def test_another_file_is_refused(tmp_path: Path):
    with pytest.raises(CheckpointError, match="does not exist"):
        load_networks(tmp_path / "none.safetensors")
    wrong = tmp_path / "wrong.safetensors"
    wrong.write_text("no checkpoint")
    with pytest.raises(CheckpointError, match="expected 'blendgan-face-points'"):
        load_networks(wrong)
