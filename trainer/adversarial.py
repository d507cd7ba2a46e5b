"""The adversarial game of BlendGAN: one generator, three discriminators (paper, section 3.4)."""

from copy import deepcopy
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn

from blendgan_core.config import GeneratorConfig
from blendgan_core.discriminators import Discriminator, ProjectionDiscriminator
from blendgan_core.errors import BlendGANError
from blendgan_core.generator import Generator
from blendgan_core.style_encoder import StyleEncoder

from .ema import half_life_decay, update_ema_
from .embedding_queue import EmbeddingQueue
from .losses import d_logistic_loss, g_logistic_loss, path_lengths, r1_penalty
from .run import TrainingConfig

Negative = Literal["queued", "paired", "mismatched"]
PATH_LENGTH_DECAY = 0.01  # of the running mean (StyleGAN2)


@dataclass(frozen=True, kw_only=True)
class AdversarialConfig(TrainingConfig):
    """The flags of a training with discriminators."""

    lr: float = 0.002
    """Adam's learning rate, of G and of the discriminators (paper)"""
    alpha_lr: float = 0.0002
    """Adam's learning rate of alpha; lower than the paper's, or alpha climbs until it eats the
    face"""
    r1_gamma: float = 10.0
    """weight of R1 (rosinality's StyleGAN2, which the paper trained with); about .0002 R^2 / batch
    suits others"""
    r1_every: int = 16
    """steps between R1 penalties (StyleGAN2)"""
    path_length_weight: float = 2.0
    """weight of the path length regularisation (StyleGAN2); 0 leaves it out"""
    path_length_every: int = 4
    """steps between path length penalties (StyleGAN2)"""
    style_mixing: float = 0.9
    """share of the faces made from two codes (StyleGAN2); the paper is silent"""
    ema_images: float = 10_000
    """half-life of the averaged generator, in pictures (StyleGAN2); the paper is silent"""
    queue_size: int = 8192
    """style codes kept for negatives; the paper is silent"""
    negatives: tuple[Negative, ...] = ("queued",)
    """what D_style_latent takes for fake, each with an equal share. queued: a generated picture
    with a code from the queue (paper, eq. 8). paired: a generated picture with its own code, as in
    a usual conditional GAN. mismatched: a real picture with a code from the queue"""


class Adversaries(nn.Module):
    """All networks of the game, their optimisers, and one step of it.

    Without a style encoder only the natural branch is trained, G(i = L) against D_face: a plain
    StyleGAN2, from which the paper starts.
    """

    def __init__(
        self,
        config: AdversarialConfig,
        generator: Generator,
        style_encoder: StyleEncoder | None,
        device: torch.device,
    ):
        super().__init__()
        if not config.negatives:
            raise BlendGANError("--negatives is empty; name queued, paired or mismatched")
        self.settings = config
        self.generator = generator
        self.average = deepcopy(generator).eval().requires_grad_(False)
        # in a tuple, hence no submodule: it never changes, and would only swell every saved state
        self._frozen = (style_encoder.eval().requires_grad_(False) if style_encoder else None,)
        sizes: GeneratorConfig = generator.config
        self.num_layers = sizes.num_layers
        self.d_face = Discriminator(sizes)
        if style_encoder:
            self.d_style = Discriminator(sizes)
            self.d_style_latent = ProjectionDiscriminator(sizes)
            self.queue = EmbeddingQueue(config.queue_size, sizes.z_dim)
        # the running means of the path lengths at i = L and at i = 0
        self.register_buffer("path_length_means", torch.zeros(2))
        self.register_buffer("steps_done", torch.zeros((), dtype=torch.long))
        self.to(device, memory_format=torch.channels_last)
        if style_encoder:
            style_encoder.to(device, memory_format=torch.channels_last)
        self._make_optimizers()

    @property
    def style_encoder(self) -> StyleEncoder | None:
        """The frozen style encoder; None where only the natural branch is trained."""
        return self._frozen[0]

    @property
    def discriminators(self) -> dict[str, nn.Module]:
        """The discriminators that take part, by name."""
        names = ("d_face", "d_style", "d_style_latent") if self.style_encoder else ("d_face",)
        return {name: getattr(self, name) for name in names}

    def _make_optimizers(self) -> None:
        config = self.settings
        lazy_r1 = config.r1_every / (config.r1_every + 1)  # StyleGAN2: one step more, spread evenly
        k = config.path_length_every
        lazy_path = k / (k + 1) if config.path_length_weight else 1.0
        alpha = self.generator.blending.alpha
        weights = [p for p in self.generator.parameters() if p is not alpha]
        groups = [
            {"params": weights, "lr": config.lr * lazy_path},
            {"params": [alpha], "lr": config.alpha_lr * lazy_path},
        ]
        self.g_optimizer = torch.optim.Adam(groups, betas=(0.0, 0.99**lazy_path))
        self.d_optimizer = torch.optim.Adam(
            [p for d in self.discriminators.values() for p in d.parameters()],
            lr=config.lr * lazy_r1,
            betas=(0.0, 0.99**lazy_r1),
        )

    def parts(self) -> dict:
        """Everything that changes while training, for a state file."""
        return {"networks": self, "g_optimizer": self.g_optimizer, "d_optimizer": self.d_optimizer}

    def networks(self) -> dict[str, nn.Module]:
        """All networks that take part, to be counted."""
        encoder = {"style encoder": self.style_encoder} if self.style_encoder else {}
        generators = {"generator": self.generator, "averaged generator": self.average}
        return generators | self.discriminators | encoder

    def step(
        self, natural: Tensor, art: Tensor | None = None, pictures: Tensor | None = None
    ) -> dict[str, Tensor]:
        """One step of the discriminators, then one of the generator, with lazy regularisation.

        natural, art: [N, 3, R, R] in [-1, 1]; pictures: [N], the numbers of the art's pictures.
        -> the losses to log.
        """
        losses = {}
        z_style = z_negative = None
        if self.style_encoder:
            with torch.no_grad():
                z_style = self.style_encoder(art)
            self.queue.push_(z_style, pictures)
            z_negative = self.queue.draw(pictures)
        losses |= self._discriminator_step(natural, art, z_style, z_negative)
        if int(self.steps_done) % self.settings.r1_every == 0:
            losses |= self._r1_step(natural, art, z_style)
        losses |= self._generator_step(len(natural), z_style)
        if (
            self.settings.path_length_weight
            and int(self.steps_done) % self.settings.path_length_every == 0
        ):
            losses |= self._path_length_step(max(1, len(natural) // 2), z_style)
        update_ema_(
            self.average, self.generator, half_life_decay(len(natural), self.settings.ema_images)
        )
        self.steps_done += 1
        if self.style_encoder:
            losses["alpha"] = self.generator.blending.alpha.detach().clone()  # [L]
            losses["z_rms"] = z_style.square().mean().sqrt()
        return losses

    def draw_faces(self, count: int) -> Tensor:
        """Random w_face [N, L, W], some of them mixed from two codes (StyleGAN2)."""
        device = self.generator.w_mean.device
        z = torch.randn(2, count, self.generator.config.z_dim).to(device)
        first, second = self.generator.map_face(z[0]), self.generator.map_face(z[1])
        crossover = torch.randint(1, self.num_layers, (count, 1))
        mixed = torch.rand(count, 1) < self.settings.style_mixing
        takes_second = (torch.arange(self.num_layers) >= crossover) & mixed  # [N, L]
        return torch.where(takes_second.to(device)[:, :, None], second, first)

    def _synthesize(self, w: Tensor) -> Tensor:
        synthesis = self.generator.synthesis
        return synthesis(w, synthesis.draw_noise(len(w), torch.default_generator))

    def _stylize(self, w_face: Tensor, z_style: Tensor) -> Tensor:
        return self.generator.blending(w_face, self.generator.map_style(z_style), indicator=0)

    def _discriminator_step(self, natural, art, z_style, z_negative) -> dict[str, Tensor]:
        self._train_only(discriminators=True)
        with torch.no_grad():
            w_face = self.draw_faces(len(natural))
            fake_natural = self._synthesize(w_face)
            fake_art = (
                self._synthesize(self._stylize(w_face, z_style)) if z_style is not None else None
            )
        losses = {"d_face": d_logistic_loss(self.d_face(natural), self.d_face(fake_natural))}
        if z_style is not None:
            losses["d_style"] = d_logistic_loss(self.d_style(art), self.d_style(fake_art))
            taken_for_fake = {
                "queued": (fake_art, z_negative),
                "paired": (fake_art, z_style),
                "mismatched": (art, z_negative),
            }
            real = self.d_style_latent(art, z_style)
            shares = [
                d_logistic_loss(real, self.d_style_latent(*taken_for_fake[name]))
                for name in self.settings.negatives
            ]
            losses["d_style_latent"] = torch.stack(shares).mean()
        self._update(self.d_optimizer, sum(losses.values()))
        return {name: loss.detach() for name, loss in losses.items()}

    def _r1_step(self, natural, art, z_style) -> dict[str, Tensor]:
        self._train_only(discriminators=True)
        natural = natural.detach().requires_grad_()
        penalties = {"r1_face": r1_penalty(natural, self.d_face(natural))}
        if z_style is not None:
            art = art.detach().requires_grad_()
            penalties["r1_style"] = r1_penalty(art, self.d_style(art))
            penalties["r1_style_latent"] = r1_penalty(art, self.d_style_latent(art, z_style))
        weight = self.settings.r1_gamma / 2 * self.settings.r1_every
        self._update(self.d_optimizer, sum(penalties.values()) * weight)
        return {name: penalty.detach() for name, penalty in penalties.items()}

    def _generator_step(self, count, z_style) -> dict[str, Tensor]:
        self._train_only(generator=True)
        w_face = self.draw_faces(count)
        losses = {"g_face": g_logistic_loss(self.d_face(self._synthesize(w_face)))}
        if z_style is not None:
            fake_art = self._synthesize(self._stylize(w_face, z_style))
            losses["g_style"] = g_logistic_loss(self.d_style(fake_art))
            losses["g_style_latent"] = g_logistic_loss(self.d_style_latent(fake_art, z_style))
        self._update(self.g_optimizer, sum(losses.values()))
        self.generator.blending.project_()
        return {name: loss.detach() for name, loss in losses.items()}

    def _path_length_step(self, count, z_style) -> dict[str, Tensor]:
        """Path length on the blended w: i = L and i = 0 in turn, each with a running mean of its
        own."""
        self._train_only(generator=True)
        turn = (
            int(self.steps_done) // self.settings.path_length_every % 2
            if z_style is not None
            else 0
        )
        w = self.draw_faces(count)
        if turn == 1:
            w = self._stylize(w, z_style[:count])
        lengths = path_lengths(self._synthesize(w), w)
        mean = torch.lerp(self.path_length_means[turn], lengths.detach().mean(), PATH_LENGTH_DECAY)
        penalty = (lengths - mean).square().mean()
        if not torch.isfinite(penalty):  # one wild batch must not destroy the weights
            return {}
        self.path_length_means[turn] = mean
        weight = self.settings.path_length_weight * self.settings.path_length_every
        self._update(self.g_optimizer, penalty * weight)
        self.generator.blending.project_()
        return {"path_length": lengths.detach().mean()}

    def _train_only(self, generator: bool = False, discriminators: bool = False) -> None:
        self.generator.requires_grad_(generator)
        for network in self.discriminators.values():
            network.requires_grad_(discriminators)

    @staticmethod
    def _update(optimizer: torch.optim.Optimizer, loss: Tensor) -> None:
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()
