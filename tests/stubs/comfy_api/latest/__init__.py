"""Stand-in for `comfy_api.latest`: what the nodes use of it, as strict as ComfyUI's own."""

from . import io


class ComfyExtension:
    """A pack; ComfyUI awaits `get_node_list` once at its start."""

    async def on_load(self) -> None:
        """Called before `get_node_list`."""

    async def get_node_list(self) -> list[type[io.ComfyNode]]:
        raise NotImplementedError


__all__ = ["ComfyExtension", "io"]
