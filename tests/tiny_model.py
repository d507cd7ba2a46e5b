"""A whole BlendGAN of 32 pixels with random weights, and pictures of noise, for the tests."""

from types import ModuleType

import torch

PARTS = ("generator", "style_encoder", "psp_encoder")


def tiny_model(core: ModuleType, w_dim: int = 16, parts: tuple[str, ...] = PARTS):
    """core: the blendgan_core to build it from; the pack, as ComfyUI loads it, has its own."""
    torch.manual_seed(0)
    sizes = {
        "generator": core.GeneratorConfig(
            resolution=32,
            z_dim=w_dim,
            w_dim=w_dim,
            mapping_layers=2,
            channel_base=256,
            channel_max=8,
        ),
        "style_encoder": core.StyleEncoderConfig(
            image_size=32, vgg_width=2, hidden_dim=16, predictor_layers=2, z_dim=w_dim
        ),
        "psp_encoder": core.PSPConfig(
            image_size=32, channels=(4, 4, 8, 8), blocks=(1, 1, 1, 1), w_dim=w_dim, num_layers=8
        ),
    }
    model = core.BlendGAN(**{part: sizes[part] for part in parts}).eval()
    for name, parameter in model.named_parameters():
        if name.endswith("noise_strength"):
            parameter.data.fill_(0.5)  # it starts at 0, where noise could not show
    return model


def pictures(count=1, height=40, width=40, channels=3, seed=0) -> torch.Tensor:
    """An IMAGE of noise as ComfyUI's nodes take it: [count, height, width, channels] in [0, 1]."""
    generator = torch.Generator().manual_seed(seed)
    return torch.rand(count, height, width, channels, generator=generator)
