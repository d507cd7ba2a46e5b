"""Portraits cut out of their background, natural and styled, with their five points."""

import dataclasses
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.torch import load_file, save

from .five_points_samples import Cutouts
from .portrait_attributes import PortraitAttributes, draw_attributes
from .portrait_landmarks import face_landmarks, picture_points
from .portraits import paint_portrait
from .run_state import write_file
from .styles import STYLES
from .texture import Picture

SIDE = 128
NOSE_BALL = 0.04  # half heads from the painted nose's lower edge up to the middle of its ball
STYLED = 6  # of so many portraits one is there in a style, too


def cached_cutouts(count: int, seed: int, folder: Path) -> Cutouts:
    """make_cutouts, kept in a folder for the next time."""
    path = folder / f"cutouts_{count}_{seed}.safetensors"
    if path.is_file():
        return Cutouts(**load_file(path))
    cutouts = make_cutouts(count, seed)
    folder.mkdir(parents=True, exist_ok=True)
    write_file(path, save(vars(cutouts)))
    return cutouts


def make_cutouts(count: int, seed: int) -> Cutouts:
    """This many people, and every sixth of them in a style as well."""
    pictures, points = [], []
    for index in range(count):
        rng = np.random.default_rng([seed, index])
        attributes = _pose(draw_attributes(rng), rng)
        natural = cut_out(attributes, SIDE)
        versions = [natural]
        if index % STYLED == 0:
            style = list(STYLES)[index // STYLED % len(STYLES)]
            versions.append(_restyle(natural, style, rng))
        pictures += [np.rint(255 * version).astype(np.uint8) for version in versions]
        points += [marked_points(attributes)] * len(versions)
    stacked = torch.from_numpy(np.stack(pictures)).permute(0, 3, 1, 2).contiguous()
    return Cutouts(stacked, torch.from_numpy(np.stack(points)).float())


def marked_points(attributes: PortraitAttributes) -> NDArray[np.float64]:
    """The five points where people mark them: [5, 2] in units of the side.

    `landmarks` has the tip of the nose just above the nostrils; people mark the middle of its ball.
    """
    points = face_landmarks(attributes)
    points[2, 1] -= NOSE_BALL
    return picture_points(attributes, points)


def cut_out(attributes: PortraitAttributes, side: int) -> Picture:
    """One portrait [side, side, 4] in 0..1: RGB times alpha, and alpha.

    It is painted on black and on white: what shines through is the difference.
    """
    on_black, on_white = (
        paint_portrait(attributes, side, np.random.default_rng(attributes.seed), backdrop)
        for backdrop in (0.0, 1.0)
    )
    alpha = 1 - (on_white - on_black).mean(axis=2, keepdims=True)
    return np.clip(np.concatenate([on_black, alpha], axis=2), 0, 1)


def _pose(attributes: PortraitAttributes, rng: np.random.Generator) -> PortraitAttributes:
    """Turned further than in an aligned portrait, with more of hair and shoulders around."""
    return dataclasses.replace(
        attributes,
        yaw=float(np.clip(rng.normal(0, 0.36), -0.85, 0.85)),
        pitch=float(np.clip(rng.normal(0, 0.18), -0.5, 0.5)),
        zoom=float(rng.uniform(0.78, 1.02)),
    )


def _restyle(cutout: Picture, style: str, rng: np.random.Generator) -> Picture:
    """The same cut-out [S, S, 4] in a style, painted before a plain colour."""
    alpha = cutout[..., 3:]
    plain = rng.uniform(0, 1, 3).astype(np.float32)
    styled = STYLES[style](cutout[..., :3] + (1 - alpha) * plain, rng)
    return np.concatenate([np.clip(styled, 0, 1) * alpha, alpha], axis=2)
