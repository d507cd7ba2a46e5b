"""Where pictures come from: a folder, a picture, a zip, WebDataset shards (local tars or URLs).

Nothing is ever unpacked to disk. The folder inside a source in which a picture lies is its style;
all shards of one address are one source.
"""

import glob
import itertools
import re
import tarfile
import threading
import zipfile
from collections.abc import Iterable
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import Protocol

from torch import Tensor

from blendgan_core.errors import BlendGANError, ImageError
from blendgan_core.images import DAMAGED, READABLE, decode_image, read_image

from .shard_downloads import as_url, download_shards

FORMS = "a folder, a picture, a .zip, or shards such as faces-{000000..000009}.tar"
RANGE = re.compile(r"\{(\d+)\.\.(\d+)\}")


class PictureSource(Protocol):
    """Pictures by number; read may be called from several threads."""

    label: Path
    """what messages and styles call it"""
    names: list[PurePosixPath]
    """the pictures in a fixed order, with their folders inside the source; they may repeat"""

    def read(self, index: int) -> Tensor:
        """One picture -> [3, H, W] in [-1, 1], see blendgan_core.images; ImageError."""


class FolderSource:
    """All pictures below a folder, or one picture."""

    def __init__(self, path: Path):
        found = find_pictures(path)
        self.label = path if path.is_dir() else path.parent
        self.names = [PurePosixPath(file.relative_to(self.label).as_posix()) for file in found]

    def read(self, index: int) -> Tensor:
        return read_image(self.label / self.names[index])


class ZipSource:
    """The pictures of a zip."""

    def __init__(self, path: Path):
        self.label = path
        self._lock = threading.Lock()  # members share one file handle
        try:
            self._zip = zipfile.ZipFile(path)
        except (zipfile.BadZipFile, OSError) as error:
            raise BlendGANError(
                f"{path} cannot be read ({error}); expected a whole zip of pictures"
            ) from None
        members = sorted(self._zip.infolist(), key=lambda member: member.filename)
        self._members = [file for file in members if _is_member_picture(path, file.filename)]
        self.names = [PurePosixPath(member.filename) for member in self._members]
        _refuse_empty(self)

    def read(self, index: int) -> Tensor:
        path = self.label / self.names[index]
        try:
            with self._lock:
                content = self._zip.read(self._members[index])
        # the last is a compression that this Python lacks
        except (zipfile.BadZipFile, *DAMAGED, NotImplementedError) as error:
            raise ImageError(f"{path} cannot be unpacked ({error})") from None
        return decode_image(content, path)


class ShardSource:
    """The pictures of some tars in their order; other members are passed over."""

    def __init__(self, label: Path, shards: Iterable[Path]):
        self.label = label
        self._places: list[tuple[Path, int, int]] = []  # shard, offset, size
        self.names = []
        for shard in shards:
            try:
                # "r:" refuses a compressed tar: its members cannot be reached by their offset
                with tarfile.open(shard, "r:") as tar:
                    for member in tar:
                        if member.isreg() and _is_member_picture(shard, member.name):
                            self._places.append((shard, member.offset_data, member.size))
                            self.names.append(PurePosixPath(member.name))
            except (tarfile.TarError, OSError) as error:
                raise BlendGANError(
                    f"{shard} cannot be read ({error}); expected a whole tar, not compressed"
                ) from None
        _refuse_empty(self)

    def read(self, index: int) -> Tensor:
        shard, offset, size = self._places[index]
        try:
            with open(shard, "rb") as file:
                file.seek(offset)
                content = file.read(size)
        except OSError as error:
            raise ImageError(f"{shard} cannot be read ({error.strerror})") from None
        return decode_image(content, self.label / self.names[index])


def open_source(address: Path) -> PictureSource:
    """The source that an address names: one of FORMS.

    Shards are given by a pattern with * or {first..last}, or one by one; a URL's are downloaded
    once (see shard_downloads). Raises BlendGANError for what is not there or holds no picture.
    """
    url = as_url(address)
    if url:
        return ShardSource(Path(url), download_shards(expand_ranges(url)))
    if address.is_dir():
        return FolderSource(address)
    text = str(address)
    shards = [Path(path) for part in expand_ranges(text) for path in _expand_stars(part)]
    missing = [shard for shard in shards if not shard.is_file()]
    if missing or not shards:
        raise BlendGANError(f"{(missing or [address])[0]} does not exist; expected {FORMS}")
    suffix = address.suffix.lower()
    if suffix == ".zip":
        return ZipSource(address)
    if suffix == ".tar":
        return ShardSource(address, shards)
    if suffix in READABLE:
        return FolderSource(address)
    raise BlendGANError(f"{address} is not a source of pictures; expected {FORMS}")


def expand_ranges(pattern: str) -> list[str]:
    """a-{08..10}.tar -> a-08.tar, a-09.tar, a-10.tar; as wide as the first number is written."""
    parts = RANGE.split(pattern)  # text, first, last, text, first, last, .., text
    ranges = [
        [f"{number:0{len(first)}d}" for number in range(int(first), int(last) + 1)]
        for first, last in zip(parts[1::3], parts[2::3], strict=True)
    ]
    texts = parts[::3]
    return [
        texts[0] + "".join(itertools.chain(*zip(numbers, texts[1:], strict=True)))
        for numbers in itertools.product(*ranges)
    ]


def _expand_stars(pattern: str) -> list[str]:
    is_pattern = "*" in pattern or "?" in pattern
    return sorted(glob.glob(pattern)) if is_pattern else [pattern]


def find_pictures(source: Path) -> list[Path]:
    """A picture itself, or all below a folder in a fixed order; BlendGANError if there is none.

    Hidden files and folders are left out.
    """
    if source.is_file():
        return [source]
    if not source.is_dir():
        raise BlendGANError(f"{source} does not exist; expected a folder of pictures, or a picture")
    names = [path.relative_to(source).as_posix() for path in source.rglob("*")]
    found = sorted(source / name for name in names if is_picture(name))
    if not found:
        shards = any(name.endswith(".tar") for name in names)
        hint = f"; name its shards: {source / '*.tar'}" if shards else ""
        raise BlendGANError(
            f"{source} holds no pictures; expected files ending in {', '.join(READABLE)}{hint}"
        )
    return found


def is_picture(name: str) -> bool:
    """Whether a name with slashes is that of a picture, and neither hidden nor in a hidden
    folder."""
    path = PurePosixPath(name)
    hidden = any(part.startswith((".", "__MACOSX")) for part in path.parts)
    return path.suffix.lower() in READABLE and not hidden


def _is_member_picture(archive: Path, name: str) -> bool:
    """is_picture, for a name in an archive; BlendGANError if it leads out of the archive."""
    path = PureWindowsPath(name)  # it knows both kinds of slashes, and drives
    if ".." in path.parts or path.anchor:
        raise BlendGANError(f"{archive} holds {name!r}, a name that leads out of it; pack it anew")
    return is_picture(name)


def _refuse_empty(source: PictureSource) -> None:
    if not source.names:
        raise BlendGANError(
            f"{source.label} holds no pictures; expected files ending in {', '.join(READABLE)}"
        )
