"""Make a training set of synthetic portraits, natural and styled, with what is on each of them.

    python -m trainer.synthesize --out portraits --count 8000

writes `natural/000000.png`.., `styled/<style>/000000.png`.. and `attributes.jsonl`, which lists
them. With --twins there are also `twins/natural/` and `twins/styled/<style>/`, where one number is
one person throughout, for `trainer.pretrain`. A picture is a function of (seed, style, index,
resolution) alone: neither the number of workers nor an interruption changes it.
"""

import dataclasses
import json
import multiprocessing
import os
import signal
import zlib
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
from PIL import Image
from tqdm import tqdm

from blendgan_core.errors import BlendGANError

from .cli import run_cli
from .portrait_attributes import PortraitAttributes, draw_attributes
from .portraits import render_portrait
from .run_state import write_file
from .styles import STYLES
from .texture import Picture, halve

TWINS = Path("twins")  # the folder of people who are drawn in every style
TWINS_KEY = zlib.crc32(b"twins")
RECIPE = "recipe.json"  # what every picture of a folder has in common
ATTRIBUTES = "attributes.jsonl"
# seeds from here on are refused, so that what is drawn with them is in nobody's training set
HELD_OUT_SEED = 2**62


@dataclass(frozen=True, kw_only=True)
class SynthesizeConfig:
    """Make synthetic portraits, natural and in non-photorealistic styles."""

    out: Path
    """folder to write to; the same command again makes what is missing"""
    count: int
    """number of natural portraits"""
    styled_count: int | None = None
    """number of styled portraits, spread evenly over the styles; half of --count when not given"""
    twins: int = 0
    """number of people who are drawn natural and in every style; 0 and 1, 2 and 3, .. have the same
    paper, palette and strokes in each style"""
    resolution: int = 64
    """side of the pictures in pixels, 16 to 1024"""
    seed: int = 0
    """another seed gives other people"""
    workers: int = 2
    """processes that paint, best one per core"""


@dataclass(frozen=True)
class Portrait:
    """One picture to be made; it is a function of these values."""

    seed: int
    style: str | None
    index: int
    resolution: int
    twin: bool = False

    @property
    def path(self) -> Path:
        """Where it lies below the output folder."""
        folder = Path("natural") if self.style is None else Path("styled", self.style)
        folder = TWINS / folder if self.twin else folder
        return folder / f"{self.index:06d}.png"

    def draw(self) -> tuple[PortraitAttributes, np.random.Generator]:
        """The person, and the generator in the state in which the style takes it over."""
        style_key = 0 if self.style is None else zlib.crc32(self.style.encode())
        if self.twin:
            person = np.random.default_rng([self.seed, TWINS_KEY, self.index])
            look = np.random.default_rng([self.seed, TWINS_KEY, style_key, self.index // 2])
            return draw_attributes(person), look
        # The style is part of the seed, so no styled picture shows a person of natural/.
        rng = np.random.default_rng([self.seed, style_key, self.index])
        return draw_attributes(rng), rng

    def render(self) -> np.ndarray:
        """Paint it at twice its size and average: [R, R, 3] uint8."""
        attributes, rng = self.draw()
        image = _render_natural(attributes, 2 * self.resolution)
        if self.style is not None:
            image = STYLES[self.style](image, rng)
        return average_down(image)

    def record(self) -> dict[str, object]:
        """Its line of attributes.jsonl."""
        attributes, _ = self.draw()
        place = {"path": self.path.as_posix(), "style": self.style, "index": self.index}
        return place | dataclasses.asdict(attributes)


@lru_cache(maxsize=2)
def _render_natural(attributes: PortraitAttributes, size: int) -> Picture:
    """`render_portrait`; a twin is painted once for all styles, which leave it as it is."""
    return render_portrait(attributes, size)


def average_down(image: np.ndarray) -> np.ndarray:
    """A picture that was painted at twice its size, [2R, 2R, 3] about 0..1 -> [R, R, 3] uint8."""
    return np.rint(np.clip(halve(image), 0, 1) * 255).astype(np.uint8)


def plan_portraits(config: SynthesizeConfig) -> list[Portrait]:
    """Every picture of the set, natural ones first."""
    styled_count = config.count // 2 if config.styled_count is None else config.styled_count
    portraits = [Portrait(config.seed, None, i, config.resolution) for i in range(config.count)]
    each, rest = divmod(styled_count, len(STYLES))
    for place, style in enumerate(STYLES):
        number = each + (place < rest)
        portraits += [Portrait(config.seed, style, i, config.resolution) for i in range(number)]
    portraits += [
        Portrait(config.seed, style, i, config.resolution, twin=True)
        for i in range(config.twins)
        for style in (None, *STYLES)
    ]
    return portraits


def synthesize(config: SynthesizeConfig) -> Path:
    """Make the pictures that are missing and list all of them; return the folder.

    Raises BlendGANError if a number is out of range, the folder cannot be written, or it holds
    pictures of another seed or resolution.
    """
    _check_numbers(config)
    portraits = plan_portraits(config)
    try:
        _prepare_folder(config, portraits)
        missing = [portrait for portrait in portraits if not (config.out / portrait.path).exists()]
        _render_all(missing, config)
        lines = "".join(json.dumps(portrait.record()) + "\n" for portrait in portraits)
        write_file(config.out / ATTRIBUTES, lines.encode())
    except OSError as error:
        raise BlendGANError(
            f"cannot write to {config.out}: {error.strerror or error}; "
            "give --out a folder on a disk with free space, in which you may write"
        ) from error
    print(f"{config.out}: {len(portraits)} pictures, {len(missing)} new, listed in {ATTRIBUTES}")
    return config.out


def _check_numbers(config: SynthesizeConfig) -> None:
    styled_count = 0 if config.styled_count is None else config.styled_count
    for flag, value, lowest, highest in (
        ("--count", config.count, 0, 999_999),
        ("--styled-count", styled_count, 0, 999_999),
        ("--twins", config.twins, 0, 999_999),
        ("--resolution", config.resolution, 16, 1024),
        ("--seed", config.seed, 0, HELD_OUT_SEED - 1),
        ("--workers", config.workers, 1, 256),
    ):
        if not lowest <= value <= highest:
            raise BlendGANError(f"{flag} is {value}; give a number from {lowest} to {highest}")
    if config.count + styled_count + config.twins == 0:
        raise BlendGANError("--count is 0 and no styled pictures are asked for; give --count 1000")


def _prepare_folder(config: SynthesizeConfig, portraits: list[Portrait]) -> None:
    """Create the folders; refuse one whose pictures were made with other settings."""
    config.out.mkdir(parents=True, exist_ok=True)
    recipe = {"seed": config.seed, "resolution": config.resolution}
    recipe_file = config.out / RECIPE
    if recipe_file.exists():
        found = _read_recipe(recipe_file)
        if found != recipe:
            raise BlendGANError(
                f"{config.out} holds pictures made with {found}, this command asks for {recipe}; "
                "give another --out, or the same --seed and --resolution"
            )
    else:
        write_file(recipe_file, json.dumps(recipe).encode())
    for folder in {portrait.path.parent for portrait in portraits}:
        (config.out / folder).mkdir(parents=True, exist_ok=True)


def _read_recipe(recipe_file: Path) -> object:
    try:
        return json.loads(recipe_file.read_text(encoding="utf-8"))
    except ValueError as error:
        raise BlendGANError(
            f"{recipe_file} is damaged, expected JSON with seed and resolution; "
            "delete its folder or give another --out"
        ) from error


def _render_all(portraits: list[Portrait], config: SynthesizeConfig) -> None:
    """Render and save the pictures, in this process or in several, with a progress bar."""
    tasks = [(portrait, config.out) for portrait in portraits]
    workers = min(config.workers, len(tasks))
    with tqdm(total=len(tasks), unit=" images", desc="portraits", smoothing=0.05) as progress:
        if workers <= 1:
            for task in tasks:
                _render_to_file(task)
                progress.update()
            return
        # On Ctrl-C the pool's exit terminates the workers; a half-written file has another name.
        with multiprocessing.get_context("spawn").Pool(workers, _ignore_interrupt) as pool:
            for _ in pool.imap_unordered(_render_to_file, tasks, chunksize=1 + len(STYLES)):
                progress.update()


def _ignore_interrupt() -> None:
    """Leave Ctrl-C to the parent, else every worker prints a traceback of its own."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def _render_to_file(task: tuple[Portrait, Path]) -> None:
    portrait, out = task
    target = out / portrait.path
    temporary = target.with_suffix(".tmp")  # one left by a killed run is overwritten
    Image.fromarray(portrait.render()).save(temporary, format="PNG")
    os.replace(temporary, target)


if __name__ == "__main__":
    run_cli(synthesize, SynthesizeConfig)
