"""A style mapping for the codes of another style encoder: each picture keeps its latent.

Not in the paper. It spares a generator that knows styles the learning of them all over again, and
gives the encoders of an ablation one start.
"""

import torch
from torch import Tensor
from torch.nn import functional as F

from blendgan_core.generator import Generator, MappingNetwork
from blendgan_core.style_encoder import StyleEncoder

from .data import ImageSet
from .draws import FIXED_SEED

PICTURES = 4096  # from which it is learnt; every eighth is held out to tell how well it went
HELD_OUT = 8
AT_ONCE = 64  # pictures through the encoders
TRIED = 16  # pictures, of which two encoders are compared
STEPS, BATCH, RATE = 1000, 256, 0.2  # Adam's; the layers learn at a hundredth of the rate
SAME = 0.01  # of the mean square of a code: what rounding may change, and no other encoder does


def adapt_style_mapping_(
    generator: Generator, old: StyleEncoder, new: StyleEncoder, art: ImageSet
) -> float | None:
    """Fit the style mapping to `new`, where its codes are not those of `old`.

    All on one device. -> what `fit_style_mapping_` tells; None where nothing was to do.
    """
    chosen = art.draw(PICTURES, torch.Generator().manual_seed(FIXED_SEED)).unique()
    if same_codes(*encode_both(old, new, art, chosen[:: -(-len(chosen) // TRIED)])):
        return None
    return fit_style_mapping_(generator, *encode_both(old, new, art, chosen))


@torch.no_grad()
def encode_both(
    old: StyleEncoder, new: StyleEncoder, art: ImageSet, pictures: Tensor
) -> tuple[Tensor, Tensor]:
    """Codes of the same pictures, by their numbers [M], by two encoders: [M, S] each."""
    device = new.predictor[0].weight.device
    parts = (art.batch(part).to(device) for part in pictures.split(AT_ONCE))
    first, second = zip(*((old(part), new(part)) for part in parts), strict=True)
    return torch.cat(first), torch.cat(second)


def same_codes(old: Tensor, new: Tensor) -> bool:
    """Whether two encoders are one, be it stored with 16 bits and with 32. [M, S] each."""
    return bool((old - new).square().mean() < SAME * old.square().mean())


def fit_style_mapping_(generator: Generator, old: Tensor, new: Tensor) -> float:
    """Let the style mapping give for codes `new` what it gave for `old`, [M, S] each.

    -> the share of the latents' variance that it misses on codes that it was not fitted to.
    """
    sizes = generator.config
    with torch.no_grad():
        latents = generator.style_mapping(old)  # [M, W]
    held_out = torch.arange(len(new), device=new.device) % HELD_OUT == HELD_OUT - 1
    codes, wanted = new[~held_out], latents[~held_out]
    mapping = MappingNetwork(sizes.z_dim, sizes.w_dim, sizes.mapping_layers).to(new)
    optimizer = torch.optim.Adam(mapping.parameters(), lr=RATE)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, STEPS)
    seeded = torch.Generator().manual_seed(FIXED_SEED)
    for _ in range(STEPS):
        some = torch.randint(len(codes), (BATCH,), generator=seeded).to(codes.device)
        optimizer.zero_grad()
        F.mse_loss(mapping(codes[some]), wanted[some]).backward()
        optimizer.step()
        schedule.step()
    generator.style_mapping = mapping
    with torch.no_grad():
        missed = (mapping(new[held_out]) - latents[held_out]).square().mean()
    return (missed / latents.var(dim=0, correction=0).mean()).item()
