"""A training command ends as a good command does, whatever happens inside."""

from dataclasses import dataclass

import pytest

from blendgan_core.errors import BlendGANError
from trainer.cli import run_cli


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
