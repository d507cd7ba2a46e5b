"""The critic of `trainer.pretrain`: D_style_latent, which sees to what no pixel error can ask for.

Where strokes, dots and stones lie is chance, so the picture of the smallest error has none. The
critic tells drawn pictures from made ones, each beside the code of its style (Miyato & Koyama 2018;
the paper's third discriminator, eq. 8), and the generator learns to deceive it.
"""

from collections.abc import Iterable

import torch
from torch import Tensor, nn

from blendgan_core.config import GeneratorConfig
from blendgan_core.discriminators import ProjectionDiscriminator

from . import processes
from .half_precision import compute_top_in_, in_fp32
from .losses import d_logistic_loss, g_logistic_loss, r1_penalty

R1_EVERY = 16  # steps between R1 penalties (StyleGAN2)


class Critic(nn.Module):
    """The discriminator and its optimiser."""

    def __init__(self, sizes: GeneratorConfig, lr: float, r1_gamma: float):
        super().__init__()
        self.discriminator = ProjectionDiscriminator(sizes)
        self.r1_gamma = r1_gamma
        self.optimizer = torch.optim.Adam(self.parameters(), lr=lr, betas=(0.0, 0.99))

    def compute_in_(self, dtype: torch.dtype) -> None:
        """Compute all convolutions in `dtype`, but for the penalty's."""
        compute_top_in_(self, dtype, len(self.discriminator.trunk.blocks) + 1)

    def learn(self, step: int, drawn: Tensor, made: Tensor, codes: Tensor, others: Tensor) -> dict:
        """One step of the critic; drawn, made: [N, 3, R, R]; codes: [N, S] of the styles that both
        are in; others: [N, S] of styles that neither is in -> losses by name."""
        self.requires_grad_(True)
        features = self.discriminator.features(drawn)
        real = self.discriminator.judge(features, codes)
        paired = d_logistic_loss(real, self.discriminator(made.detach(), codes))
        mismatched = d_logistic_loss(real, self.discriminator.judge(features, others))
        losses = {"critic": (paired + mismatched) / 2}
        self._descend(losses.values())
        if step % R1_EVERY == 0:
            with in_fp32(self):
                seen = drawn.detach().requires_grad_()
                losses["critic_r1"] = r1_penalty(seen, self.discriminator(seen, codes))
                self._descend([losses["critic_r1"] * (self.r1_gamma / 2 * R1_EVERY)])
        self.requires_grad_(False)  # what follows asks it for the pictures' gradient only
        return {name: loss.detach() for name, loss in losses.items()}

    def loss_of(self, made: Tensor, codes: Tensor) -> Tensor:
        """What the generator is to lower. made: [N, 3, R, R]; codes: [N, S] -> scalar."""
        return g_logistic_loss(self.discriminator(made, codes))

    def _descend(self, losses: Iterable[Tensor]) -> None:
        self.optimizer.zero_grad(set_to_none=True)
        sum(losses).backward()
        processes.average_gradients_(self.parameters())
        self.optimizer.step()
