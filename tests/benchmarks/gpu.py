"""Speed, memory and agreement with the CPU of the official sizes on a GPU; see docs/gpu.md.

    python -m tests.benchmarks.gpu [--device cuda] [--runs 20]

Weights are random. Nothing is compiled; it runs wherever PyTorch has a CUDA, ROCm or MPS device.
"""

import argparse
import statistics
import sys
from collections.abc import Callable

import torch
from torch import Tensor

from blendgan_core import BlendGAN, BlendGANError, layers
from blendgan_core.devices import choose_device
from blendgan_core.precision import PRECISIONS

from .. import oracles
from ..golden_weights import relative_error
from .networks import prepared, random_model, random_picture
from .timing import seconds


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
    measure_upsampling_with_gradients(device, options.runs)


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


def measure_upsampling_with_gradients(device: torch.device, runs: int) -> None:
    """Which of the two formulations `layers.upsampling_conv` should take in a training here."""
    for size, channels in ((16, 512), (64, 512), (256, 128)):
        x = torch.randn(4, channels, size, size, device=device)
        x = x.contiguous(memory_format=torch.channels_last).requires_grad_()
        weight = torch.randn(channels, channels, 3, 3, device=device, requires_grad=True)

        def backward(formulation: Callable[[Tensor, Tensor], Tensor], x=x, weight=weight) -> None:
            formulation(x, weight).square().mean().backward()

        times = [
            median_seconds(lambda f=f, b=backward: b(f), device, runs)
            for f in (layers.upsample_in_phases, layers.upsample_transposed)
        ]
        print(
            f"upsampling convolution to {2 * size} px, {channels} channels, forward and backward: "
            f"in phases {1000 * times[0]:.2f} ms, transposed {1000 * times[1]:.2f} ms"
        )


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
