"""Networks of the official sizes with random weights that make pictures of a natural contrast."""

import torch
from torch import Tensor

from blendgan_core import BlendGAN, GeneratorConfig, PSPConfig, StyleEncoderConfig
from blendgan_core.blendgan import PARTS
from blendgan_core.contents import Contents
from blendgan_core.official_layout import official_layout
from blendgan_core.precision import PRECISIONS, prepare_


def random_model(resolution: int, *parts: str) -> BlendGAN:
    """A model with these parts, in eval mode and fp32; the same weights each time."""
    torch.manual_seed(0)
    generator = GeneratorConfig(resolution=resolution)
    sizes = {
        "generator": generator,
        "style_encoder": StyleEncoderConfig(),
        "psp_encoder": PSPConfig(num_layers=generator.num_layers),
    }
    model = BlendGAN(**{part: sizes[part] for part in parts})
    if model.style_encoder is not None:
        model.style_encoder.random_vgg_(0)
    if model.generator is not None:
        synthesis = model.generator.synthesis
        for name, parameter in synthesis.named_parameters():
            if name.endswith("noise_strength"):
                parameter.data.fill_(0.1)
            elif name.endswith("bias") and "modulation" not in name:
                parameter.data.normal_(0, 0.1)
        contrast = model.synthesize(model.sample_face([0])).std()
        for to_rgb in synthesis.to_rgbs:  # the picture is linear in these
            to_rgb.conv.weight.data *= 0.5 / contrast
            to_rgb.bias.data *= 0.5 / contrast
    return model.eval().requires_grad_(False)


def prepared(model: BlendGAN, precision: str) -> BlendGAN:
    """The model as `blendgan_core.load` hands it out."""
    prepare_(model, PRECISIONS[precision])
    return model


def random_picture(size: int, seed: int) -> Tensor:
    """[1, 3, size, size] in [-1, 1]."""
    return torch.rand(1, 3, size, size, generator=torch.Generator().manual_seed(seed)) * 2 - 1


def official_state(model: BlendGAN, *parts: str) -> dict[str, Tensor]:
    """The state dict of the official network that holds these parts, or all of the model's."""
    parts = parts or tuple(name for name in PARTS if getattr(model, name))
    contents = Contents(
        kind="random",
        configs={part: getattr(model.config, part) for part in parts},
        states={part: getattr(model, part).state_dict() for part in parts},
    )
    data = official_layout(contents)
    if "state_dict" in data:  # pSp's
        return {k.removeprefix("encoder."): v for k, v in data["state_dict"].items()}
    return data.get("g_ema", data)
