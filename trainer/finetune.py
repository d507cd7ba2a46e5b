"""`python -m trainer.finetune --ref art.png`: teach BlendGAN one new style from one picture,
or from several in that style.

--mode paper is the paper's appendix A.5: the style encoder is frozen; the generator and all three
discriminators are trained. D_face still sees natural faces, D_style and D_style_latent only the
reference. --mode fast does without discriminators: see finetune_fast.py.
"""

import time
from dataclasses import asdict, dataclass, fields, replace
from functools import partial
from pathlib import Path
from typing import Literal

import torch
from torch import Tensor

import blendgan_core
from blendgan_core import delta
from blendgan_core.blendgan import BlendGAN
from blendgan_core.checkpoint import STARTER
from blendgan_core.delta import models_folder
from blendgan_core.errors import BlendGANError
from blendgan_core.generator import Generator
from blendgan_core.hub import is_address

from . import processes
from .adversarial import Adversaries
from .adversarial_config import AdversarialConfig, Negative
from .cli import run_cli
from .data import Feed, ImageSet, random_flip
from .draws import Draws
from .finetune_fast import FastFinetune, trained_weights
from .gan import load_discriminators_, load_stylizer, sample, training_parts
from .picture_sources import open_source
from .run import Run
from .style_distance import measure
from .training_config import TrainingConfig, require_files

DEFAULTS = {
    "fast": {"steps": 140, "batch": 2, "lr": 0.004},
    "paper": {"steps": 1000, "batch": 1, "lr": 0.002},
}
MOST_OF_A_FILE = 0.1  # that a delta may take


@dataclass(frozen=True, kw_only=True)
class FinetuneConfig(AdversarialConfig):
    """Teach BlendGAN one new style from one picture, or from several in that style."""

    ref: tuple[Path, ...]
    """the style's pictures: one or more, or folders of them"""
    mode: Literal["fast", "paper"] = "fast"
    """paper: all of the generator against three discriminators (A.5). fast: no discriminators; the
    style mapping, alpha and the layers from 16 pixels on learn from the reference's patches,
    Gram matrices and style code, and keep the light and dark of a face, while the frozen start
    model holds natural faces where they are; a tenth of the time. It refuses --natural and the
    discriminators' flags"""
    checkpoint: Path = STARTER
    """the model to start from, or its hf:// address; the default weights if not given"""
    natural: tuple[Path, ...] = ()
    """paper mode: folders of aligned natural faces for D_face; without them it sees faces of the
    frozen start model"""
    name: str | None = None
    """name of the new checkpoint; that of the (first) reference if not given"""
    delta: bool = False
    """store in the loader's folder only what changed, at most a tenth of the whole file; it loads
    on top of --checkpoint, which must then be kept. The run folder has the same model as a whole"""
    models_folder: Path | None = None
    """where the new checkpoint goes; the folder that the ComfyUI loader looks into if not given"""
    out: Path | None = None
    """the run folder; runs/finetune/NAME if not given"""
    steps: int | None = None
    """optimiser steps; 1000 in paper mode (paper), 140 in fast mode if not given"""
    batch: int | None = None
    """random faces a step; 1 in paper mode (paper), 2 in fast mode if not given"""
    lr: float | None = None
    """Adam's learning rate; .002 in paper mode (paper), .004 in fast mode if not given"""
    ema_images: float = 350
    """half-life of the averaged generator; that of a full training would keep 93% of the old
    weights"""
    negatives: tuple[Negative, ...] = ("queued", "paired")
    """what D_style_latent takes for fake, see trainer.gan. With one reference all real pairs have
    one code, so with queued codes alone (paper, eq. 8) it goes by the code and teaches G nothing"""
    r1_gamma: float = 1.0
    """weight of R1; lower than in a full training, since one reference is all there is to learn"""


def finetune(config: FinetuneConfig) -> Path | None:
    """Run the fine-tune; return the checkpoint's path, which the ComfyUI loader lists, or None
    after a dry run."""
    began = time.perf_counter()
    config = settle(config)
    require_files(config, {"checkpoint": "a checkpoint that stylises"})
    listed = (config.models_folder or models_folder()) / f"{config.name}.safetensors"
    if listed.exists() and not (config.resume or config.dry_run):
        raise BlendGANError(f"{listed} exists already; choose another --name")
    run = Run(config, config.accumulate)
    # a wrong path is told before the model is loaded
    for source in config.ref:
        open_source(source)
    base = load_stylizer(config.checkpoint)
    if config.delta:
        check_delta_is_small(config, base)
    references = ImageSet(config.ref, base.resolution)
    pictures = references.batch(torch.arange(len(references)))  # also tells of unreadable ones
    device = run.device
    run.seed_weights()
    frozen = base.generator.to(device, memory_format=torch.channels_last)
    encoder = base.style_encoder.to(device)
    start = BlendGAN(generator=frozen.config).generator
    start.load_state_dict(frozen.state_dict())
    start.to(device, memory_format=torch.channels_last)
    prepare = against_discriminators if config.mode == "paper" else towards_the_reference
    game, step = prepare(config, base, start, references, run)
    if not config.dry_run:
        before = measure(frozen, frozen, encoder, pictures)
        print(f"before: {before}")

    def finish() -> Path:
        tuned = game.average.cpu()
        if config.mode == "paper":  # in fast mode no natural face moves on purpose
            tuned.measure_w_mean_()
        old = {key: value.cpu() for key, value in frozen.state_dict().items()}
        changes = delta.encode(tuned.state_dict(), old)
        # rounded as a delta rounds it, so that it is one model with --delta or without
        tuned.load_state_dict(delta.decode(old, changes))
        after = measure(tuned.to(device), frozen, encoder, pictures)
        print(f"after:  {after}")
        provenance = {
            "kind": "one-shot fine-tune",
            "mode": config.mode,
            "references": [path.name for path in references.paths],
            "parent": config.checkpoint.name,
            "parent_provenance": base.provenance,
            "steps": run.step,
            "batch": config.batch,
            "seed": config.seed,
            "before": asdict(before),
            "after": asdict(after),
        }
        model = BlendGAN.assemble(tuned.cpu(), encoder.cpu(), base.psp_encoder)
        extras = training_parts(game) if config.mode == "paper" else {}
        final = blendgan_core.save(model, run.folder / "final.safetensors", provenance, extras)
        if config.delta:
            delta.write_delta(listed, config.checkpoint, changes, provenance)
        else:
            blendgan_core.save(model, listed, provenance)  # without what only a training needs
        tell(config, listed, final, time.perf_counter() - began)
        return listed

    networks = game.networks() | {"start model": frozen}
    return run.loop(
        game.parts(), step, lambda path: sample(game, references, path), finish, networks
    )


def settle(config: FinetuneConfig) -> FinetuneConfig:
    """The defaults that depend on other flags; BlendGANError for flags that have no effect."""
    if not config.ref:
        raise BlendGANError("--ref is empty; name one or more pictures of the style")
    if config.mode == "fast":
        others = {field.name for field in fields(AdversarialConfig)} - {
            field.name for field in fields(TrainingConfig)
        }
        for field in fields(FinetuneConfig):
            paper_only = field.name == "natural" or field.name in others - {"lr"}
            if paper_only and getattr(config, field.name) != field.default:
                raise BlendGANError(
                    f"--{field.name.replace('_', '-')} is for --mode paper; give both or neither"
                )
    name = config.name or config.ref[0].stem
    chosen = {
        key: default if getattr(config, key) is None else getattr(config, key)
        for key, default in DEFAULTS[config.mode].items()
    }
    out = config.out or Path("runs") / "finetune" / name
    return replace(config, name=name, out=out, **chosen)


def check_delta_is_small(config: FinetuneConfig, base: BlendGAN) -> None:
    """Refuse a delta of more than a tenth before the work is done."""
    generator = base.generator
    changed = generator.parameters()
    if config.mode == "fast":
        changed = [weight for group in trained_weights(generator) for weight in group]
    delta_bytes = sum(weight.numel() for weight in changed)
    whole_bytes = 2 * sum(weight.numel() for weight in base.parameters())  # in 16 bits
    if delta_bytes > MOST_OF_A_FILE * whole_bytes:
        raise BlendGANError(
            f"a delta would be {delta_bytes / whole_bytes:.0%} of the whole model, more than a "
            "tenth; leave --delta out"
        )


def against_discriminators(config, base, start, references, run):
    """Paper mode: the game and its step. D_face sees --natural, or faces of the start model."""
    feed = partial(Feed, batch=config.batch, seed=config.seed, samples=run.samples)
    natural = ImageSet(config.natural, base.resolution) if config.natural else None
    faces_of = feed(natural, "natural") if natural else None
    art_of = feed(references, "art")
    game = Adversaries(config, start, base.style_encoder, run.device)
    load_discriminators_(game, config.checkpoint)

    def step() -> dict[str, Tensor]:
        draws = run.draws()
        if faces_of is None:
            faces = draw_natural(base.generator, draws)
        else:
            faces = faces_of(run.step)[0].to(run.device)
        art, pictures = art_of(run.step)
        faces = random_flip(faces, draws)
        return game.step(faces, draws, random_flip(art.to(run.device), draws), pictures)

    return game, step


def towards_the_reference(config, base, start, references, run):
    """Fast mode: the networks and their step, towards one reference at a time."""
    if processes.count() > 1:
        raise BlendGANError(
            f"--mode fast is done by one process, torchrun started {processes.count()}; run "
            "`python -m trainer.finetune`, or take --mode paper"
        )
    pictures = references.batch(torch.arange(len(references))).to(run.device)
    game = FastFinetune(config.lr, start, base.generator, base.style_encoder, pictures)
    return game, lambda: game.step(int(references.draw(1)), config.batch)


def tell(config: FinetuneConfig, listed: Path, final: Path, seconds: float) -> None:
    """Where the result is, and how it is chosen."""
    size = listed.stat().st_size
    print(f"the checkpoint is {listed} ({size / 1e6:.2f} MB), made in {seconds:.0f} s")
    if config.delta:
        base = config.checkpoint if is_address(config.checkpoint) else config.checkpoint.name
        share = size / final.stat().st_size
        print(f"a delta of {share:.1%} of the whole file; keep its base, {base}, beside it")
    print(f"run folder, with the whole model in {final.name}: {final.parent}")
    print(f"in ComfyUI: reload the page (R) and choose {listed.name} in 'Load BlendGAN'")
    print(
        f"on the command line: python -m blendgan_core stylize --checkpoint {listed} "
        f"--face photo.jpg --style {config.ref[0]} --indicator 0 --out out.png"
    )


@torch.no_grad()
def draw_natural(generator: Generator, draws: Draws) -> Tensor:
    """Natural faces of a frozen generator (i = L) -> [N, 3, R, R]."""
    z = draws.normal(generator.config.z_dim)
    noise = draws.noise(generator.synthesis.noise_shapes())
    return generator.synthesis(generator.map_face(z), noise)


if __name__ == "__main__":
    run_cli(finetune, FinetuneConfig)
