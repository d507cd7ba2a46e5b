"""Align Faces and Paste Faces Back, run as ComfyUI runs them: whole photos, clips, bad input."""

import inspect

import numpy as np
import pytest
import torch
from test_paste_back import tilted, waves
from tiny_model import pictures

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


@pytest.fixture
def align(nodes, run):
    """align(image, ..): the node with its widgets as they are at first."""
    schema = nodes["FaceAlign"].GET_NODE_INFO_V1()["input"]["required"]
    defaults = {
        name: options["default"] for name, (_, options) in schema.items() if "default" in options
    }
    defaults["resolution"] = 64
    return lambda image, **inputs: run("FaceAlign", image=image, **{**defaults, **inputs})


@pytest.fixture
def paste(run):
    def paste_back(image, faces, transform, shape="oval", feather=0.3, colour_match=0.0, **more):
        widgets = {"shape": shape, "feather": feather, "colour_match": colour_match}
        return run(
            "FacePasteBack", image=image, faces=faces, transform=transform, **widgets, **more
        )

    return paste_back


# there and back


@pytest.mark.parametrize("colour_match", [0.0, 1.0])
def test_unchanged_faces_leave_the_photo_as_it_was(align, paste, colour_match):
    image = photo()
    found = landmarks([face(30, 20), face(90, 60, 0.3)])
    faces, transform, mask = align(image, face_landmarks=found)
    assert faces.shape == (2, 64, 64, 3) and mask.shape == (1, 120, 160)
    result, painted = paste(image, faces, transform, colour_match=colour_match)
    assert result.shape == image.shape and painted.shape == mask.shape
    assert (result - image).abs().max() < 0.02
    assert painted.max() == 1 and not painted[mask == 0].any()


def test_outside_of_the_mask_nothing_changes(align, paste):
    """To the last bit, whatever is painted; and inside of it everything does."""
    image = pictures(2, 120, 160)
    found = landmarks([face(30, 20)], [face(60, 10), face(10, 60, 0.3)])
    faces, transform, _ = align(image, face_landmarks=found)
    result, painted = paste(image, pictures(3, 48, 40, seed=5), transform, colour_match=0.5)
    assert torch.equal(result[painted == 0], image[painted == 0])
    changed = (result != image).any(dim=-1)
    assert changed[painted > 0.01].float().mean() > 0.99


@pytest.mark.parametrize("scale", [2, 0.5])
def test_a_photo_may_be_enlarged_in_between(align, paste, scale):
    """Its faces then go where they are in the larger one."""
    image = photo()
    faces, transform, _ = align(image, face_landmarks=landmarks([face(50, 30)]))
    size = (int(120 * scale), int(160 * scale))
    larger = torch.nn.functional.interpolate(
        image.movedim(-1, 1), size=size, mode="bilinear", antialias=True
    ).movedim(1, -1)
    result, painted = paste(larger, faces, transform)
    assert painted.max() == 1 and (result - larger).abs().max() < 0.05


def test_large_faces_cover_small_ones(align, paste):
    """Two crops around one place; the smaller one, though second, is under the larger one."""
    image = photo()
    found = landmarks([face(50, 30, 0.5), face(56, 34, 0.4)])
    faces, transform, _ = align(image, face_landmarks=found)
    plain = torch.tensor([0.0, 1.0]).view(2, 1, 1, 1).expand(2, 8, 8, 3)
    order = np.argsort([-(quad[3] - quad[0])[0] for quad in transform.quads])
    result, _ = paste(image, plain[order.argsort()], transform, feather=0.05)
    x, y = transform.quads[order[0]].mean(axis=0).round().astype(int)
    assert result[0, y, x].max() < 1e-6


def test_alpha_and_half_precision_stay(align, paste):
    image = torch.cat([photo(), torch.full((1, 120, 160, 1), 0.25)], dim=-1)
    faces, transform, _ = align(image, face_landmarks=landmarks([face(50, 30)]))
    assert faces.shape == (1, 64, 64, 3)
    result, painted = paste(image, torch.zeros_like(faces), transform)
    assert result.shape == image.shape and torch.equal(result[..., 3], image[..., 3])
    assert torch.equal(result[painted == 0], image[painted == 0]) and result[0, 51, 70, 0] == 0
    half = photo().half()
    result, painted = paste(half, faces, transform, colour_match=0.3)
    assert torch.equal(result[painted == 0], half.to(result.dtype)[painted == 0])


def test_a_mask_limits_the_paint(align, paste):
    """Of half the size of the photo; painting is allowed in its right half."""
    image = photo(count=2)
    faces, transform, _ = align(image, face_landmarks=landmarks([face(60, 30)]))
    mask = torch.zeros(1, 60, 80)
    mask[:, :, 40:] = 1
    result, painted = paste(image, torch.zeros_like(faces), transform, mask=mask)
    assert not painted[:, :, :78].any() and painted[:, :, 82:].any()
    assert torch.equal(result[:, :, :78], image[:, :, :78])
    result, painted = paste(
        image, torch.zeros_like(faces), transform, mask=torch.zeros(2, 120, 160)
    )
    assert torch.equal(result, image) and not painted.any()


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


def test_frames_without_a_face_pass_through(align, paste):
    image = pictures(4, 120, 160)
    found = landmarks([face(30, 20)], [], [face(34, 20)], [])
    faces, transform, mask = align(image, face_landmarks=found, smoothing=1.0)
    assert transform.frames == (0, 2) and len(faces) == 2
    result, painted = paste(image, torch.zeros_like(faces), transform, colour_match=0.5)
    assert torch.equal(result[1::2], image[1::2]) and not painted[1::2].any()
    assert not mask[1::2].any() and (result[::2] != image[::2]).any()
    with pytest.raises(
        ValueError, match="no face was found in 2 of 4 pictures, first in picture 1"
    ):
        align(image, face_landmarks=found, missing="error if any")


def test_a_clip_without_any_face_goes_on(align, paste):
    """One crop stands in, so that the nodes in between have something to do; nothing is painted."""
    image = pictures(3, 120, 160)
    nobody = landmarks([], [], [])
    with pytest.raises(ValueError, match="no face was found in 3 of 3 pictures.*manual box"):
        align(image, face_landmarks=nobody)
    faces, transform, mask = align(image, face_landmarks=nobody, missing="pass through")
    assert faces.shape == (1, 64, 64, 3) and transform.quads.shape == (0, 4, 2) and not mask.any()
    result, painted = paste(image, torch.zeros_like(faces), transform)
    assert torch.equal(result, image) and not painted.any()


def test_a_face_cut_by_the_border(align, paste, caplog):
    """A quarter beyond it is made up; more than half is too much, which is said."""
    image = photo()
    some = landmarks([face(-10, 30)])
    faces, transform, _ = align(image, face_landmarks=some)
    result, _ = paste(image, faces, transform)
    assert (result - image).abs().max() < 0.1  # what is mirrored is blurred, too, near the border
    half_gone = landmarks([face(-25, 30), face(50, 30)])
    faces, _, _ = align(image, face_landmarks=half_gone)
    assert (
        len(faces) == 1
        and "left out 1 faces (picture 0: a face is cut by the border" in caplog.text
    )
    with pytest.raises(ValueError, match="cut by the border, .*% of its crop lies beyond it"):
        align(image, face_landmarks=landmarks([face(-25, 30)]))
    with pytest.raises(ValueError, match="100% of its crop"):
        align(image, find="manual box", x=1000, y=0)


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
        ({"find": "landmarks"}, "nothing is connected to face_landmarks"),
        ({"find": "mask"}, "nothing is connected to mask"),
        ({"face_landmarks": {"frames": 3}}, "expected the output of Detect Face Landmarks"),
        ({"face_landmarks": landmarks([], [])}, "made for 2 pictures, but there are 3"),
        ({"face_landmarks": landmarks([], size=(120, 120))}, "120 x 120 pixels, these have 160 x"),
        ({"face_landmarks": landmarks([{"landmarks_xy": [[1, 2]]}])}, "expected 5, 68, 468 or 478"),
        ({"face_landmarks": landmarks([{"landmarks_xy": "no"}])}, "expected 5, 68, 468 or 478"),
        ({"bboxes": [[BOX], [BOX]]}, "made for 2 pictures, but there are 3"),
        ({"bboxes": [{"x": 1}]}, "expected boxes with x, y, width and height"),
        ({"bboxes": [{**BOX, "width": 0}]}, "holds no face"),
        ({"bboxes": []}, "no face was found"),
        ({"mask": torch.zeros(1, 64, 64)}, "the mask is empty, as Load Image's is"),
        ({"mask": torch.ones(1, 64, 64)}, "64 x 64 pixels, these have 160 x 120"),
        ({"bboxes": BOX, "face": "by index", "index": 1}, "face 1 was asked for"),
    ],
)
def test_bad_input_is_told(core, align, inputs, message):
    with pytest.raises(core.BlendGANError, match=message):
        align(photo(count=3), **inputs)


def test_wrong_counts_and_sizes_are_told(core, align, paste):
    image = photo(count=2)
    faces, transform, _ = align(image, face_landmarks=landmarks([face(30, 20)]))
    for crops in (faces[:1], faces.repeat(2, 1, 1, 1)):
        with pytest.raises(core.BlendGANError, match=f"gave 2 crops, but {len(crops)} faces"):
            paste(image, crops, transform)
    with pytest.raises(core.BlendGANError, match="2 pictures of 160 x 120 pixels, but image has 1"):
        paste(image[:1], faces, transform)
    with pytest.raises(core.BlendGANError, match="has 2 of 120 x 120"):
        paste(image[:, :, :120], faces, transform)
    with pytest.raises(core.BlendGANError, match=r"mask is \[3, 120, 160\], expected 1 or 2"):
        paste(image, faces, transform, mask=torch.ones(3, 120, 160))


# clips


def test_a_still_face_does_not_flicker(pack, run, model, align, paste):
    """The whole way: the landmarks tremble, the frames are alike, and so is what comes out."""
    generator = np.random.default_rng(0)
    shaken = [[face(*(np.array([50, 30]) + generator.normal(0, 0.05, 2)))] for _ in range(5)]
    image = photo(count=5)
    faces, transform, _ = align(image, face_landmarks=landmarks(*shaken), smoothing=2.0)
    (code,) = run("PSPInvert", model=model, image=faces)
    (style,) = run("StyleLatent", model=model, seed=9, batch_size=1)
    (blended,) = run("WBMBlend", model=model, face=code, style=style, indicator=2, theta=1.0)
    stylised, _ = run("BlendGANGenerate", model=model, blended=blended, noise="fixed", seed=0)
    result, _ = paste(image, faces, transform, colour_match=0.5)
    assert (result == result[0]).all() and (faces == faces[0]).all()
    result, painted = paste(image, stylised, transform, colour_match=0.5)
    assert (result - result[0]).abs().max() < 1e-5 and painted.max() == 1


def test_chunks_change_nothing_and_cancel_takes_effect(pack, align, paste, monkeypatch):
    from comfy import model_management

    image = pictures(3, 120, 160)
    inputs = {"face_landmarks": landmarks([face(30, 20), face(80, 60)])}
    whole = align(image, **inputs)
    result = paste(image, whole[0], whole[1])
    monkeypatch.setattr(pack.nodes.devices, "CHUNK_PIXELS", 1)
    chunked = align(image, **inputs)
    assert torch.equal(whole[0], chunked[0]) and torch.equal(whole[2], chunked[2])
    assert torch.equal(result[0], paste(image, chunked[0], chunked[1])[0])
    for action in (lambda: align(image, **inputs), lambda: paste(image, whole[0], whole[1])):
        model_management.interrupt_current_processing()
        with pytest.raises(model_management.InterruptProcessingException):
            action()


def test_the_transform_names_nothing_of_the_model(pack):
    """What travels between the two nodes is plain: sizes, numbers and corners."""
    fields = inspect.signature(pack.nodes.types.Transform).parameters
    assert list(fields) == ["count", "width", "height", "frames", "quads"]


# the example


def test_every_example_picture_loads(pack, run):
    for picture in pack.nodes.example.PICTURES:
        image, found = run("BlendGANExample", picture=picture)
        size = (720, 1080) if picture == "photo: group" else (256, 256)
        assert image.shape == (1, *size, 3) and 0 <= image.min() < image.max() <= 1
        assert found["image_size"] == size and len(found["frames"]) == 1


def test_an_aligned_example_is_its_own_crop(align, run):
    image, found = run("BlendGANExample", picture="photo: astronaut")
    _, transform, _ = align(image, face_landmarks=found)
    np.testing.assert_allclose(
        transform.quads[0][[0, 2]], [[-0.5, -0.5], [255.5, 255.5]], atol=0.02
    )


def test_the_example_clip_goes_around(align, run):
    """The camera comes back; faces enter and leave; what it sees is where the landmarks say: the
    crops of a face in two frames look alike."""
    clip, found = run("BlendGANExample", picture="photo: group", frames=8)
    assert clip.shape == (8, 490, 734, 3) and found["image_size"] == (490, 734)
    counts = [len(faces) for faces in found["frames"]]
    assert len(counts) == 8 and min(counts) >= 1 and len(set(counts)) > 1
    faces, transform, _ = align(clip, face_landmarks=found)
    assert len(faces) == sum(counts)
    still, all_faces = run("BlendGANExample", picture="photo: group")
    known, _, _ = align(still, face_landmarks=all_faces)
    middle = slice(20, 44)  # further out a crop may be made up, where the camera sees no more
    for crop in faces:
        difference = (known - crop)[:, middle, middle].abs().mean(dim=(1, 2, 3))
        assert difference.min() < 0.02, difference


def test_quads_of_a_turned_face_are_cut_upright(align):
    """A picture turned by 90 degrees has the same crop, but for rounding."""
    image = photo(120, 120)
    quad = tilted((60, 50), 40, 0)
    upright, _, _ = align(image, find="manual box", x=40, y=30, width=40, height=40, margin=1.0)
    points = POINTS.copy()
    points = (points - [50, 53]) * 40 / 108 + quad.mean(axis=0)
    turned_points = np.stack([119 - points[:, 1], points[:, 0]], axis=1)  # clockwise
    turned_image = torch.rot90(image, -1, (1, 2))
    crop, _, _ = align(
        turned_image, face_landmarks=landmarks([{"landmarks_xy": turned_points}], size=(120, 120))
    )
    assert (crop - upright).abs().max() < 0.03
