"""IndicatorSweep: each face at one indicator after the other, in a labelled grid."""

import torch
from comfy_api.latest import io
from torch import Tensor
from torch.nn import functional as F

from ..blendgan_core import BlendGANError
from ..blendgan_core.captions import captions
from ..blendgan_core.images import MAX_PIXELS, center_square
from ..blendgan_core.sheets import arrange
from ..blendgan_core.sweep import column_labels, indicator_steps
from . import devices, styles
from .images import from_image, to_image
from .types import FaceSocket, ModelSocket, StyleSocket

NUM_LAYERS = -1  # what `last` calls the model's number of layers


class IndicatorSweep(io.ComfyNode):
    @classmethod
    def define_schema(cls):
        return io.Schema(
            node_id="IndicatorSweep",
            display_name="Sweep Indicator",
            category="BlendGAN",
            description=(
                "Makes each face at one indicator after the other, from all style to none, in a "
                "grid with labels: the quickest way to find the indicator to use."
            ),
            search_aliases=["indicator grid", "xy plot", "compare indicators", "style strength"],
            inputs=[
                ModelSocket.Input("model", tooltip="The model that made the faces and styles."),
                FaceSocket.Input("face", tooltip="Each face is a row."),
                StyleSocket.Input("style", tooltip="One for all faces, or one for each."),
                io.Int.Input(
                    "first", default=0, min=0, max=18, tooltip="The indicator of the first column."
                ),
                io.Int.Input(
                    "last",
                    default=NUM_LAYERS,
                    min=NUM_LAYERS,
                    max=18,
                    tooltip="The indicator of the last column; -1 is the model's number of layers, "
                    "which shows the natural face.",
                ),
                io.Float.Input(
                    "step",
                    default=2.0,
                    min=0.05,
                    max=18.0,
                    step=0.05,
                    tooltip="From column to column. Below 1 there are columns between two "
                    "indicators, made with theta: 0.25 gives thetas 1, 0.75, 0.5 and 0.25.",
                ),
                io.Int.Input(
                    "cell",
                    default=192,
                    min=32,
                    max=1024,
                    step=8,
                    tooltip="Width and height of one picture in the grid, in pixels.",
                ),
                io.Image.Input(
                    "reference",
                    optional=True,
                    tooltip="The picture of the style, or one for each face, to show in a column "
                    "of its own.",
                ),
            ],
            outputs=[
                io.Image.Output(
                    display_name="grid",
                    tooltip="One picture: faces in rows, indicators in columns.",
                ),
                io.Image.Output(
                    display_name="images",
                    tooltip="The single pictures in the model's size without labels, row by row.",
                ),
            ],
        )

    @classmethod
    def execute(cls, model, face, style, first, last, step, cell, reference=None):
        blendgan = model.loaded("generator")
        num_layers = blendgan.num_layers
        steps = indicator_steps(num_layers, first, num_layers if last == NUM_LAYERS else last, step)
        w_style = styles.mapped(style, model)
        columns = [blendgan.blend_w(face.w_face, w_style, *at) for at in steps]
        w = devices.keep(torch.stack(columns, dim=1))  # [rows, columns, L, W]
        rows = len(w)
        lead = [] if reference is None else [_reference_column(reference, rows, cell)]
        labels = ["style"] * len(lead) + column_labels(steps, num_layers)
        _check_size(rows, len(labels), cell)
        w = w.flatten(0, 1)
        images, cells = [], []
        for part in devices.chunks(len(w), blendgan.resolution**2):
            pictures = blendgan.synthesize(w[part])
            images.append(to_image(pictures))
            cells.append(_to_cell(pictures, cell))
        cells = torch.cat(cells).unflatten(0, (rows, len(steps)))
        sheet = arrange([*lead, *cells.movedim(1, 0)], cell)
        grid = torch.cat([captions(labels, cell), sheet], dim=1)  # [3, height, width]
        return io.NodeOutput(to_image(grid[None]), torch.cat(images))


def _reference_column(reference: Tensor, rows: int, cell: int) -> Tensor:
    """IMAGE, one for all rows or one for each -> [rows, 3, cell, cell]."""
    if len(reference) not in (1, rows):
        raise BlendGANError(
            f"{len(reference)} reference pictures do not go with {rows} faces: give one, or one "
            "for each face"
        )
    return _to_cell(center_square(from_image(reference))[0], cell).expand(rows, -1, -1, -1)


def _to_cell(pictures: Tensor, cell: int) -> Tensor:
    """[N, 3, H, H] -> [N, 3, cell, cell] on the CPU, smooth."""
    return F.interpolate(
        pictures.cpu(), size=(cell, cell), mode="bicubic", align_corners=False, antialias=True
    )


def _check_size(rows: int, columns: int, cell: int) -> None:
    if rows * columns * cell**2 > MAX_PIXELS:
        raise BlendGANError(
            f"a grid of {rows} x {columns} pictures of {cell} pixels is too large: expected at "
            f"most {MAX_PIXELS / 1e6:.0f} million pixels in all; take a smaller cell, a larger "
            "step or fewer faces"
        )
