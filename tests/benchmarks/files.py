"""Whole processes: from a cold start to the first picture, its memory, and the sizes of files."""

import sys
import tempfile
from pathlib import Path

import torch

from blendgan_core.images import write_image

from .networks import official_state, random_model, random_picture
from .official import CHECKOUT
from .timing import whole_process

ROOT = Path(__file__).parents[2]


def measure_files(runs: int) -> None:
    """Write official files of random weights, convert them, and make one picture each way."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        blendgan, psp = folder / "blendgan.pt", folder / "psp_encoder.pt"
        process(["-m", "tests.benchmarks.files", folder])
        for label, flags, target in (("fp32", (), "0.55 x"), ("--half", ("--half",), "0.28 x")):
            convert(blendgan, out=folder / "alone.safetensors", flags=flags)
            size, official = (
                path.stat().st_size for path in (folder / "alone.safetensors", blendgan)
            )
            cells = (
                f"{size / 1e6:6.0f} MB {'-':>22} {official / 1e6:6.0f} MB {size / official:7.3f} x"
            )
            print(f"{'size of blendgan, ' + label:34} {cells}   {target:>8}", flush=True)
        face, art = folder / "face.png", folder / "art.png"
        for seed, path in enumerate((face, art)):
            write_image(path, random_picture(1024, seed)[0])
        official = ["-m", "tests.benchmarks.official_picture", blendgan, psp, face, art]
        for label, flags, precision in (
            ("fp32", (), "fp32"),
            ("--half, bf16", ("--half",), "bf16"),
        ):
            convert(blendgan, psp, out=folder / "whole.safetensors", flags=flags)
            ours = ["-m", "blendgan_core", "stylize", "--face", face, "--style", art]
            ours += ["--checkpoint", folder / "whole.safetensors", "--precision", precision]
            ours += ["--device", "cpu", "--out", folder / "out.png"]
            pairs = [(process(ours), process(official) if CHECKOUT else None) for _ in range(runs)]
            report(label, pairs)


def report(label: str, pairs: list) -> None:
    """Print time and memory of the pair whose ratio of times is the median."""
    pairs.sort(key=lambda pair: pair[1][0] / pair[0][0] if pair[1] else pair[0][0])
    (seconds, memory), official = pairs[len(pairs) // 2]
    time_cell = memory_cell = "-"
    if official:
        time_cell = f"{official[0]:7.2f} s {official[0] / seconds:8.2f} x"
        memory_cell = f"{official[1] / 1e9:6.2f} GB {memory / official[1]:7.2f} x"
    print(
        f"{'cold start to picture, ' + label:34} {seconds:7.2f} s {'-':>22} {time_cell:>22}   ",
        end="",
    )
    print(f"{'4 x':>8}")
    print(
        f"{'peak memory, ' + label:34} {memory / 1e9:6.2f} GB {'-':>22} {memory_cell:>22}   ",
        end="",
    )
    print(f"{'0.35 x':>8}", flush=True)


def write_official_files(folder: Path) -> None:
    """blendgan.pt and psp_encoder.pt, in a process of its own.

    The memory of a child begins with that of its parent, so the parent has to stay small.
    """
    model = random_model(1024, "generator", "style_encoder", "psp_encoder")
    g_ema = official_state(model, "generator", "style_encoder")
    torch.save({"g_ema": g_ema, "latent_avg": torch.zeros(1, 512)}, folder / "blendgan.pt")
    state = official_state(model, "psp_encoder")
    state_dict = {f"encoder.{key}": tensor for key, tensor in state.items()}
    data = {"state_dict": state_dict, "latent_avg": torch.zeros(18, 512)}
    torch.save(data, folder / "psp_encoder.pt")


def convert(*inputs: Path, out: Path, flags: tuple[str, ...]) -> None:
    process(["-m", "trainer.convert", *inputs, "--out", out, *flags])


def process(arguments: list) -> tuple[float, float]:
    """Seconds and peak bytes of a Python process in the repository's root."""
    return whole_process([sys.executable, *map(str, arguments)], folder=ROOT)


if __name__ == "__main__":
    write_official_files(Path(sys.argv[1]))
