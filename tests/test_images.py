"""Pictures of every kind are read alike, bad ones are named, results are whole or not there."""

import struct
import zlib

import numpy as np
import pytest
import torch
from PIL import Image

from blendgan_core import images
from blendgan_core.errors import ImageError
from blendgan_core.images import center_square, list_images, read_image, to_uint8, write_image

RED = torch.tensor([1.0, -1.0, -1.0])
WHITE = torch.ones(3)


def level(value: int) -> float:
    """The [-1, 1] value of an 8 bit level, by hand: 0 is -1 and 255 is 1."""
    return value / 127.5 - 1


def assert_flat(image: torch.Tensor, color: torch.Tensor | float, tolerance: float = 1e-6) -> None:
    """Every pixel of image [3, H, W] has this color."""
    expected = torch.as_tensor(color).expand(3)[:, None, None].expand_as(image)
    torch.testing.assert_close(image, expected, atol=tolerance, rtol=0)


@pytest.mark.parametrize("suffix", ["png", "bmp", "gif", "tif", "webp", "jpg"])
def test_reads_each_format_as_float_rgb(tmp_path, suffix):
    Image.new("RGB", (20, 10), "red").save(tmp_path / f"a.{suffix}", quality=100)
    image = read_image(tmp_path / f"a.{suffix}")
    assert image.shape == (3, 10, 20) and image.dtype == torch.float32
    assert_flat(image, RED, tolerance=0.02 if suffix in ("jpg", "webp") else 1e-6)


def test_recognises_a_picture_by_its_content_not_its_name(tmp_path):
    Image.new("RGB", (4, 4), "red").save(tmp_path / "a.jpg", format="PNG")
    assert_flat(read_image(tmp_path / "a.jpg"), RED)


def test_transparent_parts_show_white(tmp_path):
    """By hand: half of red over white is (255, 127, 127), to the rounding of 8 bit."""
    Image.new("RGBA", (4, 4), (255, 0, 0, 0)).save(tmp_path / "clear.png")
    Image.new("RGBA", (4, 4), (255, 0, 0, 128)).save(tmp_path / "half.png")
    Image.new("LA", (4, 4), (0, 0)).save(tmp_path / "grey.png")
    palette = Image.new("P", (4, 4), 0)
    palette.putpalette([255, 0, 0])
    palette.save(tmp_path / "palette.png", transparency=0)
    for name in ("clear", "grey", "palette"):
        assert_flat(read_image(tmp_path / f"{name}.png"), WHITE)
    half = torch.tensor([1.0, level(127), level(127)])
    assert_flat(read_image(tmp_path / "half.png"), half, tolerance=0.01)


def test_grey_palette_and_cmyk_become_rgb(tmp_path):
    Image.new("L", (4, 4), 100).save(tmp_path / "grey.png")
    Image.new("1", (4, 4), 1).save(tmp_path / "bits.png")
    Image.new("RGB", (4, 4), "red").quantize(8).save(tmp_path / "palette.png")
    Image.new("CMYK", (4, 4), (0, 255, 255, 0)).save(tmp_path / "cmyk.jpg", quality=100)
    assert_flat(read_image(tmp_path / "grey.png"), level(100))
    assert_flat(read_image(tmp_path / "bits.png"), WHITE)
    assert_flat(read_image(tmp_path / "palette.png"), RED)
    assert_flat(read_image(tmp_path / "cmyk.jpg"), RED, tolerance=0.05)


@pytest.mark.parametrize("suffix", ["png", "tif"])
def test_sixteen_bit_grey_keeps_its_precision(tmp_path, suffix):
    """By hand: 0 is -1, 65535 is 1, and 32767 lies half a step of 16 bit below 0."""
    levels = np.array([[0, 32767, 65535]], dtype=np.uint16)
    Image.fromarray(levels).save(tmp_path / f"a.{suffix}")
    row = read_image(tmp_path / f"a.{suffix}")[:, 0]  # [3, W]
    expected = torch.tensor([-1.0, -0.5 / 32767.5, 1.0]).expand(3, -1)
    torch.testing.assert_close(row, expected, atol=1e-6, rtol=0)


def test_the_camera_rotation_is_undone(tmp_path):
    """EXIF orientation 6: the stored picture's top is the scene's right side."""
    stored = Image.new("RGB", (30, 20), "blue")
    stored.paste("red", (0, 0, 30, 5))
    exif = Image.Exif()
    exif[0x0112] = 6
    stored.save(tmp_path / "a.png", exif=exif)
    image = read_image(tmp_path / "a.png")
    assert image.shape == (3, 30, 20)
    assert_flat(image[:, :, 15:], RED)


BAD = {
    "nothing.png": (None, "does not exist: expected a picture"),
    "empty.png": (b"", "is empty"),
    "text.png": (b"hello, I am text", "not a picture that can be read: .* begin with b'hello, I'"),
    "eps.png": (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", "not a picture that can be"),
}


@pytest.mark.parametrize("name", BAD)
def test_a_bad_file_is_named_for_what_it_is(tmp_path, name):
    content, message = BAD[name]
    if content is not None:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(ImageError, match=message) as caught:
        read_image(tmp_path / name)
    assert str(caught.value).startswith(str(tmp_path / name))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("suffix", ["png", "jpg", "webp", "gif", "tif", "bmp"])
@pytest.mark.parametrize("share", [0.02, 0.5, 0.9])
def test_a_truncated_picture_is_an_image_error(tmp_path, suffix, share):
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    path = tmp_path / f"a.{suffix}"
    Image.fromarray(noise).save(path)
    whole = path.read_bytes()
    path.write_bytes(whole[: int(len(whole) * share)])
    with pytest.raises(ImageError, match="damaged or cut off|not a picture that can be read"):
        read_image(path)


def test_a_folder_is_no_picture(tmp_path):
    with pytest.raises(ImageError, match="is a folder: expected one picture"):
        read_image(tmp_path)


def png_header(width: int, height: int) -> bytes:
    """A PNG that promises this size and holds one empty line."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        body = kind + content
        return struct.pack(">I", len(content)) + body + struct.pack(">I", zlib.crc32(body))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + chunk(b"IDAT", zlib.compress(b"\0" * 10))
        + chunk(b"IEND", b"")
    )


@pytest.mark.parametrize("pillow_checks", [True, False])
def test_a_decompression_bomb_is_refused(tmp_path, monkeypatch, pillow_checks):
    if not pillow_checks:
        monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", None)  # what other packs do
    (tmp_path / "a.png").write_bytes(png_header(30000, 30000))
    with pytest.raises(ImageError, match="too large: expected at most 179 million pixels"):
        read_image(tmp_path / "a.png")


@pytest.mark.parametrize("suffix", ["png", "jpg", "jpeg", "webp", "PNG"])
def test_writes_what_it_reads(tmp_path, suffix):
    path = tmp_path / "new" / f"a.{suffix}"
    write_image(path, RED[:, None, None].expand(3, 8, 16))
    assert_flat(read_image(path), RED, tolerance=1e-6 if suffix.lower() == "png" else 0.02)
    assert [file.name for file in path.parent.iterdir()] == [path.name]


def test_a_written_picture_is_as_readable_as_any_new_file(tmp_path):
    write_image(tmp_path / "a.png", torch.zeros(3, 4, 4))
    (tmp_path / "b").touch()
    assert (tmp_path / "a.png").stat().st_mode == (tmp_path / "b").stat().st_mode


@pytest.mark.parametrize("name", ["a.gif", "a", "a.txt"])
def test_an_unknown_format_is_refused(tmp_path, name):
    with pytest.raises(ImageError, match="expected .png, .jpg, .jpeg, .webp"):
        write_image(tmp_path / name, torch.zeros(3, 4, 4))
    assert list(tmp_path.iterdir()) == []


def test_a_failed_write_leaves_the_old_picture_and_nothing_else(tmp_path, monkeypatch):
    path = tmp_path / "a.png"
    write_image(path, torch.zeros(3, 4, 4))
    before = path.read_bytes()

    def disk_full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(images.os, "replace", disk_full)
    with pytest.raises(ImageError, match="cannot be written .No space left on device"):
        write_image(path, torch.ones(3, 4, 4))
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


def test_a_file_in_the_way_of_a_folder_is_named(tmp_path):
    (tmp_path / "out").touch()
    with pytest.raises(ImageError, match="there is a file in the way"):
        write_image(tmp_path / "out" / "a.png", torch.zeros(3, 4, 4))


def test_to_uint8_rounds_and_clamps():
    """By hand: level 127.5 + 127.5 x, to the nearest; 0.0 lies on the tie and goes to even, 128."""
    values = torch.tensor([-2.0, -1.0, level(99), level(99) + 0.003, 0.0, 1.0, 2.0])
    out = to_uint8(values.expand(1, 3, 1, -1))
    assert out.shape == (1, 1, 7, 3) and out.dtype == np.uint8
    assert out[0, 0, :, 0].tolist() == [0, 0, 99, 99, 128, 255, 255]


def test_every_8_bit_level_survives_the_way_there_and_back(tmp_path):
    levels = np.arange(256, dtype=np.uint8).reshape(16, 16, 1).repeat(3, axis=2)
    Image.fromarray(levels).save(tmp_path / "a.png")
    assert (to_uint8(read_image(tmp_path / "a.png")[None])[0] == levels).all()


def test_center_square():
    wide = torch.arange(5.0).expand(3, 3, 5)
    square, was_cropped = center_square(wide)
    assert was_cropped and square.shape == (3, 3, 3) and square[0, 0].tolist() == [1, 2, 3]
    square, was_cropped = center_square(wide.mT)
    assert was_cropped and square[0, :, 0].tolist() == [1, 2, 3]
    same, was_cropped = center_square(square)
    assert not was_cropped and same.shape == square.shape


def test_list_images_sorts_and_leaves_out_what_is_no_picture(tmp_path):
    for name in ("b.JPG", "a.png", "c.txt", ".hidden.png", "d.webp"):
        (tmp_path / name).touch()
    (tmp_path / "e.png").mkdir()
    assert [path.name for path in list_images(tmp_path)] == ["a.png", "b.JPG", "d.webp"]


def test_a_folder_without_pictures_is_an_error(tmp_path):
    (tmp_path / "notes.txt").touch()
    with pytest.raises(ImageError, match="holds no picture: .* found 1 other files"):
        list_images(tmp_path)
    with pytest.raises(ImageError, match="expected a folder of pictures, but there is none"):
        list_images(tmp_path / "nothing")
