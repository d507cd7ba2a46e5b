"""Stand-in for `comfy.model_patcher`."""

import torch
from torch import nn


class ModelPatcher:
    """Holds a module that ComfyUI moves between devices; writes to it as the real one does."""

    def __init__(self, model: nn.Module, load_device: torch.device, offload_device: torch.device):
        self.model = model
        self.load_device = load_device
        self.offload_device = offload_device
        if getattr(model, "device", None) is None:
            model.device = offload_device


CoreModelPatcher = ModelPatcher
