"""What a training computes, keeps and sends, counted and not timed: the figures of docs/scaling.md.

    python -m tests.benchmarks.work [--resolution 1024]

The networks stand on PyTorch's meta device, which follows shapes and computes nothing, so this runs
anywhere in a minute. Multiply-adds (MAC) are those of convolutions and matrix products, forward,
backward and through the backward pass, in the formulation that a GPU takes. `kept` is what the
backward pass needs in fp32, weights left out.
"""

import argparse
from collections.abc import Callable
from contextlib import contextmanager

import torch
from torch import Tensor, nn
from torch.autograd.graph import saved_tensors_hooks
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import flop_registry

from blendgan_core import GeneratorConfig, StyleEncoderConfig
from blendgan_core.discriminators import Discriminator, ProjectionDiscriminator
from blendgan_core.generator import Generator
from blendgan_core.layers import average_pool
from blendgan_core.style_encoder import StyleEncoder, upper_triangle
from trainer.draws import Draws
from trainer.losses import path_lengths, r1_penalty

PATH = "path length"  # on half of the pictures, at least one
# how often a picture of the batch goes through each part in one iteration
USES = {
    "StyleGAN2 (one discriminator)": {
        "draw": 1, "D, backward": 2, "G, backward": 1, "D to the picture": 1, "R1": 1 / 16,
        PATH: 1 / 8,
    },
    "BlendGAN": {
        "draw": 2, "D, backward": 6, "G, backward": 2, "D to the picture": 3, "R1": 3 / 16,
        PATH: 1 / 8, "style code": 1,
    },
    "BlendGAN, one-shot, batch 1": {
        "draw": 2, "D, backward": 7, "G, backward": 2, "D to the picture": 3, "R1": 3 / 16,
        PATH: 1 / 4, "style code": 1,
    },
}  # fmt: skip


class Parts:
    """The parts of an iteration for one picture. A D is counted as D_face; the other two are as
    large to 1%."""

    def __init__(self, resolution: int):
        with torch.device("meta"):
            self.generator = Generator(GeneratorConfig(resolution=resolution))
            self.d_face = Discriminator(self.generator.config)
            self.d_style_latent = ProjectionDiscriminator(self.generator.config)
            self.style_encoder = StyleEncoder(StyleEncoderConfig()).requires_grad_(False)
            self.picture = torch.empty(1, 3, resolution, resolution)

    def actions(self) -> dict[str, Callable[[], object]]:
        return {
            "draw": torch.no_grad()(self.draw),
            "D, backward": lambda: self.judge(self.d_face).backward(),
            "G, backward": lambda: self.draw().sum().backward(),
            "D to the picture": self.judge_picture,
            "R1": self.r1,
            PATH: self.path_length,
            "style code": self.style_code,
        }

    def draw(self) -> Tensor:
        return self.draw_from(self.generator.map_face(torch.empty(1, 512, device="meta")))

    def draw_from(self, w: Tensor) -> Tensor:
        synthesis = self.generator.synthesis
        noise = [torch.empty(shape, device="meta") for shape in synthesis.noise_shapes()]
        return synthesis(w, noise)

    def judge(self, network: nn.Module) -> Tensor:
        return network(self.picture).sum()

    def judge_picture(self) -> None:
        self.d_face.requires_grad_(False)
        picture = self.picture.clone().requires_grad_()
        self.judge_as(picture).backward()
        self.d_face.requires_grad_(True)

    def judge_as(self, picture: Tensor) -> Tensor:
        return self.d_face(picture).sum()

    def r1(self) -> None:
        picture = self.picture.clone().requires_grad_()
        r1_penalty(picture, self.d_face(picture)).backward()

    def style_code(self) -> None:
        """The encoder's forward pass but for the autocast around Gram matrices, which knows no meta
        device."""
        encoder = self.style_encoder
        pooled = average_pool(self.picture, encoder.config.image_size)
        grams = [tap.flatten(2) @ tap.flatten(2).mT for tap in encoder.features(pooled)]
        encoder.predictor(torch.cat([upper_triangle(each) for each in grams], dim=1))

    def path_length(self) -> None:
        w = self.generator.map_face(torch.empty(1, 512, device="meta"))
        path_lengths(self.draw_from(w), w, Draws(0, 0, [0], "meta")).sum().backward()


class MultiplyAdds(TorchDispatchMode):
    """Counts them in all that runs within it. (PyTorch's own mode cannot follow R1.)"""

    def __init__(self):
        super().__init__()
        self.count = 0.0

    def __torch_dispatch__(self, operation, types, args=(), kwargs=None):
        kwargs = kwargs or {}
        result = operation(*args, **kwargs)
        flops = flop_registry.get(operation.overloadpacket)
        if flops:
            self.count += flops(*args, **kwargs, out_val=result) / 2
        return result


@contextmanager
def bytes_kept(weights: set[int]):
    """Counts what the backward passes within it keep, each storage once."""
    storages: dict[int, torch.UntypedStorage] = {}

    def keep(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        if storage._cdata not in weights:
            storages[storage._cdata] = storage  # held, so that its number is not given away again
        return tensor

    with saved_tensors_hooks(keep, lambda tensor: tensor):
        yield lambda: sum(storage.nbytes() for storage in storages.values())


def size(*networks: nn.Module) -> int:
    """Trained parameters."""
    return sum(p.numel() for network in networks for p in network.parameters())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--resolution", type=int, default=1024)
    resolution = parser.parse_args().resolution
    parts = Parts(resolution)
    weights = {
        tensor.untyped_storage()._cdata
        for network in (parts.generator, parts.d_face, parts.style_encoder)
        for tensor in (*network.parameters(), *network.buffers())
    }
    macs = {}
    print(f"{resolution} px, one picture{'GMAC':>18}{'kept':>12}")
    for name, action in parts.actions().items():
        with MultiplyAdds() as counted:
            action()
        macs[name] = counted.count
        with bytes_kept(weights) as kept:
            action()
            print(f"    {name:22} {macs[name] / 1e9:12.1f} {kept() / 1e9:8.2f} GB")
    for name, uses in USES.items():
        total = sum(macs[part] * count for part, count in uses.items())
        print(f"{name}: {total / 1e12:.2f} TMAC a picture")
    print_sizes(parts)


def print_sizes(parts: Parts) -> None:
    generator, encoder = size(parts.generator), size(parts.style_encoder)
    judges = 2 * size(parts.d_face) + size(parts.d_style_latent)
    print(f"weights: generator {generator / 1e6:.1f} M, three discriminators {judges / 1e6:.1f} M")
    sent = 4 * (judges * (1 + 1 / 16) + generator * (1 + 1 / 4))
    print(f"gradients that a process hands over: {sent / 1e6:.0f} MB an iteration, fp32")
    queue = 8192 * 512
    state = 4 * (2 * generator + judges + 2 * (generator + judges) + queue)
    print(f"a state (weights, average, Adam, queue): {state / 1e9:.2f} GB")
    final = 4 * (generator + judges + encoder)
    print(f"a final checkpoint with all a training needs: {final / 1e9:.2f} GB")


if __name__ == "__main__":
    main()
