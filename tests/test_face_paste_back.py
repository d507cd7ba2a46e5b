"""Paste Faces Back, and clips through all nodes, run as ComfyUI runs them."""

import numpy as np
import pytest
import torch
from face_scenes import POINTS, face, landmarks, photo
from test_paste_back import tilted
from tiny_model import pictures

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


# the example


def test_every_example_picture_loads(pack, run):
    for picture, name in pack.nodes.example.PICTURES.items():
        image, found = run("BlendGANExample", picture=picture)
        size = (
            (720, 1080)
            if picture == "photo: group"
            else (128, 128)
            if "style" in name
            else (256, 256)
        )
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
