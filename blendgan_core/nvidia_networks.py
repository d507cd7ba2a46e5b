"""StyleGAN2 networks out of NVIDIA's pickles -> our generator and D_face.

Sources: training/networks.py of stylegan2-ada-pytorch, training/networks_stylegan2.py of stylegan3.
Their modulated convolutions store unscaled weights and demodulate, so scales cancel; the kernels
need no flip, for what they call a convolution when upsampling is a transposed one here. Not carried
over: the clamp of activations at 256, which guards fp16 and leaves trained networks alone, and the
discriminator's group of the minibatch standard deviation, which here has at most 4 pictures.
"""

import re

import torch

from .config import GeneratorConfig
from .contents import Contents, State
from .discriminators import Discriminator
from .errors import CheckpointError
from .layers import FIR
from .nvidia_pickles import Network
from .upstream_keys import Rule, channel_sizes, count_numbers, fill, shape_of
from .upstream_parts import fill_plain_generator

EXPECTED = (
    "expected StyleGAN2 without classes, as trained without --cond by NVIDIA's "
    "stylegan2-ada-pytorch, or by stylegan3 with --cfg=stylegan2"
)
LINEAR = ("affine", "out", "skip")  # layers of both networks without a leaky ReLU


def from_nvidia(networks: dict[str, Network], training_set: dict) -> Contents:
    """Convert the networks "G" and "D" of a pickle; see `nvidia_pickles.read_network_pickle`.

    A discriminator that ours cannot equal (architecture 'orig' or 'skip', as of --cfg=cifar, or
    sizes other than the generator's) is left out, which the provenance says. Raises CheckpointError
    for such a generator.
    """
    network = networks["G"]
    _check_generator(network)
    try:
        config = _generator_config(network.tensors)
        w_mean = network.tensors.get("mapping.w_avg")
        state = fill_plain_generator(config, network.tensors, generator_rules(config), w_mean)
    except (ValueError, IndexError) as error:
        raise CheckpointError(f"has a generator of a kind that is not known: {error}") from error
    provenance: dict = {}
    if training_set:
        path = str(training_set.get("path", ""))  # on the machine of whoever trained it
        provenance["training_set"] = training_set | {"path": re.split(r"[/\\]", path)[-1]}
    extras: dict[str, State] = {}
    if "D" in networks:
        try:
            extras["d_face"] = _discriminator(networks["D"], config)
        except (ValueError, IndexError) as error:
            provenance["left_out"] = f"the discriminator ({error})"
    return Contents(
        kind="NVIDIA network pickle",
        configs={"generator": config},
        states={"generator": state},
        extras=extras,
        provenance=provenance,
        knows_styles=False,
    )


def generator_rules(config: GeneratorConfig) -> tuple[Rule, ...]:
    """What NVIDIA calls our generator's weights (upstream_keys.py has what a rule is)."""
    rules: list[Rule] = [
        (r"(?:face|style)_mapping\.layers\.(\d+)\.(\w+)", "mapping.fc{}.{}", 0),
        (r"w_mean", "mapping.w_avg", 0),
        (r"synthesis\.constant", "synthesis.b4.const", 0),
    ]
    for index in range(config.num_layers - 1):
        layer = f"synthesis.b{4 << (index + 1) // 2}.conv{(index + 1) % 2}"
        rules += [
            (rf"synthesis\.convs\.{index}\.conv\.modulation\.(\w+)", layer + ".affine.{}", 0),
            (rf"synthesis\.convs\.{index}\.(?:conv\.)?(\w+)", layer + ".{}", 0),
            (rf"synthesis\.noise_{index}", layer + ".noise_const", 0),
        ]
    for block in range(config.num_layers // 2):
        layer = f"synthesis.b{4 << block}.torgb"
        rules += [
            (rf"synthesis\.to_rgbs\.{block}\.conv\.modulation\.(\w+)", layer + ".affine.{}", 0),
            (rf"synthesis\.to_rgbs\.{block}\.(?:conv\.)?(\w+)", layer + ".{}", 0),
        ]
    return tuple(rules)


def discriminator_rules(config: GeneratorConfig) -> tuple[Rule, ...]:
    """What NVIDIA calls our discriminator's weights."""
    rules: list[Rule] = [
        (r"trunk\.from_rgb\.(\w+)", f"b{config.resolution}.fromrgb." + "{}", 0),
        (r"trunk\.final_conv\.(\w+)", "b4.conv.{}", 0),
        (r"hidden\.(\w+)", "b4.fc.{}", 0),
        (r"out\.(\w+)", "b4.out.{}", 0),
    ]
    for block in range(config.num_layers // 2 - 1):
        name = f"b{config.resolution >> block}"
        rules += [
            (rf"trunk\.blocks\.{block}\.conv1\.(\w+)", name + ".conv0.{}", 0),
            (rf"trunk\.blocks\.{block}\.conv2\.(\w+)", name + ".conv1.{}", 0),
            (rf"trunk\.blocks\.{block}\.skip\.(\w+)", name + ".skip.{}", 0),
        ]
    return tuple(rules)


def _generator_config(tensors: State) -> GeneratorConfig:
    num_blocks = count_numbers(tensors, r"synthesis\.b(\d+)\..+")
    channels = {
        4 << block: shape_of(tensors, f"synthesis.b{4 << block}.conv1.weight")[0]
        for block in range(num_blocks)
    }
    return GeneratorConfig(
        resolution=max(channels),
        z_dim=shape_of(tensors, "mapping.fc0.weight")[1],
        w_dim=shape_of(tensors, "synthesis.b4.conv1.affine.weight")[1],
        mapping_layers=count_numbers(tensors, r"mapping\.fc(\d+)\..+"),
        **channel_sizes(channels),
    )


def _check_generator(network: Network) -> None:
    """Raise CheckpointError, which names what was found, for anything but a StyleGAN2."""
    found, tensors = network.attributes, network.tensors
    whole = found[""]
    if "synthesis.input.freqs" in tensors or any("synthesis.L0_" in path for path in found):
        raise CheckpointError(f"is an NVIDIA network pickle of StyleGAN3; {EXPECTED}")
    if "synthesis.b4.const" not in tensors:
        raise CheckpointError(
            f"is an NVIDIA network pickle of an unknown generator, {network.class_name[:60]!r}; "
            f"{EXPECTED}"
        )
    if whole.get("c_dim") or "mapping.embed.weight" in tensors:
        raise CheckpointError(
            f"is an NVIDIA network pickle of a class-conditional generator, of "
            f"{whole.get('c_dim')} classes; {EXPECTED}"
        )
    if whole.get("img_channels") != 3:
        raise CheckpointError(
            f"is an NVIDIA network pickle of pictures of {whole.get('img_channels')} channels, "
            "expected the three of RGB; take a model of colour pictures"
        )
    try:
        _check_layers(network, architecture="skip")
    except CheckpointError as error:
        raise CheckpointError(
            f"is an NVIDIA network pickle whose generator {error}; take a model of default settings"
        ) from error


def _check_layers(network: Network, architecture: str) -> None:
    """Raise CheckpointError, whose text goes on from the network's name, for layers that compute
    something else than ours do."""
    for path, values in network.attributes.items():
        name = path.rpartition(".")[2]
        expected = {
            "architecture": architecture,
            "activation": "linear" if name in LINEAR else "lrelu",
            "bias_gain": 0.01 if path.startswith("mapping.fc") else 1,  # learning rate multiplier
        }
        for key in expected.keys() & values.keys():
            if values[key] != expected[key]:
                raise CheckpointError(
                    f"has the {key} {str(values[key])[:40]!r} in {path!r}, expected "
                    f"{expected[key]!r}"
                )
    taps = torch.tensor(FIR) / sum(FIR)
    kernel = torch.outer(taps, taps)
    for key, found in network.tensors.items():
        if key.endswith("resample_filter") and not (
            found.shape == kernel.shape and torch.allclose(found.float(), kernel, atol=1e-6)
        ):
            raise CheckpointError(
                f"resamples with another filter than {[int(tap) for tap in FIR]}, see {key!r}"
            )


def _discriminator(network: Network, sizes: GeneratorConfig) -> State:
    """The state of our D_face. Raises CheckpointError if ours cannot equal it."""
    _check_layers(network, architecture="resnet")
    with torch.device("meta"):
        ours = Discriminator(sizes)
    return fill(ours, network.tensors, discriminator_rules(sizes))
