"""Find the faces of a whole photo and five points on each, with two small networks of our own.

The finder looks at the photo at many sizes, a third of an octave apart; what it finds is turned
upright, cut out, and given to the refiner a few times, each time from where the last one said.
"""

from functools import cache
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from .alignment import five_points
from .checkpoint import read_tensors
from .errors import CheckpointError, ImageError, short
from .face_networks import BLOCK, CROP, STRIDE, FaceFinder, PointRefiner
from .network_files import read_network_header

WEIGHTS = Path(__file__).parent / "weights" / "face_points.safetensors"
FORMAT = "blendgan-face-points"
LOOK_AT = (320, 640)  # longer side in pixels; the second only if the first shows no face
REFINE_AT = 1024  # longer side in pixels, at most, from which the refiner's crops are taken
SMALLEST = 40  # longer side in pixels of the smallest version looked at
OCTAVE = 3  # versions to each halving
BORDER = 16  # pixels added around each version, for faces cut by the border
SEEN = 0.25  # probability from which on the finder's word is looked into
DOUBT = 0.12  # up to which it is a face
SAME = 0.3  # distance of their middles, over the eyes', up to which two findings are one face
MOST = 64  # places looked into
ROUNDS = 3  # times that points are refined
EYES = 20.0  # pixels between the eyes in the refiner's crop
SUPERSAMPLING = 3
# Where the points of a face lie, in units of the distance of its eyes, about the crop's middle
TEMPLATE = ((-0.5, -0.45), (0.5, -0.45), (0.0, 0.1), (-0.38, 0.62), (0.38, 0.62))


class FacePoints:
    """Both networks, on the CPU."""

    def __init__(self, finder: FaceFinder, refiner: PointRefiner):
        self.finder = finder.eval().requires_grad_(False)
        self.refiner = refiner.eval().requires_grad_(False)

    @torch.no_grad()
    def __call__(self, image: Tensor) -> list[np.ndarray]:
        """image: [3, H, W] in [-1, 1] -> its faces, the surest first, each [5, 2], the pixels of
        alignment.py: left eye, right eye, nose, left and right corner of the mouth."""
        picture = _at_most((image.detach().float().cpu()[None] + 1) / 2, REFINE_AT)
        ratio = torch.tensor(image.shape[:0:-1]) / torch.tensor(picture.shape[:1:-1])
        for longest in LOOK_AT:
            points, score = self._find(_at_most(picture, longest))  # [K, 5, 2] in 0..1, [K]
            points, is_face = self._refine(picture, points * torch.tensor(picture.shape[:1:-1]))
            faces = _each_once(points * ratio, score * is_face)
            if faces or longest >= max(picture.shape[-2:]):
                return faces
        return []

    def _find(self, picture: Tensor) -> tuple[Tensor, Tensor]:
        """picture: [1, 3, H, W] -> what may be faces [K, 5, 2], in units of its width and height,
        the likeliest first, and probabilities [K]."""
        points, scores = [], []
        longest = max(picture.shape[-2:])
        for level in range(int(OCTAVE * np.log2(max(longest / SMALLEST, 1))) + 1):
            small = _at_most(picture, round(longest * 2 ** (-level / OCTAVE)))
            found, score = self._find_at(small)
            points.append(found / torch.tensor(small.shape[:1:-1]))
            scores.append(score)
        score = torch.cat(scores)
        first = score.argsort(descending=True)[:MOST]
        return torch.cat(points)[first], score[first]

    def _find_at(self, picture: Tensor) -> tuple[Tensor, Tensor]:
        """picture: [1, 3, h, w] -> points [K, 5, 2] where the map peaks, and probabilities [K]."""
        height, width = picture.shape[-2:]
        below = BORDER + -(height + 2 * BORDER) % BLOCK
        beside = BORDER + -(width + 2 * BORDER) % BLOCK
        padded = F.pad(picture, (BORDER, beside, BORDER, below), "replicate")
        logits, points = self.finder(padded)  # [1, h/4, w/4], [1, 5, 2, h/4, w/4]
        score = logits.sigmoid()[0]
        peak = (score == F.max_pool2d(score[None], 3, 1, 1)[0]) & (score > SEEN)
        row, column = peak.nonzero(as_tuple=True)
        place = (torch.stack([column, row], dim=1) + 0.5) * STRIDE - BORDER  # [K, 2]
        return points[0, :, :, row, column].permute(2, 0, 1) + place[:, None], score[peak]

    def _refine(self, picture: Tensor, points: Tensor) -> tuple[Tensor, Tensor]:
        """Rough points [K, 5, 2] -> exact ones, and probabilities [K] that they are a face's."""
        certainty = points.new_zeros(len(points))
        if not len(points):
            return points, certainty
        for _ in range(ROUNDS):
            turn, move = similarity(points)
            crops = _crops(picture, turn, move)
            placed, _, logits = self.refiner(torch.cat([crops, crops.flip(3)]))
            straight, mirrored = placed.chunk(2)
            mirrored = mirrored[:, [1, 0, 2, 4, 3]]
            mirrored = torch.stack([CROP - mirrored[..., 0], mirrored[..., 1]], dim=-1)
            mean = (straight + mirrored) / 2
            there = turn[:, None] * torch.complex(mean[..., 0], mean[..., 1]) + move[:, None]
            points = torch.view_as_real(there)
            certainty = logits.view(2, -1).mean(dim=0).sigmoid()
        return points, certainty


@cache
def load_face_points() -> FacePoints:
    """The networks that come with the project."""
    return FacePoints(*load_networks(WEIGHTS))


def load_networks(path: Path) -> tuple[FaceFinder, PointRefiner]:
    """The networks of a file of `trainer.five_points`. Raises CheckpointError if it is damaged or
    something else."""
    if not path.is_file():
        raise CheckpointError(f"{path} does not exist; expected networks of trainer.five_points")
    advice = ", as trainer.five_points writes"
    _, keys = read_network_header(path, FORMAT, "does not find faces", advice)
    finder, refiner = FaceFinder(), PointRefiner()
    for name, network in (("finder", finder), ("refiner", refiner)):
        own = [key for key in keys if key.startswith(f"{name}.")]
        try:
            network.load_state_dict(read_tensors(path, name, own))
        except RuntimeError as error:
            raise CheckpointError(f"{path} is damaged ({short(str(error))})") from error
    return finder, refiner


def template() -> Tensor:
    """Where the points lie in the refiner's crop of an average face: [5, 2] in its pixels."""
    return torch.tensor(TEMPLATE) * EYES + CROP / 2


def similarity(points: Tensor) -> tuple[Tensor, Tensor]:
    """points: [K, 5, 2] -> complex [K] a and b: a * z + b is where the place z of the crop lies in
    the picture, by least squares over the template's points."""
    here = torch.view_as_complex(template().contiguous())
    there = torch.view_as_complex(points.contiguous())
    away = here - here.mean()
    middle = there.mean(dim=1, keepdim=True)
    turn = (away.conj() * (there - middle)).sum(dim=1) / away.abs().square().sum()
    return turn, middle[:, 0] - turn * here.mean()


def _at_most(picture: Tensor, longest: int) -> Tensor:
    """picture: [1, 3, H, W] -> the same, averaged down if its longer side is longer than that."""
    scale = longest / max(picture.shape[-2:])
    if scale >= 1:
        return picture
    size = [max(round(side * scale), 1) for side in picture.shape[-2:]]
    return F.interpolate(picture, size, mode="bilinear", antialias=True)


def _crops(picture: Tensor, turn: Tensor, move: Tensor) -> Tensor:
    """picture: [1, 3, H, W] -> [K, 3, 64, 64], each pixel the mean of some samples."""
    axis = (torch.arange(CROP * SUPERSAMPLING) + 0.5) / SUPERSAMPLING
    grid = torch.complex(*torch.meshgrid(axis, axis, indexing="xy"))
    crops = []
    for a, b in zip(turn, move, strict=True):
        shrink = max(int(a.abs() / SUPERSAMPLING), 1)
        source = F.avg_pool2d(picture, shrink, ceil_mode=True) if shrink > 1 else picture
        place = torch.view_as_real(a * grid + b)
        unit = 2 * place / (shrink * torch.tensor([source.shape[3], source.shape[2]])) - 1
        sampled = F.grid_sample(source, unit[None], padding_mode="border", align_corners=False)
        crops.append(F.avg_pool2d(sampled, SUPERSAMPLING))
    return torch.cat(crops)


def _each_once(points: Tensor, score: Tensor) -> list[np.ndarray]:
    """points: [K, 5, 2], score: [K] -> what is surely a face, the surest first, and no face twice;
    pixels as in alignment.py.

    A face is found in versions of several sizes, what only looks like one seldom is: their scores
    count as independent witnesses.
    """
    eyes = (points[:, 1] - points[:, 0]).norm(dim=1)
    middles = points.mean(dim=1)
    away = (middles[:, None] - middles).norm(dim=2)
    same = (away < SAME * eyes) & (away < SAME * eyes[:, None])  # [K, K]
    doubt = torch.where(same, 1 - score, 1.0).prod(dim=1)
    faces: list[np.ndarray] = []
    for number in (doubt - score * 1e-3).argsort().tolist():
        if doubt[number] > DOUBT:
            continue
        try:
            face = five_points(points[number].double().numpy() - 0.5)
        except ImageError:
            continue
        if all(_is_apart(face, other) for other in faces):
            faces.append(face)
    return faces


def _is_apart(face: np.ndarray, other: np.ndarray) -> bool:
    """Whether two faces [5, 2] are two people's: neither lies on the head of the other."""
    away = np.hypot(*(face.mean(axis=0) - other.mean(axis=0)))
    return bool(away > 1.6 * max(np.hypot(*(points[1] - points[0])) for points in (face, other)))
