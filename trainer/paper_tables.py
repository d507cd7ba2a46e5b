"""The paper's tables: FID and LPIPS diversity, for users who have the weights and data they need.

FID by torch-fidelity's TF-Inception, which the user installs; LPIPS diversity by the protocol of
StarGAN v2 (Choi et al. 2020). All pictures have random noise: the paper's diversity at i = 18,
where no style is left, is the noise's.
"""

import tempfile
from dataclasses import dataclass, replace
from itertools import combinations
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from tqdm import tqdm

from blendgan_core.blendgan import BlendGAN
from blendgan_core.errors import BlendGANError, CheckpointError
from blendgan_core.layers import average_pool

from .data import ImageSet
from .evaluation_pictures import AT_ONCE, Tick
from .measures import frechet_distance, gaussian
from .metric_weights import fetch
from .perceptual import ALEXNET, DOWNLOAD, LINEAR_WEIGHTS, LPIPS, SIZE, load_lpips
from .resampling import Estimate, estimate
from .training_config import flag, require_files
from .weight_files import read_weights

INCEPTION = "torch-fidelity's Inception weights, weights-inception-2015-12-05-6726825d.pth"
OF_A_FACE = 10  # pictures, all pairs of which are compared (StarGAN v2)
USUAL_INDICATOR = 6
REFERENCE, LATENT = "reference", "latent"  # what guides the style
# table 1 of the paper, at 1024 px against AAHQ: FID and LPIPS by guide and indicator
PUBLISHED = {
    (REFERENCE, 0): (3.79, 0.661),
    (REFERENCE, 6): (15.08, 0.599),
    (REFERENCE, 18): (76.97, 0.160),
    (LATENT, 0): (8.97, 0.581),
    (LATENT, 6): (23.17, 0.515),
    (LATENT, 18): (76.73, 0.159),
}
# its tables 2 and 3, of the others in the same protocol
PUBLISHED_RIVALS = {
    (LATENT, "MUNIT"): (29.69, 0.394),
    (LATENT, "FUNIT"): (176.96, 0.500),
    (LATENT, "DRIT++"): (22.53, 0.448),
    (LATENT, "StarGANv2"): (50.20, 0.312),
    (REFERENCE, "AdaIN"): (37.23, 0.345),
    (REFERENCE, "MUNIT"): (103.61, 0.192),
    (REFERENCE, "FUNIT"): (87.71, 0.327),
    (REFERENCE, "DRIT++"): (31.71, 0.241),
    (REFERENCE, "StarGANv2"): (50.03, 0.307),
}
FILES = {
    "inception": INCEPTION,
    "lpips": LINEAR_WEIGHTS,
    "alexnet": f"{ALEXNET}, or the word {DOWNLOAD}",
}


@dataclass(frozen=True, kw_only=True)
class PaperTablesConfig:
    """The paper's tables, where their weights and data are given."""

    art: tuple[Path, ...] = ()
    """artistic faces, AAHQ in the paper: folders, zips or shards; references, and what FID compares
    with"""
    natural: tuple[Path, ...] = ()
    """natural faces, FFHQ in the paper: adds the FID of the natural branch; needs --inception"""
    inception: Path | None = None
    """TF-Inception as torch-fidelity publishes it, weights-inception-2015-12-05-6726825d.pth: adds
    FID; needs `pip install torch-fidelity`, and --art or --natural"""
    lpips: Path | None = None
    """LPIPS's linear weights, alex.pth of the lpips package's v0.1: with --alexnet adds the
    diversity of the paper"""
    alexnet: str | None = None
    """torchvision's alexnet weights for --lpips: a file, or the word torchvision, which downloads
    them"""
    download: bool = False
    """fetch those weights of --inception, --lpips and --alexnet that are not given from their
    official addresses, once, into the cache of torch.hub; needs --art or --natural for --inception.
    Without it nothing is downloaded"""
    fid_pictures: int = 50_000
    """generated pictures of an FID; the paper does not say how many"""
    lpips_faces: int = 1000
    """faces of a diversity, each in ten styles; the paper does not say how many"""


def check_paper_flags(config: PaperTablesConfig) -> None:
    """Raise BlendGANError for flags that lack another one, or name a file that is missing."""
    require_files(config, FILES)
    known = {name for name in FILES if getattr(config, name)} | set(to_download(config))
    for given, missing in (("lpips", "alexnet"), ("alexnet", "lpips")):
        if given in known and missing not in known:
            raise BlendGANError(
                f"{flag(given)} needs {flag(missing)}: {FILES[missing]}; --download fetches it"
            )
    if config.inception and not (config.art or config.natural):
        raise BlendGANError("--inception needs --art or --natural, pictures to compare with")
    if config.natural and "inception" not in known:
        raise BlendGANError(f"--natural needs --inception: {INCEPTION}; --download fetches it")
    if config.art and not known & {"inception", "lpips"}:
        raise BlendGANError(
            "--art needs --inception, or --lpips and --alexnet; give one of them, or --download"
        )
    for name in ("fid_pictures", "lpips_faces"):
        if getattr(config, name) < 2:
            raise BlendGANError(f"{flag(name)} is {getattr(config, name)}, expected 2 or more")


def to_download(config: PaperTablesConfig) -> list[str]:
    """The flags whose weights --download is to fetch."""
    if not config.download:
        return []
    wanted = [name for name in FILES if name != "inception" or config.art or config.natural]
    return [name for name in wanted if not getattr(config, name)]


def with_downloads(config: PaperTablesConfig) -> PaperTablesConfig:
    """The same with the paths of what --download fetches; see `metric_weights.fetch`."""
    fetched = {name: fetch(name) for name in to_download(config)}
    if "alexnet" in fetched:  # a flag that also takes a word
        fetched["alexnet"] = str(fetched["alexnet"])
    return replace(config, **fetched)


def paper_tables(config: PaperTablesConfig, model: BlendGAN, seed: int) -> dict[str, Any] | None:
    """Rows of the tables, and how many pictures they are of; None where no flag asks for them."""
    if not (config.inception or config.lpips):
        return None
    device = model.generator.w_mean.device
    inception = load_inception(config.inception).to(device) if config.inception else None
    lpips = load_lpips(config.lpips, config.alexnet).to(device) if config.lpips else None
    art = ImageSet(config.art, model.resolution) if config.art else None
    natural = ImageSet(config.natural, model.resolution) if config.natural else None
    guides = (REFERENCE, LATENT) if art else (LATENT,)
    last = model.num_layers
    cells = [(g, i) for g in guides for i in dict.fromkeys((0, min(USUAL_INDICATOR, last), last))]
    fids = (len(cells) if art else 0) + bool(natural)
    total = sum(len(faces) for faces in (art, natural) if faces and inception)
    total += fids * config.fid_pictures if inception else 0
    total += len(cells) * config.lpips_faces * OF_A_FACE if lpips else 0
    torch.manual_seed(seed)  # of the noise
    rows, natural_fid = [], None
    with tqdm(total=total, unit=" pictures", desc="paper", dynamic_ncols=True) as bar:
        real = _read_all(art, inception, device, bar.update) if art and inception else None
        for guide, indicator in cells:
            source = Source(model, art if guide == REFERENCE else None, indicator, seed)
            row: dict[str, Any] = {"guide": guide, "indicator": indicator, "fid": None}
            if real:
                row["fid"] = fid(source, config.fid_pictures, inception, real, bar.update)
            row["lpips"] = None
            if lpips:
                row["lpips"] = diversity(source, config.lpips_faces, lpips, seed, bar.update)
            rows.append(row)
        if natural:
            theirs = _read_all(natural, inception, device, bar.update)
            source = Source(model, None, last, seed)
            natural_fid = fid(source, config.fid_pictures, inception, theirs, bar.update)
    return {
        "rows": rows,
        "natural_fid": natural_fid,
        "art_pictures": len(art) if art else None,
        "natural_pictures": len(natural) if natural else None,
        "fid_pictures": config.fid_pictures if inception else None,
        "lpips_faces": config.lpips_faces if lpips else None,
    }


class Source:
    """Random pictures of one row of the tables, always the same ones after one another."""

    def __init__(self, model: BlendGAN, art: ImageSet | None, indicator: int, seed: int):
        """art: what references are drawn from; styles are random codes where it is None."""
        self.model, self.art, self.indicator = model, art, indicator
        self._generator = torch.Generator().manual_seed(seed)

    def draw(self, faces: int, styles: int) -> Tensor:
        """[faces * styles, 3, R, R] in [-1, 1]: each face in as many styles, all of them new."""
        model, count = self.model, faces * styles
        w_face = model.map_face(self._normal(faces)).repeat_interleave(styles, dim=0)
        if self.art:
            z_style = model.encode_style(self.art.batch(self.art.draw(count, self._generator)))
        else:
            z = self._normal(count).to(model.generator.w_mean)
            with torch.no_grad():
                z_style = model.generator.style_from_normal(z)
        w = model.blend(w_face, z_style, self.indicator)
        parts = [model.synthesize(part, noise="random") for part in w.split(AT_ONCE)]
        return torch.cat(parts).float().clamp(-1, 1)

    def _normal(self, count: int) -> Tensor:
        return torch.randn(count, self.model.config.generator.z_dim, generator=self._generator)


def load_inception(path: Path) -> nn.Module:
    """torch-fidelity's network: uint8 [N, 3, H, W] -> a tuple with features [N, 2048].

    Its own loader would run code from the file, so the weights are read here and handed over.
    """
    try:
        from torch_fidelity.feature_extractor_inceptionv3 import FeatureExtractorInceptionV3
    except ImportError as error:
        raise BlendGANError(
            f"--inception needs torch-fidelity ({error}); `pip install torch-fidelity` brings it"
        ) from error
    state = read_weights("--inception", path)
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / "inception.pt"
        torch.save(state, copy)
        try:
            return FeatureExtractorInceptionV3("inception", ["2048"], str(copy))
        except RuntimeError as error:
            first = str(error).splitlines()[0]
            raise CheckpointError(
                f"--inception {path} is not {INCEPTION}: {first} It holds {len(state)} tensors"
            ) from error


class Moments:
    """Mean and covariance of features that come in parts."""

    def __init__(self):
        self.count, self.total, self.outer = 0, 0.0, 0.0

    def add(self, features: Tensor) -> None:
        """features: [N, F]."""
        features = features.double()
        self.count += len(features)
        self.total = self.total + features.sum(dim=0)
        self.outer = self.outer + features.T @ features

    def gaussian(self) -> tuple[Tensor, Tensor]:
        """Mean [F] and covariance [F, F]."""
        count = torch.tensor([float(self.count)], dtype=torch.float64)
        mean, outer = self.total.cpu() / self.count, self.outer.cpu() / self.count
        return gaussian(count, mean[None], outer[None])


def fid(source: Source, count: int, inception: nn.Module, real: Moments, tick: Tick) -> float:
    """FID of `count` pictures, each of a face and a style of its own."""
    ours = Moments()
    while ours.count < count:
        pictures = source.draw(min(AT_ONCE, count - ours.count), 1)
        ours.add(_features(inception, pictures))
        tick(len(pictures))
    return frechet_distance(ours.gaussian(), real.gaussian()).item()


def diversity(source: Source, faces: int, lpips: LPIPS, seed: int, tick: Tick) -> Estimate:
    """Mean LPIPS between two of ten pictures of one face, averaged over the faces."""
    distances = []
    for _ in range(faces):
        distances.append(pairwise_lpips(lpips, source.draw(1, OF_A_FACE)).mean())
        tick(OF_A_FACE)
    return estimate(torch.mean, torch.stack(distances).double().cpu(), seed=seed)


@torch.no_grad()
def pairwise_lpips(lpips: LPIPS, pictures: Tensor) -> Tensor:
    """LPIPS of all pairs of [N, 3, R, R], each picture looked at once -> [N * (N - 1) / 2]."""
    first, second = torch.tensor(list(combinations(range(len(pictures)), 2))).T
    maps = lpips.directions(average_pool(pictures, SIZE))
    return sum(
        torch.einsum("nchw,c->nhw", (each[first] - each[second]).square(), weight).mean((1, 2))
        for each, weight in zip(maps, lpips.linear, strict=True)
    )


def _read_all(faces: ImageSet, inception: nn.Module, device: torch.device, tick: Tick) -> Moments:
    moments = Moments()
    for numbers in torch.arange(len(faces)).split(AT_ONCE):
        moments.add(_features(inception, faces.batch(numbers).to(device)))
        tick(len(numbers))
    return moments


@torch.no_grad()
def _features(inception: nn.Module, pictures: Tensor) -> Tensor:
    levels = ((pictures + 1) * 127.5).round().clamp(0, 255).to(torch.uint8)
    return inception(levels.contiguous())[0]


def paper_text(tables: dict[str, Any], num_layers: int) -> str:
    """The tables as the report shows them, with the paper's figures beside those of 18 layers,
    those of other methods (its tables 2 and 3) among them."""
    lines = ["| guide | i | FID | LPIPS | FID, paper | LPIPS, paper |", "| --- " * 6 + "|"]
    for row in tables["rows"]:
        published = PUBLISHED.get((row["guide"], row["indicator"])) if num_layers == 18 else None
        found = (
            "" if row["fid"] is None else f"{row['fid']:.2f}",
            "{:.3f} [{:.3f}, {:.3f}]".format(*row["lpips"]) if row["lpips"] else "",
            *(f"{number:g}" for number in published or ()),
        )
        cells = [row["guide"], str(row["indicator"]), *found]
        lines.append("| " + " | ".join(cells + [""] * (6 - len(cells))) + " |")
    if num_layers == 18:
        for (guide, name), (fid, lpips) in PUBLISHED_RIVALS.items():
            lines.append(f"| {guide} | {name} | | | {fid:g} | {lpips:g} |")
    words = []
    if tables["fid_pictures"]:
        words.append(f"FID: {tables['fid_pictures']} generated pictures in TF-Inception")
    if tables["art_pictures"] and tables["fid_pictures"]:
        words.append(f"against {tables['art_pictures']} of --art")
    if tables["lpips_faces"]:
        words.append(f"LPIPS: {tables['lpips_faces']} faces in {OF_A_FACE} styles each, all pairs")
    text = "## The paper's tables\n\n" + "\n".join(lines) + f"\n\n{', '.join(words)}; random noise."
    if tables["natural_fid"] is not None:
        text += (
            f" Natural branch: FID {tables['natural_fid']:.2f} against "
            f"{tables['natural_pictures']} natural pictures."
        )
    return text
