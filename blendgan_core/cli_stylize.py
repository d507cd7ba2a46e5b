"""`python -m blendgan_core stylize`: faces from files, in the style of pictures from files."""

from argparse import Namespace
from collections import Counter
from collections.abc import Callable
from itertools import product
from pathlib import Path

import torch
from torch import Tensor

from .blendgan import PARTS, require_parts
from .checkpoint import found_parts
from .cli_shared import load_model, output_paths, warn, write_result
from .errors import BlendGANError, ImageError
from .hub import local_path
from .images import center_square, check_output, list_images, read_image
from .layers import average_pool
from .photo_faces import PhotoFace, take_face
from .sheets import write_sheet


def stylize(options: Namespace) -> int:
    """Write every face in every style; return 0, or 2 if some picture could not be read."""
    faces, styles = find_images(options.face), find_images(options.style)
    names = [f"{face}__{style}" for face, style in product(name_each(faces), name_each(styles))]
    paths = dict(zip(product(faces, styles), output_paths(options.out, names), strict=True))
    outputs = [*paths.values(), *([options.sheet] if options.sheet else [])]
    refuse_overwriting(outputs, faces + styles)
    if options.sheet:
        check_output(options.sheet)

    options.checkpoint = local_path(options.checkpoint)
    require_parts(PARTS, found_parts(options.checkpoint), options.checkpoint)
    model = load_model(options, "generator")
    z_styles = encode_styles(options, styles)
    w_faces, squares = encode_faces(options, faces)
    jobs = list(product(w_faces, z_styles))
    results = {}
    for start in range(0, len(jobs), options.batch):
        batch = jobs[start : start + options.batch]
        w_face = torch.cat([w_faces[face] for face, _ in batch])  # [N, L, W]
        z_style = torch.cat([z_styles[style] for _, style in batch])  # [N, S]
        w = model.blend(w_face, z_style, options.indicator, options.theta)
        for job, image in zip(batch, model.synthesize(w), strict=True):
            write_result(paths[job], image)
            if options.sheet:
                results[job] = image.cpu()
    if options.sheet:
        write_overview(options.sheet, results, squares)
    return 0 if len(jobs) == len(paths) else 2


def write_overview(
    path: Path, results: dict[tuple[Path, Path], Tensor], squares: dict[Path, Tensor]
) -> None:
    """One sheet: the styles in its first row, the faces in its first column, the results between.

    results: (face, style) -> picture [3, R, R]; squares: face -> what was taken of it [3, S, S].
    """
    faces, styles = ({job[side]: None for job in results} for side in (0, 1))
    columns: list[list[Tensor | None]] = [[None, *(squares[face] for face in faces)]]
    for style in styles:
        columns.append([small_square(read_image(style)), *(results[face, style] for face in faces)])
    write_sheet(path, columns)
    print(f"wrote {path}", flush=True)


def small_square(image: Tensor) -> Tensor:
    """The centre square of a picture [3, H, W], at most 512 pixels a side: [3, S, S]."""
    square = center_square(image)[0]
    return average_pool(square[None], min(square.shape[-1], 512))[0]


def find_images(paths: list[Path]) -> list[Path]:
    """Files as they are and the pictures of folders, each once, in order."""
    found = [file for path in paths for file in (list_images(path) if path.is_dir() else [path])]
    return list(dict.fromkeys(found))


def name_each(paths: list[Path]) -> list[str]:
    """Each file's name without its suffix; with it, or also a number, where two are the same."""
    stems = Counter(path.stem for path in paths)
    names = [path.stem if stems[path.stem] == 1 else path.name for path in paths]
    repeats = Counter(names)
    return [
        name if repeats[name] == 1 else f"{name}_{number}"
        for number, name in enumerate(names, start=1)
    ]


def refuse_overwriting(outputs: list[Path], inputs: list[Path]) -> None:
    """Raise BlendGANError if a result would replace a picture to be read, or another result."""
    originals = [path for path in inputs if path.exists()]
    for path in outputs:
        if path.exists() and any(path.samefile(original) for original in originals):
            raise BlendGANError(f"{path} is one of the pictures to read; give another --out")
    places = Counter(str(path.resolve()).casefold() for path in outputs)  # as Windows compares them
    for path in outputs:
        if places[str(path.resolve()).casefold()] > 1:
            raise BlendGANError(f"{path} would be written twice; rename a picture, or the output")


def encode_styles(options: Namespace, paths: list[Path]) -> dict[Path, Tensor]:
    """z_style [1, S] of every picture. The encoder is let go again, for both are large."""
    model = load_model(options, "style_encoder")
    return encode_each(paths, lambda path, image: model.encode_style(image))


def encode_faces(
    options: Namespace, paths: list[Path]
) -> tuple[dict[Path, Tensor], dict[Path, Tensor]]:
    """w_face [1, L, W] of every photo, and what was taken of it [3, S, S]; the encoder is let go
    again."""
    model = load_model(options, "psp_encoder")
    squares = {}

    def encode(path: Path, image: Tensor) -> Tensor:
        face = take_face(image[0], options.align == "auto")
        note_what_was_taken(path, image, face)
        squares[path] = small_square(face.image)
        return model.invert(face.image[None])

    return encode_each(paths, encode), squares


def encode_each(paths: list[Path], encode: Callable[[Path, Tensor], Tensor]) -> dict[Path, Tensor]:
    """The code [1, ..] of every picture that can be read; the others are warned about.

    encode: its path and the picture [1, 3, H, W] -> its code. One picture at a time, since their
    sizes differ. Raises ImageError if none can be read.
    """
    codes = {}
    for path in paths:
        try:
            image = read_image(path)
        except ImageError as error:
            if len(paths) == 1:
                raise
            warn(f"skipped: {error}")
            continue
        codes[path] = encode(path, image[None])
    if not codes:
        raise ImageError(
            f"none of the {len(paths)} pictures can be read, beginning with {paths[0]}"
        )
    return codes


def note_what_was_taken(path: Path, image: Tensor, face: PhotoFace) -> None:
    """image: [1, 3, H, W]. One line, unless all of it was."""
    height, width = image.shape[-2:]
    taken = {"aligned": "took the largest face,", "centre square": "took its centre square,"}
    if face.how in taken:
        print(f"note: {path} is {width} x {height}; {taken[face.how]} {face.side} x {face.side}")
