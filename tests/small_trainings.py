"""One small run of each training, one after the other, for tests that run them again otherwise."""

from pathlib import Path

import numpy as np
from faulty_commands import run_command
from PIL import Image


def run_small_trainings(
    root: Path, pictures: int, shared: str, psp: str = ""
) -> dict[str, list[str]]:
    """Train all four in root/NAME -> the flags of each by name, without --out.

    pictures: in each folder; shared: flags of all trainings; psp: more of pSp's.
    """
    rng = np.random.default_rng(0)
    for folder in ("natural", "art/rough", "art/smooth"):
        (root / folder).mkdir(parents=True)
        for number in range(pictures):
            pixels = rng.integers(0, 256, (32, 32, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(root / folder / f"{number}.png")
    final = {name: root / name / "final.safetensors" for name in ("style_encoder", "gan", "psp")}
    flags = {
        "style_encoder": f"--art {root}/art --vgg random --vgg-width 2 --image-size 32 "
        "--hidden-dim 16 --z-dim 16",
        "gan": f"--natural {root}/natural --art {root}/art --resolution 16 --z-dim 16 --w-dim 16 "
        f"--style-encoder {final['style_encoder']} --channel-base 256 --channel-max 8 "
        "--r1-every 2 --path-length-every 2 --queue-size 16",
        "psp": f"--generator {final['gan']} --natural {root}/natural --latent-weight 0.1 "
        f"--image-size 32 --channels 4 4 8 8 --blocks 1 1 1 1 {psp}",
        "finetune": f"--ref {root}/art/rough/0.png --mode paper --name new "
        f"--checkpoint {final['psp']}",
    }
    commands = {name: f"{text} {shared}".split() for name, text in flags.items()}
    for name, command in commands.items():
        code = run_command(name, [*command, "--out", str(root / name)], root / f"{name}.txt")
        assert code == 0, (root / f"{name}.txt").read_text()
    return commands
