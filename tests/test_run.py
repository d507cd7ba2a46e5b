"""What a run promises whatever is trained: its dry run, its flags, its log and its errors."""

from dataclasses import dataclass, replace
from pathlib import Path

import pytest
import torch

from blendgan_core.errors import BlendGANError
from trainer.gan import GanConfig, train_gan
from trainer.run import Run
from trainer.style_encoder import StyleEncoderTrainingConfig, train_style_encoder
from trainer.training_config import TrainingConfig


@dataclass(frozen=True, kw_only=True)
class ToyConfig(TrainingConfig):
    """Draw a layer's weights to 0."""

    steps: int = 40
    batch: int = 2
    device: str = "cpu"
    lr: float = 0.1


def train_toy(config: ToyConfig, width: int = 4, loss_of=lambda loss: loss) -> Path | None:
    run = Run(config)
    torch.manual_seed(config.seed)
    layer, frozen = torch.nn.Linear(width - 1, width), torch.nn.Linear(1, 1)
    optimizer = torch.optim.Adam(layer.parameters(), lr=config.lr)

    def step():
        loss = loss_of(layer(torch.randn(config.batch, width - 1)).square().mean())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return {"loss": loss.detach(), "alpha": torch.tensor([0.25, 0.5])}

    def sample(path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"")

    def finish() -> Path:
        return run.folder / f"step {run.step}"

    parts = {"layer": layer, "optimizer": optimizer}
    return run.loop(parts, step, sample, finish, {"layer": layer, "base": frozen})


def test_a_dry_run_tells_sizes_and_writes_nothing(tmp_path, capsys):
    """By hand: (1023 + 1) * 1024 = 2^20 weights of 4 bytes; Adam keeps two values for each."""
    out = tmp_path / "run"
    assert train_toy(ToyConfig(out=out, dry_run=True), width=1024) is None
    text = " ".join(capsys.readouterr().out.split())
    assert "layer 1,048,576 trained base 2 not trained" in text
    assert "weights 4.0 MiB gradients 4.0 MiB optimiser 8.0 MiB" in text
    assert "a state, kept once 12.0 MiB" in text
    assert "for 40 steps" in text and "the mean of 16 steps" in text
    assert "lr 0.1 networks" in text and f"out {out}" in text
    assert not out.exists()


def test_resuming_with_other_flags_names_all_that_differ(tmp_path):
    config = ToyConfig(out=tmp_path / "run")
    assert train_toy(config).name == "step 40"
    with pytest.raises(
        BlendGANError, match=r"--seed is 3, but .* started with 0; --lr is 0.2, before 0.1\. Resume"
    ):
        train_toy(replace(config, seed=3, lr=0.2, steps=50, resume=True))


def test_alpha_is_logged_and_plotted_layer_by_layer(tmp_path):
    train_toy(ToyConfig(out=tmp_path, steps=10))
    assert '"alpha": [0.25, 0.5]' in (tmp_path / "log.jsonl").read_text()
    assert {"alpha.png", "losses.png"} <= {file.name for file in tmp_path.iterdir()}


def test_a_run_that_fails_before_its_first_save_does_not_promise_a_state(tmp_path):
    with pytest.raises(BlendGANError, match="loss became nan at step 10; no state was saved"):
        train_toy(ToyConfig(out=tmp_path), loss_of=lambda loss: loss * float("nan"))
    assert not (tmp_path / "state").exists()


def test_a_failing_log_is_told_as_one_line(tmp_path):
    (tmp_path / "log.jsonl").mkdir()
    with pytest.raises(BlendGANError, match=f"{tmp_path} could not be written to .*--resume"):
        train_toy(ToyConfig(out=tmp_path))


@pytest.mark.parametrize(
    ("train", "config", "message"),
    [
        (
            train_gan,
            GanConfig(out=Path("x"), natural=(Path("n"),), style_encoder=Path("s")),
            "--style-encoder is of use with --art only",
        ),
        (
            train_gan,
            GanConfig(out=Path("x"), natural=(Path("n"),), style_mixing=1.5),
            r"--style-mixing is 1.5, expected 0..1",
        ),
        (
            train_gan,
            GanConfig(out=Path("x"), natural=(Path("n"),), resume=True, dry_run=True),
            "--dry-run writes nothing and --resume goes on",
        ),
        (
            train_style_encoder,
            StyleEncoderTrainingConfig(out=Path("x"), art=(), vgg="file.pth", vgg_width=8),
            "--vgg-width is 8, but weights of a VGG-19 have width 64",
        ),
    ],
)
def test_contradictory_flags_are_refused_before_anything_is_loaded(train, config, message):
    """None of the files that they name is there; that would be the next error."""
    with pytest.raises(BlendGANError, match=message):
        train(config)
