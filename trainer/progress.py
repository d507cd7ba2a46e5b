"""How good a generator has become, in a few numbers that need no downloaded weights.

The adversaries' losses do not fall while the pictures get better; these values tell it.
"""

import torch
from torch import Tensor
from torch.nn import functional as F

from blendgan_core.generator import Generator
from blendgan_core.layers import average_pool
from blendgan_core.style_encoder import StyleEncoder

from .data import ImageSet
from .draws import FIXED_SEED
from .style_distance import AT_ONCE, draw_pictures, random_judge, spread

TAP = 3  # of VGG's five: relu4_4
PLACES = 4  # features are averaged over each of 4 x 4 fields of the picture
OF_A_STYLE = 4  # references at least
FACES, SPREAD_REFERENCES = 16, 4  # for the spread over faces
TINY = 1e-8  # keeps a ratio finite where all pictures are one


@torch.no_grad()
def measure_progress(
    generator: Generator,
    style_encoder: StyleEncoder | None,
    art: ImageSet | None,
    natural: ImageSet,
    count: int = 64,
) -> dict[str, float]:
    """Measure about `count` natural faces and as many stylised ones. Codes and pictures are the
    same at each call, so that the values of one run can be compared; torch's own random numbers
    stay untouched.

    metric_frechet_natural: `frechet_distance` of faces at i = L from natural pictures.
    metric_frechet_art: of faces at i = 0 from art in the styles of their references.
    metric_style_match: share of faces at i = 0 whose style code is nearest, by cosine, to one of
        another picture in the reference's style. By chance it would be 1 / S for S styles, of which
        at most count / 4 take part. The encoder that guides the generator judges here, so the
        generator can learn to please it.
    metric_face_spread: how far faces of one reference at i = 0 differ, as a share of how far the
        same faces at i = L do; near 0 all of them have become one face.

    The features are those of the encoder's frozen VGG. Without art (style_encoder and art None)
    there is metric_frechet_natural only, in the features of a random VGG; it compares with nothing
    but itself. metric_style_match is missing where fewer than two styles have two pictures.
    """
    judge = style_encoder or random_judge(generator.config.resolution).to(generator.w_mean)
    seeded = torch.Generator("cpu").manual_seed(FIXED_SEED)
    z = torch.randn(count, generator.config.z_dim, generator=seeded).to(generator.w_mean)
    w_face = generator.map_face(z)
    faces, _ = _judge(judge, _draw(generator, w_face, judge))
    photos, _ = _judge(judge, _read(natural, natural.draw(count, seeded), judge))
    values = {"metric_frechet_natural": frechet_distance(faces, photos)}
    if style_encoder is None:
        return values
    references, others = split_art(art, count, seeded)  # [S, K]
    _, z_style = _judge(judge, _read(art, references.flatten(), judge))
    w_face, w_style = w_face[: len(z_style)], generator.map_style(z_style)
    w = generator.blending(w_face, w_style, indicator=0)
    stylised, codes = _judge(judge, _draw(generator, w, judge))
    paintings, art_codes = _judge(judge, _read(art, others.flatten(), judge))
    values["metric_frechet_art"] = frechet_distance(stylised, paintings)
    if len(references) > 1:
        values["metric_style_match"] = style_match(codes, art_codes, len(references))
    one_each = w_style[:: references.shape[1]][:SPREAD_REFERENCES]
    values["metric_face_spread"] = _face_spread(generator, w_face[:FACES], one_each, judge)
    return values


def split_art(art: ImageSet, count: int, seeded: torch.Generator) -> tuple[Tensor, Tensor]:
    """References, and as many other pictures in the same styles: two times [S, K] picture numbers,
    a style a row, S * K <= count. A style with few pictures repeats them.

    Where fewer than two styles have two pictures, all pictures count as one style.
    """
    styles = [members for members in art.members if len(members) > 1]
    if len(styles) < 2:
        styles = [torch.arange(len(art))]
    chosen = torch.randperm(len(styles), generator=seeded)[: max(2, count // OF_A_STYLE)]
    each = max(1, count // len(chosen))
    references, others = [], []
    for style in chosen.tolist():
        members = styles[style]
        members = members[torch.randperm(len(members), generator=seeded)]
        half = len(members) // 2
        for rows, part in ((references, members[: max(1, half)]), (others, members[half:])):
            rows.append(part[torch.arange(each) % len(part)])
    return torch.stack(references), torch.stack(others)


def frechet_distance(ours: Tensor, theirs: Tensor) -> float:
    """Frechet distance (Heusel et al. 2017) of two sets of features, each taken as a Gaussian with
    independent channels, as a share of the variance of `theirs`. [N, D], [M, D] -> 0 or more.

    Some dozens of pictures tell nothing of how hundreds of channels vary together, so unlike an FID
    this leaves it out. Two draws of n pictures from the same source are about 3 / n apart.
    """
    our_std, our_mean = torch.std_mean(ours, dim=0)
    their_std, their_mean = torch.std_mean(theirs, dim=0)
    distance = (our_mean - their_mean).square().sum() + (our_std - their_std).square().sum()
    return (distance / their_std.square().sum().clamp_min(TINY)).item()


def style_match(codes: Tensor, art_codes: Tensor, num_styles: int) -> float:
    """Share of the codes whose nearest one of art, by cosine, is of the same style.

    Both [S * K, Z], style by style.
    """
    similarity = F.normalize(codes, dim=1) @ F.normalize(art_codes, dim=1).t()
    each = len(codes) // num_styles
    style = torch.arange(len(codes), device=codes.device) // each
    return (style[similarity.argmax(dim=1)] == style).float().mean().item()


def _face_spread(
    generator: Generator, w_face: Tensor, w_style: Tensor, judge: StyleEncoder
) -> float:
    """w_face: [N, L, W]; w_style: [M, L, W], a reference each."""
    natural = spread(_draw(generator, w_face, judge))
    stylised = [
        spread(_draw(generator, generator.blending(w_face, one.expand_as(w_face), 0), judge))
        for one in w_style
    ]
    return (torch.stack(stylised).mean() / natural.clamp_min(TINY)).item()


def _draw(generator: Generator, w: Tensor, judge: StyleEncoder) -> Tensor:
    """w: [N, L, W] -> pictures of the size that the judge looks at, [N, 3, R, R]."""
    size = judge.config.image_size
    return torch.cat([average_pool(draw_pictures(generator, p), size) for p in w.split(AT_ONCE)])


def _read(images: ImageSet, indices: Tensor, judge: StyleEncoder) -> Tensor:
    """indices: [N] -> pictures of the size that the judge looks at, [N, 3, R, R]."""
    device, size = judge.vgg[0].weight.device, judge.config.image_size
    chunks = [images.batch(chunk).to(device) for chunk in indices.split(AT_ONCE)]
    return torch.cat([average_pool(chunk, size) for chunk in chunks])


def _judge(judge: StyleEncoder, images: Tensor) -> tuple[Tensor, Tensor]:
    """images: [N, 3, R, R] -> their features [N, D] and style codes [N, Z]."""
    features, codes = [], []
    for chunk in images.split(AT_ONCE):
        taps = judge.features(chunk)
        features.append(average_pool(taps[TAP].float(), PLACES).flatten(1))
        codes.append(judge.predictor(judge.standardize(judge.grams(taps))))
    return torch.cat(features), torch.cat(codes)
