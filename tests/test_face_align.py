"""Align Faces, run as ComfyUI runs it: where faces are found, and what it tells if they are not."""

from pathlib import Path

import numpy as np
import pytest
import torch
from face_scenes import BOX, POINTS, face, landmarks, photo
from PIL import Image
from tiny_model import pictures

# where faces are


@pytest.mark.parametrize("boxes", [BOX, [BOX], [[BOX]], [[BOX], [BOX]]])
def test_boxes_masks_and_widgets_agree(align, boxes):
    """A box of 30 x 40 at (60, 40) with the margin 1.6 is a crop of 64 around (75, 60)."""
    image = photo(count=2)
    _, transform, _ = align(image, bboxes=boxes)
    assert transform.frames == (0, 1)
    for quad in transform.quads:
        np.testing.assert_allclose(quad[[0, 2]], [[42.5, 27.5], [106.5, 91.5]])
    mask = torch.zeros(1, 120, 160)
    mask[:, 40:80, 60:90] = 1
    half = mask[:, ::2, ::2]
    widgets = {"x": 60, "y": 40, "width": 30, "height": 40}
    for inputs in ({"mask": mask}, {"mask": half}, {"find": "manual box", **widgets}):
        _, same, squares = align(image, **inputs)
        np.testing.assert_allclose(same.quads, transform.quads)
        assert squares.sum() == 2 * 64 * 64 and squares[:, 28:92, 43:107].all()


def test_auto_takes_the_best_that_is_connected(align):
    image = photo()
    found = landmarks([face(30, 20)])
    mask = torch.ones(1, 120, 160)

    def quads(**inputs):
        return align(image, **inputs)[1].quads

    by_landmarks = quads(find="landmarks", face_landmarks=found)
    by_box = quads(find="bboxes", bboxes=BOX)
    np.testing.assert_array_equal(quads(face_landmarks=found, bboxes=BOX, mask=mask), by_landmarks)
    np.testing.assert_array_equal(quads(bboxes=BOX, mask=mask), by_box)
    np.testing.assert_array_equal(quads()[0][[0, 2]], [[19.5, -0.5], [139.5, 119.5]])
    np.testing.assert_array_equal(quads(find="whole picture", bboxes=BOX), quads())


def test_faces_are_found_with_nothing_connected(align, nodes):
    """The widget's first choice; what is connected goes first."""
    photos = Path(__file__).parents[1] / "docs" / "images" / "group.jpg"
    image = torch.from_numpy(np.array(Image.open(photos))).float()[None] / 255
    schema = nodes["FaceAlign"].GET_NODE_INFO_V1()["input"]["required"]
    assert schema["find"][1]["default"] == "faces"
    faces, transform, _ = align(image, find="faces")
    assert len(faces) == 4 and transform.frames == (0,) * 4  # of five
    by_box = align(image, find="bboxes", bboxes=BOX)[1].quads
    np.testing.assert_array_equal(align(image, find="faces", bboxes=BOX)[1].quads, by_box)


def test_the_whole_picture_is_only_resized(align):
    """A picture that is a crop already comes out as it is, to 8 bits."""
    image = pictures(1, 64, 64)
    faces, _, _ = align(image)
    torch.testing.assert_close(faces, image, atol=0.5 / 255 + 1e-6, rtol=0)


@pytest.mark.parametrize("count", [5, 68])
def test_other_landmarks_than_a_mesh_do(align, count):
    points = POINTS * 0.4 + [50, 30]
    if count == 68:
        points = np.concatenate(
            [np.zeros((36, 2)), [points[0]] * 6, [points[1]] * 6, np.zeros((20, 2))]
        )
        points[[30, 48, 54]] = (POINTS * 0.4 + [50, 30])[2:]
    other = {"landmarks_xy": torch.from_numpy(points)}
    _, found, _ = align(photo(), face_landmarks=landmarks([other]))
    _, mesh, _ = align(photo(), face_landmarks=landmarks([face(50, 30)]))
    np.testing.assert_allclose(found.quads, mesh.quads, atol=1e-4)


def test_landmarks_of_a_smaller_version_are_scaled(align):
    _, small, _ = align(photo(80, 60), face_landmarks=landmarks([face(20, 10)], size=(60, 80)))
    _, large, _ = align(photo(), face_landmarks=landmarks([face(20, 10)], size=(60, 80)))
    np.testing.assert_allclose(large.quads + 0.5, 2 * (small.quads + 0.5))


def test_a_face_is_chosen(align):
    image = photo(count=2)
    found = landmarks([face(90, 40, 0.5), face(20, 20)], [face(30, 30)])
    for inputs, frames in [
        ({"face": "all"}, (0, 0, 1)),
        ({"face": "largest"}, (0, 1)),
        ({"face": "by index", "index": 1}, (0,)),
    ]:
        faces, transform, _ = align(image, face_landmarks=found, **inputs)
        assert transform.frames == frames and len(faces) == len(frames)


# frames without a face, and what cannot be


def test_frames_without_a_face_pass_through(align, paste, refusal):
    image = pictures(4, 120, 160)
    found = landmarks([face(30, 20)], [], [face(34, 20)], [])
    faces, transform, mask = align(image, face_landmarks=found, smoothing=1.0)
    assert transform.frames == (0, 2) and len(faces) == 2
    result, painted = paste(image, torch.zeros_like(faces), transform, colour_match=0.5)
    assert torch.equal(result[1::2], image[1::2]) and not painted[1::2].any()
    assert not mask[1::2].any() and (result[::2] != image[::2]).any()
    told = refusal(image, face_landmarks=found, missing="error if any")
    assert "no face was found in 2 of 4 pictures, first in picture 1" in told


def test_a_clip_without_any_face_goes_on(align, paste, refusal):
    """One crop stands in, so that the nodes in between have something to do; nothing is painted."""
    image = pictures(3, 120, 160)
    nobody = landmarks([], [], [])
    told = refusal(image, face_landmarks=nobody)
    assert "no face was found in 3 of 3 pictures" in told and "manual box" in told
    faces, transform, mask = align(image, face_landmarks=nobody, missing="pass through")
    assert faces.shape == (1, 64, 64, 3) and transform.quads.shape == (0, 4, 2) and not mask.any()
    result, painted = paste(image, torch.zeros_like(faces), transform)
    assert torch.equal(result, image) and not painted.any()


def test_a_face_cut_by_the_border(align, paste, refusal, caplog):
    """Some of it beyond is made up; more than 60% is too much, which is said."""
    image = photo()
    some = landmarks([face(-10, 30)])
    faces, transform, _ = align(image, face_landmarks=some)
    result, _ = paste(image, faces, transform)
    assert (result - image).abs().max() < 0.1  # what is mirrored is blurred, too, near the border
    half_gone = landmarks([face(-30, 30), face(50, 30)])
    faces, _, _ = align(image, face_landmarks=half_gone)
    assert (
        len(faces) == 1
        and "left out 1 faces (picture 0: a face is cut by the border" in caplog.text
    )
    told = refusal(image, face_landmarks=landmarks([face(-30, 30)]))
    assert "cut by the border" in told and "% of its crop lies beyond it" in told
    assert "100% of its crop" in refusal(image, find="manual box", x=1000, y=0)


@pytest.mark.parametrize("channels", [3, 4])
def test_a_picture_of_one_pixel(align, paste, channels):
    image = torch.full((1, 1, 1, channels), 0.25)
    faces, transform, mask = align(image)
    assert faces.shape == (1, 64, 64, 3) and mask.tolist() == [[[1.0]]]
    result, painted = paste(image, torch.ones_like(faces), transform)
    assert painted.tolist() == [[[1.0]]] and result[0, 0, 0, :3].tolist() == [1, 1, 1]


@pytest.mark.parametrize(
    ("inputs", "message"),
    [
        ({"face_landmarks": landmarks([{"landmarks_xy": [[1, 2]]}])}, "expected 5, 68, 468 or 478"),
        ({"face_landmarks": landmarks([{"landmarks_xy": "no"}])}, "expected 5, 68, 468 or 478"),
        ({"bboxes": [{**BOX, "width": 0}]}, "holds no face"),
        ({"bboxes": []}, "no face was found"),
        ({"mask": torch.zeros(1, 64, 64)}, "the mask is empty, as Load Image's is"),
    ],
)
def test_faces_that_cannot_be_used_are_told(refusal, inputs, message):
    told = refusal(photo(), **inputs)
    assert "no face was found in 1 of 1 pictures" in told and message in told


@pytest.mark.parametrize(
    ("inputs", "message"),
    [
        ({"find": "landmarks"}, "nothing is connected to face_landmarks"),
        ({"find": "mask"}, "nothing is connected to mask"),
        ({"face_landmarks": {"frames": 3}}, "expected the output of Detect Face Landmarks"),
        ({"face_landmarks": landmarks([], [])}, "made for 2 pictures, but there are 3"),
        ({"face_landmarks": landmarks([], size=(120, 120))}, "120 x 120 pixels, these have 160 x"),
        ({"bboxes": [[BOX], [BOX]]}, "made for 2 pictures, but there are 3"),
        ({"bboxes": [{"x": 1}]}, "expected boxes with x, y, width and height"),
        ({"mask": torch.ones(1, 64, 64)}, "64 x 64 pixels, these have 160 x 120"),
        ({"bboxes": BOX, "face": "by index", "index": 1}, "face 1 was asked for"),
    ],
)
def test_bad_input_is_told(core, align, inputs, message):
    with pytest.raises(core.BlendGANError, match=message):
        align(photo(count=3), **inputs)
