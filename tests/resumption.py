"""A training that is killed in the middle of its work, and whether it goes on as if it had not."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file


def cut_and_resumed(train: Callable, config: Any, target: str, function: Callable, calls: int):
    """Train until `function`, which `target` names as the training calls it, has been called so
    often, then resume -> what `train` returns."""
    left = iter(range(calls))

    def cut(*args):
        if next(left, None) is None:
            raise RuntimeError("cut")
        return function(*args)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(target, cut)
        with pytest.raises(RuntimeError, match="cut"):
            train(config)
    return train(replace(config, resume=True))


def assert_same_weights(unbroken: Path, resumed: Path) -> None:
    """Two files of safetensors hold the same tensors, bit by bit."""
    before, after = load_file(unbroken), load_file(resumed)
    assert before.keys() == after.keys()
    for name, weight in before.items():
        assert torch.equal(weight, after[name]), name
