"""BlendGANFinetune: pictures of one style become a new checkpoint that knows it."""

import hashlib
import json
import logging
import os
import re
import shutil
import tempfile
from pathlib import Path

import folder_paths
from comfy_api.latest import io
from torch import Tensor

from ..blendgan_core import BlendGANError
from ..blendgan_core.checkpoint import read_metadata
from ..blendgan_core.delta import sha256_of
from ..blendgan_core.images import to_uint8, write_image
from ..blendgan_core.joined import load_joined
from . import checkpoints, devices, seeds, trainer_process
from .devices import ManagedModel
from .images import from_image
from .types import ModelSocket

DEFAULT_STEPS = {"fast": 140, "paper": 1000}  # the trainer's own
SCRATCH = "blendgan_finetune"  # in ComfyUI's temporary folder
FORBIDDEN = re.compile(r'[<>:"/\\|?*\x00-\x1f]')  # in a file's name, on one system or another
LONGEST_NAME = 100

# what this session trained or took last under a name, so that a file's loss is noticed
_made: dict[str, Path] = {}

logger = logging.getLogger(__name__)


class BlendGANFinetune(io.ComfyNode):
    @classmethod
    def define_schema(cls):
        return io.Schema(
            node_id="BlendGANFinetune",
            display_name="Fine-Tune on a Style (BlendGAN)",
            category="BlendGAN",
            description=(
                "Teaches a model one new style from one picture, or from a batch in that style, "
                "and stores it as a new checkpoint in models/blendgan. Takes a minute with the "
                "built-in model, longer with larger ones."
            ),
            search_aliases=["one-shot", "train style", "learn style", "training", "fine-tune"],
            is_output_node=True,
            inputs=[
                io.Combo.Input(
                    "checkpoint",
                    options=checkpoints.list_checkpoints(),
                    default=checkpoints.BUILT_IN,
                    tooltip="The model to start from; the file itself stays as it is.",
                ),
                io.Image.Input(
                    "image",
                    tooltip="One or more pictures of the style; best are portraits that are "
                    "cropped like a face for Invert Face. The centre square is taken.",
                ),
                io.String.Input(
                    "name",
                    default="my style",
                    tooltip="Name of the new checkpoint. If it is taken, a number is added: no "
                    "file is ever replaced.",
                ),
                io.Combo.Input(
                    "mode",
                    options=list(DEFAULT_STEPS),
                    default="fast",
                    tooltip="fast: a tenth of the time, palette and large shapes of the picture; "
                    "who is painted stays, and so do natural faces. paper: the method of the "
                    "paper's authors, which also gets fine lines, but changes natural faces.",
                ),
                io.Int.Input(
                    "steps",
                    default=0,
                    min=0,
                    max=100000,
                    tooltip="How long to train; 0: 140 steps in fast mode, 1000 in paper mode.",
                ),
                seeds.seed_input(
                    "Seed of all that is random. Another seed means another training.",
                    io.ControlAfterGenerate.fixed,  # or each run of the graph would train anew
                ),
                io.Boolean.Input(
                    "delta",
                    default=False,
                    tooltip="Store only what changed, a small file that needs the checkpoint above "
                    "to be kept. Possible in fast mode.",
                ),
            ],
            outputs=[
                ModelSocket.Output(display_name="model", tooltip="The model that knows the style."),
                io.String.Output(
                    display_name="name",
                    tooltip="The new checkpoint's name in Load BlendGAN; press R to see it there.",
                ),
            ],
        )

    @classmethod
    def fingerprint_inputs(cls, checkpoint, name, **others):
        """Changes with the start model, and once the file that was made is gone."""
        path = _made.get(name)
        return [checkpoints.fingerprint(checkpoint), path is not None and not path.exists()]

    @classmethod
    def execute(cls, checkpoint, image, name, mode, steps, seed, delta):
        stem = _stem(name)
        base = checkpoints.checkpoint_path(checkpoint)
        pictures = from_image(image)
        steps = steps or DEFAULT_STEPS[mode]
        recipe = _recipe(pictures, sha256_of(base), mode, steps, seed, delta)
        folder = Path(folder_paths.get_folder_paths(checkpoints.FOLDER)[0])
        path = _made_before(folder, stem, recipe)
        grid = Path(folder_paths.get_temp_directory(), SCRATCH, f"{recipe}.png")
        if path is None:
            path = _free(folder, stem)
            options = ["--checkpoint", str(base), "--mode", mode, "--seed", str(seed)]
            _train(pictures, path, recipe, steps, options + ["--delta"] * delta, grid)
        else:
            logger.info("Fine-Tune: %s was made from the same inputs, so it is taken", path)
        _made[name] = path
        model = load_joined(base, delta=path) if delta else load_joined(path)
        return io.NodeOutput(ManagedModel(model), path.name, ui=_shown(grid))


def _stem(name: str) -> str:
    """The file's name without its suffix. BlendGANError for one that some system would refuse."""
    stem = name.strip().removesuffix(".safetensors").rstrip(". ")
    found = FORBIDDEN.search(stem)
    if not stem or stem.startswith(".") or found or len(stem) > LONGEST_NAME:
        problem = f"it holds {found[0]!r}" if found else f"it has {len(stem)} letters"
        raise BlendGANError(
            f"the name {name!r} cannot be a file's ({problem}); give 1 to {LONGEST_NAME} letters "
            'that do not begin with a dot, without / \\ : * ? " < > |'
        )
    return stem


def _recipe(pictures: Tensor, *choices) -> str:
    """A short digest of all that decides what a training makes. pictures: [N, 3, H, W]."""
    digest = hashlib.sha256(repr((tuple(pictures.shape), choices)).encode())
    for picture in pictures:
        digest.update(to_uint8(picture[None]).tobytes())
    return digest.hexdigest()[:16]


def _made_before(folder: Path, stem: str, recipe: str) -> Path | None:
    """The checkpoint of that name, or with a number behind it, which such a training made."""
    numbered = re.compile(rf"{re.escape(stem)}(_\d+)?\.safetensors")
    for path in sorted(folder.glob("*.safetensors")):
        if numbered.fullmatch(path.name) and _references(path)[:1] == [f"{recipe}_0.png"]:
            return path
    return None


def _references(path: Path) -> list[str]:
    """The pictures that a checkpoint says it was fine-tuned on; none for another file."""
    try:
        provenance = json.loads(read_metadata(path)[0].get("provenance", "{}"))
        return list(provenance.get("references", []))
    except (BlendGANError, OSError, ValueError, TypeError, AttributeError):
        return []


def _free(folder: Path, stem: str) -> Path:
    """STEM.safetensors, or the first of STEM_2, STEM_3, .. that does not exist."""
    path, number = folder / f"{stem}.safetensors", 1
    while path.exists():
        number += 1
        path = folder / f"{stem}_{number}.safetensors"
    return path


def _train(
    pictures: Tensor, path: Path, recipe: str, steps: int, options: list[str], grid: Path
) -> None:
    """Make the checkpoint `path`, and the picture `grid` of its samples; or neither of them."""
    grid.parent.mkdir(parents=True, exist_ok=True)
    scratch = Path(tempfile.mkdtemp(prefix="run_", dir=grid.parent))
    try:
        references = [scratch / f"{recipe}_{number}.png" for number in range(len(pictures))]
        for reference, picture in zip(references, pictures, strict=True):
            write_image(reference, picture)
        flags = ["--ref", *map(str, references), "--name", path.stem]
        flags += ["--models-folder", str(path.parent), *options]
        devices.make_room()
        last = trainer_process.train("finetune", flags, scratch, steps)
        if last is not None:
            os.replace(last, grid)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)  # on Windows a file may still be held
        for torn in path.parent.glob(".*.tmp"):  # if it was ended while it wrote
            if torn.name.startswith(f".{path.name}."):
                torn.unlink(missing_ok=True)


def _shown(grid: Path) -> dict | None:
    """What shows the grid on the node, once it is there."""
    if not grid.is_file():
        return None
    return {"images": [{"filename": grid.name, "subfolder": SCRATCH, "type": "temp"}]}
