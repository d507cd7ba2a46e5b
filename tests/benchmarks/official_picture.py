"""One picture by the official code, on a CPU, as its style_transfer_folder.py makes it.

python -m tests.benchmarks.official_picture blendgan.pt psp_encoder.pt face.png art.png
"""

import sys

import numpy as np
import torch
from PIL import Image

from .official import code


def read(path: str) -> torch.Tensor:
    """[1, 3, H, W] in [-1, 1]."""
    pixels = torch.from_numpy(np.array(Image.open(path).convert("RGB"), dtype=np.float32))
    return pixels.permute(2, 0, 1)[None] / 127.5 - 1


def main(blendgan: str, psp: str, face: str, art: str) -> None:
    networks = code()
    generator = networks.Generator(1024, 512, 8, load_pretrained_vgg=False)
    generator.load_state_dict(torch.load(blendgan, map_location="cpu")["g_ema"])
    generator.eval()
    encoder = networks.GradualStyleEncoder(50, "ir_se", 18)
    checkpoint = torch.load(psp, map_location="cpu")
    state = checkpoint["state_dict"]
    encoder.load_state_dict({k[len("encoder.") :]: v for k, v in state.items()})
    encoder.eval()
    pool = torch.nn.AdaptiveAvgPool2d((256, 256))
    with torch.no_grad():
        z_style = generator.get_z_embed(read(art))
        w_face = encoder(pool(read(face))) + checkpoint["latent_avg"].repeat(1, 1, 1)
        image, _ = generator(
            [w_face],
            z_embed=z_style,
            add_weight_index=6,
            input_is_latent=True,
            randomize_noise=False,
        )
    pixels = ((image[0].clamp(-1, 1) + 1) * 127.5).to(torch.uint8).permute(1, 2, 0)
    Image.fromarray(pixels.numpy()).save(face.replace("face", "official"))


if __name__ == "__main__":
    main(*sys.argv[1:])
