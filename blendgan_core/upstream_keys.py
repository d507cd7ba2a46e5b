"""What the official networks call the weights that our modules hold, and the sizes these imply.

A rule (pattern, name, shift) turns one of our keys into the official one: a full match of the
pattern puts its groups into the name, groups that are numbers moved by the shift.
"""

import re

from torch import Tensor, nn

from .config import GeneratorConfig, PSPConfig, StyleEncoderConfig
from .contents import State
from .errors import CheckpointError

Rule = tuple[str, str, int]


def official_key(key: str, rules: tuple[Rule, ...]) -> str:
    """Our key -> the official one; the same if no rule matches."""
    for pattern, name, shift in rules:
        if match := re.fullmatch(pattern, key):
            groups = (int(g) + shift if g.isdecimal() else g for g in match.groups())
            return name.format(*groups)
    return key


def shape_of(state: State, key: str) -> tuple[int, ...]:
    """Shape of a tensor that must be there; CheckpointError names it if it is not."""
    if not isinstance(state.get(key), Tensor):
        raise CheckpointError(f"'{key}' is missing")
    return tuple(state[key].shape)


def count(state: State, pattern: str) -> int:
    """How many keys match the pattern entirely."""
    return sum(re.fullmatch(pattern, key) is not None for key in state)


def count_numbers(state: State, pattern: str) -> int:
    """How many different groups the pattern finds in keys that it matches entirely: layers that
    have any tensor, so that one that lacks a tensor still counts, and is then found incomplete."""
    return len({match[1] for key in state if (match := re.fullmatch(pattern, key))})


def fill(
    module: nn.Module, state: State, rules: tuple[Rule, ...], ready: State | None = None
) -> State:
    """A state dict for the module: copies of official tensors, and those in `ready` by our keys.

    Only the module's keys and shapes are used, so it may lie on the meta device. Axes of length 1
    that only the official layout has are dropped. Raises CheckpointError for what is missing or of
    another shape.
    """
    ready = ready or {}
    filled = {}
    for key, ours in module.state_dict().items():
        name = official_key(key, rules)
        tensor = ready.get(key, state.get(name))
        if tensor is None:
            raise CheckpointError(f"'{name}' is missing")
        if [n for n in tensor.shape if n != 1] != [n for n in ours.shape if n != 1]:
            raise CheckpointError(
                f"'{name}' has the shape {tuple(tensor.shape)}, expected {tuple(ours.shape)}"
            )
        # a copy, since a mapped tensor keeps the file open; of `ready`, one more may be too much
        tensor = tensor.detach().reshape(ours.shape).to(ours.dtype, copy=key not in ready)
        filled[key] = tensor.contiguous()
    return filled


# our convolution 0 is official `conv1`, ours from 1 on are official `convs.0` on; so for ToRGB
GENERATOR_RULES: tuple[Rule, ...] = (
    (r"face_mapping\.layers\.(\d+)\.(\w+)", "style.{}.{}", 1),
    (r"style_mapping\.layers\.(\d+)\.(\w+)", "embedding.{}.{}", 1),
    (r"blending\.alpha", "add_weight", 0),
    (r"w_mean", "latent_avg", 0),
    (r"synthesis\.constant", "input.input", 0),
    (r"synthesis\.convs\.0\.noise_strength", "conv1.noise.weight", 0),
    (r"synthesis\.convs\.0\.bias", "conv1.activate.bias", 0),
    (r"synthesis\.convs\.0\.(.+)", "conv1.{}", 0),
    (r"synthesis\.convs\.(\d+)\.noise_strength", "convs.{}.noise.weight", -1),
    (r"synthesis\.convs\.(\d+)\.bias", "convs.{}.activate.bias", -1),
    (r"synthesis\.convs\.(\d+)\.(.+)", "convs.{}.{}", -1),
    (r"synthesis\.to_rgbs\.0\.(.+)", "to_rgb1.{}", 0),
    (r"synthesis\.to_rgbs\.(\d+)\.(.+)", "to_rgbs.{}.{}", -1),
    (r"synthesis\.(noise_\d+)", "noises.{}", 0),
)
# a StyleGAN2 without styles: its one mapping network serves as both of ours
PLAIN_GENERATOR_RULES: tuple[Rule, ...] = (
    (r"style_mapping\.layers\.(\d+)\.(\w+)", "style.{}.{}", 1),
    *GENERATOR_RULES,
)

# numbers inside a block count its parts: a blur or padding layer may come before the weight
DISCRIMINATOR_RULES: tuple[Rule, ...] = (
    (r"trunk\.from_rgb\.weight", "convs.0.0.weight", 0),
    (r"trunk\.from_rgb\.bias", "convs.0.1.bias", 0),
    (r"trunk\.blocks\.(\d+)\.conv1\.weight", "convs.{}.conv1.0.weight", 1),
    (r"trunk\.blocks\.(\d+)\.conv1\.bias", "convs.{}.conv1.1.bias", 1),
    (r"trunk\.blocks\.(\d+)\.conv2\.weight", "convs.{}.conv2.1.weight", 1),
    (r"trunk\.blocks\.(\d+)\.conv2\.bias", "convs.{}.conv2.2.bias", 1),
    (r"trunk\.blocks\.(\d+)\.skip\.weight", "convs.{}.skip.1.weight", 1),
    (r"trunk\.final_conv\.weight", "final_conv.0.weight", 0),
    (r"trunk\.final_conv\.bias", "final_conv.1.bias", 0),
)
PLAIN_HEAD_RULES: tuple[Rule, ...] = (
    (r"hidden\.(\w+)", "final_linear.0.{}", 0),
    (r"out\.(\w+)", "final_linear.1.{}", 0),
)
PROJECTION_HEAD_RULES: tuple[Rule, ...] = (
    (r"out\.(\w+)", "l_out.{}", 0),
    (r"style\.(\w+)", "l_style.{}", 0),
)

STYLE_ENCODER_RULES: tuple[Rule, ...] = (
    (r"vgg\.(.+)", "embedder.feature_extractor.vgg_layers.{}", 0),
    (r"predictor\.(.+)", "embedder_mlp.{}", 0),
)


def psp_rules(config: PSPConfig) -> tuple[Rule, ...]:
    """The official trunk numbers its blocks through; ours starts anew in each of four stages."""
    first_blocks = [sum(config.blocks[:stage]) for stage in range(4)]
    return (
        *(
            (rf"stages\.{stage}\.(\d+)\.residual\.(.+)", "body.{}.res_layer.{}", first)
            for stage, first in enumerate(first_blocks)
        ),
        *(
            (rf"stages\.{stage}\.(\d+)\.shortcut\.(.+)", "body.{}.shortcut_layer.{}", first)
            for stage, first in enumerate(first_blocks)
        ),
        (r"heads\.(.+)", "styles.{}", 0),
        (r"lateral_middle\.(\w+)", "latlayer1.{}", 0),
        (r"lateral_fine\.(\w+)", "latlayer2.{}", 0),
    )


def is_plain_stylegan2(state: State) -> bool:
    """Whether a generator lacks all that BlendGAN adds: the second mapping network, and its
    weights."""
    return "add_weight" not in state and not count(state, r"embedding\.\d+\.weight")


def generator_config(state: State) -> GeneratorConfig:
    """Sizes of an official generator, or of a StyleGAN2 in the same layout."""
    if is_plain_stylegan2(state):
        num_layers = count_numbers(state, r"convs\.(\d+)\..+") + 2
    else:
        num_layers = shape_of(state, "add_weight")[1]
    resolution = 2 ** (num_layers // 2 + 1)
    channels = {4: shape_of(state, "input.input")[1]}
    for block in range(num_layers // 2 - 1):
        channels[8 << block] = shape_of(state, f"convs.{2 * block}.conv.weight")[1]
    w_dim, z_dim = shape_of(state, "style.1.weight")
    return GeneratorConfig(
        resolution=resolution,
        z_dim=z_dim,
        w_dim=w_dim,
        mapping_layers=count_numbers(state, r"style\.(\d+)\..+"),
        **channel_sizes(channels),
    )


def discriminator_config(state: State) -> GeneratorConfig:
    """Sizes of an official discriminator, plain or projection, as those of its generator."""
    num_blocks = count(state, r"convs\.\d+\.skip\.1\.weight")
    resolution = 4 << num_blocks
    channels = {resolution: shape_of(state, "convs.0.0.weight")[0]}
    for block in range(1, num_blocks + 1):
        channels[resolution >> block] = shape_of(state, f"convs.{block}.conv2.1.weight")[0]
    z_dim = shape_of(state, "l_style.weight")[1] if "l_style.weight" in state else 512
    return GeneratorConfig(resolution=resolution, z_dim=z_dim, **channel_sizes(channels))


def channel_sizes(channels: dict[int, int]) -> dict[str, int]:
    """channel_base and channel_max that give these channels at these resolutions."""
    widest = max(channels.values())
    return {
        "channel_base": max(resolution * c for resolution, c in channels.items()),
        "channel_max": widest,
    }


def style_encoder_config(state: State) -> StyleEncoderConfig:
    """Sizes of an official style encoder. The picture size is no weight; official ones use 256."""
    num_layers = count(state, r"embedder_mlp\.\d+\.weight")
    return StyleEncoderConfig(
        vgg_width=shape_of(state, "embedder.feature_extractor.vgg_layers.0.weight")[0],
        hidden_dim=shape_of(state, "embedder_mlp.0.weight")[0],
        predictor_layers=num_layers,
        z_dim=shape_of(state, f"embedder_mlp.{num_layers - 1}.weight")[0],
    )


def psp_config(state: State) -> PSPConfig:
    """Sizes of an official pSp encoder; a stage of its trunk is a run of blocks of equal width."""
    widths: list[int] = []
    blocks: list[int] = []
    for block in range(count(state, r"body\.\d+\.res_layer\.1\.weight")):
        width = shape_of(state, f"body.{block}.res_layer.1.weight")[0]
        if not widths or widths[-1] != width:
            widths.append(width)
            blocks.append(0)
        blocks[-1] += 1
    if len(widths) != 4:
        raise CheckpointError(f"the trunk has stages of {widths} channels, expected four of them")
    # a head halves its map until one pixel is left, and the coarsest map is a 16th of the picture
    halvings = count(state, r"styles\.0\.convs\.\d+\.weight")
    return PSPConfig(
        image_size=16 << halvings,
        channels=tuple(widths),
        blocks=tuple(blocks),
        w_dim=shape_of(state, "styles.0.linear.weight")[0],
        num_layers=count(state, r"styles\.\d+\.linear\.weight"),
    )
