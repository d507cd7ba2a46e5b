"""Picture sets: every form they come in, what is wrong with them, and what a step sees."""

import io
import sys
import tarfile
import time
import types
import zipfile
from pathlib import Path

import pytest
import torch
from PIL import Image

from blendgan_core.errors import BlendGANError
from trainer.data import Feed, ImageSet
from trainer.picture_sources import expand_ranges
from trainer.shard_downloads import as_url

STYLES = {"red": (255, 0, 0), "blue": (0, 0, 255)}
NAMES = [f"{style}/{number}.png" for style in STYLES for number in range(3)]


def picture(name: str, size: tuple[int, int] = (20, 12)) -> bytes:
    """A picture in its folder's colour, a little darker by its number."""
    style, number = name.split("/")[-2:]
    colour = [max(value - 20 * int(number[0]), 0) for value in STYLES[style]]
    file = io.BytesIO()
    Image.new("RGB", size, tuple(colour)).save(file, format="PNG")
    return file.getvalue()


def write_folder(path, names=NAMES):
    for name in names:
        (path / name).parent.mkdir(parents=True, exist_ok=True)
        (path / name).write_bytes(picture(name))
    return path


def write_zip(path, names=NAMES):
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as packed:
        for name in names:
            packed.writestr(name, picture(name))
    return path


def write_tar(path, names, mode="w"):
    with tarfile.open(path, mode) as packed:
        for name in names:
            content = picture(name) if name.endswith("png") else b"{}"
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            packed.addfile(entry, io.BytesIO(content))
    return path


def write_shards(folder):
    write_tar(folder / "faces-09.tar", [*NAMES[:4], "red/0.json"])
    write_tar(folder / "faces-10.tar", NAMES[4:])
    return folder / "faces-{09..10}.tar"


def contents(pictures: ImageSet) -> list[list[int]]:
    """The colours of all pictures, sorted; every one is of a single colour."""
    return sorted(pictures[i][:, 0, 0].tolist() for i in range(len(pictures)))


EXPECTED = sorted([max(v - 20 * n, 0) for v in c] for c in STYLES.values() for n in range(3))


@pytest.mark.parametrize("form", ["folder", "zip", "shards", "star", "several"])
def test_every_form_gives_the_same_pictures_and_styles(tmp_path, form):
    sources = {
        "folder": lambda: write_folder(tmp_path / "faces"),
        "zip": lambda: write_zip(tmp_path / "faces.zip"),
        "shards": lambda: write_shards(tmp_path),
        "star": lambda: write_shards(tmp_path) and tmp_path / "faces-*.tar",
        "several": lambda: [
            write_zip(tmp_path / "a.zip", NAMES[:3]),
            write_folder(tmp_path / "b", NAMES[3:]),
        ],
    }[form]()
    pictures = ImageSet(sources, resolution=8)
    assert len(pictures) == 6
    assert contents(pictures) == EXPECTED
    assert [style.replace("\\", "/").split("/")[-1] for style in pictures.styles] in (
        ["blue", "red"],
        ["red", "blue"],  # of two sources the first one's come first
    )
    assert [len(members) for members in pictures.members] == [3, 3]
    batch = pictures.batch(torch.tensor([0, 5, 0]))
    assert batch.shape == (3, 3, 8, 8) and batch.dtype == torch.float32
    assert torch.equal(batch[0], batch[2])


def test_shards_may_repeat_their_names(tmp_path):
    write_tar(tmp_path / "a.tar", ["red/0.png"])
    write_tar(tmp_path / "b.tar", ["red/0.png", "red/1.png"])
    pictures = ImageSet(tmp_path / "*.tar", 8)
    assert contents(pictures) == [[235, 0, 0], [255, 0, 0], [255, 0, 0]]


def test_hidden_files_are_no_pictures(tmp_path):
    """Such as those that macOS leaves in folders and zips."""
    names = ["red/0.png", "__MACOSX/red/0.png", ".trash/red/0.png"]
    assert len(ImageSet(write_zip(tmp_path / "a.zip", names), 8)) == 1
    assert len(ImageSet(write_folder(tmp_path / ".cache" / "b", names), 8)) == 1


@pytest.mark.parametrize(
    "name", ["../red/0.png", "/red/0.png", "C:\\a/red/0.png", "a\\..\\b/red/0.png"]
)
@pytest.mark.parametrize("write", [write_zip, write_tar])
def test_an_archive_with_names_that_lead_out_of_it_is_refused(tmp_path, write, name):
    archive = write(tmp_path / ("a.zip" if write is write_zip else "a.tar"), [name, "red/1.png"])
    with pytest.raises(BlendGANError, match="a name that leads out of it"):
        ImageSet(archive, 8)


def damage(path):
    """Overwrite 20 bytes of red/1.png inside an archive."""
    content = path.read_bytes()
    place = content.index(picture("red/1.png"))
    path.write_bytes(content[: place + 30] + b"\0" * 20 + content[place + 50 :])


@pytest.mark.parametrize("form", ["folder", "zip", "tar"])
def test_a_damaged_picture_is_named_once_and_another_of_its_style_stands_in(tmp_path, form):
    if form == "folder":
        source = write_folder(tmp_path / "faces")
        (source / "red" / "1.png").write_bytes(picture("red/1.png")[:40])
    else:
        source = tmp_path / f"faces.{form}"
        if form == "tar":
            write_tar(source, NAMES)
        else:
            with zipfile.ZipFile(source, "w", zipfile.ZIP_STORED) as packed:
                for name in NAMES:
                    packed.writestr(name, picture(name))
        damage(source)
    pictures = ImageSet(source, 8)
    number = next(i for i, path in enumerate(pictures.paths) if path.parts[-2:] == ("red", "1.png"))
    with pytest.warns(UserWarning, match=r"left out: .*red.1\.png") as caught:
        for _ in range(3):
            batch = pictures.batch(torch.tensor([number, number]))
    assert len(caught) == 1
    assert batch[0, :, 0, 0].tolist() == pytest.approx([215 / 127.5 - 1, -1, -1], abs=1e-5)


def test_what_is_no_source_is_refused_in_one_line(tmp_path):
    (tmp_path / "empty").mkdir()
    (tmp_path / "notes.txt").write_text("hello")
    (tmp_path / "not.zip").write_text("hello")
    (tmp_path / "not.tar").write_text("hello")
    write_zip(tmp_path / "none.zip", [])
    write_tar(tmp_path / "none.tar", ["red/0.json"])
    write_tar(tmp_path / "faces.tar", NAMES)
    with tarfile.open(tmp_path / "small.tar", "w:gz") as packed:
        packed.add(tmp_path / "notes.txt", "notes.txt")
    for name, message in (
        ("nowhere", "nowhere does not exist; expected a folder"),
        ("faces-{0..1}.tar", "faces-0.tar does not exist"),
        ("none-*.tar", "does not exist"),
        ("empty", "holds no pictures"),
        ("none.zip", "holds no pictures"),
        ("none.tar", "holds no pictures"),
        ("notes.txt", "is not a source of pictures"),
        ("not.zip", "expected a whole zip"),
        ("not.tar", "expected a whole tar"),
        ("small.tar", "not compressed"),
        (".", r"name its shards: .*\*\.tar"),
    ):
        with pytest.raises(BlendGANError, match=message):
            ImageSet(tmp_path / name, 8)


def test_too_few_pictures_are_refused(tmp_path):
    source = write_folder(tmp_path)
    assert len(ImageSet(source, 8, at_least=6)) == 6
    with pytest.raises(BlendGANError, match="expected 7 pictures or more, found 6"):
        ImageSet(source, 8, at_least=7)


def test_a_picture_given_twice_does_no_harm(tmp_path):
    source = write_folder(tmp_path)
    twice = ImageSet([source, source], 8)
    assert len(twice) == 12 and len(twice.styles) == 2
    assert contents(twice) == sorted(2 * EXPECTED)


def test_ranges_by_hand():
    assert expand_ranges("a-{08..10}.tar") == ["a-08.tar", "a-09.tar", "a-10.tar"]
    assert expand_ranges("{0..1}-{2..3}") == ["0-2", "0-3", "1-2", "1-3"]
    assert expand_ranges("plain.tar") == ["plain.tar"]


# ---- What a step sees ----


def test_a_feed_is_a_function_of_seed_and_step(tmp_path):
    """Whatever was drawn before, and whatever torch's own generator does."""
    pictures = ImageSet(write_folder(tmp_path), 8)
    feed = Feed(pictures, "art", 16, 3, range(16))
    first = [feed(step) for step in range(3)]
    torch.manual_seed(99)
    again = Feed(ImageSet(tmp_path, 8), "art", 16, 3, range(16))
    batch, indices = again(2)
    assert torch.equal(batch, first[2][0]) and torch.equal(indices, first[2][1])
    state = torch.get_rng_state()
    feed(3)
    assert torch.equal(torch.get_rng_state(), state)
    draws = [
        Feed(pictures, name, 16, seed, range(16)).indices(step).tolist()
        for name, seed, step in (("art", 3, 0), ("art", 3, 1), ("art", 4, 0), ("natural", 3, 0))
    ]
    assert len({tuple(draw) for draw in draws}) == 4


def test_two_processes_see_the_batch_of_one(tmp_path):
    pictures = ImageSet(write_folder(tmp_path), 8)
    whole, indices = Feed(pictures, "art", 8, 0, range(8))(5)
    for samples in (range(0, 8, 2), range(1, 8, 2)):
        share, own = Feed(pictures, "art", 8, 0, samples)(5)
        assert torch.equal(own, indices[list(samples)])
        assert torch.equal(share, whole[list(samples)])


def test_the_next_batch_is_decoded_in_the_meantime(tmp_path, monkeypatch):
    """Decoding 4 pictures takes 0.2 s here; after a step of 0.4 s the next batch is there."""
    pictures = ImageSet(write_folder(tmp_path, [f"red/{n}.png" for n in range(9)]), 8)
    decode = pictures._decode

    def slowly(index):
        time.sleep(0.05)
        return decode(index)

    monkeypatch.setattr(pictures, "_decode", slowly)
    monkeypatch.setattr("trainer.data.CACHE_BYTES", 0)
    feed = Feed(pictures, "natural", 4, 0, range(4))
    feed(0)
    time.sleep(0.4)
    started = time.perf_counter()
    feed(1)
    assert time.perf_counter() - started < 0.04


# ---- Shards at a URL; the stand-in has the one function of the library that is used ----


@pytest.fixture
def web(tmp_path, monkeypatch):
    """A webdataset library whose URLs are files of a folder; returns that folder."""
    served = tmp_path / "served"
    served.mkdir()
    calls = []

    def gopen(url, mode):
        calls.append(url)
        return open(served / url.rsplit("/", 1)[1], mode)

    library = types.ModuleType("webdataset.gopen")
    library.gopen = gopen
    monkeypatch.setitem(sys.modules, "webdataset", types.ModuleType("webdataset"))
    monkeypatch.setitem(sys.modules, "webdataset.gopen", library)
    monkeypatch.setenv("WDS_CACHE", str(tmp_path / "cache"))
    return types.SimpleNamespace(folder=served, calls=calls, cache=tmp_path / "cache")


def test_shards_at_a_url_are_downloaded_once(web):
    """The address passes through a Path, which drops a slash, as the flags do."""
    write_shards(web.folder)
    address = Path("https://example.org/data/faces-{09..10}.tar")
    for _ in range(2):
        pictures = ImageSet(address, 8)
        assert contents(pictures) == EXPECTED and len(pictures.styles) == 2
    assert web.calls == [f"https://example.org/data/faces-{n}.tar" for n in ("09", "10")]
    assert len(list(web.cache.iterdir())) == 2


def test_a_failed_download_leaves_nothing(web):
    write_tar(web.folder / "faces-09.tar", NAMES)
    with pytest.raises(BlendGANError, match=r"https://e\.org/faces-10\.tar could not be download"):
        ImageSet(Path("https://e.org/faces-{09..10}.tar"), 8)
    assert [file.name.split("-", 1)[1] for file in web.cache.iterdir()] == ["faces-09.tar"]
    with pytest.raises(BlendGANError, match="characters that no URL holds"):
        ImageSet(Path("https://e.org/a'$(touch x).tar"), 8)


def test_a_url_without_the_library_says_what_to_install(monkeypatch, tmp_path):
    monkeypatch.setenv("WDS_CACHE", str(tmp_path))
    monkeypatch.setitem(sys.modules, "webdataset.gopen", None)
    with pytest.raises(BlendGANError, match="pip install webdataset"):
        ImageSet(Path("https://e.org/a.tar"), 8)


def test_urls_are_told_from_paths():
    assert as_url("https:/e.org/a.tar") == "https://e.org/a.tar"
    assert as_url("s3:\\bucket\\a.tar") == "s3://bucket/a.tar"
    assert as_url("C:\\faces\\a.tar") is None and as_url("faces/a.tar") is None
