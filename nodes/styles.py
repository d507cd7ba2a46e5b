"""What the nodes that take styles share: one that was mixed in w stands in place of its z."""

from collections.abc import Sequence

from comfy_api.latest import io
from torch import Tensor

from ..blendgan_core import BlendGANError, mixing
from . import devices
from .devices import ManagedModel
from .types import ModelSocket, Style


def space_input() -> io.Combo.Input:
    """The widget `space`."""
    return io.Combo.Input(
        "space",
        options=["z", "w"],
        default="z",
        optional=True,
        tooltip="Where styles are mixed. z: as codes, each mix one that a picture could have; w: "
        "after the model's style network, where styles change more evenly; this needs the model.",
    )


def model_input() -> ModelSocket.Input:
    """The socket `model`, for the space w."""
    return ModelSocket.Input(
        "model", optional=True, tooltip="The model of the styles; only the space w needs it."
    )


def in_space(styles: Sequence[Style], space: str, model: ManagedModel | None) -> list[Style]:
    """The styles as they can be mixed in z or in w, where the model maps those that are not yet."""
    if space == "z":
        if any(style.w_style is not None for style in styles):
            raise BlendGANError(
                "a style here was mixed in w and has no code in z: choose the space w here too"
            )
        return list(styles)
    return [Style(style.z_style, mapped(style, model)) for style in styles]


def mapped(style: Style, model: ManagedModel | None) -> Tensor:
    """w_style [N, L, W] of a style, by the model's style network unless it has one already."""
    if style.w_style is not None:
        return style.w_style
    if model is None:
        raise BlendGANError(
            "the space w needs a model: connect the one of Load BlendGAN, or choose the space z"
        )
    return devices.keep(model.loaded("generator").map_style(style.z_style))


def mix(styles: Sequence[Style], weights: Sequence[float] | Tensor) -> Style:
    """The weighted mean of styles in one space; weights as in mixing.mix_z."""
    z_style = mixing.mix_z([style.z_style for style in styles], weights)
    if styles[0].w_style is None:
        return Style(z_style)
    return Style(z_style, mixing.mix_w([style.w_style for style in styles], weights))


def join(styles: Sequence[Style]) -> Style:
    """All items of styles in one space, one after the other."""
    z_style = mixing.join([style.z_style for style in styles])
    if styles[0].w_style is None:
        return Style(z_style)
    return Style(z_style, mixing.join([style.w_style for style in styles]))


def pick(style: Style, items: list[int]) -> Style:
    """These items of a batch."""
    w_style = None if style.w_style is None else style.w_style[items]
    return Style(style.z_style[items], w_style)
