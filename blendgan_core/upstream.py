"""Upstream checkpoints -> our parts: recognised by their content, converted, and never run.

Files of torch.save are recognised by their keys (what each network calls its weights:
upstream_keys.py):
BlendGAN's blendgan.pt: {'g_ema': generator, with the style encoder under 'embedder.',
'latent_avg': [1, W]}; psp_encoder.pt: {'state_dict': pSp encoder under 'encoder.', 'latent_avg':
[L, W]}; style_encoder.pt: the style encoder alone;
rosinality's StyleGAN2: {'g', 'g_ema', 'd', 'latent_avg'}, of which any generator will do;
pSp's and e4e's: {'state_dict': 'encoder.' and 'decoder.', 'latent_avg', 'opts'}, the decoder being
a StyleGAN2 in rosinality's layout.
NVIDIA's network pickles are no such files: nvidia_pickles.py, nvidia_networks.py.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Literal

from torch import Tensor

from . import upstream_parts
from .contents import Config, Contents, State
from .discriminators import Discriminator, ProjectionDiscriminator
from .errors import CheckpointError
from .nvidia_networks import from_nvidia
from .nvidia_pickles import is_plain_pickle, read_network_pickle
from .pickles import read_pickle
from .upstream_keys import (
    DISCRIMINATOR_RULES,
    PLAIN_HEAD_RULES,
    PROJECTION_HEAD_RULES,
    discriminator_config,
    fill,
    is_plain_stylegan2,
)

# a key that one of our parts has in every official file, and nothing else has
PART_MARKERS = {
    "generator": "add_weight",
    "style_encoder": "embedder_mlp.0.weight",
    "psp_encoder": "styles.0.linear.weight",
}
PLAIN_GENERATOR_MARKER = "to_rgb1.conv.weight"
PLAIN_DISCRIMINATOR_MARKER = "final_linear.0.weight"
TRUNK_MARKER = "body.0.res_layer.1.weight"
# files that people pick by mistake, and a key that gives them away; first match wins
OTHER_MARKERS = {
    "a StyleGAN2 discriminator": PLAIN_DISCRIMINATOR_MARKER,
    "a projection discriminator": "l_style.weight",
    "a StyleGAN2 generator": PLAIN_GENERATOR_MARKER,
    "an IR-SE face recognition network, not a pSp encoder": TRUNK_MARKER,
    "a VGG network": "features.0.weight",
}
EXPECTED = (
    "expected the official blendgan.pt, psp_encoder.pt or style_encoder.pt, a StyleGAN2 generator, "
    "or a pSp or e4e checkpoint"
)


def read_upstream(path: str | Path) -> Contents:
    """What an upstream file holds. Raises CheckpointError if it is missing, damaged, or holds
    something else."""
    path = Path(path)
    try:
        if is_plain_pickle(path):
            return from_nvidia(*read_network_pickle(path))
        return from_official(read_pickle(path))
    except CheckpointError as error:
        message = str(error)
        raise CheckpointError(message if str(path) in message else f"{path} {message}") from error


def from_official(data: Mapping) -> Contents:
    """Convert what a file of torch.save holds; see `read_upstream`."""
    upstream_parts.check_encoder_type(data)
    found = {name: _find(data, marker) for name, marker in PART_MARKERS.items()}
    if found["generator"] is None:
        found["generator"] = _find(data, PLAIN_GENERATOR_MARKER)
    found["discriminator"] = _find(data, PLAIN_DISCRIMINATOR_MARKER)
    if found["psp_encoder"] is None and None not in (found["generator"], _find(data, TRUNK_MARKER)):
        raise CheckpointError(
            "has a generator beside an encoder without the heads of a pSp or e4e encoder; use a "
            "checkpoint of an encoder into W+"
        )
    if found["generator"] is None:
        del found["discriminator"]  # it serves only the training of a generator
    parts: dict[str, tuple[Config, State]] = {}
    for name, state in found.items():
        if state is None:
            continue
        try:
            parts[name] = getattr(upstream_parts, name)(state, data)
        except (ValueError, IndexError) as error:  # CheckpointError, or shapes that make no sense
            label = name.replace("_", " ").replace("psp", "pSp")
            raise CheckpointError(
                f"has the keys of a {label}, but is damaged or of another layout: {error}"
            ) from error
    if not parts:
        raise CheckpointError(_what_it_is(data))
    provenance: dict = {}
    if isinstance(data.get("truncation"), int | float):
        provenance["truncation"] = float(data["truncation"])
    extras: dict[str, State] = {}
    if "discriminator" in parts:
        sizes, state = parts.pop("discriminator")
        if upstream_parts.mirrors(sizes, parts["generator"][0]):
            extras["d_face"] = state
        else:
            provenance["left_out"] = "the discriminator, whose sizes are not the generator's"
    plain = found["generator"] is not None and is_plain_stylegan2(found["generator"])
    configs = {name: config for name, (config, _) in parts.items()}
    return Contents(
        kind=_kind(configs, plain),
        configs=configs,
        states={name: state for name, (_, state) in parts.items()},
        extras=extras,
        provenance=provenance,
        knows_styles=not plain,
    )


def _kind(configs: dict[str, Config], plain: bool) -> str:
    if "psp_encoder" in configs and configs["psp_encoder"].deltas:
        return "e4e checkpoint"
    if not plain:
        return "official BlendGAN checkpoint"
    return "pSp checkpoint" if "psp_encoder" in configs else "StyleGAN2, rosinality's layout"


def discriminator(
    state_dict: State, kind: Literal["face", "style", "style_latent"]
) -> Discriminator | ProjectionDiscriminator:
    """A discriminator filled with weights of the official layout; its sizes come from their shapes.

    kind: "face" and "style" are plain, "style_latent" is the projection discriminator. Raises
    CheckpointError if the weights are of the other kind, or incomplete.
    """
    plain = {"face": True, "style": True, "style_latent": False}[kind]
    marker, head_rules = (
        (PLAIN_DISCRIMINATOR_MARKER, PLAIN_HEAD_RULES)
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
        network.load_state_dict(fill(network, state_dict, DISCRIMINATOR_RULES + head_rules))
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
                    if isinstance(k, str) and k.startswith(prefix) and isinstance(tensor, Tensor)
                }
    return None


def _what_it_is(data: Mapping, expected: str = EXPECTED) -> str:
    for label, marker in OTHER_MARKERS.items():
        if _find(data, marker) is not None:
            return f"is {label}; {expected}"
    keys = sorted(str(key) for key in data)[:5]
    return f"is not a BlendGAN checkpoint: found the keys {keys}; {expected}"
