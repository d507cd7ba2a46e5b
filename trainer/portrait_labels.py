"""What is known of a synthetic portrait, as numbers that a network can learn to read off it."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from blendgan_core.errors import BlendGANError

from .data import ImageSet
from .portrait_attributes import PortraitAttributes
from .synthesize import ATTRIBUTES as LIST
from .texture import luminance

ATTRIBUTES = ("yaw", "skin", "hair_brightness", "hair_length", "glasses", "beard", "light")
MIRRORED = ("yaw", "light")  # a picture's mirror image has them with the other sign
NATURAL = "natural"  # what stands for the style of a portrait that has none
HELD_OUT = 10  # of so many portraits one is never learnt from


def attribute_values(attributes: PortraitAttributes) -> list[float]:
    """The values of ATTRIBUTES: yaw and the light's azimuth in radians, the others 0..1, but the
    length of the hair 0..1.4. A bald head has hair of length 0, and its brightness is nan."""
    a = attributes
    return [
        a.yaw,
        a.skin,
        float("nan") if a.bald else float(luminance(a.hair_rgb)),
        0.0 if a.bald else a.hair_length,
        float(a.glasses),
        a.beard,
        a.light_azimuth,
    ]


class LabelledPortraits:
    """A folder of `trainer.synthesize`: its pictures, their styles and their attributes.

    Half of what is drawn is natural, the other half is even over the styles. Every tenth portrait
    of a style is held out for the test.
    """

    def __init__(self, folder: Path, resolution: int):
        """Raises BlendGANError where the folder lacks its list, or pictures of some kind."""
        records = _read_records(folder / LIST)
        self._images = ImageSet(folder, resolution)
        known = [records.get(p.relative_to(folder).as_posix()) for p in self._images.paths]
        found = sorted({record["style"] or NATURAL for record in records.values()} - {NATURAL})
        self.styles = (NATURAL, *found)
        held_out, learnt = [], {style: [] for style in self.styles}
        targets, style_of = [], []
        for number, record in enumerate(known):
            if record is None:
                raise BlendGANError(
                    f"{self._images.paths[number]} is not listed in {folder / LIST}; "
                    "give a folder as `python -m trainer.synthesize` left it"
                )
            style = record["style"] or NATURAL
            targets.append(record["values"])
            style_of.append(self.styles.index(style))
            if record["index"] % HELD_OUT == HELD_OUT - 1:
                held_out.append(number)
            else:
                learnt[style].append(number)
        tested = {style_of[number] for number in held_out}
        missing = [style for place, style in enumerate(self.styles) if place not in tested]
        if missing or not found:
            raise BlendGANError(
                f"{folder} has too few pictures of {', '.join(missing) or 'any style'}: of "
                f"{HELD_OUT} one is held out for the test, and {HELD_OUT} of each style are needed "
                f"or more, natural ones included"
            )
        self.targets = torch.tensor(targets)  # [M, A]
        self.style_of = torch.tensor(style_of)
        self.held_out = torch.tensor(held_out)
        self._learnt = [torch.tensor(numbers) for numbers in learnt.values()]

    def __len__(self) -> int:
        return len(self.targets)

    @property
    def learnt(self) -> Tensor:
        """Numbers of the pictures that are learnt from."""
        return torch.cat(self._learnt)

    def draw(self, count: int, generator: torch.Generator | None = None) -> Tensor:
        """Numbers [count] of pictures to learn from."""
        styles = torch.randint(1, len(self._learnt), (count,), generator=generator)
        styles *= torch.rand(count, generator=generator) < 0.5
        places = torch.rand(count, generator=generator)
        chosen = [self._learnt[style] for style in styles.tolist()]
        return torch.stack([m[int(p * len(m))] for m, p in zip(chosen, places, strict=True)])

    def batch(self, indices: Tensor) -> Tensor:
        """indices: [N] -> pictures [N, 3, R, R] in [-1, 1]."""
        return self._images.batch(indices)

    def prefetch(self, indices: Tensor) -> None:
        """Start decoding pictures [N] in the background."""
        self._images.prefetch(indices)


def mirror(values: Tensor, attributes: Sequence[str] = ATTRIBUTES) -> Tensor:
    """The attributes of the mirror images. [N, A] -> [N, A]."""
    signs = torch.tensor([-1.0 if name in MIRRORED else 1.0 for name in attributes])
    return values * signs.to(values)


def _read_records(path: Path) -> dict[str, Mapping[str, Any]]:
    """The lines of attributes.jsonl by picture; each with its `style`, `index` and `values`."""
    if not path.is_file():
        raise BlendGANError(
            f"{path} does not exist; give --portraits a folder that `python -m trainer.synthesize` "
            "made, which lists the attributes of its portraits there"
        )
    records = {}
    try:
        for line in path.read_text(encoding="utf-8").splitlines():
            record = json.loads(line)
            place = {name: record.pop(name) for name in ("path", "style", "index")}
            place["values"] = attribute_values(PortraitAttributes(**record))
            records[place["path"]] = place
    except (ValueError, KeyError, TypeError) as error:
        raise BlendGANError(
            f"{path} cannot be read ({error}); this version of `python -m trainer.synthesize` "
            "writes other lines. Make the portraits anew"
        ) from error
    return records


def portrait_values(attributes: Sequence[PortraitAttributes]) -> Tensor:
    """`attribute_values` of several people: [N, A]."""
    return torch.tensor([attribute_values(a) for a in attributes], dtype=torch.float64)
