"""Crops that follow faces through a clip: who is who, and no trembling.

Quads are those of alignment.py, squares [4, 2]; time is counted in frames.
"""

import numpy as np

from .alignment import quad_side
from .errors import ImageError

CHOICES = ("all", "largest", "by index")
JUMP = 0.5  # of its side that a face moves between two sights of it at most; more is a cut
STILL = 0.01  # of its side that a face may wander before its crop follows
REACH = 4  # standard deviations of time that count


def choose(
    frames: list[list[np.ndarray]], which: str, index: int = 0, deviation: float = 0.0
) -> list[list[np.ndarray]]:
    """frames: the quads of each frame -> those wanted, in each frame from left to right.

    which: one of CHOICES. Without a deviation every frame is a picture of its own, where faces are
    numbered from left to right. With one, of so many frames, the frames are a clip: the number and
    the size are a person's (see identities; the largest covers most over the whole clip), and the
    quads are steadied by `smooth`. Raises ImageError for an index that no frame has.
    """
    frames = [sorted(quads, key=lambda quad: quad.mean(axis=0)[0]) for quads in frames]
    if deviation > 0:
        named = identities(frames)
        frames = _smooth_everyone(frames, named, deviation)
    else:
        named = [list(range(len(quads))) for quads in frames]
    count = max((name + 1 for names in named for name in names), default=0)
    if which == "by index" and count:
        if index >= count:
            raise ImageError(
                f"face {index} was asked for, but there are only 0 to {count - 1}, numbered from "
                "left to right; choose one of these"
            )
        wanted = [{index}] * len(frames)
    elif which == "largest" and deviation > 0:
        areas = np.zeros(max(count, 1))
        for quads, names in zip(frames, named, strict=True):
            for quad, name in zip(quads, names, strict=True):
                areas[name] += quad_side(quad) ** 2
        wanted = [{int(areas.argmax())}] * len(frames)
    elif which == "largest":
        wanted = [{int(np.argmax([*map(quad_side, quads), 0]))} for quads in frames]
    else:
        wanted = [set(range(count))] * len(frames)
    return [
        [quad for quad, name in zip(quads, names, strict=True) if name in keep]
        for quads, names, keep in zip(frames, named, wanted, strict=True)
    ]


def _smooth_everyone(
    frames: list[list[np.ndarray]], named: list[list[int]], deviation: float
) -> list[list[np.ndarray]]:
    smoothed = [list(quads) for quads in frames]
    for person in {name for names in named for name in names}:
        times = [time for time, names in enumerate(named) if person in names]
        places = [named[time].index(person) for time in times]
        quads = np.stack([frames[time][place] for time, place in zip(times, places, strict=True)])
        for time, place, quad in zip(
            times, places, smooth(quads, np.array(times), deviation), strict=True
        ):
            smoothed[time][place] = quad
    return smoothed


def identities(frames: list[list[np.ndarray]]) -> list[list[int]]:
    """frames: the quads of each frame -> the number of the person that each quad shows.

    People are numbered from left to right as they first appear. A face belongs to whom it is
    nearest to, where he or she was last seen, nearest pairs first; who comes on top is new.
    """
    last_seen: list[np.ndarray] = []  # centre of each person
    named = []
    for quads in frames:
        centres = [quad.mean(axis=0) for quad in quads]
        pairs = sorted(
            (float(np.hypot(*(centre - seen))), face, person)
            for face, centre in enumerate(centres)
            for person, seen in enumerate(last_seen)
        )
        names: dict[int, int] = {}
        for _, face, person in pairs:
            if face not in names and person not in names.values():
                names[face] = person
        newcomers = set(range(len(quads))) - set(names)
        for face in sorted(newcomers, key=lambda face: centres[face][0]):
            names[face] = len(last_seen)
            last_seen.append(centres[face])
        for face, person in names.items():
            last_seen[person] = centres[face]
        named.append([names[face] for face in range(len(quads))])
    return named


def smooth(quads: np.ndarray, times: np.ndarray, deviation: float) -> np.ndarray:
    """One person's quads [T, 4, 2], at the frames times [T], ascending -> [T, 4, 2], steadied.

    Each frame takes a parabola fitted to those around it, weighted by a Gaussian of that standard
    deviation (Savitzky and Golay 1964), so nothing lags, turns are not cut short, and frames where
    the person was not seen do no harm. A crop then keeps its place, size and angle until the face
    has left them by STILL: a face that only trembles has one and the same crop. Across a JUMP
    nothing is averaged.
    """
    centres = quads.mean(axis=1)  # [T, 2]
    right = (quads[:, 3] - quads[:, 0]) / 2  # [T, 2], half a side
    poses = np.concatenate([centres, right], axis=1)  # [T, 4]
    sides = np.array([quad_side(quad) for quad in quads])
    moved = np.hypot(*np.diff(centres, axis=0).T)
    cuts = np.flatnonzero(moved > JUMP * np.minimum(sides[1:], sides[:-1])) + 1
    shots = [
        _hold(_fit_curves(poses[shot], times[shot], deviation))
        for shot in np.split(np.arange(len(quads)), cuts)
    ]
    steady = np.concatenate(shots)
    centres, right = steady[:, :2], steady[:, 2:]
    down = right[:, ::-1] * [-1, 1]
    corners = [-right - down, -right + down, right + down, right - down]
    return np.stack([centres + corner for corner in corners], axis=1)


def _fit_curves(poses: np.ndarray, times: np.ndarray, deviation: float) -> np.ndarray:
    """[T, 4] at [T] -> [T, 4]: the value at each time of the parabola fitted around it."""
    fitted = np.empty_like(poses)
    first = np.searchsorted(times, times - REACH * deviation)
    last = np.searchsorted(times, times + REACH * deviation, side="right")
    for frame, near in enumerate(map(slice, first, last)):
        lag = (times[near] - times[frame]) / deviation
        weight = np.exp(-0.25 * lag**2)  # its square is the Gaussian
        powers = np.stack([np.ones_like(lag), lag, lag**2], axis=1)
        change = poses[near] - poses[frame]  # exactly 0 for a still face, and so is its fit
        curve = np.linalg.lstsq(weight[:, None] * powers, weight[:, None] * change, rcond=None)[0]
        fitted[frame] = poses[frame] + curve[0]
    return fitted


def _hold(poses: np.ndarray) -> np.ndarray:
    """[T, 4] -> [T, 4]: place, and size with angle, are dragged only where they leave STILL."""
    held = poses.copy()
    for frame in range(1, len(poses)):
        held[frame] = held[frame - 1]
        slack = STILL * 2 * np.hypot(*held[frame, 2:])
        for part, allowed in ((slice(0, 2), slack), (slice(2, 4), slack / 2)):
            away = poses[frame, part] - held[frame, part]
            distance = np.hypot(*away)
            if distance > allowed:
                held[frame, part] += away * (1 - allowed / distance)
    return held
