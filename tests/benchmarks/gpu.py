"""Speed, memory and agreement with the CPU of the official sizes on a GPU; see docs/gpu.md.

    python -m tests.benchmarks.gpu [--device cuda] [--runs 20]

Weights are random. Nothing is compiled; it runs wherever PyTorch has a CUDA, ROCm or MPS device.
"""

import argparse
import math
import statistics
import sys
from collections.abc import Callable
from pathlib import Path

import torch

from blendgan_core import BlendGAN, BlendGANError
from blendgan_core.devices import choose_device
from blendgan_core.precision import PRECISIONS
from trainer.adversarial import Adversaries
from trainer.adversarial_config import AdversarialConfig
from trainer.draws import Draws

from .. import oracles
from ..golden_weights import relative_error
from .networks import prepared, random_model, random_picture
from .timing import seconds

R1_EVERY = 16  # steps: a cycle of lazy penalties


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--runs", type=int, default=20, help="timed runs of each row")
    options = parser.parse_args()
    try:
        device = choose_device(options.device)
    except BlendGANError as error:
        sys.exit(f"error: {error}")
    print(f"PyTorch {torch.__version__}, {device_name(device)}")
    with torch.inference_mode():
        measure_synthesis(device, options.runs)
        measure_pipeline(device, options.runs)
    measure_training(device)


def measure_synthesis(device: torch.device, runs: int) -> None:
    reference = prepared(random_model(1024, "generator"), "fp32")
    w = reference.sample_face(list(range(8)))
    expected = reference.synthesize(w[:1])
    for precision in PRECISIONS:
        model = prepared(random_model(1024, "generator"), precision).to(device)
        error = relative_error(model.synthesize(w[:1]).cpu(), expected)
        print(f"1024 px synthesis, {precision}: relative error against the CPU in fp32 {error:.1e}")
        for batch in (1, 2, 4, 8):
            reset_peak(device)
            time = median_seconds(lambda m=model, b=batch: m.synthesize(w[:b]), device, runs)
            print(f"    batch {batch}: {1000 * time / batch:8.2f} ms an image, {peak(device)}")
    plain = random_model(1024, "generator").generator.synthesis.to(device)
    noise, latent = plain.fixed_noise(), w[:1].to(device)
    straightforward = lambda: oracles.synthesis(plain, latent, noise)  # noqa: E731
    time = median_seconds(straightforward, device, runs)
    print(f"    the straightforward formulation, fp32, batch 1: {1000 * time:.2f} ms an image")


def measure_pipeline(device: torch.device, runs: int) -> None:
    face, art = random_picture(1024, seed=0), random_picture(1024, seed=1)
    parts = ("generator", "style_encoder", "psp_encoder")
    expected = prepared(random_model(1024, *parts), "fp32").stylize(face, art)
    for precision in PRECISIONS:
        model: BlendGAN = prepared(random_model(1024, *parts), precision)
        reset_peak(device)
        model.to(device)
        error = relative_error(model.stylize(face, art).cpu(), expected)
        time = median_seconds(lambda m=model: m.stylize(face, art), device, runs)
        print(
            f"photo and art to 1024 px, {precision}: {1000 * time:.1f} ms, {peak(device)} with all "
            f"weights, relative error against the CPU in fp32 {error:.1e}"
        )
        del model


def measure_training(device: torch.device) -> None:
    """The paper's game with all three discriminators, and its one-shot step."""
    for resolution in (256, 1024):
        for precision in PRECISIONS:
            each, memory = step_cost(device, resolution, 8, precision)
            print(
                f"GAN step at {resolution} px, batch 8, {precision}: {1000 * each:.0f} ms, "
                f"{8 / each:.1f} images/s, {memory}"
            )
    for precision in PRECISIONS:
        each, memory = step_cost(device, 1024, 1, precision, negatives=("queued", "paired"))
        print(
            f"one-shot step at 1024 px, batch 1, {precision}: {1000 * each:.0f} ms, 1000 steps in "
            f"{1000 * each / 60:.1f} minutes, {memory}"
        )


def step_cost(
    device: torch.device, resolution: int, batch: int, precision: str, **flags
) -> tuple[float, str]:
    """(the mean seconds of the 16 steps between two R1 penalties, peak memory), or NaN where the
    memory does not suffice."""
    config = AdversarialConfig(
        out=Path("unused"), steps=1, batch=batch, precision=precision, **flags
    )
    model = random_model(resolution, "generator", "style_encoder")
    pictures = torch.rand(batch, 3, resolution, resolution, device=device) * 2 - 1
    pictures = pictures.contiguous(memory_format=torch.channels_last)
    numbers = torch.arange(batch, device=device)
    reset_peak(device)
    try:
        game = Adversaries(config, model.generator, model.style_encoder, device)

        def steps() -> None:
            for number in range(R1_EVERY):
                game.step(pictures, Draws(0, number, range(batch), device), pictures, numbers)
            synchronize(device)

        steps()
        return seconds(steps) / R1_EVERY, peak(device)
    except torch.OutOfMemoryError:
        return math.nan, f"out of memory; {peak(device)}"


def median_seconds(action: Callable[[], object], device: torch.device, runs: int) -> float:
    def whole() -> None:
        action()
        synchronize(device)

    whole(), whole()
    return statistics.median(seconds(whole) for _ in range(runs))


def device_name(device: torch.device) -> str:
    return torch.cuda.get_device_name(device) if device.type == "cuda" else str(device)


def synchronize(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    elif device.type == "mps":
        torch.mps.synchronize()


def reset_peak(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats(device)


def peak(device: torch.device) -> str:
    if device.type != "cuda":
        return "memory not measured here"
    return f"{torch.cuda.max_memory_allocated(device) / 1e9:.2f} GB at the peak"


if __name__ == "__main__":
    main()
