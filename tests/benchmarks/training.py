"""How fast a GAN iteration is on a CPU, as ratios from one run, and whether it learns the same.

    python -m tests.benchmarks.training [--runs 3] [--only iteration gradients precision data]

All at 64 px with the official channel counts and batch 4.

`iteration`: fp32, ours against the straightforward formulation (tests/oracles.py: per-sample
grouped convolutions and reshaping FIR filters, NCHW) in turn, each part with Adam's step. The
iteration is D + G + R1 / 16 + path length / 4, with one discriminator, from the medians of its
parts.

`gradients`: how far each formulation in fp32 is from the straightforward one in fp64 (L2 over all
parameters, relative), and from each other. Rounding takes some activations to the other side of the
leaky ReLU's kink, so fp32 itself may be off by more than 1e-4. The command fails where ours is off
by over 1e-4 and by over twice what the straightforward one is.

`precision`: the trainer's own step in bf16 against fp32, for a CPU with bf16 units. `data`: what a
step waits for its pictures. Needs 8 GB of memory.
"""

import argparse
import statistics
import sys
from pathlib import Path

import torch

from blendgan_core import GeneratorConfig
from blendgan_core.generator import Generator
from trainer.adversarial import Adversaries
from trainer.adversarial_config import AdversarialConfig
from trainer.draws import Draws

from ..golden_weights import relative_error
from .feeding import measure_decoding, milliseconds_a_batch
from .gan_parts import both_formulations
from .timing import compare, seconds

GROUPS = ("iteration", "gradients", "precision", "data")
RESOLUTION, BATCH = 64, 4
MOST_ERROR = 1e-4


def measure_iteration(runs: int) -> None:
    ours, plain = both_formulations(RESOLUTION, BATCH)
    print(f"{'':32} {'ours':>9} {'straightforward':>17} {'ratio':>10}   {'aim':>5}")
    whole = [0.0, 0.0]
    for (name, our_part, weight), (_, plain_part, _) in zip(
        ours.parts(), plain.parts(), strict=True
    ):
        mine, theirs, ratio = compare(our_part, plain_part, runs)
        print(row(name, mine, theirs, ratio, ""), flush=True)
        whole[0] += mine * weight
        whole[1] += theirs * weight
    print(row("a full iteration", *whole, whole[1] / whole[0], "2 x"))


def row(name: str, mine: float, theirs: float, ratio: float, aim: str) -> str:
    return f"{name:32} {mine:7.2f} s {theirs:15.2f} s {ratio:8.2f} x   {aim:>5}"


def measure_gradients() -> bool:
    """Whether the formulations agree."""
    ours, plain = both_formulations(RESOLUTION, BATCH)
    exact = both_formulations(RESOLUTION, BATCH)[1].double_()
    print(f"{'gradients':32} {'ours':>9} {'straightforward':>17} {'each other':>12}")
    agree = True
    for rows in zip(ours.parts(), plain.parts(), exact.parts(), strict=True):
        for _, part, _ in rows:
            part()
        found, other, expected = (game.gradients() for game in (ours, plain, exact))
        error, fp32, apart = (
            relative_error(found, expected),
            relative_error(other, expected),
            relative_error(found, other),
        )
        agree &= error <= max(MOST_ERROR, 2 * fp32)
        print(f"{rows[0][0]:32} {error:9.1e} {fp32:17.1e} {apart:12.1e}", flush=True)
    return agree


def measure_precision(runs: int) -> None:
    full, half = (iteration_seconds(trained(precision), runs) for precision in ("fp32", "bf16"))
    print(
        f"the trainer's iteration, one discriminator: fp32 {full:.2f} s, bf16 {half:.2f} s, "
        f"{full / half:.2f} x (aim 1.6 x)"
    )


def trained(precision: str) -> Adversaries:
    """The trainer's game on natural faces alone."""
    config = AdversarialConfig(out=Path("unused"), steps=1, batch=BATCH, precision=precision)
    torch.manual_seed(0)
    generator = Generator(GeneratorConfig(resolution=RESOLUTION))
    return Adversaries(config, generator, None, torch.device("cpu"))


def iteration_seconds(game: Adversaries, runs: int) -> float:
    """The mean of the 16 steps of a cycle: one with R1 and path length, three with path length."""
    natural = torch.rand(BATCH, 3, RESOLUTION, RESOLUTION) * 2 - 1
    natural = natural.contiguous(memory_format=torch.channels_last)

    def step(number: int) -> None:
        game.steps_done.fill_(number)
        game.step(natural, Draws(0, number, range(BATCH), "cpu"))

    step(0)
    both, path, neither = (
        statistics.median(seconds(lambda n=number: step(n)) for _ in range(runs))
        for number in (0, 4, 1)
    )
    return (both + 3 * path + 12 * neither) / 16


def measure_data(runs: int) -> None:
    step = iteration_seconds(trained("fp32"), runs)
    wait = milliseconds_a_batch(picture_size=128, resolution=RESOLUTION, batch=BATCH)
    print(
        f"data, pictures of 128 px never seen before: {wait:.1f} ms a batch with nothing else to "
        f"do, {wait / step / 10:.2f}% of a step of {step:.2f} s (aim: below 5%)"
    )
    measure_decoding()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=int, default=3, help="pairs of each row")
    parser.add_argument("--only", nargs="+", choices=GROUPS, default=GROUPS)
    options = parser.parse_args()
    print(
        f"PyTorch {torch.__version__}, {torch.get_num_threads()} threads; "
        f"{RESOLUTION} px, official channel counts, batch {BATCH}"
    )
    if "iteration" in options.only:
        measure_iteration(options.runs)
    agree = measure_gradients() if "gradients" in options.only else True
    if "precision" in options.only:
        measure_precision(options.runs)
    if "data" in options.only:
        measure_data(options.runs)
    if not agree:
        sys.exit(f"error: gradients differ by over {MOST_ERROR} and by more than fp32 explains")


if __name__ == "__main__":
    main()
