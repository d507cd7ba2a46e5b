"""The seed and batch size inputs that the nodes of random codes share."""

from comfy_api.latest import io

MAX_SEED = 2**64 - 1  # what PyTorch's generators take


def seed_input(tooltip: str, after: bool | io.ControlAfterGenerate = True) -> io.Int.Input:
    """The widget `seed`, with the page's choice of what happens to it after a run; `after` is that
    choice at first, True leaves it to the page."""
    return io.Int.Input(
        "seed", default=0, min=0, max=MAX_SEED, control_after_generate=after, tooltip=tooltip
    )


def batch_size_input(tooltip: str) -> io.Int.Input:
    """The widget `batch_size`."""
    return io.Int.Input("batch_size", default=1, min=1, max=4096, tooltip=tooltip)


def consecutive(seed: int, count: int) -> list[int]:
    """seed, seed + 1, ..; after the largest seed comes 0."""
    return [(seed + index) % (MAX_SEED + 1) for index in range(count)]
