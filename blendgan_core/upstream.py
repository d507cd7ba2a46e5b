"""Official checkpoints -> our parts: recognised by their keys, converted, and never run.

blendgan.pt: {'g_ema': generator, with the style encoder under 'embedder.', 'latent_avg': [1, W]};
psp_encoder.pt: {'state_dict': pSp encoder under 'encoder.', 'latent_avg': [L, W]};
style_encoder.pt: the style encoder alone. What each network calls its weights: upstream_keys.py.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Literal

import torch
from torch import Tensor, nn

from .config import GeneratorConfig, PSPConfig, StyleEncoderConfig
from .contents import Config, Contents, State
from .discriminators import Discriminator, ProjectionDiscriminator
from .errors import CheckpointError
from .generator import Generator
from .pickles import read_pickle
from .psp_encoder import PSPEncoder
from .style_encoder import StyleEncoder, fold_gram_weight, stage_channels
from .upstream_keys import (
    DISCRIMINATOR_RULES,
    GENERATOR_RULES,
    PLAIN_HEAD_RULES,
    PROJECTION_HEAD_RULES,
    STYLE_ENCODER_RULES,
    Rule,
    discriminator_config,
    generator_config,
    official_key,
    psp_config,
    psp_rules,
    style_encoder_config,
)

# a key that one of our parts has in every official file, and nothing else has
PART_MARKERS = {
    "generator": "add_weight",
    "style_encoder": "embedder_mlp.0.weight",
    "psp_encoder": "styles.0.linear.weight",
}
# files that people pick by mistake, and a key that gives them away; first match wins
OTHER_MARKERS = {
    "a StyleGAN2 discriminator": "final_linear.0.weight",
    "a projection discriminator": "l_style.weight",
    "a StyleGAN2 generator without BlendGAN's style mapping": "to_rgb1.conv.weight",
    "an IR-SE face recognition network, not a pSp encoder": "body.0.res_layer.1.weight",
    "a VGG network": "features.0.weight",
}
EXPECTED = "expected the official blendgan.pt, psp_encoder.pt or style_encoder.pt"


def read_upstream(path: str | Path) -> Contents:
    """What an official file holds. Raises CheckpointError if it is missing, damaged, or holds
    something else."""
    try:
        return from_official(read_pickle(Path(path)))
    except CheckpointError as error:
        message = str(error)
        raise CheckpointError(message if str(path) in message else f"{path} {message}") from error


def from_official(data: Mapping) -> Contents:
    """Convert what an official file holds; see `read_upstream`."""
    converters = {
        "generator": _generator,
        "style_encoder": _style_encoder,
        "psp_encoder": _psp_encoder,
    }
    parts: dict[str, tuple[Config, State]] = {}
    for name, marker in PART_MARKERS.items():
        state = _find(data, marker)
        if state is None:
            continue
        try:
            parts[name] = converters[name](state, data)
        except (ValueError, IndexError) as error:  # CheckpointError, or shapes that make no sense
            label = name.replace("_", " ").replace("psp", "pSp")
            raise CheckpointError(
                f"has the keys of a {label}, but is damaged or of another layout: {error}"
            ) from error
    if not parts:
        raise CheckpointError(_what_it_is(data))
    return Contents(
        kind="official BlendGAN checkpoint",
        configs={name: config for name, (config, _) in parts.items()},
        states={name: state for name, (_, state) in parts.items()},
    )


def discriminator(
    state_dict: State, kind: Literal["face", "style", "style_latent"]
) -> Discriminator | ProjectionDiscriminator:
    """A discriminator filled with weights of the official layout; its sizes come from their shapes.

    kind: "face" and "style" are plain, "style_latent" is the projection discriminator. Raises
    CheckpointError if the weights are of the other kind, or incomplete.
    """
    plain = {"face": True, "style": True, "style_latent": False}[kind]
    marker, head_rules = (
        ("final_linear.0.weight", PLAIN_HEAD_RULES)
        if plain
        else ("l_style.weight", PROJECTION_HEAD_RULES)
    )
    if marker not in state_dict:
        raise CheckpointError(
            f"the weights for D_{kind} {_what_it_is(state_dict, expected=f'expected {marker!r}')}"
        )
    try:
        config = discriminator_config(state_dict)
        network = Discriminator(config) if plain else ProjectionDiscriminator(config)
        network.load_state_dict(_fill(network, state_dict, DISCRIMINATOR_RULES + head_rules))
    except (ValueError, IndexError) as error:
        raise CheckpointError(f"the weights for D_{kind} are damaged: {error}") from error
    return network


def _states(data: Mapping) -> Iterator[Mapping]:
    """The state dicts that a file may hold, the preferred one, the averaged weights, first."""
    if isinstance(data.get("g_ema"), Mapping):
        yield data["g_ema"]
    yield data
    for value in data.values():
        if isinstance(value, Mapping):
            yield value


def _find(data: Mapping, marker: str) -> State | None:
    """The tensors beside the marker, freed of the prefix that the marker stands under."""
    for state in _states(data):
        for key in state:
            if isinstance(key, str) and (key == marker or key.endswith("." + marker)):
                prefix = key.removesuffix(marker)
                return {
                    k.removeprefix(prefix): tensor
                    for k, tensor in state.items()
                    if k.startswith(prefix) and isinstance(tensor, Tensor)
                }
    return None


def _what_it_is(data: Mapping, expected: str = EXPECTED) -> str:
    for label, marker in OTHER_MARKERS.items():
        if _find(data, marker) is not None:
            return f"is {label}; {expected}"
    keys = sorted(str(key) for key in data)[:5]
    return f"is not a BlendGAN checkpoint: found the keys {keys}; {expected}"


def _fill(
    module: nn.Module, state: State, rules: tuple[Rule, ...], ready: State | None = None
) -> State:
    """A state dict for the module: copies of official tensors, and those in `ready` by our keys.

    Axes of length 1 that only the official layout has are dropped.
    """
    ready = ready or {}
    filled = {}
    for key, ours in module.state_dict().items():
        name = official_key(key, rules)
        tensor = ready.get(key, state.get(name))
        if tensor is None:
            raise CheckpointError(f"'{name}' is missing")
        if [n for n in tensor.shape if n > 1] != [n for n in ours.shape if n > 1]:
            raise CheckpointError(
                f"'{name}' has the shape {tuple(tensor.shape)}, expected {tuple(ours.shape)}"
            )
        # a copy, since a mapped tensor keeps the file open; of `ready`, one more may be too much
        tensor = tensor.detach().reshape(ours.shape).to(ours.dtype, copy=key not in ready)
        filled[key] = tensor.contiguous()
    return filled


def _generator(state: State, data: Mapping) -> tuple[GeneratorConfig, State]:
    config = generator_config(state)
    generator = Generator(config)
    face_share = state["add_weight"].float().clamp(0, 1)
    ready = {"blending.alpha": 1 - face_share}  # ours is the style's share
    # ours alone: official styles are drawn from N(0, I), the centre of the truncation is optional
    ready |= {key: getattr(generator, key) for key in ("w_mean", "style_mean", "style_factor")}
    w_mean = data.get("latent_avg")
    if isinstance(w_mean, Tensor):
        ready["w_mean"] = w_mean.clone()
    filled = _fill(generator, state, GENERATOR_RULES, ready)
    if not isinstance(w_mean, Tensor):
        generator.load_state_dict(filled)
        generator.measure_w_mean_()
        filled["w_mean"] = generator.w_mean
    return config, filled


def _style_encoder(state: State, data: Mapping) -> tuple[StyleEncoderConfig, State]:
    config = style_encoder_config(state)
    weight = state["embedder_mlp.0.weight"]
    num_grams = sum(c * c for c in stage_channels(config.vgg_width))
    if weight.shape[1] != num_grams:
        raise CheckpointError(
            f"its predictor reads {weight.shape[1]} Gram values, its VGG makes {num_grams}"
        )
    ready = {"predictor.0.weight": fold_gram_weight(weight, config.vgg_width)}
    with torch.device("meta"):  # only its keys and shapes are needed
        encoder = StyleEncoder(config)
    return config, _fill(encoder, state, STYLE_ENCODER_RULES, ready)


def _psp_encoder(state: State, data: Mapping) -> tuple[PSPConfig, State]:
    config = psp_config(state)
    average = data.get("latent_avg")
    if not isinstance(average, Tensor):
        raise CheckpointError("'latent_avg', the latent that the codes are relative to, is missing")
    if average.numel() not in (config.w_dim, config.num_layers * config.w_dim):
        raise CheckpointError(
            f"'latent_avg' has the shape {tuple(average.shape)}, "
            f"expected {(config.num_layers, config.w_dim)}"
        )
    average = average.reshape(-1, config.w_dim).expand(config.num_layers, -1).clone()
    with torch.device("meta"):
        encoder = PSPEncoder(config)
    return config, _fill(encoder, state, psp_rules(config), {"latent_avg": average})
