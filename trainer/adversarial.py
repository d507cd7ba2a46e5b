"""The adversarial game of BlendGAN: one generator, three discriminators (paper, section 3.4)."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from copy import deepcopy
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from blendgan_core.config import GeneratorConfig
from blendgan_core.discriminators import Discriminator, ProjectionDiscriminator
from blendgan_core.errors import BlendGANError
from blendgan_core.generator import Generator
from blendgan_core.precision import PRECISIONS
from blendgan_core.style_encoder import StyleEncoder

from . import processes
from .adversarial_config import AdversarialConfig
from .discriminator_augment import Augmentation
from .draws import Draws
from .ema import half_life_decay, update_ema_
from .embedding_queue import EmbeddingQueue
from .half_precision import compute_top_in_, in_fp32
from .losses import d_logistic_loss, g_logistic_loss, path_lengths, r1_penalty

PATH_LENGTH_DECAY = 0.01  # of the running mean (StyleGAN2)


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
        self.augmentations = nn.ModuleDict(
            {
                name: Augmentation(
                    config.augment, name == "d_face", config.ada_target, config.ada_images
                )
                for name in self.discriminators
            }
        )
        self._signs: dict[str, list[Tensor]] = {name: [] for name in self.discriminators}
        # the running means of the path lengths at i = L and at i = 0
        self.register_buffer("path_length_means", torch.zeros(2))
        self.register_buffer("steps_done", torch.zeros((), dtype=torch.long))
        self.to(device, memory_format=torch.channels_last)
        if style_encoder:
            style_encoder.to(device, memory_format=torch.channels_last)
        self._make_optimizers()
        for network in (self.generator.synthesis, *self.discriminators.values()):
            compute_top_in_(network, PRECISIONS[config.precision], config.half_resolutions)

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
        self,
        natural: Tensor,
        draws: Draws,
        art: Tensor | None = None,
        pictures: Tensor | None = None,
    ) -> dict[str, Tensor]:
        """One step of the discriminators, then one of the generator, with lazy regularisation.

        natural, art: [N, 3, R, R] in [-1, 1], this process's samples; pictures: [N], the numbers of
        the art's pictures; draws: of the same samples. -> the losses to log.
        """
        parts = self._parts(natural, draws, art, pictures)
        number, settings = int(self.steps_done), self.settings
        losses = self._optimize(self.d_optimizer, parts, self._discriminator_losses)
        if settings.augment == "ada":
            self._observe_signs()
        if number % settings.r1_every == 0:
            weight = settings.r1_gamma / 2 * settings.r1_every
            with in_fp32(*self.discriminators.values()):
                losses |= self._optimize(self.d_optimizer, parts, self._r1_penalties, weight)
        losses |= self._optimize(self.g_optimizer, parts, self._generator_losses)
        if settings.path_length_weight and number % settings.path_length_every == 0:
            with in_fp32(self.generator.synthesis):
                losses |= self._path_length_step(parts)
        decay = half_life_decay(settings.batch, settings.ema_images)
        update_ema_(self.average, self.generator, decay)
        self.steps_done += 1
        if self.style_encoder:
            losses["alpha"] = self.generator.blending.alpha.detach().clone()  # [L]
            losses["z_rms"] = torch.cat([p.z_style for p in parts]).square().mean().sqrt()
        if settings.augment == "ada":
            losses |= {f"ada_{name[2:]}": a.p.clone() for name, a in self.augmentations.items()}
        return losses

    def _parts(self, natural, draws, art, pictures) -> list["Part"]:
        """The samples, in parts that are computed one after the other; the queue takes their
        codes."""
        count = self.settings.accumulate
        split = draws.split(count)
        if not self.style_encoder:
            return [Part(*each) for each in zip(natural.chunk(count), split, strict=True)]
        with torch.no_grad():
            z_style = torch.cat([self.style_encoder(chunk) for chunk in art.chunk(count)])
        pictures = pictures.to(z_style.device)
        self.queue.push_(processes.gather(z_style, count), processes.gather(pictures, count))
        z_negative = self.queue.draw(pictures, draws)
        chunks = (x.chunk(count) for x in (art, z_style, z_negative))
        return [Part(*each) for each in zip(natural.chunk(count), split, *chunks, strict=True)]

    def _optimize(
        self,
        optimizer: torch.optim.Optimizer,
        parts: Sequence["Part"],
        losses_of: Callable[["Part"], Iterable[dict[str, Tensor]]],
        weight: float = 1.0,
        may_skip: bool = False,
    ) -> dict[str, Tensor]:
        """One step of an optimiser down the sum of some losses, times `weight` -> their means.

        losses_of: yields losses by name, a group at a time; each group's backward pass is done
        before the next one is computed, so that the activations of only one are kept.
        may_skip: where a loss is not finite, change nothing and return no means.
        """
        trains_generator = optimizer is self.g_optimizer
        self.generator.requires_grad_(trains_generator)
        for network in self.discriminators.values():
            network.requires_grad_(not trains_generator)
        optimizer.zero_grad(set_to_none=True)
        means: dict[str, Tensor] = {}
        for part in parts:
            for losses in losses_of(part):
                (sum(losses.values()) * (weight / len(parts))).backward()
                for name, loss in losses.items():
                    means[name] = means.get(name, 0) + loss.detach() / len(parts)
        weights = [p for group in optimizer.param_groups for p in group["params"]]
        processes.average_gradients_(weights)
        if may_skip and not processes.mean(sum(means.values())).isfinite():
            return {}  # one wild batch must not destroy the weights
        if self.settings.precision == "fp16":  # a gradient that overflowed must not undo the run
            for p in weights:
                if p.grad is not None:
                    p.grad.nan_to_num_(nan=0.0, posinf=1e5, neginf=-1e5)
        optimizer.step()
        if trains_generator:
            self.generator.blending.project_()
        return means

    def draw_faces(self, draws: Draws) -> Tensor:
        """Random w_face [N, L, W], some of them mixed from two codes (StyleGAN2)."""
        z = draws.normal(2, self.generator.config.z_dim)
        first, second = self.generator.map_face(z[:, 0]), self.generator.map_face(z[:, 1])
        crossover, chance = draws.uniform(2)[:, :, None].unbind(dim=1)  # [N, 1] each
        crossover = 1 + (crossover * (self.num_layers - 1)).long()
        layers = torch.arange(self.num_layers, device=z.device)
        takes_second = (layers >= crossover) & (chance < self.settings.style_mixing)  # [N, L]
        return torch.where(takes_second[:, :, None], second, first)

    def _synthesize(self, w: Tensor, draws: Draws) -> Tensor:
        synthesis = self.generator.synthesis
        return synthesis(w, draws.noise(synthesis.noise_shapes()))

    def _stylize(self, w_face: Tensor, z_style: Tensor) -> Tensor:
        return self.generator.blending(w_face, self.generator.map_style(z_style), indicator=0)

    def _judge(self, name: str, images: Tensor, draws: Draws, *z_style: Tensor) -> Tensor:
        """Logits [N, 1] of a discriminator, which sees augmented pictures only."""
        return getattr(self, name)(self.augmentations[name](images, draws), *z_style)

    def _discriminator_losses(self, part: "Part") -> Iterator[dict[str, Tensor]]:
        draws = part.draws
        with torch.no_grad():
            w_face = self.draw_faces(draws)
            fake = self._synthesize(w_face, draws)
        real = self._judge_real("d_face", part.natural, draws)
        yield {"d_face": d_logistic_loss(real, self._judge("d_face", fake, draws))}
        if part.z_style is None:
            return
        with torch.no_grad():
            fake = self._synthesize(self._stylize(w_face, part.z_style), draws)
        real = self._judge_real("d_style", part.art, draws)
        yield {"d_style": d_logistic_loss(real, self._judge("d_style", fake, draws))}
        taken_for_fake = {
            "queued": (fake, part.z_negative),
            "paired": (fake, part.z_style),
            "mismatched": (part.art, part.z_negative),
        }
        real = self._judge_real("d_style_latent", part.art, draws, part.z_style)
        shares = []
        for name in self.settings.negatives:
            images, code = taken_for_fake[name]
            logits = self._judge("d_style_latent", images, draws, code)
            shares.append(d_logistic_loss(real, logits))
        yield {"d_style_latent": torch.stack(shares).mean()}

    def _judge_real(self, name: str, images: Tensor, draws: Draws, *z_style: Tensor) -> Tensor:
        """Logits [N, 1] of real pictures, whose signs ADA looks at."""
        logits = self._judge(name, images, draws, *z_style)
        if self.settings.augment == "ada":
            self._signs[name].append(logits.detach().sign().mean())
        return logits

    def _observe_signs(self) -> None:
        """Tell the augmentations how sure the discriminators are of real pictures."""
        for name, signs in self._signs.items():
            mean = processes.mean(torch.stack(signs).mean())
            self.augmentations[name].observe_(mean, self.settings.batch)
            signs.clear()

    def _r1_penalties(self, part: "Part") -> Iterator[dict[str, Tensor]]:
        """R1 at the pictures as the discriminators see them, augmented."""

        def penalty(name: str, images: Tensor, *z_style: Tensor) -> Tensor:
            seen = self.augmentations[name](images, part.draws).detach().requires_grad_()
            return r1_penalty(seen, getattr(self, name)(seen, *z_style))

        yield {"r1_face": penalty("d_face", part.natural)}
        if part.z_style is not None:
            yield {"r1_style": penalty("d_style", part.art)}
            yield {"r1_style_latent": penalty("d_style_latent", part.art, part.z_style)}

    def _generator_losses(self, part: "Part") -> Iterator[dict[str, Tensor]]:
        draws = part.draws
        fake = self._synthesize(self.draw_faces(draws), draws)
        yield {"g_face": g_logistic_loss(self._judge("d_face", fake, draws))}
        if part.z_style is not None:
            w = self._stylize(self.draw_faces(draws), part.z_style)
            fake = self._synthesize(w, draws)
            style = self._judge("d_style", fake, draws)
            latent = self._judge("d_style_latent", fake, draws, part.z_style)
            yield {"g_style": g_logistic_loss(style), "g_style_latent": g_logistic_loss(latent)}

    def _path_length_step(self, parts: Sequence["Part"]) -> dict[str, Tensor]:
        """Path length of half of the pictures, on the blended w: i = L and i = 0 in turn, each with
        a running mean of its own."""
        settings = self.settings
        turn = int(self.steps_done) // settings.path_length_every % 2 if self.style_encoder else 0
        measured = []

        def penalty(part: Part) -> Iterator[dict[str, Tensor]]:
            half = slice(max(1, len(part.natural) // 2))
            draws = part.draws.part(half)
            w = self.draw_faces(draws)
            if turn == 1:
                w = self._stylize(w, part.z_style[half])
            lengths = path_lengths(self._synthesize(w, draws), w, draws)
            measured.append(lengths.detach().mean())
            yield {"path_length": (lengths - self.path_length_means[turn]).square().mean()}

        weight = settings.path_length_weight * settings.path_length_every
        if not self._optimize(self.g_optimizer, parts, penalty, weight, may_skip=True):
            return {}
        length = processes.mean(torch.stack(measured).mean())
        self.path_length_means[turn].lerp_(length, PATH_LENGTH_DECAY)
        return {"path_length": length}


@dataclass(frozen=True)
class Part:
    """Samples of a step that are computed together: pictures [N, 3, R, R], codes [N, S]."""

    natural: Tensor
    draws: Draws
    art: Tensor | None = None
    z_style: Tensor | None = None
    z_negative: Tensor | None = None
