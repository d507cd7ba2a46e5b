"""Pictures of a folder into a zip or WebDataset shards, the same bytes for the same pictures."""

import io
import os
import re
import tarfile
import zipfile
from pathlib import Path

from tqdm import tqdm

from blendgan_core.errors import BlendGANError

NUMBER = re.compile(r"%0\d+d")


def is_shards(out: Path) -> bool:
    """Whether an output is a pattern of shards, name-%06d.tar; BlendGANError if it is half of
    one."""
    numbers = NUMBER.findall(out.name)
    if (out.suffix == ".tar") != (len(numbers) == 1):
        raise BlendGANError(
            f"--out is {out}; expected a folder, a .zip, or shards with one number: name-%06d.tar"
        )
    return bool(numbers)


def shard_stem(out: Path) -> str:
    """name-%06d.tar -> name"""
    return NUMBER.sub("", out.stem).rstrip("-_.") or "shards"


def shards_like(out: Path) -> list[Path]:
    """The shards of a pattern that are there."""
    before, after = NUMBER.split(out.name)
    name = re.compile(rf"{re.escape(before)}\d+{re.escape(after)}")
    return [path for path in out.parent.glob("*.tar") if name.fullmatch(path.name)]


def pack_zip(folder: Path, names: list[str], out: Path) -> None:
    """Write folder's files into one zip; PNG files are not compressed again."""
    partial = folder.parent / "packed"
    with zipfile.ZipFile(partial, "w", zipfile.ZIP_STORED) as packed:
        for name in tqdm(names, desc="zip", unit=" images"):
            packed.writestr(_zip_entry(name), (folder / name).read_bytes())
    os.replace(partial, out)


def _zip_entry(name: str) -> zipfile.ZipInfo:
    entry = zipfile.ZipInfo(name)  # dated 1980, the same for every run
    entry.create_system = 3  # Unix, wherever it is written
    entry.external_attr = 0o644 << 16
    return entry


def pack_shards(folder: Path, names: list[str], out: Path, shard_size: int) -> None:
    """Write folder's files into tars of `shard_size` pictures; out: name-%06d.tar."""
    starts = range(0, len(names), shard_size)
    for number, start in enumerate(tqdm(starts, desc="shards", unit="shard")):
        partial = folder.parent / "packed"
        with tarfile.open(partial, "w", format=tarfile.GNU_FORMAT) as packed:
            for name in names[start : start + shard_size]:
                content = (folder / name).read_bytes()
                entry = tarfile.TarInfo(name)
                entry.size = len(content)
                packed.addfile(entry, io.BytesIO(content))
        os.replace(partial, out.with_name(out.name % number))
