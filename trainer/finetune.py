"""`python -m trainer.finetune --ref art.png`: teach BlendGAN one new style from one picture
(paper, A.5).

The style encoder is frozen; the generator and all three discriminators are trained. D_face still
sees natural faces, D_style and D_style_latent only the reference.
"""

from dataclasses import dataclass, replace
from pathlib import Path

import torch
from torch import Tensor

import blendgan_core
from blendgan_core.blendgan import BlendGAN
from blendgan_core.checkpoint import LOCAL_MODELS, STARTER
from blendgan_core.devices import choose_device
from blendgan_core.errors import BlendGANError

from .adversarial import AdversarialConfig, Adversaries, Negative
from .cli import run_cli
from .data import ImageSet, find_pictures, random_flip
from .gan import load_discriminators_, load_stylizer, sample, training_parts
from .run import Run


@dataclass(frozen=True, kw_only=True)
class FinetuneConfig(AdversarialConfig):
    """Teach BlendGAN one new style from one picture."""

    ref: Path
    """the style picture, or a folder of pictures in one style"""
    checkpoint: Path = STARTER
    """the model to start from; the default weights if not given"""
    natural: tuple[Path, ...] = ()
    """folders of aligned natural faces for D_face; without them it sees faces of the frozen start
    model"""
    name: str | None = None
    """name of the new checkpoint; that of the picture if not given"""
    out: Path | None = None
    """the run folder; runs/finetune/NAME if not given"""
    steps: int = 1000
    """optimiser steps (paper)"""
    batch: int = 1
    """pictures a step (paper)"""
    ema_images: float = 350
    """half-life of the averaged generator; that of a full training would keep 93% of the old
    weights"""
    negatives: tuple[Negative, ...] = ("queued", "paired")
    """what D_style_latent takes for fake, see trainer.gan. With one reference all real pairs have
    one code, so with queued codes alone (paper, eq. 8) it goes by the code and teaches G nothing"""
    r1_gamma: float = 1.0
    """weight of R1; lower than in a full training, since one reference is all there is to learn"""


def finetune(config: FinetuneConfig) -> Path:
    """Run the fine-tune; return the checkpoint's path, which the ComfyUI loader lists."""
    name = config.name or config.ref.stem
    out = config.out or Path("runs") / "finetune" / name
    config = replace(config, name=name, out=out)
    listed = models_folder() / f"{name}.safetensors"
    if listed.exists() and not config.resume:
        raise BlendGANError(f"{listed} exists already; choose another --name")
    found = find_pictures(config.ref)  # a wrong path is told before the model is loaded
    base = load_stylizer(config.checkpoint)
    references = ImageSet(found, base.resolution)
    references[0]  # an unreadable picture ends it here, before a folder is made
    natural = ImageSet(config.natural, base.resolution) if config.natural else None
    run = Run(config)
    device = choose_device(config.device)
    torch.manual_seed(config.seed)
    frozen = base.generator.to(device, memory_format=torch.channels_last)
    start = BlendGAN(generator=frozen.config).generator
    start.load_state_dict(frozen.state_dict())
    game = Adversaries(config, start, base.style_encoder, device)
    load_discriminators_(game, config.checkpoint)

    def step() -> dict[str, Tensor]:
        if natural is None:
            faces = draw_natural(frozen, config.batch)
        else:
            faces = natural.batch(natural.draw(config.batch)).to(device)
        pictures = references.draw(config.batch)
        art = random_flip(references.batch(pictures).to(device))
        return game.step(random_flip(faces), art, pictures.to(device))

    run.loop(game.parts(), step, lambda path: sample(game, references, path))
    average = game.average.cpu()
    average.measure_w_mean_()
    model = BlendGAN.assemble(average, game.style_encoder.cpu(), base.psp_encoder)
    provenance = {
        "kind": "one-shot fine-tune",
        "reference": config.ref.name,
        "parent": config.checkpoint.name,
        "parent_provenance": base.provenance,
        "steps": config.steps,
        "batch": config.batch,
        "seed": config.seed,
    }
    final = blendgan_core.save(model, out / "final.safetensors", provenance, training_parts(game))
    blendgan_core.save(model, listed, provenance)  # without what only a training needs
    print(f"the checkpoint is {listed}\nrun folder: {final.parent}")
    print(f"in ComfyUI: reload the page (R) and choose {listed.name} in 'Load BlendGAN'")
    return listed


@torch.no_grad()
def draw_natural(generator: torch.nn.Module, count: int) -> Tensor:
    """Natural faces of a frozen generator (i = L) -> [N, 3, R, R]."""
    z = torch.randn(count, generator.config.z_dim).to(generator.w_mean)
    noise = generator.synthesis.draw_noise(count, torch.default_generator)
    return generator.synthesis(generator.map_face(z), noise)


def models_folder() -> Path:
    """Where the ComfyUI loader looks: ComfyUI's models/blendgan, or the pack's own outside of
    ComfyUI."""
    pack = Path(__file__).absolute().parents[1]  # not resolved: a linked pack lives in ComfyUI
    comfyui = pack.parent.parent
    if pack.parent.name == "custom_nodes" and (comfyui / "models").is_dir():
        return comfyui / "models" / "blendgan"
    return LOCAL_MODELS


if __name__ == "__main__":
    run_cli(finetune, FinetuneConfig)
