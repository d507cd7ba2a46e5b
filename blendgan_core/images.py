"""Picture files to tensors and back; inside the project a picture is float RGB in [-1, 1]."""

import io
import os
import secrets
import struct
import warnings
import zlib
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageOps
from torch import Tensor

from .errors import ImageError

READABLE = (".avif", ".bmp", ".gif", ".jpeg", ".jpg", ".png", ".tif", ".tiff", ".webp")
WRITABLE = {".png": "PNG", ".jpg": "JPEG", ".jpeg": "JPEG", ".webp": "WEBP"}
MAX_SIDE = {"WEBP": 16383, "JPEG": 65500}  # pixels
# Only plain raster formats: Pillow would hand an EPS file to Ghostscript, which runs its code.
FORMATS = ("PNG", "JPEG", "MPO", "WEBP", "BMP", "GIF", "TIFF", "AVIF")
MAX_PIXELS = 178_956_970  # Pillow's own limit; checked here too, because other packs switch it off
# All that Pillow was seen to raise on files with cut-off or random bytes.
DAMAGED = (
    *(OSError, SyntaxError, ValueError, EOFError, IndexError, RuntimeError),
    *(struct.error, zlib.error),
)


def read_image(path: str | Path) -> Tensor:
    """Read a picture upright, as [3, H, W] float RGB in [-1, 1].

    Transparent parts show white, greyscale becomes three equal channels, 16 bit greyscale keeps its
    precision, an animation gives its first frame. Raises ImageError for what cannot be read.
    """
    path = Path(path)
    _check_is_file(path)
    try:
        content = path.read_bytes()
    except PermissionError:
        raise ImageError(f"{path} may not be read; change its permissions") from None
    except OSError as error:
        raise ImageError(f"{path} cannot be read ({_one_line(error)})") from None
    return decode_image(content, path)


def decode_image(content: bytes, path: Path) -> Tensor:
    """What read_image gives for a file of this content; `path` names it in errors."""
    Image.init()
    formats = [name for name in FORMATS if name in Image.OPEN]  # an old Pillow knows no AVIF
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # odd EXIF entries, and sizes that _check_size allows
            with Image.open(io.BytesIO(content), formats=formats) as picture:
                _check_size(path, *picture.size)
                return _to_tensor(path, ImageOps.exif_transpose(picture))
    except ImageError:
        raise
    except Image.UnidentifiedImageError:
        raise ImageError(
            f"{path} is not a picture that can be read: expected a whole PNG, JPEG, WebP, BMP, GIF "
            f"or TIFF file, found {len(content)} bytes that begin with {content[:8]!r}; "
            "save it as PNG"
        ) from None
    except Image.DecompressionBombError:
        raise ImageError(_too_large(path, "too many")) from None
    except DAMAGED as error:
        raise ImageError(
            f"{path} is damaged or cut off ({_one_line(error)}): expected a whole picture; "
            "copy or download it again"
        ) from None


def write_image(path: str | Path, image: Tensor) -> None:
    """Write image [3, H, W] in [-1, 1] (values outside are clamped) as PNG, JPEG or WebP.

    The suffix chooses the format. Missing folders are made. The file appears whole or not at all.
    """
    path = Path(path)
    check_output(path)
    kind = WRITABLE[path.suffix.lower()]
    if max(image.shape[1:]) > MAX_SIDE.get(kind, 2**31):
        raise ImageError(
            f"{path}: {kind} holds at most {MAX_SIDE[kind]} pixels a side, found "
            f"{max(image.shape[1:])}; write a .png"
        )
    picture = Image.fromarray(to_uint8(image[None])[0])
    partial = path.with_name(f".{path.name}.{secrets.token_hex(4)}.partial")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            picture.save(partial, format=kind, quality=95)
            os.replace(partial, path)
        finally:
            partial.unlink(missing_ok=True)
    except OSError as error:
        raise ImageError(
            f"{path} cannot be written ({_one_line(error)}); choose a folder that you may write to"
        ) from None


def check_output(path: str | Path) -> None:
    """Raise ImageError now for a path that write_image would refuse later."""
    path = Path(path)
    if path.is_dir():
        raise ImageError(f"{path} is a folder: expected the name of a picture to write")
    if path.suffix.lower() not in WRITABLE:
        raise ImageError(
            f"{path} ends in {path.suffix or 'no suffix'!r}: expected {', '.join(WRITABLE)}; "
            "the suffix chooses the format"
        )
    folder = next((folder for folder in path.absolute().parents if folder.exists()), None)
    if folder is None:  # a drive of Windows that is not there
        raise ImageError(f"{path} cannot be written: there is no {path.absolute().anchor}")
    if not folder.is_dir() or not os.access(folder, os.W_OK | os.X_OK):
        problem = "you may not write in" if folder.is_dir() else "there is a file in the way,"
        raise ImageError(f"{path} cannot be written: {problem} {folder}; choose another folder")


def to_uint8(images: Tensor) -> np.ndarray:
    """images: [N, 3, H, W] in [-1, 1] -> [N, H, W, 3] uint8, each value rounded to the nearest.

    The official code truncates, which darkens a picture by half a level on average.
    """
    levels = (images.detach().float().clamp(-1, 1) + 1) * 127.5
    return levels.round().to(torch.uint8).permute(0, 2, 3, 1).contiguous().cpu().numpy()


def from_uint8(pixels: np.ndarray) -> Tensor:
    """pixels: [H, W, 3] uint8, such as np.array of a Pillow picture -> [3, H, W] in [-1, 1]."""
    return torch.from_numpy(pixels).permute(2, 0, 1).float() / 127.5 - 1


def center_square(image: Tensor) -> tuple[Tensor, bool]:
    """image: [.., H, W] -> its centre square [.., S, S], S = min(H, W); and whether that cut it."""
    height, width = image.shape[-2:]
    side = min(height, width)
    top, left = (height - side) // 2, (width - side) // 2
    return image[..., top : top + side, left : left + side], height != width


def list_images(folder: str | Path) -> list[Path]:
    """The picture files of a folder itself, by name; hidden files are left out.

    Raises ImageError if there is no such folder or no picture in it.
    """
    folder = Path(folder)
    if not folder.is_dir():
        found = "it is a file" if folder.exists() else "there is none"
        raise ImageError(f"{folder}: expected a folder of pictures, but {found}; check the path")
    try:
        files = sorted(path for path in folder.iterdir() if path.is_file())
    except OSError as error:
        raise ImageError(
            f"{folder} cannot be read ({_one_line(error)}); give another folder"
        ) from None
    images = [
        path for path in files if path.suffix.lower() in READABLE and not path.name.startswith(".")
    ]
    if not images:
        raise ImageError(
            f"{folder} holds no picture: expected files that end in {', '.join(READABLE)}, "
            f"found {len(files)} other files; put pictures there or give another folder"
        )
    return images


def _check_is_file(path: Path) -> None:
    if path.is_dir():
        raise ImageError(f"{path} is a folder: expected one picture; name a file in it")
    if not path.exists():
        raise ImageError(f"{path} does not exist: expected a picture; check the path")
    if path.stat().st_size == 0:
        raise ImageError(f"{path} is empty (0 bytes): expected a picture; copy it again")


def _check_size(path: Path, width: int, height: int) -> None:
    if width * height > MAX_PIXELS:
        raise ImageError(_too_large(path, f"{width} x {height}"))


def _too_large(path: Path, found: str) -> str:
    return (
        f"{path} is too large: expected at most {MAX_PIXELS / 1e6:.0f} million pixels, "
        f"found {found}; make it smaller"
    )


def _to_tensor(path: Path, picture: Image.Image) -> Tensor:
    """An upright Pillow picture of any mode -> [3, H, W] in [-1, 1]."""
    if picture.mode[0] in "IF":  # Pillow's own conversion would cut these off at 255
        grey = np.asarray(picture).astype(np.float32)  # [H, W]
        if picture.mode == "F" or grey.min() < 0 or grey.max() > 65535:
            raise ImageError(
                f"{path} holds 32 bit values: expected 8 or 16 bit; save it as an 8 bit PNG"
            )
        return torch.from_numpy(grey / 32767.5 - 1).expand(3, -1, -1).contiguous()
    if "transparency" in picture.info or picture.mode[-1] in "Aa":
        picture = picture.convert("RGBA")
        white = Image.new("RGBA", picture.size, "white")
        picture = Image.alpha_composite(white, picture)
    rgb = np.array(picture.convert("RGB"))  # [H, W, 3]
    return from_uint8(rgb)


def _one_line(error: Exception) -> str:
    text = getattr(error, "strerror", None) or str(error) or type(error).__name__
    return " ".join(text.split())
