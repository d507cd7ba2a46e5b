"""trainer.prepare: what comes out, in every form, whatever stops it; where faces are told from."""

import json
import pickle
import subprocess
import sys
import types
import zipfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from blendgan_core.errors import BlendGANError
from trainer import face_crops
from trainer.data import ImageSet
from trainer.landmarks import FaceDetector, read_landmarks
from trainer.prepare import PrepareConfig, prepare

ROOT = Path(__file__).resolve().parents[1]
# a crop of 54 pixels a side around (50, 53)
FACE = [[45, 51.5], [55, 51.5], [50, 58], [46, 66.5], [54, 66.5]]


def moved(face, by):
    return (np.array(face) + by).tolist()


@pytest.fixture
def photos(tmp_path):
    """Five good photos in two folders, and one each of what is dropped; with their landmarks."""
    folder = tmp_path / "photos"
    noise = np.random.default_rng(0)
    known = {}
    for name in ("b/1.jpg", "b/1.png", "b/x.y.png", "a/1.png", "a/2.png", "cut.png", "none.png"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        coarse = Image.fromarray(noise.integers(0, 255, (8, 12, 3), dtype=np.uint8))
        coarse.resize((150, 100)).save(folder / name)
        known[name] = [FACE]
    (folder / "broken.png").write_bytes((folder / "a/1.png").read_bytes()[:300])
    known["broken.png"] = [FACE]
    known["cut.png"] = [moved(FACE, [-45, 0])]
    known["a/2.png"] = [moved(FACE, [40, 0]), FACE, (np.array(FACE) / 2).tolist()]
    known["b/x.y.png"] = [[FACE[1], FACE[0], *FACE[2:]], FACE]  # the first one is mirrored
    del known["none.png"]
    landmarks = tmp_path / "faces.json"
    landmarks.write_text(json.dumps(known))
    return PrepareConfig(
        photos=folder,
        landmarks=landmarks,
        out=tmp_path / "out",
        faces="all",
        resolution=32,
        min_side=40,
        workers=1,
    )


CROPS = ["a/1-0.png", "a/2-0.png", "a/2-1.png", "b/1-0.png", "b/1_2-0.png", "b/x_y-0.png"]
DROPPED = {
    ("a/2.png", "too small"),
    ("b/x.y.png", "unusable landmarks"),
    ("broken.png", "unreadable"),
    ("cut.png", "cut by the border"),
    ("none.png", "no face"),
}


def files(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def beside(config: PrepareConfig) -> set[str]:
    """What lies in the folder of --out."""
    return {path.name for path in config.out.parent.iterdir()}


def test_crops_keep_their_folders_and_the_report_says_why_others_are_missing(photos, capsys):
    out = prepare(photos)
    assert list(files(out)) == CROPS
    for name in CROPS:
        assert Image.open(out / name).size == (32, 32)
    report = json.loads((out.parent / "out.report.json").read_text())
    assert {(entry["photo"], entry["reason"]) for entry in report["dropped_faces"]} == DROPPED
    assert (report["photos"], report["pictures"]) == (8, 6)
    assert report["pictures_by_folder"] == {"a": 3, "b": 3}
    printed = capsys.readouterr().out
    assert "6 pictures from 8 photos" in printed and "1 too small" in printed
    assert beside(photos) == {"photos", "faces.json", "out", "out.report.json"}


def test_zip_and_shards_hold_the_pictures_of_the_folder_and_feed_a_training(photos, tmp_path):
    expected = files(prepare(photos))
    packed = prepare(replace(photos, out=tmp_path / "faces.zip"))
    with zipfile.ZipFile(packed) as content:
        assert {name: content.read(name) for name in content.namelist()} == expected
    prepare(replace(photos, out=tmp_path / "s-%04d.tar", shard_size=4))
    assert {"s-0000.tar", "s-0001.tar", "s.report.json"} <= beside(photos)
    assert "s-0002.tar" not in beside(photos)
    sets = [ImageSet(tmp_path / name, 32) for name in ("out", "faces.zip", "s-{0000..0001}.tar")]
    order = [path.as_posix()[-9:] for path in sets[0].paths]
    assert all([path.as_posix()[-9:] for path in other.paths] == order for other in sets)
    for other in sets[1:]:
        assert [len(members) for members in other.members] == [3, 3]
        assert all(torch.equal(sets[0][i], other[i]) for i in range(6))


def test_the_largest_face_is_the_only_one(photos):
    names = list(files(prepare(replace(photos, faces="largest"))))
    assert names == ["a/1.png", "a/2.png", "b/1.png", "b/1_2.png", "b/x_y.png"]


KILLED = """
import os, pickle, sys
from trainer import face_crops
from trainer.prepare import prepare

write, written = face_crops.Cropper._write, []

def stop_in_the_fourth(self, *arguments):
    written.append(arguments)
    if len(written) == 4:
        os._exit(9)  # as a kill: nothing is cleaned up
    write(self, *arguments)

face_crops.Cropper._write = stop_in_the_fourth
prepare(pickle.load(sys.stdin.buffer))
"""


def test_a_killed_run_goes_on_with_other_workers_to_the_same_pictures(photos, tmp_path):
    expected = files(prepare(photos))
    config = replace(photos, out=tmp_path / "again")
    killed = subprocess.run(
        [sys.executable, "-c", KILLED], cwd=ROOT, input=pickle.dumps(config), capture_output=True
    )
    assert killed.returncode == 9, killed.stderr
    assert "again" not in beside(config)
    staging = tmp_path / ".again.partial" / "pictures"
    (staging / "a" / "1-0.partial").write_bytes(b"half a picture")
    before = {path.name: path.stat().st_mtime_ns for path in staging.rglob("*.png")}
    assert before.keys() == {"1-0.png", "2-0.png", "2-1.png"}
    out = prepare(replace(config, workers=2))
    assert files(out) == expected
    for name, time in before.items():
        assert (out / "a" / name).stat().st_mtime_ns == time, f"{name} was made again"
    assert ".again.partial" not in beside(config)


def test_an_interrupted_run_wants_the_same_flags(photos, monkeypatch):
    def interrupt(*_arguments):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(face_crops.Cropper, "run", interrupt)
        prepare(photos)
    with pytest.raises(BlendGANError, match="was begun with other resolution; give the same again"):
        prepare(replace(photos, resolution=64))
    (photos.photos / "a" / "3.png").write_bytes((photos.photos / "a" / "2.png").read_bytes())
    with pytest.raises(BlendGANError, match="other photos and landmarks"):
        prepare(photos)
    (photos.photos / "a" / "3.png").unlink()
    assert list(files(prepare(photos))) == CROPS


def test_a_full_disk_leaves_no_zip(photos, tmp_path, monkeypatch):
    def full(*_arguments, **_more):
        raise OSError(28, "No space left on device")

    config = replace(photos, out=tmp_path / "faces.zip")
    with monkeypatch.context() as patch, pytest.raises(OSError, match="No space"):
        patch.setattr(zipfile.ZipFile, "writestr", full)
        prepare(config)
    assert "faces.zip" not in beside(config)
    assert zipfile.ZipFile(prepare(config)).namelist() == CROPS


def test_whole_takes_the_centre_square(tmp_path):
    """Grey stripes of 30 columns around a red square; art that is too small is dropped."""
    (tmp_path / "art").mkdir()
    picture = Image.new("RGB", (100, 40), (128, 128, 128))
    picture.paste((255, 0, 0), (30, 0, 70, 40))
    picture.save(tmp_path / "art" / "wide.png")
    picture.resize((20, 8)).save(tmp_path / "art" / "small.png")
    out = prepare(
        PrepareConfig(
            photos=tmp_path / "art", whole=True, out=tmp_path / "o", resolution=32, workers=1
        )
    )
    assert list(files(out)) == ["wide.png"]
    assert (np.asarray(Image.open(out / "wide.png")) == [255, 0, 0]).all()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"whole": True}, "found --landmarks and --whole"),
        ({"landmarks": None}, "expected one of --landmarks, --detector and --whole, found none"),
        ({"resolution": 8}, "--resolution is 8; give a number from 16 to 2048"),
        ({"max_outside": 1.5}, "--max-outside is 1.5"),
        ({"out": Path("faces.tar")}, "shards with one number: name-%06d.tar"),
        ({"photos": Path("nowhere")}, "nowhere does not exist"),
        ({"landmarks": Path("nowhere.json")}, "nowhere.json does not exist"),
    ],
)
def test_wrong_flags_are_told_before_anything_is_written(photos, change, message):
    before = beside(photos)
    with pytest.raises(BlendGANError, match=message):
        prepare(replace(photos, **change))
    assert beside(photos) == before


def test_what_is_there_is_not_written_over(photos, tmp_path):
    for out, there in (("o.zip", "o.zip"), ("s-%04d.tar", "s-0007.tar"), ("out", "out/a.txt")):
        (tmp_path / there).parent.mkdir(exist_ok=True)
        (tmp_path / there).write_text("precious")
        with pytest.raises(BlendGANError, match="exists already"):
            prepare(replace(photos, out=tmp_path / out))
        assert (tmp_path / there).read_text() == "precious"


def test_no_picture_at_all_is_an_error(photos):
    with pytest.raises(BlendGANError, match="none of the 8 photos gave a picture; .* 1 unreadable"):
        prepare(replace(photos, min_side=1000, max_outside=1.0, faces="largest"))


# ---- Where the faces are ----


def test_landmarks_by_json_and_csv_are_the_same(tmp_path):
    by_json, by_csv = tmp_path / "l.json", tmp_path / "l.csv"
    by_json.write_text(json.dumps({"a/1.png": [FACE, moved(FACE, 3)], "b,c.png": [FACE]}))
    rows = [("a/1.png", FACE), ('"b,c.png"', FACE), ("a/1.png", moved(FACE, 3))]
    lines = [",".join([name, *map(str, np.ravel(face))]) for name, face in rows]
    by_csv.write_text("\n".join(["photo," + ",".join("xy" * 5), *lines]) + "\n")
    first, second = read_landmarks(by_json), read_landmarks(by_csv)
    assert first.keys() == second.keys() == {"a/1.png", "b,c.png"}
    for name in first:
        np.testing.assert_array_equal(np.stack(first[name]), np.stack(second[name]))
    assert first["a/1.png"][1].shape == (5, 2)


@pytest.mark.parametrize(
    ("name", "text", "found"),
    [
        ("l.json", "{", "found Expecting property name"),
        ("l.json", "[1]", r"found \[1\]"),
        ("l.json", '{"a.png": [[[1, 2], [3, 4]]]}', r"found a.png: \[\[1, 2\], \[3, 4\]\]"),
        ("l.json", '{"a.png": [[1, "x"]]}', "found a.png"),
        ("l.json", '{"a.png": 5}', "found a.png: 5"),
        ("l.csv", "a.png,1,2\n", "found a.png"),
        ("l.csv", "photo,x\na.png,1,two\n", "found line 2"),
    ],
)
def test_a_wrong_landmarks_file_names_its_entry(tmp_path, name, text, found):
    (tmp_path / name).write_text(text)
    with pytest.raises(BlendGANError, match=f"not a landmarks file.*{found}"):
        read_landmarks(tmp_path / name)


def test_landmarks_of_other_photos_are_told(photos, tmp_path):
    (tmp_path / "l.json").write_text(json.dumps({"photos/a/1.png": [FACE]}))
    with pytest.raises(BlendGANError, match="expected names such as 'a/1.png', found 'photos/a"):
        prepare(replace(photos, landmarks=tmp_path / "l.json"))


class YuNetStandIn:
    """The three functions that are used, with OpenCV's shapes: finds FACE in a picture of 1280 x
    640, at half its size, and nothing when it looks at more than 400 pixels."""

    def setInputSize(self, size):  # noqa: N802
        self.size = tuple(size)

    def detect(self, pixels):
        height, width, _ = pixels.shape
        assert self.size == (width, height) and pixels.dtype == np.uint8
        assert tuple(pixels[0, 0]) == (0, 0, 255), "red, in OpenCV's order"
        if width > 400:
            return 0, None
        row = [0, 0, 9, 9, *np.ravel(FACE), 0.9]
        return 1, np.array([row], dtype=np.float32)


def test_a_detectors_points_are_in_the_pictures_pixels(monkeypatch, tmp_path):
    """Against a stand-in: the package is no dependency. 1280 pixels are looked at as 320."""
    opencv = types.ModuleType("cv2")
    opencv.setNumThreads = lambda number: None
    opencv.error = type("error", (Exception,), {})
    opencv.FaceDetectorYN = types.SimpleNamespace(create=lambda *_arguments: YuNetStandIn())
    monkeypatch.setitem(sys.modules, "cv2", opencv)
    (tmp_path / "yunet.onnx").write_bytes(b"model")
    red = torch.tensor([1.0, -1, -1])[:, None, None].expand(3, 640, 1280)
    (face,) = FaceDetector(tmp_path / "yunet.onnx")(red)
    np.testing.assert_allclose(face, np.array(FACE) * 4)


def test_a_missing_detector_says_what_to_install(photos, monkeypatch, tmp_path):
    config = replace(photos, landmarks=None, detector=tmp_path / "yunet.onnx")
    monkeypatch.setitem(sys.modules, "cv2", None)
    with pytest.raises(BlendGANError, match="pip install opencv-python-headless"):
        prepare(config)
    monkeypatch.setitem(sys.modules, "cv2", types.ModuleType("cv2"))
    with pytest.raises(BlendGANError, match=r"expected face_detection_yunet_2023mar\.onnx"):
        prepare(config)
    assert not {name for name in beside(config) if name.startswith((".", "out"))}
