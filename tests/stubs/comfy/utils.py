"""Stand-in for `comfy.utils`."""


class ProgressBar:
    """The bar on the node that is running."""

    def __init__(self, total: int):
        self.total = total
        self.current = 0

    def update_absolute(self, value: int, total: int | None = None, preview=None) -> None:
        """preview: (format, PIL image, largest side) to be shown on the node."""
        if preview is not None:
            kind, picture, side = preview
            assert kind in ("JPEG", "PNG") and picture.mode == "RGB" and side > 0
        if total is not None:
            self.total = total
        self.current = min(value, self.total)

    def update(self, value: int) -> None:
        self.update_absolute(self.current + value)
