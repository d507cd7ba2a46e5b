"""Our parts -> the dictionaries in the official files, for use with the official code.

The way back of upstream.py, by the same tables of names (upstream_keys.py). Every tensor comes back
as it was, with three exceptions: of the style encoder's first layer, which sees symmetric matrices,
the symmetric part; `add_weight` within 0..1 and to half a unit in the last place of 1 (alpha is 1 -
add_weight); and the mean latent is there even if the official file lacked one.
"""

import re
from collections.abc import Callable
from dataclasses import asdict

import torch
from torch import Tensor

from .contents import Config, Contents, State
from .errors import CheckpointError
from .layers import FIR
from .style_encoder import stage_channels
from .upstream_keys import (
    GENERATOR_RULES,
    STYLE_ENCODER_RULES,
    generator_config,
    official_key,
    psp_config,
    psp_rules,
    style_encoder_config,
)

OURS_ALONE = ("w_mean", "style_mean", "style_factor")  # no weights of the official generator


def official_layout(contents: Contents) -> dict:
    """What torch.save has to write for the parts in `contents`; floating tensors in fp32.

    A generator, with or without a style encoder: as blendgan.pt; a style encoder: style_encoder.pt;
    a pSp encoder: psp_encoder.pt. Raises CheckpointError for parts that no official file holds
    together, or whose sizes the layout cannot tell.
    """
    states = contents.states
    if "psp_encoder" in states and len(states) > 1:
        raise CheckpointError(
            "no official file holds a pSp encoder beside other parts; write two files, one with "
            "--parts psp_encoder, one with --parts "
            + " ".join(name for name in states if name != "psp_encoder")
        )
    if "psp_encoder" in states:
        return _psp_file(contents)
    style = _style_encoder(contents) if "style_encoder" in states else {}
    if "generator" not in states:
        return style
    generator = states["generator"]
    data = {
        "g_ema": _generator(contents) | {f"embedder.{key}": style[key] for key in style},
        "latent_avg": generator["w_mean"].float()[None],  # [1, W]
    }
    truncation = stored_truncation(contents.provenance)
    return data if truncation is None else data | {"truncation": truncation}


def left_out(contents: Contents) -> list[str]:
    """What `official_layout` has no place for, in words."""
    found = list(contents.extras)
    if "generator" in contents.states:
        mean, factor = (contents.states["generator"][key] for key in OURS_ALONE[1:])
        if mean.any() or not torch.equal(factor, torch.eye(len(factor)).to(factor)):
            found.append("the distribution of random styles")
    return [*found, "the provenance"] if contents.provenance else found


def stored_truncation(provenance: dict) -> float | None:
    """The truncation that came with an official generator, also if that was converted since."""
    if isinstance(provenance.get("truncation"), int | float):
        return provenance["truncation"]
    sources = provenance.get("sources")
    for source in sources if isinstance(sources, list) else ():
        if isinstance(source, dict) and isinstance(source.get("provenance"), dict):
            if "generator" in source.get("parts", ()):
                return stored_truncation(source["provenance"])
    return None


def unfold_gram_weight(weight: Tensor, vgg_width: int) -> Tensor:
    """Weights for upper triangles -> weights for full Gram matrices with the same output.

    weight: [out, sum of C*(C+1)/2] -> [out, sum of C^2]; undoes `fold_gram_weight` by giving W_ij
    and W_ji half of the folded value each.
    """
    channels = stage_channels(vgg_width)
    full = weight.new_empty(len(weight), sum(c * c for c in channels))
    start, folded_start = 0, 0
    for c in channels:
        row, column = torch.triu_indices(c, c).to(weight.device)
        share = torch.where(row == column, 1.0, 0.5).to(weight)  # the diagonal counts once
        for folded_row, full_row in zip(weight, full, strict=True):  # all at once take gigabytes
            matrix = full_row[start : start + c * c].view(c, c)
            values = folded_row[folded_start : folded_start + len(share)] * share
            matrix[row, column] = values
            matrix[column, row] = values
        start, folded_start = start + c * c, folded_start + len(share)
    return full


def _generator(contents: Contents) -> State:
    config, ours = contents.configs["generator"], contents.states["generator"]
    state = {}
    for key, value in ours.items():
        if key in OURS_ALONE:
            continue
        name = official_key(key, GENERATOR_RULES)
        value = _plain(value)
        if key == "blending.alpha":
            value = (1 - value)[None, :, None]  # [1, L, 1], the face's share
        elif re.fullmatch(r"to_rgb.*(?<!modulation)\.bias", name):
            value = value[None, :, None, None]  # [1, 3, 1, 1]
        elif name.endswith(".conv.weight"):
            value = value[None]  # [1, C', C, k, k]
        state[name] = value
    taps = torch.tensor(FIR, dtype=torch.float32)
    kernel = torch.outer(taps, taps) / (taps.sum() / 2) ** 2
    for block in range(config.num_layers // 2 - 1):
        state[f"convs.{2 * block}.conv.blur.kernel"] = kernel.clone()
        state[f"to_rgbs.{block}.upsample.kernel"] = kernel.clone()
    _check_sizes("generator", config, state, generator_config)
    return state


def _style_encoder(contents: Contents) -> State:
    config, ours = contents.configs["style_encoder"], contents.states["style_encoder"]
    state = {official_key(key, STYLE_ENCODER_RULES): _plain(value) for key, value in ours.items()}
    _check_sizes("style encoder", config, state, style_encoder_config)
    first = "embedder_mlp.0.weight"
    state[first] = unfold_gram_weight(state[first], config.vgg_width)
    return state


def _psp_file(contents: Contents) -> dict:
    config, ours = contents.configs["psp_encoder"], contents.states["psp_encoder"]
    rules = psp_rules(config)
    state = {official_key(key, rules): _plain(value) for key, value in ours.items()}
    average = state.pop("latent_avg")
    _check_sizes("pSp encoder", config, state, psp_config)
    return {
        "state_dict": {f"encoder.{key}": value for key, value in state.items()},
        "latent_avg": average,  # [L, W]
    }


def _plain(value: Tensor) -> Tensor:
    return value.float() if value.is_floating_point() else value


def _check_sizes(
    label: str, config: Config, state: State, implied: Callable[[State], Config]
) -> None:
    """Reading finds sizes by shapes; what these do not show, the official layout cannot hold."""
    try:
        wanted, found = asdict(config), asdict(implied(state))
        for key in wanted:
            # many of these two give the same channels, which the shapes do show
            if key not in ("channel_base", "channel_max") and wanted[key] != found[key]:
                raise CheckpointError(f"its {key} is {wanted[key]}, there it would be {found[key]}")
    except CheckpointError as error:
        raise CheckpointError(
            f"the official layout cannot hold the {label}: {error}; name the other parts with "
            "--parts, or write a .safetensors file"
        ) from error
