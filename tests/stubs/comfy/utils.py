"""Stand-in for `comfy.utils`."""


class ProgressBar:
    """The bar on the node that is running."""

    def __init__(self, total: int):
        self.total = total
        self.current = 0

    def update(self, value: int) -> None:
        self.current = min(self.current + value, self.total)
