"""`python -m trainer.gan`: train the generator and the three discriminators (paper, section 3.4).

Without --art it trains the natural branch alone, a StyleGAN2 on --natural; the paper starts from
such a model (--init).
"""

from dataclasses import dataclass
from pathlib import Path

import torch

import blendgan_core
from blendgan_core.blendgan import BlendGAN
from blendgan_core.checkpoint import read
from blendgan_core.config import GeneratorConfig
from blendgan_core.errors import BlendGANError, CheckpointError
from blendgan_core.generator import Generator, MappingNetwork
from blendgan_core.sheets import write_sheet
from blendgan_core.style_encoder import StyleEncoder

from .adversarial import Adversaries
from .adversarial_config import AdversarialConfig
from .cli import run_cli
from .data import Feed, ImageSet, random_flip
from .draws import FIXED_SEED
from .progress import measure_progress
from .run import Run
from .style_mapping_fit import adapt_style_mapping_
from .training_config import flag, require_files

GRID_ROWS = 8
STORED_CODES = 1024
FRESH_ALPHA = 0.3  # of a generator that does not know styles yet
FILES = {
    "init": "a checkpoint with a generator to start from",
    "style_encoder": "a checkpoint of trainer.style_encoder",
}


@dataclass(frozen=True, kw_only=True)
class GanConfig(AdversarialConfig):
    """Train BlendGAN's generator on natural faces and, with --art, on artistic ones."""

    natural: tuple[Path, ...]
    """aligned natural faces: folders, zips or shards of them"""
    art: tuple[Path, ...] = ()
    """aligned artistic faces: folders, zips or shards; each (sub)folder of pictures is a style,
    drawn evenly"""
    style_encoder: Path | None = None
    """a checkpoint with a trained style encoder, or its hf:// address; needed with --art"""
    init: Path | None = None
    """a checkpoint to start from, or its hf:// address: its generator and, where it has them, its
    discriminators"""
    steps: int = 200_000
    """optimiser steps (paper)"""
    batch: int = 8
    """pictures a step, of all processes together (paper)"""
    resolution: int = 1024
    """pixels; with --init that of the checkpoint"""
    z_dim: int = 512
    """size of the face and style codes; with --init that of the checkpoint"""
    w_dim: int = 512
    """size of a layer's latent; with --init that of the checkpoint"""
    channel_base: int = 32768
    """channels at resolution r are channel_base / r, at most channel_max; with --init the
    checkpoint's"""
    channel_max: int = 512
    """see channel_base"""
    alpha_init: float | None = None
    """the style's share in every layer at the start: if not given that of an --init that knows
    styles, else 0.3. The official code starts at 0, where the style mapping gets no gradient. With
    --alpha-lr 0 it stays as it is"""
    metric_pictures: int = 64
    """pictures from which the metrics in the log are measured beside each grid; 0 leaves them out.
    They need no downloaded weights, and so compare with nothing but themselves"""
    data_licence: str = "unknown"
    """licence of the pictures, stored with the weights"""


def train_gan(config: GanConfig) -> Path | None:
    """Run the training; return the final checkpoint's path, or None after a dry run."""
    if config.art and not config.style_encoder:
        raise BlendGANError(
            "--art needs --style-encoder, a checkpoint of `python -m trainer.style_encoder`"
        )
    if config.style_encoder and not config.art:
        raise BlendGANError("--style-encoder is of use with --art only; give both or neither")
    require_files(config, FILES)
    run = Run(config, config.accumulate)
    run.seed_weights()
    generator = make_generator(config)
    encoder = load_style_encoder(config.style_encoder, generator.config) if config.art else None
    resolution = generator.config.resolution
    natural = ImageSet(config.natural, resolution, at_least=config.batch)
    art = ImageSet(config.art, resolution) if config.art else None
    faces_of = Feed(natural, "natural", config.batch, config.seed, run.samples)
    art_of = Feed(art, "art", config.batch, config.seed, run.samples) if art else None
    device = run.device
    if config.init and encoder and not config.resume:
        keep_styles_(generator.to(device), encoder.to(device), art, config.init)
    game = Adversaries(config, generator, encoder, device)
    if config.init:
        load_discriminators_(game, config.init)

    def step():
        draws = run.draws()
        faces, _ = faces_of(run.step)
        faces = random_flip(faces.to(device), draws)
        if art_of is None:
            return game.step(faces, draws)
        art_images, pictures = art_of(run.step)
        return game.step(faces, draws, random_flip(art_images.to(device), draws), pictures)

    def finish() -> Path:
        provenance = {
            "kind": "gan" if art else "natural",
            "natural": f"{len(natural)} pictures",
            "art": f"{len(art)} pictures in {len(art.styles)} styles" if art else None,
            "licence": config.data_licence,
            "steps": run.step,
            "images": run.step * config.batch,
            "seed": config.seed,
            "parent": config.init.name if config.init else None,
        }
        return save_final(game, run.folder / "final.safetensors", provenance, art)

    def measure() -> dict[str, float]:
        if not config.metric_pictures:
            return {}
        count = config.metric_pictures
        return measure_progress(game.average, game.style_encoder, art, natural, count)

    return run.loop(
        game.parts(), step, lambda path: sample(game, art, path), finish, game.networks(), measure
    )


def make_generator(config: GanConfig) -> Generator:
    """A new generator, or that of --init.

    One that knows natural faces only gets a fresh style mapping: a copy of the face's would put the
    styles among the faces' latents, where G cannot tell i = 0 from i = L, and with a hundredth of
    the learning rate it would be slow to leave.
    """
    if not config.init:
        sizes = GeneratorConfig(
            resolution=config.resolution,
            z_dim=config.z_dim,
            w_dim=config.w_dim,
            channel_base=config.channel_base,
            channel_max=config.channel_max,
        )
        return Generator(sizes, FRESH_ALPHA if config.alpha_init is None else config.alpha_init)
    model = blendgan_core.load(config.init)
    if model.generator is None:
        raise CheckpointError(
            f"{config.init} has no generator to start from; give a GAN's checkpoint"
        )
    for name in ("resolution", "z_dim", "w_dim", "channel_base", "channel_max"):
        asked, found = getattr(config, name), getattr(model.generator.config, name)
        if asked not in (found, getattr(GanConfig, name)):
            raise BlendGANError(
                f"{flag(name)} is {asked}, but the generator of --init {config.init} has {found}; "
                "leave the flag out"
            )
    generator = model.generator.requires_grad_(True).train()
    alpha = config.alpha_init
    if model.style_encoder is None:  # it knows natural faces only
        sizes = generator.config
        generator.style_mapping = MappingNetwork(sizes.z_dim, sizes.w_dim, sizes.mapping_layers)
        alpha = FRESH_ALPHA if alpha is None else alpha
    if alpha is not None:
        torch.nn.init.constant_(generator.blending.alpha, alpha)
    return generator


def load_stylizer(path: Path) -> BlendGAN:
    """A model that can stylise, so has a generator and a style encoder."""
    model = blendgan_core.load(path)
    if model.generator is None or model.style_encoder is None:
        raise CheckpointError(
            f"{path} lacks a generator or a style encoder, and both are needed; "
            "give a checkpoint that stylises, such as one of trainer.gan"
        )
    return model


def load_style_encoder(path: Path, sizes: GeneratorConfig) -> StyleEncoder:
    """The style encoder of a checkpoint, checked against the generator's code size."""
    encoder = blendgan_core.load(path).style_encoder
    if encoder is None:
        raise CheckpointError(
            f"{path} has no style encoder; give a checkpoint of trainer.style_encoder"
        )
    if encoder.config.z_dim != sizes.z_dim:
        raise CheckpointError(
            f"the style encoder in {path} gives codes of size {encoder.config.z_dim}, "
            f"the generator takes {sizes.z_dim}; train one of them with the other's size"
        )
    return encoder


def keep_styles_(generator: Generator, encoder: StyleEncoder, art: ImageSet, init: Path) -> None:
    """Where --init knows styles by the codes of another encoder, let it know them by those of this
    one."""
    old = blendgan_core.load(init, encoder.predictor[0].weight.device).style_encoder
    missed = adapt_style_mapping_(generator, old, encoder, art) if old else None
    if missed is not None:
        print(
            f"{init.name} has another style encoder: its style mapping was fitted to the codes of "
            f"the new one, and misses {missed:.0%} of the latents' variance"
        )


def load_discriminators_(game: Adversaries, path: Path) -> None:
    """Fill those discriminators, and the queue, that the checkpoint has; name what it lacks."""
    extras = read(path).extras
    for name, network in (game.discriminators | {"queue": getattr(game, "queue", None)}).items():
        state = extras.get(name)
        if network is None:
            continue
        if not state:
            print(f"{path.name} has no {name}: it starts afresh")
            continue
        if name == "queue":
            game.queue.push_(state["codes"], torch.full((len(state["codes"]),), -2))
        else:
            network.load_state_dict(state)


def save_final(game: Adversaries, path: Path, provenance: dict, art: ImageSet | None) -> Path:
    """Write the averaged generator, the style encoder, and what a fine-tune goes on from."""
    average = game.average.cpu()
    average.measure_w_mean_()
    if art is not None and len(game.queue):  # no code was seen in 0 steps
        average.measure_styles_(game.queue.codes[: len(game.queue)].cpu())
    encoder = game.style_encoder.cpu() if game.style_encoder else None
    model = BlendGAN.assemble(average, encoder)
    return blendgan_core.save(model, path, provenance, training_parts(game))


def training_parts(game: Adversaries) -> dict[str, dict[str, torch.Tensor]]:
    """What a later fine-tune goes on from, by prefix: the discriminators and style codes."""
    parts = {name: network.state_dict() for name, network in game.discriminators.items()}
    if game.style_encoder:
        parts["queue"] = {"codes": game.queue.codes[: len(game.queue)][-STORED_CODES:]}
    return parts


@torch.no_grad()
def sample(game: Adversaries, art: ImageSet | None, path: Path) -> None:
    """Natural only: a grid of faces. With art: natural, i = 6, i = 3, i = 0 and the reference."""
    torch.manual_seed(FIXED_SEED)
    generator = game.average
    noise = generator.synthesis.fixed_noise()
    if art is None:
        z = torch.randn(GRID_ROWS * GRID_ROWS, generator.config.z_dim).to(generator.w_mean)
        faces = generator.synthesis(generator.map_face(z), noise)
        write_sheet(path, list(faces.view(GRID_ROWS, GRID_ROWS, *faces.shape[1:])))
        return
    columns = []
    for _ in range(2):
        z = torch.randn(GRID_ROWS, generator.config.z_dim).to(generator.w_mean)
        references = art.batch(art.draw(GRID_ROWS)).to(z)
        w_face, w_style = generator.map_face(z), generator.map_style(game.style_encoder(references))
        for indicator in (generator.config.num_layers, 6, 3, 0):
            w = generator.blending(w_face, w_style, min(indicator, generator.config.num_layers))
            columns.append(generator.synthesis(w, noise))
        columns.append(references)
    write_sheet(path, columns)


if __name__ == "__main__":
    run_cli(train_gan, GanConfig)
