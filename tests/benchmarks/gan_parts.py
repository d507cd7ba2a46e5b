"""The four parts of a GAN iteration, with one loss code around two formulations of the networks."""

from collections.abc import Callable, Iterator
from copy import deepcopy

import torch
from torch import Tensor, nn

from blendgan_core.discriminators import Discriminator
from blendgan_core.generator import Generator
from trainer.draws import Draws
from trainer.ema import update_ema_
from trainer.losses import d_logistic_loss, g_logistic_loss, path_lengths, r1_penalty

from .. import oracles
from .networks import random_model

R1_EVERY, PATH_LENGTH_EVERY = 16, 4  # StyleGAN2


class Game:
    """A generator and D_face. Each part of an iteration is forward, backward and Adam's step.

    Adam has a learning rate of 0: it works as always, but every run meets the same weights. What
    the parts draw is the same each time too.
    """

    def __init__(
        self,
        generator: Generator,
        d_face: Discriminator,
        natural: Tensor,
        synthesize: Callable[[nn.Module, Tensor, list[Tensor]], Tensor],
        judge: Callable[[nn.Module, Tensor], Tensor],
    ):
        """natural: [N, 3, R, R]; synthesize: (network, w, noise) -> pictures; judge: (network,
        pictures) -> logits."""
        self.generator, self.d_face = generator, d_face
        self.average = deepcopy(generator)
        self.natural = natural
        self._synthesize, self._judge = synthesize, judge
        self._optimizers = {
            network: torch.optim.Adam(network.parameters(), lr=0.0, betas=(0.0, 0.99))
            for network in (generator, d_face)
        }

    def parts(self) -> Iterator[tuple[str, Callable[[], None], float]]:
        """(name, action, how often an iteration has it)."""
        yield "D: draw, judge both, backward", self.discriminator_step, 1
        yield "G: draw, judge, backward", self.generator_step, 1
        yield "R1", self.r1_step, 1 / R1_EVERY
        half = len(self.natural) // 2
        yield f"path length, batch {half}", self.path_length_step, 1 / PATH_LENGTH_EVERY

    def discriminator_step(self) -> None:
        self._train_only(self.d_face)
        draws = self._draws(len(self.natural))
        with torch.no_grad():
            fake = self._draw(self._map(draws), draws)
        loss = d_logistic_loss(
            self._judge(self.d_face, self.natural), self._judge(self.d_face, fake)
        )
        self._update(self.d_face, loss)

    def generator_step(self) -> None:
        self._train_only(self.generator)
        draws = self._draws(len(self.natural))
        fake = self._draw(self._map(draws), draws)
        self._update(self.generator, g_logistic_loss(self._judge(self.d_face, fake)))
        update_ema_(self.average, self.generator, decay=0.999)

    def r1_step(self) -> None:
        self._train_only(self.d_face)
        natural = self.natural.detach().requires_grad_()
        self._update(self.d_face, r1_penalty(natural, self._judge(self.d_face, natural)))

    def path_length_step(self) -> None:
        self._train_only(self.generator)
        draws = self._draws(len(self.natural) // 2)
        w = self._map(draws)
        lengths = path_lengths(self._draw(w, draws), w, draws)
        self._update(self.generator, lengths.square().mean())  # the first step's running mean is 0

    def double_(self) -> "Game":
        """Compute in fp64 from now on. Only the straightforward formulation can."""
        for network in (self.generator, self.average, self.d_face):
            network.double()
        self.natural = self.natural.double()
        return self

    def gradients(self) -> Tensor:
        """Of the network that was trained last, all parameters in a row."""
        trained = (self.generator, self.d_face)
        parameters = [p for network in trained for p in network.parameters() if p.requires_grad]
        return torch.cat([p.grad.flatten() for p in parameters if p.grad is not None]).double()

    def _draws(self, count: int) -> Draws:
        return Draws(0, 0, range(count), self.natural.device)

    def _map(self, draws: Draws) -> Tensor:
        z = draws.normal(self.generator.config.z_dim)
        return self.generator.map_face(z.to(self.natural.dtype))

    def _draw(self, w: Tensor, draws: Draws) -> Tensor:
        synthesis = self.generator.synthesis
        noise = [maps.to(w.dtype) for maps in draws.noise(synthesis.noise_shapes())]
        return self._synthesize(synthesis, w, noise)

    def _train_only(self, network: nn.Module) -> None:
        for each in (self.generator, self.d_face):
            each.requires_grad_(each is network)

    def _update(self, network: nn.Module, loss: Tensor) -> None:
        optimizer = self._optimizers[network]
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()


def both_formulations(resolution: int, batch: int) -> tuple[Game, Game]:
    """(ours, the straightforward one) with the same random weights and pictures."""
    generator = random_model(resolution, "generator").generator
    torch.manual_seed(1)
    d_face = Discriminator(generator.config)
    for name, parameter in d_face.named_parameters():
        if name.endswith("bias"):
            parameter.data.normal_(0, 0.1)  # they start at 0, where they could not show
    natural = torch.rand(batch, 3, resolution, resolution) * 2 - 1
    plain = Game(
        deepcopy(generator), deepcopy(d_face), natural, oracles.synthesis, oracles.discriminator
    )
    last = torch.channels_last  # as Adversaries and Feed lay them out
    ours = Game(
        generator.to(memory_format=last),
        d_face.to(memory_format=last),
        natural.contiguous(memory_format=last),
        lambda network, w, noise: network(w, noise),
        lambda network, images: network(images),
    )
    return ours, plain
