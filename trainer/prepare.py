"""`python -m trainer.prepare`: photos or art in, aligned square pictures for the trainings out.

    python -m trainer.prepare --photos DIR --landmarks faces.json --out data.zip

The form of --landmarks is described in trainer/landmarks.py. A run that was stopped goes on with
the same command: until it is done, its pictures lie in a hidden folder beside --out.
"""

import hashlib
import json
import os
import re
import shutil
from collections import Counter
from dataclasses import asdict, dataclass, fields
from pathlib import Path, PurePosixPath

from tqdm import tqdm

from blendgan_core.errors import BlendGANError

from .cli import run_cli
from .face_crops import CropConfig, Outcome, Task, crop_all
from .landmarks import FaceDetector, read_landmarks
from .packing import is_shards, pack_shards, pack_zip, shard_stem, shards_like
from .picture_sources import open_source
from .run_state import write_file


@dataclass(frozen=True, kw_only=True)
class PrepareConfig(CropConfig):
    """Cut aligned faces (the crop of FFHQ) out of photos or art, for the trainings. Where the faces
    are is told by one of --landmarks, --detector and --whole."""

    out: Path
    """what to write: a folder, a .zip, or WebDataset shards, written name-%06d.tar. Beside it goes
    name.report.json with what was dropped and why"""
    landmarks: Path | None = None
    """where the faces are: a .json or .csv, described at the top of trainer/landmarks.py"""
    shard_size: int = 1000
    """pictures a shard, where --out is shards"""
    workers: int = 2
    """processes, best one per core"""


def prepare(config: PrepareConfig) -> Path:
    """Make what is missing, pack it, report; return --out.

    Raises BlendGANError for flags that contradict each other, a source or file that is not what it
    should be, an --out that is there already, and if not one picture was made.
    """
    _check_flags(config)
    stem = shard_stem(config.out) if is_shards(config.out) else config.out.stem
    staging = config.out.absolute().parent / f".{stem}.partial"
    report = config.out.absolute().parent / f"{stem}.report.json"
    _refuse_existing(config.out, staging)
    if config.detector:
        FaceDetector(config.detector)  # what it lacks is told before the workers start
    tasks = plan(config)
    _keep_recipe(config, tasks, staging)
    outcomes = _crop_missing(tasks, config, staging)
    crops = sorted(crop for outcome in outcomes for crop in outcome.crops)
    dropped = Counter(reason for outcome in outcomes for reason, _ in outcome.dropped)
    counts = ", ".join(f"{n} {reason}" for reason, n in dropped.most_common()) or "nothing"
    _write_report(report, config, outcomes, crops, dropped)
    if not crops:
        shutil.rmtree(staging)
        raise BlendGANError(
            f"none of the {len(tasks)} photos gave a picture; dropped: {counts}; see {report}"
        )
    _publish(config, staging / "pictures", crops)
    shutil.rmtree(staging)
    print(f"{config.out}: {len(crops)} pictures from {len(tasks)} photos")
    print(f"dropped: {counts}; see {report}")
    return config.out


def _check_flags(config: PrepareConfig) -> None:
    given = [flag for flag in ("landmarks", "detector", "whole") if getattr(config, flag)]
    if len(given) != 1:
        found = " and ".join(f"--{flag}" for flag in given) or "none of them"
        raise BlendGANError(f"expected one of --landmarks, --detector and --whole, found {found}")
    for flag, value, lowest, highest in (
        ("--resolution", config.resolution, 16, 2048),
        ("--min-side", config.min_side or 0, 0, 100_000),
        ("--max-outside", config.max_outside, 0, 1),
        ("--shard-size", config.shard_size, 1, 1_000_000),
        ("--workers", config.workers, 1, 256),
    ):
        if not lowest <= value <= highest:
            raise BlendGANError(f"{flag} is {value}; give a number from {lowest} to {highest}")


def _refuse_existing(out: Path, staging: Path) -> None:
    """Refuse an --out that is there, but for shards that an interrupted packing began to write."""
    if is_shards(out):
        found = [] if staging.exists() else shards_like(out)
    else:
        found = [out] if out.is_file() or (out.is_dir() and any(out.iterdir())) else []
    if found:
        raise BlendGANError(f"{found[0]} exists already; choose another --out, or delete it")


def plan(config: PrepareConfig) -> list[Task]:
    """Every photo with the name of its crops; names differ even where case does not count."""
    source = open_source(config.photos)
    known = read_landmarks(config.landmarks) if config.landmarks else None
    taken: set[str] = set()
    tasks = []
    for index, name in enumerate(source.names):
        # the first dot ends a WebDataset key; the others are letters that Windows refuses
        parts = [re.sub(r'[.<>:"|?*\x00-\x1f]', "_", p) for p in name.with_suffix("").parts]
        crop = base = "/".join(parts)
        number = 2
        while crop.lower() in taken:
            crop, number = f"{base}_{number}", number + 1
        taken.add(crop.lower())
        faces = None if known is None else known.get(name.as_posix(), [])
        tasks.append(Task(index, name.as_posix(), crop, faces))
    if known is not None and not any(task.photo in known for task in tasks):
        raise BlendGANError(
            f"{config.landmarks} names none of the photos: expected names such as "
            f"{tasks[0].photo!r}, found {next(iter(known), 'nothing')!r}"
        )
    return tasks


def _keep_recipe(config: PrepareConfig, tasks: list[Task], staging: Path) -> None:
    """Write down what the crops depend on, or check that an interrupted run had the same."""
    digest = hashlib.sha256()
    for task in tasks:
        digest.update(repr((task.photo, [face.tolist() for face in task.faces or []])).encode())
    flags = {field.name: getattr(config, field.name) for field in fields(CropConfig)}
    flags |= {"photos": config.photos.absolute(), "shard_size": config.shard_size}
    flags["photos and landmarks"] = digest.hexdigest()
    recipe = {name: str(value) for name, value in flags.items()}
    file = staging / "recipe.json"
    if not file.exists():
        (staging / "pictures").mkdir(parents=True, exist_ok=True)
        write_file(file, json.dumps(recipe).encode())
        return
    before = json.loads(file.read_text(encoding="utf-8"))
    changed = [name for name in recipe if recipe[name] != before.get(name)]
    if changed:
        raise BlendGANError(
            f"{config.out} was begun with other {' and '.join(changed)}; give the same again, "
            f"or delete {staging} to start anew"
        )


def _crop_missing(tasks: list[Task], config: PrepareConfig, staging: Path) -> list[Outcome]:
    """The outcomes of all tasks; those in the journal are not done again."""
    journal = staging / "journal.jsonl"
    done: list[Outcome] = []
    if journal.exists():
        lines = journal.read_text(encoding="utf-8").splitlines(keepends=True)
        whole = [line for line in lines if line.endswith("\n")]  # the last may be torn
        done = [Outcome(**json.loads(line)) for line in whole]
        write_file(journal, "".join(whole).encode())
    with (
        open(journal, "a", encoding="utf-8") as lines,
        tqdm(initial=len(done), total=len(tasks), unit=" photos", smoothing=0.05) as bar,
    ):
        left = tasks[len(done) :]  # outcomes come in the order of the tasks
        for outcome in crop_all(left, config, staging / "pictures", config.workers):
            lines.write(json.dumps(asdict(outcome)) + "\n")
            lines.flush()
            done.append(outcome)
            bar.update()
    return done


def _write_report(
    report: Path,
    config: PrepareConfig,
    outcomes: list[Outcome],
    crops: list[str],
    dropped: Counter[str],
) -> None:
    """What was made and what was dropped, as JSON."""
    content = {
        "photos": len(outcomes),
        "pictures": len(crops),
        "pictures_by_folder": Counter(str(PurePosixPath(crop).parent) for crop in crops),
        "dropped": dropped,
        "dropped_faces": [
            {"photo": outcome.photo, "reason": reason, "detail": detail}
            for outcome in outcomes
            for reason, detail in outcome.dropped
        ],
        "flags": {name: value for name, value in asdict(config).items() if name != "workers"},
    }
    write_file(report, json.dumps(content, indent=1, default=str).encode())


def _publish(config: PrepareConfig, pictures: Path, crops: list[str]) -> None:
    """The finished crops become --out."""
    if config.out.suffix.lower() == ".zip":
        pack_zip(pictures, crops, config.out)
    elif is_shards(config.out):
        pack_shards(pictures, crops, config.out, config.shard_size)
    else:
        for leftover in pictures.rglob("*.partial"):  # of a worker that was killed
            leftover.unlink()
        if config.out.is_dir():
            config.out.rmdir()  # Windows renames onto nothing, not even onto an empty folder
        os.replace(pictures, config.out)


if __name__ == "__main__":
    run_cli(prepare, PrepareConfig)
