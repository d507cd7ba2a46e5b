"""What a clip costs in memory, and whether a still face flickers, through all nodes.

    python -m tests.benchmarks.video [--frames 10 300]

For each length a new process takes a clip of 480 x 320 pixels, with a face that moves, through
Align Faces, Invert Face, Blend, Generate and Paste Faces Back, with the built-in model and the
stand-ins of tests/stubs for ComfyUI. It prints the peak of its memory, how much of that are the
pictures and codes that ComfyUI keeps between the nodes, and what is left for the work itself, which
must not grow with the clip. Then a still clip whose landmarks tremble: the largest difference
between its frames, as they come out.
"""

import argparse
import asyncio
import importlib.util
import json
import resource
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import torch

ROOT = Path(__file__).parent.parent.parent
WIDTH, HEIGHT = 480, 320
UNIT = 1 if sys.platform == "darwin" else 1024  # of ru_maxrss, in bytes
TREMBLE = 0.3  # standard deviation of the still face's landmarks, in pixels


class Nodes:
    """The nodes, loaded as ComfyUI loads them; what they hand on is kept, as ComfyUI does."""

    def __init__(self):
        sys.path.insert(0, str(ROOT / "tests" / "stubs"))
        name = str(ROOT).replace(".", "_x_")
        spec = importlib.util.spec_from_file_location(name, ROOT / "__init__.py")
        sys.modules[name] = pack = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(pack)
        self.nodes = {node.GET_SCHEMA().node_id: node for node in asyncio.run(_listed(pack))}
        self.kept: dict[int, torch.Tensor] = {}

    def run(self, node_id: str, **inputs):
        schema = self.nodes[node_id].GET_NODE_INFO_V1()["input"]["required"]
        defaults = {
            name: spec["default"] for name, (_, spec) in schema.items() if "default" in spec
        }
        with torch.inference_mode():
            outputs = self.nodes[node_id].EXECUTE_NORMALIZED(**{**defaults, **inputs}).result
        for output in outputs:
            self.keep(output, *getattr(output, "__dict__", {}).values())
        return outputs

    def keep(self, *values) -> None:
        for value in values:
            if isinstance(value, torch.Tensor):
                self.kept[value.data_ptr()] = value

    def kept_bytes(self) -> int:
        return sum(value.untyped_storage().nbytes() for value in self.kept.values())


async def _listed(pack) -> list[type]:
    extension = await pack.comfy_entrypoint()
    await extension.on_load()
    return await extension.get_node_list()


def measure(frames: int, still: bool) -> dict[str, float]:
    """Takes one clip through the nodes; sizes in MB."""
    nodes = Nodes()
    (model,) = nodes.run("BlendGANLoader")
    photo, found = nodes.run("BlendGANExample", picture="photo: group")
    points = [face["landmarks_xy"] for face in found["frames"][0]]
    face = points[2]  # the one in the middle
    clip = torch.empty(frames, HEIGHT, WIDTH, 3)
    moved = []
    tremble = np.random.default_rng(0).normal(0, TREMBLE, (frames, 5, 2))
    for frame in range(frames):
        left = 250 if still else 250 + frame % 60
        clip[frame] = photo[0, 60 : 60 + HEIGHT, left : left + WIDTH]
        moved.append([{"landmarks_xy": face - [left, 60] + tremble[frame]}])
    nodes.keep(clip)
    landmarks = {"frames": moved, "image_size": (HEIGHT, WIDTH)}
    start = time.perf_counter()
    faces, transform, _ = nodes.run(
        "FaceAlign", image=clip, face_landmarks=landmarks, smoothing=2.0
    )
    (codes,) = nodes.run("PSPInvert", model=model, image=faces)
    (style,) = nodes.run("StyleLatent", model=model)
    (blended,) = nodes.run("WBMBlend", model=model, face=codes, style=style, indicator=3)
    stylised, _ = nodes.run("BlendGANGenerate", model=model, blended=blended)
    result, _ = nodes.run("FacePasteBack", image=clip, faces=stylised, transform=transform)
    elapsed = time.perf_counter() - start
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * UNIT
    return {
        "frames": len(result),
        "seconds": elapsed,
        "peak": peak / 2**20,
        "kept": nodes.kept_bytes() / 2**20,
        "flicker": max((result[1:] - result[0]).abs().amax().item() if still else 0.0, 0.0),
        "painted": (result - clip).abs().amax().item(),
    }


def in_a_new_process(frames: int, still: bool) -> dict[str, float]:
    command = [sys.executable, "-m", "tests.benchmarks.video", "--child", str(frames)]
    command += ["--still"] if still else []
    output = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    return json.loads(output.splitlines()[-1])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--frames", type=int, nargs="+", default=[10, 300])
    parser.add_argument("--child", type=int, help=argparse.SUPPRESS)
    parser.add_argument("--still", action="store_true", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.child:
        print(json.dumps(measure(args.child, args.still)))
        return
    print(f"{'frames':>7} {'peak MB':>9} {'kept MB':>9} {'work MB':>9} {'seconds':>9}")
    for frames in args.frames:
        found = in_a_new_process(frames, still=False)
        work = found["peak"] - found["kept"]
        print(
            f"{found['frames']:7} {found['peak']:9.0f} {found['kept']:9.0f} {work:9.0f} "
            f"{found['seconds']:9.1f}",
            flush=True,
        )
    found = in_a_new_process(args.frames[0], still=True)
    print(
        f"still face: the frames differ by {found['flicker']:.3g} at most (they were painted over "
        f"by up to {found['painted']:.3g})"
    )


if __name__ == "__main__":
    main()
