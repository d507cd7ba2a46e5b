"""A training command ends as a good command does, whatever happens inside."""

from dataclasses import dataclass
from pathlib import Path

import pytest
import torch

from blendgan_core.errors import BlendGANError
from trainer.cli import run_cli
from trainer.flags import parse_flags


@dataclass(frozen=True, kw_only=True)
class GreetConfig:
    """Say hello."""

    name: str = "you"
    """whom to greet"""


@pytest.mark.parametrize(
    ("raised", "code", "err"),
    [
        (None, None, ""),
        (
            BlendGANError("no data: give --natural"),
            2,
            "error: no data: give --natural\n",
        ),
        (KeyboardInterrupt(), 130, ""),
    ],
)
def test_a_training_command_ends_like_a_good_one(monkeypatch, capsys, raised, code, err):
    def greet(config: GreetConfig) -> None:
        print(f"hello {config.name}")
        if raised:
            raise raised

    monkeypatch.setattr("sys.argv", ["greet", "--name", "Ada"])
    if code is None:
        run_cli(greet, GreetConfig)
    else:
        with pytest.raises(SystemExit) as exit_:
            run_cli(greet, GreetConfig)
        assert exit_.value.code == code
    assert capsys.readouterr() == ("hello Ada\n", err)


@dataclass(frozen=True, kw_only=True)
class SharedConfig:
    """What all have."""

    out: Path
    """where it
    goes"""
    steps: int
    """how many"""


@dataclass(frozen=True, kw_only=True)
class WalkConfig(SharedConfig):
    """Go for a walk."""

    steps: int = 3
    """how many (paper)"""
    names: tuple[str, ...] = ()
    """who comes along"""


def test_flags_become_a_config_again():
    flags = ["--out", "x", "--names", "Ada", "Bob"]
    config = parse_flags(WalkConfig, "walk", flags)
    assert config == WalkConfig(out=Path("x"), names=("Ada", "Bob"), steps=3)


def test_help_is_grouped_by_class_and_takes_a_derived_class_at_its_word(capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "100")
    with pytest.raises(SystemExit):
        parse_flags(WalkConfig, "python -m trainer.walk", ["--help"])
    text = " ".join(capsys.readouterr().out.split())
    assert "where it goes (required)" in text
    assert "how many (paper) (default: 3)" in text
    own, shared = text.index("walk options"), text.index("shared options")
    assert own < text.index("who comes along") < shared < text.index("where it goes")
    assert "What all have." in text


def test_a_device_without_memory_is_told_in_one_line(monkeypatch, capsys):
    def greet(config: GreetConfig) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory.\nSee the documentation.")

    monkeypatch.setattr("sys.argv", ["greet"])
    with pytest.raises(SystemExit):
        run_cli(greet, GreetConfig)
    assert capsys.readouterr().err == "error: CUDA out of memory. A lower --batch needs less\n"
