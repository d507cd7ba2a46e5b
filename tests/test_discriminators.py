"""The discriminator equals the straightforward formulation, with its gradients, R1's too."""

import oracles
import pytest
import torch
from golden_weights import relative_error

from blendgan_core.config import GeneratorConfig
from blendgan_core.discriminators import Discriminator
from trainer.losses import r1_penalty


@pytest.mark.parametrize("count", [3, 4, 8])
def test_logits_and_gradients(count):
    torch.manual_seed(3)
    network = Discriminator(GeneratorConfig(resolution=16, channel_base=256, channel_max=16))
    for name, parameter in network.named_parameters():
        if name.endswith("bias"):
            torch.nn.init.normal_(parameter, std=0.1)
    images = torch.rand(count, 3, 16, 16) * 2 - 1
    results = []
    for judge in (network, lambda pictures: oracles.discriminator(network, pictures)):
        seen = images.clone().requires_grad_()
        logits = judge(seen)
        network.zero_grad()
        (logits.mean() + r1_penalty(seen, logits)).backward()
        gradients = torch.cat([p.grad.flatten() for p in network.parameters()])
        results.append((logits.detach(), gradients))
    for ours, plain in zip(*results, strict=True):
        assert relative_error(ours, plain) < 1e-4
