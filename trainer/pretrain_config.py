"""The flags of `trainer.pretrain`."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from .training_config import TrainingConfig


@dataclass(frozen=True, kw_only=True)
class PretrainConfig(TrainingConfig):
    """Train a generator and a pSp encoder on faces that were drawn natural and in many styles."""

    natural: tuple[Path, ...]
    """aligned natural faces: folders, zips or shards of them"""
    twins: Path
    """a folder with natural/ and styled/STYLE/, where one file name is one person, and two people
    next to each other share the look of a style: the twins/ of trainer.synthesize"""
    art: tuple[Path, ...] = ()
    """aligned artistic faces of which no natural version exists: the Gram matrices are to become
    theirs. Folders, zips or shards; each (sub)folder of pictures is a style, drawn evenly"""
    style_encoder: Path
    """a checkpoint with a trained style encoder, or its hf:// address"""
    init: Path | None = None
    """a checkpoint to start from, or its hf:// address: its generator and, where it has one, its
    pSp encoder; its discriminators are carried over. Where its style encoder is another, its style
    mapping is first fitted to the new codes"""
    fresh_styles: bool = False
    """start the style mapping anew: linear, into the directions of the latents in which faces
    differ least, so that faces and styles do not disturb each other"""
    steps: int = 5_000
    """optimiser steps"""
    batch: int = 8
    """natural faces a step, and as many twins, of all processes together"""
    lr: float = 0.01
    """Adam's learning rate of the generator, five times an adversarial game's, as a wanted picture
    is a steadier guide; the style mapping's is 20 times it, as its layers learn at a hundredth"""
    encoder_rate: float = 0.1
    """the pSp encoder's learning rate, as a share of that"""
    anneal: float = 0.0
    """0..1, the last part of the steps, over which the learning rates fall to 0"""
    ema_images: float = 1_000
    """half-life of the averaged networks, in natural pictures"""
    perceptual_weight: float = 0.8
    """weight of the distance of VGG features, beside 1 for the error of the pixels"""
    gram_weight: float = 0.05
    """weight of the distance of Gram matrices"""
    code_weight: float = 0.0
    """weight of the distance of style codes, as the style encoder sees them: 1 less their cosine"""
    fine_share: float = 1.0
    """0..1, how much every pixel's place counts in a styled picture. Where strokes and dots lie is
    chance, and the picture of the smallest error has none; below 1, averages of 4 x 4 pixels are
    compared as well, and texture is left to the Gram matrices"""
    likeness: Path | None = None
    """a network of trainer.likeness, which asks for the sitter's face in all pictures but --photos,
    and for that of a random face's natural picture in its styled one"""
    likeness_weight: float = 0.5
    """weight of that: 1 less the cosine of what it sees"""
    style_likeness: Path | None = None
    """a network of trainer.likeness --of style, which asks for the look of a twin where one is
    wanted. It sees pixels; codes, which are made of Gram matrices, may be right where strokes are
    not"""
    style_likeness_weight: float = 0.5
    """weight of that, like the one above"""
    random_faces: Literal["between", "mapping"] = "between"
    """where random faces come from: between two faces of the step, with a Gaussian of the latents
    as the face mapping in the end; or from --init's face mapping, which stays as it is, such as one
    of trainer.face_mapping. In a long training its latents drift from those that faces have"""
    critic_weight: float = 0.0
    """weight of deceiving a discriminator, which sees to strokes and textures; 0 has none"""
    critic_lr: float = 0.002
    """Adam's learning rate of that discriminator"""
    r1_gamma: float = 0.5
    """weight of its R1 penalty"""
    layers_weight: float = 0.0
    """weight of how far a face's latents lie apart from layer to layer, as a share of how far faces
    do: e4e's regularisation (Tov et al. 2021). Random faces have one latent for all layers, so they
    get no better than the faces that can be drawn by one"""
    latent_noise: float = 0.1
    """noise on the faces' latents, as a share of their deviation: between the faces seen, too,
    there are to be faces"""
    photo_share: float = 0.0
    """0..1, of the natural faces: these the pSp encoder sees as a bad camera takes them, so that it
    knows photos though it learns on drawings"""
    photos: tuple[Path, ...] = ()
    """aligned photos, or paintings like them, which take the place of that share of the natural
    faces in every second step: folders, zips or shards of them. Random faces are none the more like
    them"""
    precision: Literal["fp32", "bf16"] = "fp32"
    """of the convolutions; losses, the style encoder and weights stay fp32"""
    resolution: int = 64
    """pixels; with --init all sizes are the checkpoint's"""
    z_dim: int = 128
    """size of the face codes; the style encoder's codes must have it too"""
    w_dim: int = 128
    """size of a layer's latent"""
    channel_base: int = 1536
    """channels at resolution r are channel_base / r, at most channel_max"""
    channel_max: int = 96
    """see channel_base"""
    channels: tuple[int, int, int, int] = (32, 48, 64, 96)
    """channels of the four stages of the pSp encoder's trunk"""
    blocks: tuple[int, int, int, int] = (1, 1, 2, 1)
    """residual blocks of these stages"""
    data_licence: str = "unknown"
    """licence of the pictures, stored with the weights"""
