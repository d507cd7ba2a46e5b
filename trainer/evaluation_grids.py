"""The pictures of an evaluation that are to be looked at: styles, faces, inversions."""

from pathlib import Path

from blendgan_core.sheets import write_sheet

from .evaluation import GridPictures

STYLE_SHEET, FACE_SHEET, INVERSION_SHEET = "styles.jpg", "faces.jpg", "inversion.jpg"
INVERSIONS = 6  # rows


def write_grids(grids: GridPictures, folder: Path) -> None:
    """Write the sheets into the folder; that of inversions only where there are some."""
    strongest = grids.results[0, 1.0]  # [P, S, 3, R, R]
    faces, styles = strongest.shape[:2]
    rivals = [pictures for each in grids.baselines.values() for pictures in each]
    columns = [grids.references, *strongest, *rivals, *grids.painted]
    # a first row with the natural pictures, so that one can tell what was kept
    of_model = [*grids.faces[:faces]] * (1 + len(grids.baselines))
    natural = [None, *of_model, *grids.sitters[:faces]]
    columns = [[top, *column] for top, column in zip(natural, columns, strict=True)]
    write_sheet(folder / STYLE_SHEET, columns)

    whole = [step for step in grids.results if step[1] == 1]
    pairs = [(style % faces, style) for style in range(styles)]
    columns = [[grids.results[step][pair] for pair in pairs] for step in reversed(whole)]
    write_sheet(folder / FACE_SHEET, [*columns, grids.references])

    if grids.inverted is not None:
        half = min(INVERSIONS, len(grids.sitters) // 2)
        parts = (slice(0, half), slice(half, 2 * half))
        columns = [each[part] for part in parts for each in (grids.sitters, grids.inverted)]
        write_sheet(folder / INVERSION_SHEET, columns)
