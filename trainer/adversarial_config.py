"""The flags of a training with discriminators."""

from dataclasses import dataclass
from typing import Literal

from .discriminator_augment import Kind
from .training_config import TrainingConfig

Precision = Literal["fp32", "bf16", "fp16"]
Negative = Literal["queued", "paired", "mismatched"]


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
    augment: Kind = "none"
    """what the discriminators see of pictures, real and generated: as they are (paper); or, below
    about 30,000 of them, moved and recoloured at random (diffaugment), or that as often as keeps
    the discriminators from learning the pictures by heart (ada). Colours stay where style is
    judged"""
    ada_target: float = 0.6
    """mean sign of D's logits of real pictures that ada aims at (Karras et al. 2020)"""
    ada_images: float = 500_000
    """pictures in which ada may go from never to always (Karras et al. 2020)"""
    precision: Precision = "fp32"
    """of the convolutions at the top resolutions; penalties, losses and weights stay fp32. bf16
    where the device has it, fp16 on older GPUs; the paper is silent"""
    half_resolutions: int = 4
    """how many resolutions, from the top, compute in --precision (StyleGAN2-ADA)"""
    accumulate: int = 1
    """parts in which a process computes its pictures of a step: less memory, the same step as long
    as a part has four pictures or a multiple (minibatch standard deviation)"""
