"""How fast and small the networks of the official sizes are on a CPU, as ratios from one run.

    python -m tests.benchmarks.cpu [--runs 3] [--only files synthesis encoders pipeline scaling]

Each row times ours against the straightforward formulation (tests/oracles.py) and, where
BLENDGAN_OFFICIAL names a checkout (official.py says how), against the official code with the same
weights and input, in turn; a ratio is the median over the pairs. Weights are random. `agreement` is
the relative error (L2) of the output in fp32, the PSNR of the picture or the relative error of the
codes in bf16. Needs 12 GB of memory, and 6 GB of disk for the rows of `files`.
"""

import argparse

import torch
from torch import Tensor

from .. import oracles
from ..golden_weights import relative_error
from .files import measure_files
from .networks import official_state, prepared, random_model, random_picture
from .official import CHECKOUT, code
from .scaling import measure_scaling
from .timing import compare

GROUPS = ("files", "synthesis", "encoders", "pipeline", "scaling")  # files first, see files.py


def psnr(found: Tensor, expected: Tensor) -> float:
    """Of pictures in [-1, 1], in dB."""
    return (20 * torch.log10(2 / (found - expected).square().mean().sqrt())).item()


def row(name: str, ours, others: dict, target: str, agreement: str, runs: int) -> None:
    """Time ours against each of the others and print a line."""
    cells = []
    for label in ("straightforward", "official"):
        if label not in others:
            cells.append(f"{'-':>22}")
            continue
        mine, theirs, ratio = compare(ours, others[label], runs)
        cells.append(f"{theirs:7.2f} s {ratio:8.2f} x")
    print(f"{name:34} {mine:7.2f} s {' '.join(cells)}   {target:>8}   {agreement}", flush=True)


def agreement_of(found: Tensor, expected: Tensor, precision: str, pictures: bool) -> str:
    if precision == "bf16" and pictures:
        return f"{psnr(found, expected):.1f} dB"
    return f"{relative_error(found, expected):.1e}"


def measure_synthesis(runs: int) -> None:
    synthesis_row(1024, 1, "fp32", "4 x", runs)
    synthesis_row(1024, 4, "fp32", "5 x", runs)
    synthesis_row(1024, 1, "bf16", "7 x", runs)
    synthesis_row(256, 1, "fp32", "2 x", runs)
    synthesis_row(64, 8, "fp32", "2 x", runs)


def synthesis_row(resolution: int, batch: int, precision: str, target: str, runs: int) -> None:
    plain = random_model(resolution, "generator").generator.synthesis
    model = prepared(random_model(resolution, "generator"), precision)
    synthesis = model.generator.synthesis
    w = model.sample_face(list(range(batch)))
    noise = plain.fixed_noise()
    others = {"straightforward": lambda: oracles.synthesis(plain, w, noise)}
    if CHECKOUT:
        official = code().Generator(resolution, 512, 8, load_pretrained_vgg=False)
        del official.embedder
        official.load_state_dict(official_state(model))
        official.eval()
        others["official"] = lambda: official([w], input_is_latent=True, randomize_noise=False)[0]
    expected = others["official" if CHECKOUT else "straightforward"]()
    agreement = agreement_of(synthesis(w, noise), expected, precision, pictures=True)
    name = f"{resolution} px synthesis, batch {batch}, {precision}"
    row(name, lambda: synthesis(w, noise), others, target, agreement, runs)


def measure_encoders(runs: int) -> None:
    if not CHECKOUT:
        print("encoders: their comparison is the official code; set BLENDGAN_OFFICIAL")
        return
    encoder_row("style_encoder", "fp32", "2.3 x", runs)
    encoder_row("style_encoder", "bf16", "3.5 x", runs)
    encoder_row("psp_encoder", "fp32", "1.15 x", runs)
    encoder_row("psp_encoder", "bf16", "1.7 x", runs)


def encoder_row(part: str, precision: str, target: str, runs: int) -> None:
    model = random_model(1024, part)
    if part == "style_encoder":
        official, ours = code().StyleEncoder(load_pretrained_vgg=False), model.encode_style
    else:
        official, ours = code().GradualStyleEncoder(50, "ir_se", 18), model.invert
    official.load_state_dict(official_state(model))
    official.eval()
    prepared(model, precision)
    image = random_picture(256, seed=0)
    agreement = agreement_of(ours(image), official(image), precision, pictures=False)
    name = f"{part.replace('_', ' ').replace('psp', 'pSp')}, {precision}"
    others = {"official": lambda: official(image)}
    row(name, lambda: ours(image), others, target, agreement, runs)


def measure_pipeline(runs: int) -> None:
    if not CHECKOUT:
        print("pipeline: its comparison is the official code; set BLENDGAN_OFFICIAL")
        return
    pipeline_row("fp32", "2.4 x", runs)
    pipeline_row("bf16", "4 x", runs)


def pipeline_row(precision: str, target: str, runs: int) -> None:
    model = random_model(1024, "generator", "style_encoder", "psp_encoder")
    official = code().Generator(1024, 512, 8, load_pretrained_vgg=False).eval()
    encoder = code().GradualStyleEncoder(50, "ir_se", 18).eval()
    official.load_state_dict(official_state(model, "generator", "style_encoder"))
    encoder.load_state_dict(official_state(model, "psp_encoder"))
    prepared(model, precision)
    face, art = random_picture(1024, seed=0), random_picture(1024, seed=1)

    def theirs() -> Tensor:
        w_face = encoder(torch.nn.functional.adaptive_avg_pool2d(face, 256))
        z_style = official.get_z_embed(art)
        return official(
            [w_face],
            z_embed=z_style,
            add_weight_index=6,
            input_is_latent=True,
            randomize_noise=False,
        )[0]

    agreement = agreement_of(model.stylize(face, art), theirs(), precision, pictures=True)
    name = f"photo and art to 1024 px, {precision}"
    row(name, lambda: model.stylize(face, art), {"official": theirs}, target, agreement, runs)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=int, default=3, help="pairs of each row")
    parser.add_argument("--only", nargs="+", choices=GROUPS, default=GROUPS)
    options = parser.parse_args()
    threads = torch.get_num_threads()
    print(
        f"PyTorch {torch.__version__}, {threads} threads; official code: {CHECKOUT or 'not given'}"
    )
    print(f"{'':34} {'ours':>9} {'straightforward':>19} {'official':>21}   {'aim':>9}   agreement")
    measure = {
        "synthesis": measure_synthesis,
        "encoders": measure_encoders,
        "pipeline": measure_pipeline,
        "files": measure_files,
        "scaling": measure_scaling,
    }
    with torch.inference_mode():
        for group in (name for name in GROUPS if name in options.only):
            measure[group](options.runs)


if __name__ == "__main__":
    main()
