"""The pictures of an evaluation that are to be looked at: faces, styles, inversions."""

from pathlib import Path

from blendgan_core.sheets import write_sheet

from .evaluation import GridPictures

INVERSIONS = 8  # rows
SHEETS = {
    "styles.png": "A row for each style: the reference, {faces} faces at i = 0, and the same style "
    "painted by rule on {faces} portraits, which is what a perfect model would do.",
    "faces.png": "The faces of the first group, each in some styles: its natural picture, then "
    "i = L down to 0, then the reference.",
    "inversion.png": "Portraits, each with what pSp and the generator make of it beside it.",
}


def write_grids(grids: GridPictures, folder: Path) -> None:
    """Write the sheets of SHEETS; that of inversions only where there are some."""
    strongest = grids.results[0, 1.0]  # [P, S, 3, R, R]
    columns = [list(grids.references)]
    columns += [list(face) for face in strongest]
    columns += [list(face) for face in grids.painted]
    # a first row with the natural pictures, so that one can tell what was kept
    first = [None, *grids.faces[: len(strongest)], *grids.sitters[: len(strongest)]]
    columns = [[top, *column] for top, column in zip(first, columns, strict=True)]
    write_sheet(folder / "styles.png", columns)

    faces, styles = strongest.shape[:2]
    rows = [(number % faces, number) for number in range(styles)]
    weakest_first = sorted(grids.results, key=lambda step: step[0] - step[1], reverse=True)
    columns = [[grids.faces[face] for face, _ in rows]]
    columns += [[grids.results[step][row] for row in rows] for step in weakest_first]
    columns += [[grids.references[style] for _, style in rows]]
    write_sheet(folder / "faces.png", columns)

    if grids.inverted is not None:
        some = range(min(INVERSIONS, len(grids.sitters)))
        pairs = [grids.sitters, grids.inverted]
        places = [[n for n in some], [n + len(some) for n in some]]
        columns = [
            [picture[n] if n < len(picture) else None for n in column]
            for column in places
            for picture in pairs
        ]
        write_sheet(folder / "inversion.png", columns)
