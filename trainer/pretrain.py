"""`python -m trainer.pretrain`: teach a generator to draw given faces in given styles.

Not in the paper, which starts from a StyleGAN2 that has seen millions of photos. Where the same
person can be drawn natural and in a style (`trainer.synthesize --twins`), the result is known pixel
by pixel, and a small generator learns faces and styles from it in a hundredth of the pictures that
an adversarial game takes. That game, `trainer.gan --init`, then makes the pictures crisp.
"""

from collections.abc import Callable
from copy import deepcopy
from pathlib import Path

import torch
from torch import Tensor, nn

import blendgan_core
from blendgan_core.blendgan import BlendGAN
from blendgan_core.checkpoint import read
from blendgan_core.config import GeneratorConfig, PSPConfig
from blendgan_core.errors import BlendGANError, CheckpointError
from blendgan_core.generator import Generator
from blendgan_core.precision import PRECISIONS
from blendgan_core.psp_encoder import PSPEncoder
from blendgan_core.sheets import write_sheet
from blendgan_core.style_encoder import StyleEncoder

from . import processes
from .annealing import anneal_, late
from .cli import run_cli
from .critic import Critic
from .data import ImageSet
from .draws import FIXED_SEED, Draws
from .ema import half_life_decay, update_ema_
from .gan import keep_styles_, load_style_encoder
from .half_precision import compute_top_in_
from .latent_prior import fit_face_mapping_, start_style_mapping_
from .pretrain_config import PretrainConfig
from .pretrain_losses import Losses, Made, layer_spread
from .pretrain_pictures import Pictures, Sources
from .run import Run
from .synced_norm import sync_norms_
from .training_config import require_files
from .twins import Twins

GRID_ROWS = 8
STRONGEST = 4  # indicators 0..3 are trained to give the whole style
STYLE_MAPPING_RATE = 20
JUDGE = "d_style_latent"  # the critic's name in a checkpoint
PRIOR_PICTURES = 4096  # whose latents the face mapping learns to draw


class Pupils(nn.Module):
    """What is trained: the generator and the pSp encoder, and their averages."""

    def __init__(self, config: PretrainConfig):
        super().__init__()
        self.generator, self.encoder = make_networks(config)
        self.average_generator = deepcopy(self.generator).eval().requires_grad_(False)
        self.average_encoder = deepcopy(self.encoder).eval().requires_grad_(False)

    def average_(self, decay: float) -> None:
        """Move the averages on."""
        update_ema_(self.average_generator, self.generator, decay)
        update_ema_(self.average_encoder, self.encoder, decay)


def make_networks(config: PretrainConfig) -> tuple[Generator, PSPEncoder]:
    """New ones, or those of --init."""
    start = blendgan_core.load(config.init) if config.init else None
    if start and start.generator is None:
        raise CheckpointError(f"{config.init} has no generator to start from")
    if start:
        generator = start.generator.requires_grad_(True).train()
        if start.psp_encoder:
            return generator, start.psp_encoder.requires_grad_(True).train()
    else:
        sizes = GeneratorConfig(
            resolution=config.resolution,
            z_dim=config.z_dim,
            w_dim=config.w_dim,
            channel_base=config.channel_base,
            channel_max=config.channel_max,
        )
        generator = Generator(sizes)
    sizes = PSPConfig(
        image_size=max(32, generator.config.resolution),
        channels=config.channels,
        blocks=config.blocks,
        w_dim=generator.config.w_dim,
        num_layers=generator.config.num_layers,
    )
    return generator, PSPEncoder(sizes)


def make_critic(config: PretrainConfig, generator: Generator, carried: dict) -> Critic:
    """A new one, or that of --init."""
    critic = Critic(generator.config, config.critic_lr, config.r1_gamma)
    if JUDGE in carried:
        critic.discriminator.load_state_dict(carried[JUDGE])
    return critic.to(memory_format=torch.channels_last)


def same_in_all_layers(w_face: Tensor) -> Tensor:
    """The mean over the layers, as a face mapping gives latents. [N, L, W] -> [N, L, W]."""
    return w_face.mean(dim=1, keepdim=True).expand_as(w_face)


def pretrain(config: PretrainConfig) -> Path | None:
    """Run the training; return the final checkpoint's path, or None after a dry run."""
    check(config)
    run = Run(config)
    run.seed_weights()
    pupils = Pupils(config).to(run.device, memory_format=torch.channels_last)
    generator, encoder = pupils.generator, pupils.encoder
    carried = read(config.init).extras if config.init else {}  # for a later game or fine-tune
    style_encoder = load_style_encoder(config.style_encoder, generator.config)
    style_encoder.eval().requires_grad_(False)
    style_encoder.to(run.device, memory_format=torch.channels_last)
    sync_norms_(encoder)
    half = PRECISIONS[config.precision]
    compute_top_in_(generator.synthesis, half, len(generator.synthesis.to_rgbs))
    resolution = generator.config.resolution
    sources = Sources(config, resolution, run.samples, run.device)
    natural, twins = sources.natural, sources.twins
    styled = ImageSet([config.twins / "styled", *config.art], resolution)
    losses_of = Losses(config, style_encoder, run.device)
    if not config.resume:
        if config.fresh_styles:
            codes, latents = codes_of(style_encoder, twins.styled), latents_of(encoder, natural)
            start_styles_(generator, codes, latents)
        elif config.init:
            keep_styles_(generator, style_encoder, styled, config.init)
        pupils.average_generator.load_state_dict(generator.state_dict())
    weights = [
        {"params": list(part.parameters()), "lr": config.lr * rate}
        for part, rate in (
            (generator.synthesis, 1),
            (generator.blending, 1),
            (generator.style_mapping, STYLE_MAPPING_RATE),
            (encoder, config.encoder_rate),
        )
    ]
    optimizer = torch.optim.Adam(weights, betas=(0.9, 0.99))
    critic = None
    if config.critic_weight:
        critic = make_critic(config, generator, carried).to(run.device)
        critic.compute_in_(half)

    def find(given: Pictures) -> Tensor:
        """Latents of the faces and of the people, [2 N, L, W]."""
        with torch.autocast(run.device.type, half, enabled=half != torch.float32):
            return encoder(torch.cat([given.seen, given.people])).float()

    def random_faces(found: Tensor, draws: Draws) -> Tensor:
        """Latents [N, L, W]."""
        if config.random_faces == "between":
            return faces_between(found.detach(), draws)
        with torch.no_grad():
            return generator.map_face(draws.normal(generator.config.z_dim))

    def step() -> dict[str, Tensor]:
        anneal_(optimizer, late(run.step, config.steps, config.anneal))
        draws = run.draws()
        given = sources.of_step(run.step, draws)
        found = find(given)
        strangers = random_faces(found, draws)
        # in turn, so that it serves the pSp encoder and the face mapping
        w_face = same_in_all_layers(found) if run.step % 2 == 1 else found
        w_face = blur_latents(w_face, draws, config.latent_noise)
        # one indicator for all; the same in every process, as torch's own numbers are
        indicator = int(torch.randint(STRONGEST, ()))
        z_style = style_encoder(torch.cat([given.looks, given.shown]))
        w_style = generator.map_style(z_style)
        count, in_style = len(strangers), given.art_rows.stop
        sitters = torch.cat([w_face[count:], strangers])
        blended = generator.blending(sitters, w_style, indicator)[: count + in_style]
        noise = draws.noise(generator.synthesis.noise_shapes())
        maps = [each.repeat(3, 1, 1, 1) for each in noise]
        latents = torch.cat([w_face[:count], blended, strangers[in_style:]])
        pictures = generator.synthesis(latents, maps)
        made = Made(*pictures.split(count))
        losses = losses_of.pictures(given, made)
        if config.layers_weight:
            losses["layers"] = config.layers_weight * layer_spread(found)
        if config.likeness:
            with torch.no_grad():
                own = [each[:in_style] for each in noise]
                unstyled = generator.synthesis(strangers[:in_style], own)
            losses |= losses_of.faces(draws, given, made, unstyled)
        if config.style_likeness:
            losses |= losses_of.styles(given, made)
        learnt = {}
        if critic:
            codes = torch.cat([style_encoder(given.faces), z_style])
            mismatched = [part.roll(1, dims=0) for part in codes.split(count)]
            drawn = torch.cat([given.faces, given.wanted, given.shown])
            learnt = critic.learn(run.step, drawn, pictures, codes, torch.cat(mismatched))
            losses["deception"] = config.critic_weight * critic.loss_of(pictures, codes)
        optimizer.zero_grad(set_to_none=True)
        sum(losses.values()).backward()
        processes.average_gradients_([p for group in weights for p in group["params"]])
        optimizer.step()
        generator.blending.project_()
        pupils.average_(half_life_decay(config.batch, config.ema_images))
        values = learnt | {name: loss.detach() for name, loss in losses.items()}
        return values | {"alpha": generator.blending.alpha.detach().clone()}

    def finish() -> Path:
        made, average_encoder = pupils.average_generator.cpu(), pupils.average_encoder.cpu()
        if config.random_faces == "between":
            fit_face_mapping_(made.face_mapping, latents_of(average_encoder, natural))
        made.measure_w_mean_()
        made.measure_styles_(codes_of(style_encoder.cpu(), styled))
        provenance = {
            "kind": "pretrained",
            "natural": f"{len(natural)} pictures",
            "art": f"{len(twins.styled)} twins in {len(twins.styled.styles)} styles, "
            f"{len(sources.art or ())} others",
            "photos": f"{len(sources.photos or ())} pictures",
            "licence": config.data_licence,
            "steps": run.step,
            "images": run.step * config.batch,
            "seed": config.seed,
            "parent": config.init.name if config.init else None,
        }
        model = BlendGAN.assemble(made, style_encoder, average_encoder)
        if critic:
            carried[JUDGE] = critic.discriminator.cpu().state_dict()
        return blendgan_core.save(model, run.folder / "final.safetensors", provenance, carried)

    trained = {"pupils": pupils, "optimizer": optimizer}
    if critic:
        trained |= {"critic": critic, "critic_optimizer": critic.optimizer}
    return run.loop(
        trained,
        step,
        lambda path: sample(pupils, style_encoder, natural, twins, path),
        finish,
        {"generator": generator, "encoder": encoder, "style encoder": style_encoder}
        | ({"critic": critic.discriminator} if critic else {}),
    )


def check(config: PretrainConfig) -> None:
    """Raise BlendGANError for flags that do not go together, and files that are missing."""
    expected = {
        "style_encoder": "a checkpoint of trainer.style_encoder",
        "likeness": "a network of trainer.likeness",
        "style_likeness": "a network of trainer.likeness --of style",
    }
    require_files(config, expected)
    if config.random_faces == "mapping" and not config.init:
        raise BlendGANError("--random-faces mapping draws them by --init's face mapping; give it")
    if config.photos and not config.photo_share:
        raise BlendGANError(
            "--photos are to be a part of the faces, but --photo-share is 0; give it, or leave "
            "--photos out"
        )


@torch.no_grad()
def start_styles_(generator: Generator, codes: Tensor, latents: Tensor) -> None:
    """Start the styles anew, in the directions that faces use least. [M, S], [M', W].

    Alpha starts at 0 in the coarse fifth of the layers, which shape the face, and rises to 0.9 at
    the middle: what a face's latent says of colours there, the style cannot take back.
    """
    start_style_mapping_(generator.style_mapping, codes, latents)
    place = torch.arange(generator.config.num_layers) / generator.config.num_layers
    generator.blending.alpha.copy_(((place - 0.2) / 0.3).clamp(0, 1) * 0.9)


def faces_between(w_face: Tensor, draws: Draws) -> Tensor:
    """Random faces, each of one latent, somewhere between two of those given. w_face: [M, L, W],
    M at least 2 -> [N, L, W], N as in `draws`."""
    latents = w_face.mean(dim=1)  # [M, W]
    one, other = draws.uniform(len(latents)).argsort(dim=1)[:, :2].unbind(dim=1)
    drawn = torch.lerp(latents[one], latents[other], draws.uniform(1))
    return drawn[:, None].expand(-1, w_face.shape[1], -1)


def blur_latents(w_face: Tensor, draws: Draws, share: float) -> Tensor:
    """Move each face a little, alike in all layers. w_face: [k * N, L, W] -> the same shape."""
    deviation = (w_face - w_face.mean(dim=0)).square().mean().sqrt().detach()
    moved = draws.normal(len(w_face) // len(draws), 1, w_face.shape[2])  # [N, k, 1, W]
    return w_face + share * deviation * moved.transpose(0, 1).flatten(0, 1)


def latents_of(encoder: PSPEncoder, natural: ImageSet) -> Tensor:
    """Latents of many natural faces, always the same ones -> [M, W]."""
    chosen = natural.draw(PRIOR_PICTURES, torch.Generator().manual_seed(FIXED_SEED))
    return of_pictures(lambda faces: encoder(faces).mean(dim=1), encoder, natural, chosen)


def codes_of(style_encoder: StyleEncoder, art: ImageSet) -> Tensor:
    """Style codes of many pictures, always the same ones -> [M, S]."""
    chosen = art.draw(PRIOR_PICTURES // 4, torch.Generator().manual_seed(FIXED_SEED))
    return of_pictures(style_encoder, style_encoder, art, chosen)


@torch.no_grad()
def of_pictures(
    read: Callable[[Tensor], Tensor], network: nn.Module, images: ImageSet, chosen: Tensor
) -> Tensor:
    """What `read`, by a network, makes of the pictures of these numbers, a part of them at a time,
    on the CPU."""
    device = next(network.parameters()).device
    return torch.cat([read(images.batch(part).to(device)).cpu() for part in chosen.split(64)])


@torch.no_grad()
def sample(
    pupils: Pupils, style_encoder: StyleEncoder, natural: ImageSet, twins: Twins, path: Path
) -> None:
    """A grid: faces and their inversions by one latent; twins, their inversions by one a layer,
    i = 3, i = 0, what these should be, and the reference."""
    seeded = torch.Generator().manual_seed(FIXED_SEED)
    generator, encoder = pupils.average_generator, pupils.average_encoder
    device, noise = generator.w_mean.device, generator.synthesis.fixed_noise()
    faces = natural.batch(natural.draw(GRID_ROWS, seeded)).to(device)
    photos, wanted, looks = twins.batch(twins.styled.draw(GRID_ROWS, seeded), device)
    w_style = generator.map_style(style_encoder(looks))
    columns = [faces, generator.synthesis(same_in_all_layers(encoder(faces)), noise), photos]
    w_face = encoder(photos)
    for indicator in (generator.config.num_layers, 3, 0):
        w = generator.blending(w_face, w_style, indicator)
        columns.append(generator.synthesis(w, noise))
    write_sheet(path, [*columns, wanted, looks])


if __name__ == "__main__":
    run_cli(pretrain, PretrainConfig)
