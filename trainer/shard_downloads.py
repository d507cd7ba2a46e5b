"""WebDataset shards at a URL: fetched once through the `webdataset` library, then local tars.

They are kept in the folder that WDS_CACHE names, else in ~/.cache/webdataset. A training draws
pictures in any order and resumes exactly, which a stream cannot give.
"""

import hashlib
import os
import re
import shutil
import time
from pathlib import Path

from tqdm import tqdm

from blendgan_core.errors import BlendGANError

URL = re.compile(r"(https?|s3|gs):[/\\]+(.+)")
CHUNK = 1 << 20  # bytes
LOOK_EVERY = 1.0  # seconds


def as_url(address: Path | str) -> str | None:
    """The URL that an address is, or None; pathlib leaves one slash of the two."""
    match = URL.fullmatch(str(address))
    return f"{match[1]}://{match[2]}".replace("\\", "/") if match else None


def download_shards(urls: list[str]) -> list[Path]:
    """Fetch what is not in the cache yet -> the local files, in the order of the URLs.

    Of several processes on one machine the first one fetches, the others wait for it.
    """
    folder = Path(os.environ.get("WDS_CACHE") or Path.home() / ".cache" / "webdataset")
    files = [folder / _file_name(url) for url in urls]
    if int(os.environ.get("LOCAL_RANK", 0)) > 0:
        while not all(file.exists() for file in files):
            time.sleep(LOOK_EVERY)
        return files
    missing = [(url, file) for url, file in zip(urls, files, strict=True) if not file.exists()]
    if missing:
        folder.mkdir(parents=True, exist_ok=True)
    for url, file in tqdm(missing, desc="shards", unit="shard", disable=not missing):
        _download(url, file)
    return files


def _file_name(url: str) -> str:
    """Readable, and different for every URL."""
    name = re.sub(r"[^\w.-]", "_", url.split("?")[0].rsplit("/", 1)[-1])
    return f"{hashlib.sha256(url.encode()).hexdigest()[:16]}-{name}"


def _download(url: str, file: Path) -> None:
    if re.search(r"[\s'\"`$;|<>\\]", url):  # webdataset hands the URL to a shell
        raise BlendGANError(f"{url!r} has characters that no URL holds; write them as %XX")
    try:
        from webdataset.gopen import gopen
    except ImportError:
        raise BlendGANError(
            f"{url} needs the webdataset library: pip install webdataset; "
            "or download the shards and give their path"
        ) from None
    partial = file.with_name(f"{file.name}.{os.getpid()}.partial")
    try:
        with gopen(url, "rb") as stream, open(partial, "wb") as output:
            shutil.copyfileobj(stream, output, CHUNK)
        if partial.stat().st_size == 0:
            raise OSError("nothing came")
        os.replace(partial, file)
    except (OSError, ValueError, RuntimeError) as error:
        reason = str(error).splitlines()[0]
        raise BlendGANError(
            f"{url} could not be downloaded to {file.parent} ({reason}); "
            "check the address and the space left"
        ) from error
    finally:
        partial.unlink(missing_ok=True)
