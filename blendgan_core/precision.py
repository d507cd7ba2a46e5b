"""Make a model ready to compute: half precision where the work is, weights as convolutions read
them."""

import torch
from torch import nn

from .blendgan import BlendGAN
from .layers import ModulatedConv2d
from .style_encoder import GramLinear

PRECISIONS = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}  # for users


def prepare_(model: BlendGAN, dtype: torch.dtype) -> None:
    """Let the convolutions and the layer over Gram matrices compute in `dtype`, all else in fp32.

    What steers the convolutions (mapping networks, modulation, blending, normalisation) is a small
    part of the work, and rounding it costs more accuracy than rounding the pictures. The encoders
    store their weights in `dtype`, 0.9 of the official model's; the synthesis network keeps fp32
    weights, which it modulates before it rounds them.
    """
    for module in model.modules():
        for name, tensor in (
            *module.named_parameters(recurse=False),
            *module.named_buffers(recurse=False),
        ):
            half = isinstance(module, (nn.Conv2d, nn.PReLU))
            half |= isinstance(module, GramLinear) and name == "weight"
            if tensor.is_floating_point():
                tensor.data = tensor.data.to(dtype if half else torch.float32)
    model.to(memory_format=torch.channels_last)
    for module in model.modules():
        if isinstance(module, ModulatedConv2d) and module.upsample:
            transposed = module.weight.data.transpose(0, 1)  # as `transposed_conv` wants it
            transposed = transposed.contiguous(memory_format=torch.channels_last)
            module.weight.data = transposed.transpose(0, 1)
    if model.generator is not None:
        model.generator.synthesis.dtype = dtype
