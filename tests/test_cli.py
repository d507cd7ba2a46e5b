"""The command line, run in this process on a 32-pixel model with random weights."""

from dataclasses import dataclass
from pathlib import Path

import pytest
import torch
from PIL import Image
from tiny_model import PARTS, tiny_model

import blendgan_core
from blendgan_core import BlendGAN
from blendgan_core.__main__ import main
from blendgan_core.images import read_image, to_uint8


@pytest.fixture(scope="module")
def files(tmp_path_factory) -> Path:
    """A folder with checkpoints, and with good and bad pictures."""
    folder = tmp_path_factory.mktemp("files")
    for name, parts in {
        "model": PARTS,
        "psp": ("psp_encoder",),
        "generator": ("generator",),
    }.items():
        model = tiny_model(blendgan_core, parts=parts)
        blendgan_core.save(model, folder / f"{name}.safetensors", metadata={"steps": 7})
    whole = (folder / "model.safetensors").read_bytes()
    (folder / "cut.safetensors").write_bytes(whole[: len(whole) // 2])
    (folder / "text.safetensors").write_text("no checkpoint")

    (folder / "faces").mkdir()
    (folder / "styles").mkdir()
    (folder / "empty").mkdir()
    for number, color in enumerate(("red", "green", "blue")):
        Image.new("RGB", (40, 40), color).save(folder / "faces" / f"face{number}.png")
    Image.effect_noise((50, 40), 80).convert("RGB").save(folder / "styles" / "noise.jpg")
    Image.linear_gradient("L").save(folder / "styles" / "ramp.png")
    (folder / "text.png").write_text("I am no picture")
    (folder / "empty.png").touch()
    noise = (folder / "styles" / "noise.jpg").read_bytes()
    (folder / "truncated.jpg").write_bytes(noise[: len(noise) // 2])
    return folder


@dataclass
class Result:
    code: int
    out: str
    err: str


@pytest.fixture
def run(files, capsys, monkeypatch):
    """run("stylize --face faces ..") in the folder `files` -> exit code and what was printed."""
    monkeypatch.chdir(files)

    def run_main(line: str) -> Result:
        code = main(line.split())
        return Result(code, *capsys.readouterr())

    return run_main


def written(folder: Path) -> list[str]:
    """All files below a folder."""
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


MODEL = "--checkpoint model.safetensors --device cpu"
ONE = "--face faces/face0.png --style styles/ramp.png"


def test_one_face_and_one_style_make_one_file(run, tmp_path):
    result = run(f"stylize {ONE} {MODEL} --out {tmp_path}/new/a.jpg")
    assert (result.code, result.err) == (0, "")
    assert result.out == f"wrote {tmp_path}/new/a.jpg\n"
    assert read_image(tmp_path / "new" / "a.jpg").shape == (3, 32, 32)
    assert written(tmp_path) == ["new/a.jpg"]


@pytest.mark.parametrize("out", ["", "new"])
def test_a_folder_takes_one_result_too(run, tmp_path, out):
    assert run(f"stylize {ONE} {MODEL} --out {tmp_path / out}").code == 0
    assert written(tmp_path / out) == ["face0__ramp.png"]


def test_the_file_holds_what_the_library_makes(run, files, tmp_path):
    """The command only reads, calls and writes: the same pixels come of the calls themselves."""
    run(f"stylize {ONE} {MODEL} --indicator 2 --theta 0.5 --out {tmp_path}/a.png")
    model = blendgan_core.load(files / "model.safetensors")
    face = read_image(files / "faces" / "face0.png")[None]
    style = read_image(files / "styles" / "ramp.png")[None]
    expected = model.stylize(face, style, indicator=2, theta=0.5)
    assert (to_uint8(read_image(tmp_path / "a.png")[None]) == to_uint8(expected)).all()


@pytest.mark.parametrize("batch", [1, 4])
def test_folders_make_every_pair_and_encode_each_picture_once(run, tmp_path, monkeypatch, batch):
    calls = {"invert": 0, "encode_style": 0}

    def counted(name: str):
        method = getattr(BlendGAN, name)

        def call(self, images):
            calls[name] += 1
            return method(self, images)

        return call

    for name in calls:
        monkeypatch.setattr(BlendGAN, name, counted(name))
    line = f"stylize --face faces --style styles {MODEL} --batch {batch} --out {tmp_path}"
    assert run(line).code == 0
    assert written(tmp_path) == [f"face{f}__{s}.png" for f in range(3) for s in ("noise", "ramp")]
    assert calls == {"invert": 3, "encode_style": 2}
    run(f"stylize --face faces/face2.png --style styles/noise.jpg {MODEL} --out {tmp_path}/one.png")
    alone, together = (read_image(tmp_path / f"{name}.png") for name in ("one", "face2__noise"))
    assert (alone - together).abs().max() < 1.5 / 127.5  # batches may round one level differently


def test_several_files_are_named_apart(run, tmp_path):
    Image.new("RGB", (8, 8)).save(tmp_path / "face0.png")
    Image.new("RGB", (8, 8)).save(tmp_path / "face1.jpg")
    Image.new("RGB", (8, 8)).save(tmp_path / "face1.png")
    faces = f"faces/face0.png {tmp_path} faces/face2.png faces/face2.png"
    assert run(f"stylize --face {faces} --style styles/ramp.png {MODEL} --out out").code == 0
    assert written(Path("out")) == [
        "face0.png_1__ramp.png",
        "face0.png_2__ramp.png",
        "face1.jpg__ramp.png",
        "face1.png__ramp.png",
        "face2__ramp.png",
    ]


def test_a_face_that_is_not_square_loses_its_sides_and_it_says_so(run, tmp_path):
    face = "--face styles/noise.jpg --style styles/ramp.png"
    result = run(f"stylize {face} {MODEL} --align off --out {tmp_path}/a.png")
    assert result.code == 0
    assert "note: styles/noise.jpg is 50 x 40; took its centre square, 40 x 40" in result.out


def test_the_largest_face_of_a_photo_is_taken_and_it_says_so(run, tmp_path):
    photo = Path(__file__).parents[1] / "docs" / "images" / "group.jpg"
    line = f"stylize --face {photo} --style styles/ramp.png {MODEL} --out {tmp_path}"
    assert "group.jpg is 1080 x 720; took the largest face, 3" in run(f"{line}/a.png").out
    assert "took its centre square, 720 x 720" in run(f"{line}/b.png --align off").out
    assert (tmp_path / "a.png").read_bytes() != (tmp_path / "b.png").read_bytes()


def test_a_bad_picture_among_others_is_named_once_and_skipped(run, files, tmp_path):
    faces = f"faces/face0.png {files}/truncated.jpg faces/face1.png"
    result = run(f"stylize --face {faces} --style styles {MODEL} --out {tmp_path}")
    assert result.code == 2
    assert result.err.count("\n") == 1
    assert result.err.startswith(f"warning: skipped: {files}/truncated.jpg is damaged or cut off")
    assert len(written(tmp_path)) == 4


def test_only_bad_pictures_are_an_error(run, tmp_path):
    result = run(f"stylize --face text.png empty.png --style styles {MODEL} --out {tmp_path}")
    assert result.code == 2
    assert "error: none of the 2 pictures can be read" in result.err
    assert written(tmp_path) == []


BAD_STYLIZE = {
    "missing face": ("--face no.png --style styles", "no.png does not exist: expected a picture"),
    "missing style": ("--face faces --style no.png", "no.png does not exist: expected a picture"),
    "no picture": ("--face text.png --style styles", "text.png is not a picture that can be read"),
    "empty file": ("--face empty.png --style styles", "empty.png is empty"),
    "truncated": ("--face truncated.jpg --style styles", "truncated.jpg is damaged or cut off"),
    "empty folder": ("--face empty --style styles", "empty holds no picture"),
    "indicator": (f"{ONE} --indicator 9", "indicator 9 is outside 0..8"),
    "negative indicator": (f"{ONE} --indicator -1", "indicator -1 is outside 0..8"),
    "indicator in words": (f"{ONE} --indicator six", "--indicator: invalid int value: 'six'"),
    "theta": (f"{ONE} --theta 1.5", "--theta: expected a number in 0..1, found '1.5'"),
    "theta NaN": (f"{ONE} --theta nan", "--theta: expected a number in 0..1, found 'nan'"),
    "batch": (f"{ONE} --batch 0", "--batch: expected a whole number from 1 on, found '0'"),
    "missing checkpoint": (f"{ONE} --checkpoint no.pt", "no.pt does not exist"),
    "cut checkpoint": (f"{ONE} --checkpoint cut.safetensors", "cut.safetensors is damaged or cut"),
    "unknown checkpoint": (f"{ONE} --checkpoint text.safetensors", "text.safetensors is "),
    "a pSp file": (
        f"{ONE} --checkpoint psp.safetensors",
        "this needs a generator, but psp.safetensors holds only: psp_encoder",
    ),
    "no encoders": (
        f"{ONE} --checkpoint generator.safetensors",
        "this needs a style encoder, but generator.safetensors holds only: generator",
    ),
    "misspelt flag": (f"{ONE} --indicater 3", "unrecognized arguments: --indicater 3"),
}


@pytest.mark.parametrize("case", BAD_STYLIZE)
def test_bad_input_is_one_clear_line_and_leaves_nothing(run, tmp_path, case):
    flags, message = BAD_STYLIZE[case]
    model = MODEL if "--checkpoint" not in flags else ""
    result = run(f"stylize {flags} {model} --out {tmp_path}/out")
    assert result.code == 2
    assert result.err.startswith("error: ") and message in result.err
    assert result.err.count("\n") == 1 and result.out == ""
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("flags", "out", "message"),
    [
        (ONE, "a.gif", "a.gif ends in '.gif': expected .png, .jpg, .jpeg, .webp"),
        ("--face faces --style styles", "a.png", "a.png is one picture, but 6 will be made"),
        (ONE, "file/a.png", "there is a file in the way"),
        (ONE, "file", "there is a file in the way"),
    ],
)
def test_a_place_that_cannot_take_the_result_is_refused(run, tmp_path, flags, out, message):
    (tmp_path / "file").touch()
    result = run(f"stylize {flags} --checkpoint no-need-to-look.pt --out {tmp_path}/{out}")
    assert result.code == 2
    assert result.err.startswith("error: ") and message in result.err
    assert written(tmp_path) == ["file"]


def test_an_original_is_not_overwritten(run, files):
    before = (files / "faces" / "face0.png").read_bytes()
    result = run(f"stylize {ONE} {MODEL} --out faces/face0.png")
    assert result.code == 2 and "is one of the pictures to read" in result.err
    assert (files / "faces" / "face0.png").read_bytes() == before


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a CUDA device")
def test_a_device_that_is_not_there_is_named(run, tmp_path):
    result = run(
        f"stylize {ONE} --checkpoint model.safetensors --device cuda --out {tmp_path}/a.png"
    )
    assert result.code == 2 and "--device cuda cannot be used here" in result.err


def test_pairs_show_the_natural_face_and_the_stylised_one(run, files, tmp_path):
    line = f"pairs --count 3 --seed 5 --indicator 0 --batch 2 {MODEL} --out {tmp_path}"
    assert run(line).code == 0
    assert written(tmp_path) == ["pair_5.png", "pair_6.png", "pair_7.png"]
    model = blendgan_core.load(files / "model.safetensors")
    w_face = model.sample_face([6])
    w = model.blend(w_face, model.sample_style([6]), indicator=0)
    expected = torch.cat([model.synthesize(w_face), model.synthesize(w)], dim=3)
    found = read_image(tmp_path / "pair_6.png")
    assert found.shape == (3, 32, 64)
    torch.testing.assert_close(found, expected[0].clamp(-1, 1), atol=1.5 / 127.5, rtol=0)


def test_pairs_may_share_one_style(run, tmp_path):
    """At the indicator L the style has no effect, so both halves are the same picture."""
    assert run(f"pairs --style-seed 3 --indicator 8 {MODEL} --out {tmp_path}/a.png").code == 0
    assert run(f"pairs --style styles/ramp.png {MODEL} --out {tmp_path}/b.png").code == 0
    pair = read_image(tmp_path / "a.png")
    assert torch.equal(pair[..., :32], pair[..., 32:])
    assert read_image(tmp_path / "b.png").shape == (3, 32, 64)


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        ("--count 0", "--count: expected a whole number from 1 on"),
        ("--seed -1", "--seed: expected"),
        ("--truncation 2", "--truncation: expected a number in 0..1"),
        ("--style no.png", "no.png does not exist"),
        ("--style text.png --style-seed 1", "not allowed with argument"),
    ],
)
def test_bad_input_of_pairs(run, tmp_path, flags, message):
    result = run(f"pairs {flags} {MODEL} --out {tmp_path}/a.png")
    assert result.code == 2
    assert result.err.startswith("error: ") and message in result.err
    assert list(tmp_path.iterdir()) == []


def test_inspect_tells_parts_sizes_and_origin(run):
    out = run("inspect model.safetensors").out
    assert "resolution: 32 x 32, 8 layers" in out
    assert "steps: 7" in out
    model = blendgan_core.load("model.safetensors")
    count = sum(parameter.numel() for parameter in model.generator.parameters())
    noise = 4**2 + 2 * (8**2 + 16**2 + 32**2)
    buffers = noise + 16 + 16 + 16 * 16  # mean latent, mean and spread of styles
    assert f"generator: {count:,} parameters, {buffers:,} numbers in buffers, float32" in out
    assert (
        "generator: none (upstream brings it in blendgan.pt)" in run("inspect psp.safetensors").out
    )


@pytest.mark.parametrize("name", ["no.pt", "cut.safetensors", "text.safetensors", "text.png"])
def test_inspect_names_a_bad_file(run, name):
    result = run(f"inspect {name}")
    assert result.code == 2
    assert result.err.startswith(f"error: {name} ") and result.err.count("\n") == 1


@pytest.mark.parametrize("command", ["stylize", "pairs"])
def test_help_lists_the_defaults(run, capsys, command):
    with pytest.raises(SystemExit) as exit_:
        run(f"{command} --help")
    out = " ".join(capsys.readouterr().out.split())
    assert exit_.value.code == 0
    for default in ("(default: 6)", "(default: 1.0)", "(default: auto)", "(default: 8)"):
        assert default in out


def test_no_command_and_an_unknown_one(run):
    for line in ("", "paint"):
        result = run(line)
        assert result.code == 2 and result.err.startswith("error: ")


def test_ctrl_c_ends_quietly(run, monkeypatch, tmp_path):
    def interrupt(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(BlendGAN, "synthesize", interrupt)
    result = run(f"stylize {ONE} {MODEL} --out {tmp_path}/a.png")
    assert (result.code, result.err) == (130, "")
    assert list(tmp_path.iterdir()) == []


def test_a_sheet_shows_styles_faces_and_results(run, files, tmp_path):
    """Row 0: a white corner, two styles. Then three faces, each with its two results."""
    out = f"--out {tmp_path / 'all'} --sheet {tmp_path / 'sheet.png'}"
    result = run(f"stylize --checkpoint model.safetensors --face faces --style styles {out}")
    assert result.code == 0
    sheet = read_image(tmp_path / "sheet.png")
    assert sheet.shape == (3, 4 * 128, 3 * 128)
    assert (sheet[:, :128, :128] == 1).all()
    red = read_image(files / "faces" / "face0.png")[:, :1, :1]
    assert (sheet[:, 128:256, :128] == red).all()
    stylised = read_image(tmp_path / "all" / "face1__ramp.png")  # 32 pixels, so 4 to a pixel
    assert torch.equal(sheet[:, 256:384:4, 256:384:4], stylised)


def test_a_sheet_that_cannot_be_written_is_refused_before_the_work(run, tmp_path):
    line = f"--face faces --style styles --out {tmp_path / 'all'} --sheet {tmp_path / 'sheet.txt'}"
    result = run(f"stylize --checkpoint model.safetensors {line}")
    assert result.code == 2 and "sheet.txt ends in '.txt'" in result.err
    assert written(tmp_path) == []


@pytest.mark.parametrize(
    "line, message",
    [
        ("--face faces/face0.png --style styles/ramp.png --out x/../faces/face0.png", "to read"),
        ("--face clash --style clash --out all", "a__b__c.png would be written twice"),
        ("--face faces/face0.png --style styles/ramp.png --out o.png --sheet o.png", "twice"),
    ],
)
def test_no_picture_is_lost(run, files, line, message):
    (files / "clash").mkdir(exist_ok=True)
    (files / "x").mkdir(exist_ok=True)
    for name in ("a", "a__b", "c", "b__c"):
        Image.new("RGB", (8, 8)).save(files / "clash" / f"{name}.png")
    before = written(files)
    result = run(f"stylize --checkpoint model.safetensors {line}")
    assert result.code == 2 and message in result.err
    assert written(files) == before
