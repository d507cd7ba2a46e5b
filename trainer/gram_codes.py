"""Style codes of which nothing is learnt: the principal components of the Gram values.

The paper's ablation (figure 11) takes the Gram matrices themselves, 610,304 values, for the style
code. Of these the components keep as much as a code of the usual size can hold.
"""

import torch
from torch.nn import functional as F

from blendgan_core.style_encoder import StyleEncoder

from .data import ImageSet
from .draws import FIXED_SEED

PICTURES = 2048  # whose Gram values are held at once: 2.5 GB with VGG-19
AT_ONCE = 64  # pictures through VGG


@torch.no_grad()
def project_grams_(encoder: StyleEncoder, art: ImageSet) -> None:
    """Set a predictor of one layer to the directions in which the Gram values of art vary most.

    What there is no variance for, with fewer pictures than code values, stays 0.
    """
    (layer,) = encoder.predictor
    device = layer.weight.device
    chosen = art.draw(PICTURES, torch.Generator().manual_seed(FIXED_SEED)).unique()
    parts = [encoder.gram_features(art.batch(part).to(device)) for part in chosen.split(AT_ONCE)]
    grams = torch.cat(parts).cpu()  # [M, G]
    grams -= grams.mean(dim=0)
    # the same components as those of the G x G covariance, which would be too large
    variances, vectors = torch.linalg.eigh(grams @ grams.t())
    count = min(len(layer.weight), int((variances > variances[-1] * 1e-6).sum()))
    components = F.normalize(vectors[:, -count:].t().flip(0) @ grams, dim=1)  # [count, G]
    layer.weight.zero_()
    layer.weight[:count] = components.to(device) / layer.scale
    layer.bias.zero_()
