"""`python -m blendgan_core pairs`: random faces, natural and stylised side by side."""

from argparse import Namespace

import torch

from .cli_shared import load_model, output_paths, write_result
from .images import read_image


def pairs(options: Namespace) -> int:
    """Write --count pictures, each [3, R, 2R]: the natural face, then the stylised one."""
    seeds = [(options.seed + k) % 2**64 for k in range(options.count)]
    paths = output_paths(options.out, [f"pair_{seed}" for seed in seeds])
    if options.style is not None:
        picture = read_image(options.style)[None]  # [1, 3, H, W]
        model = load_model(options, "generator", "style_encoder")
        z_style = model.encode_style(picture)  # [1, S], which serves all
    else:
        model = load_model(options, "generator")
        one_for_all = options.style_seed is not None
        z_style = model.sample_style([options.style_seed] if one_for_all else seeds)  # [1 or N, S]
    for start in range(0, len(seeds), options.batch):
        batch = slice(start, start + options.batch)
        w_face = model.sample_face(seeds[batch], options.truncation)  # [N, L, W]
        style = z_style if len(z_style) == 1 else z_style[batch]
        w = model.blend(w_face, style, options.indicator, options.theta)
        side_by_side = torch.cat([model.synthesize(w_face), model.synthesize(w)], dim=3)
        for path, image in zip(paths[batch], side_by_side, strict=True):
            write_result(path, image)
    return 0
