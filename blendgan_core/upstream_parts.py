"""Single parts of upstream files in rosinality's layout -> their sizes and our state dicts.

Each function takes the tensors of one part, freed of their prefix, and the whole file, in which
other things that belong to the part may stand.
"""

from argparse import Namespace
from collections.abc import Mapping
from dataclasses import replace

import torch
from torch import Tensor

from .config import GeneratorConfig, PSPConfig, StyleEncoderConfig
from .contents import State
from .discriminators import Discriminator
from .errors import CheckpointError
from .generator import Generator
from .psp_encoder import PSPEncoder
from .style_encoder import StyleEncoder, fold_gram_weight, stage_channels
from .upstream_keys import (
    DISCRIMINATOR_RULES,
    GENERATOR_RULES,
    PLAIN_GENERATOR_RULES,
    PLAIN_HEAD_RULES,
    STYLE_ENCODER_RULES,
    Rule,
    discriminator_config,
    fill,
    generator_config,
    is_plain_stylegan2,
    psp_config,
    psp_rules,
    style_encoder_config,
)

E4E = "Encoder4Editing"
ENCODER_TYPES = ("GradualStyleEncoder", E4E)


def generator(state: State, data: Mapping) -> tuple[GeneratorConfig, State]:
    """BlendGAN's generator, or a plain StyleGAN2 that knows no styles."""
    config = generator_config(state)
    w_mean = _mean_latent(data, config.w_dim)
    if is_plain_stylegan2(state):
        return config, fill_plain_generator(config, state, PLAIN_GENERATOR_RULES, w_mean)
    face_share = state["add_weight"].float().clamp(0, 1)
    alpha = 1 - face_share  # ours is the style's share
    return config, _fill_generator(config, state, GENERATOR_RULES, alpha, w_mean)


def fill_plain_generator(
    config: GeneratorConfig, state: State, rules: tuple[Rule, ...], w_mean: Tensor | None
) -> State:
    """Our state dict for a StyleGAN2 without styles: every indicator gives its natural faces.

    rules: they name the one mapping network for both of ours, so that the style mapping starts as a
    copy, and alpha, which no such file has, is 0. w_mean: [W], measured if None.
    """
    alpha = torch.zeros(config.num_layers)
    return _fill_generator(config, state, rules, alpha, w_mean)


def _fill_generator(
    config: GeneratorConfig,
    state: State,
    rules: tuple[Rule, ...],
    alpha: Tensor,
    w_mean: Tensor | None,
) -> State:
    with torch.device("meta"):  # only its keys and shapes are needed
        network = Generator(config)
    ready = {
        "blending.alpha": alpha,
        # ours alone: upstream styles are drawn from N(0, I), a stored mean is optional
        "style_mean": torch.zeros(config.z_dim),
        "style_factor": torch.eye(config.z_dim),
        "w_mean": torch.zeros(config.w_dim) if w_mean is None else w_mean,
    }
    filled = fill(network, state, rules, ready)
    if w_mean is None:
        network.load_state_dict(filled, assign=True)
        network.measure_w_mean_()
        filled["w_mean"] = network.w_mean
    return filled


def _mean_latent(data: Mapping, w_dim: int) -> Tensor | None:
    """The file's `latent_avg` as [W]; where it is [L, W], for an encoder, its rows are equal."""
    average = data.get("latent_avg")
    if not isinstance(average, Tensor):
        return None
    if average.numel() == 0 or average.numel() % w_dim:
        raise CheckpointError(
            f"'latent_avg' has the shape {tuple(average.shape)}, expected {(w_dim,)}"
        )
    return average.reshape(-1, w_dim).double().mean(dim=0).float()  # exact for equal rows


def discriminator(state: State, data: Mapping) -> tuple[GeneratorConfig, State]:
    """A plain StyleGAN2 discriminator, for D_face."""
    config = discriminator_config(state)
    with torch.device("meta"):
        network = Discriminator(config)
    return config, fill(network, state, DISCRIMINATOR_RULES + PLAIN_HEAD_RULES)


def mirrors(discriminator: GeneratorConfig, generator: GeneratorConfig) -> bool:
    """Whether a discriminator has the sizes that a training gives it beside this generator."""
    if discriminator.resolution != generator.resolution:
        return False
    sizes = [4 << n for n in range(generator.num_layers // 2)]
    return all(discriminator.channels(size) == generator.channels(size) for size in sizes)


def style_encoder(state: State, data: Mapping) -> tuple[StyleEncoderConfig, State]:
    """BlendGAN's style encoder."""
    config = style_encoder_config(state)
    weight = state["embedder_mlp.0.weight"]
    num_grams = sum(c * c for c in stage_channels(config.vgg_width))
    if weight.shape[1] != num_grams:
        raise CheckpointError(
            f"its predictor reads {weight.shape[1]} Gram values, its VGG makes {num_grams}"
        )
    ready = {"predictor.0.weight": fold_gram_weight(weight, config.vgg_width)}
    with torch.device("meta"):
        encoder = StyleEncoder(config)
    return config, fill(encoder, state, STYLE_ENCODER_RULES, ready)


def psp_encoder(state: State, data: Mapping) -> tuple[PSPConfig, State]:
    """BlendGAN's, pSp's or e4e's encoder. Without the options that pSp and e4e store beside it, it
    is taken for one of pSp, as BlendGAN's is."""
    config = psp_config(state)
    stated = options(data)
    if stated.get("encoder_type") == E4E:
        config = replace(config, deltas=True)
    shape = (config.num_layers, config.w_dim)
    average = data.get("latent_avg")
    if stated.get("start_from_latent_avg") is False:
        average = torch.zeros(shape)  # its codes are absolute
    if not isinstance(average, Tensor):
        raise CheckpointError("'latent_avg', the latent that the codes are relative to, is missing")
    if average.numel() not in (config.w_dim, config.num_layers * config.w_dim):
        raise CheckpointError(
            f"'latent_avg' has the shape {tuple(average.shape)}, expected {shape}"
        )
    average = average.reshape(-1, config.w_dim).expand(config.num_layers, -1).clone()
    with torch.device("meta"):
        encoder = PSPEncoder(config)
    return config, fill(encoder, state, psp_rules(config), {"latent_avg": average})


def options(data: Mapping) -> Mapping:
    """The options of the training that pSp and e4e store under `opts`; empty if there are none."""
    stated = data.get("opts")
    if isinstance(stated, Namespace):
        return vars(stated)
    return stated if isinstance(stated, Mapping) else {}


def check_encoder_type(data: Mapping) -> None:
    """Raise CheckpointError for a file of the pSp family whose encoder is built otherwise."""
    encoder_type = options(data).get("encoder_type")
    if encoder_type is not None and encoder_type not in ENCODER_TYPES:
        raise CheckpointError(
            f"has an encoder of the type {str(encoder_type)[:80]!r}, expected one of "
            f"{' and '.join(ENCODER_TYPES)}; use a pSp or e4e checkpoint that encodes into W+"
        )
