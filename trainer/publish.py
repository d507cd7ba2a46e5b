"""A checkpoint onto the Hugging Face hub: `python -m trainer.publish FILE --repo owner/name`.

With it goes a model card, made from what the file says of itself, and a picture of what it draws.
"""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import torch
import tyro
from torch import Tensor
from torch.nn import functional as F

from blendgan_core.blendgan import PARTS, BlendGAN
from blendgan_core.checkpoint import build, is_safetensors, read
from blendgan_core.contents import Contents
from blendgan_core.errors import CheckpointError
from blendgan_core.hub import HubAddress, explain, local_path, not_installed, parse_address
from blendgan_core.sheets import write_sheet

from .cli import run_cli

FACES = 5  # rows of the sample grid
STEPS = 4  # indicators of the sweep
MAX_CELL = 192  # pixels
# licences as the hub names them, and what people write for them
LICENCES = {"cc0": "cc0-1.0", "apache-2": "apache-2.0", "apache2": "apache-2.0"} | {
    name: name
    for name in (
        "mit apache-2.0 cc0-1.0 cc-by-2.0 cc-by-3.0 cc-by-4.0 cc-by-sa-3.0 cc-by-sa-4.0 "
        "cc-by-nc-3.0 cc-by-nc-4.0 cc-by-nc-sa-3.0 cc-by-nc-sa-4.0 cc-by-nc-nd-4.0 cc-by-nd-4.0 "
        "bsd-2-clause bsd-3-clause gpl-3.0 lgpl-3.0 agpl-3.0 mpl-2.0 unlicense openrail"
    ).split()
}


@dataclass(frozen=True, kw_only=True)
class PublishConfig:
    """Upload a checkpoint with a model card and a sample grid; --dry-run shows them first."""

    file: tyro.conf.Positional[Path]
    """a .safetensors file of this project"""
    repo: str
    """where to, as owner/name; made if it is not there, its card is replaced if it is"""
    private: bool = False
    """only you, or your organisation, may see it"""
    dry_run: bool = False
    """upload nothing: write the card and the grid into --out, and say what would be uploaded"""
    out: Path | None = None
    """folder for the card and the grid; out/publish/NAME if not given"""


def publish(config: PublishConfig) -> Path:
    """Write card and grid, and upload them with the file; return the card's path.

    Raises CheckpointError if the file is not one of ours, the repository's name is malformed, or
    the hub cannot be reached or says no.
    """
    path = local_path(config.file)
    if path.is_file() and not is_safetensors(path):
        raise CheckpointError(
            f"{path} is not a file of this project; convert it first with `python -m "
            f"trainer.convert {path} --out {path.stem}.safetensors`, and publish that"
        )
    contents = read(path)  # says what else is wrong with it
    if path.suffix != ".safetensors":
        raise CheckpointError(f"{path} does not end in .safetensors; rename it, then publish it")
    address = _address(config.repo, path.name)
    if not config.dry_run:
        open_repository(config.repo, config.private)  # before the work of drawing
    folder = config.out or Path("out") / "publish" / config.repo.split("/")[1]
    uploads = {"README.md": folder / "README.md", path.name: path}
    model = build(contents, path)
    indicators = None
    if model.generator:
        print("drawing samples", flush=True)
        uploads["samples.jpg"] = folder / "samples.jpg"
        indicators = draw_samples(model, uploads["samples.jpg"])
    card = model_card(address, contents, model, indicators)
    folder.mkdir(parents=True, exist_ok=True)
    uploads["README.md"].write_text(card, encoding="utf-8")
    if config.dry_run:
        print(card)
        print(f"would be uploaded to {config.repo}:")
    else:
        upload(config.repo, uploads)
        print(f"uploaded to {config.repo}, to be used as {address}:")
    for name, file in uploads.items():
        print(f"    {name} ({file.stat().st_size / 1e3:,.0f} kB), from {file}")
    return uploads["README.md"]


@torch.no_grad()
def draw_samples(model: BlendGAN, path: Path) -> list[int]:
    """A sheet of random faces, one a row; return the indicators of its columns.

    Column by column from the natural face, indicator L, to the strongest style, 0; each row has a
    random style of its own. A model without a style encoder knows no styles, and shows faces only.
    """
    last = model.num_layers
    indicators = [last]
    if model.style_encoder:
        indicators += [round(last * step / 2 / (STEPS - 1)) for step in reversed(range(STEPS))]
    rows = []
    for seed in range(FACES):  # one at a time, for little memory
        face, style = model.sample_face([seed]), model.sample_style([seed])
        blended = [model.blend(face, style, indicator) for indicator in indicators]
        rows.append([_shrink(model.synthesize(w)) for w in blended])
    write_sheet(path, list(zip(*rows, strict=True)))
    return indicators


def open_repository(repo: str, private: bool) -> None:
    """Make the repository if need be. Raises CheckpointError if it may not be written to, or if it
    is public where a private one is asked for."""
    try:
        from huggingface_hub import HfApi, get_token
    except ImportError as error:
        raise not_installed("publishing") from error
    if not get_token():
        raise CheckpointError(
            f"{repo}: uploading needs a token that may write; log in with `hf auth login` or set "
            "HF_TOKEN"
        )
    try:
        HfApi().create_repo(repo, private=private, exist_ok=True)
        is_private = HfApi().model_info(repo).private
    except Exception as error:  # of requests or httpx, depending on the version
        raise explain(error, repo, repo) from error
    if private and not is_private:
        raise CheckpointError(
            f"{repo} exists and is public, so --private cannot be kept; choose another name, or "
            "make it private in its settings first"
        )


def upload(repo: str, files: dict[str, Path]) -> None:
    """Commit the files, by their names in the repository, all at once. Raises CheckpointError.

    What a broken run has uploaded already is not sent again.
    """
    from huggingface_hub import CommitOperationAdd, HfApi

    additions = [CommitOperationAdd(name, str(file)) for name, file in files.items()]
    try:
        HfApi().create_commit(repo, additions, commit_message="Publish a BlendGAN checkpoint")
    except Exception as error:  # of requests, httpx or xet, depending on the version
        raise explain(error, repo, repo) from error


def model_card(
    address: HubAddress, contents: Contents, model: BlendGAN, indicators: list[int] | None
) -> str:
    """What the repository's page shows, as Markdown; its front matter is what the hub reads.

    indicators: of the columns of samples.jpg; None if there is no such picture.
    """
    stated = sorted(set(_licences(contents.provenance)))
    can_stylise = model.generator and model.style_encoder and model.psp_encoder
    front = {
        "library_name": "blendgan",
        "tags": ["blendgan", "stylegan2", "gan", "portrait", "style-transfer"],
        "pipeline_tag": "image-to-image" if can_stylise else None,
        "license": _hub_licence(stated),
        "license_name": "as-stated-in-the-card" if _hub_licence(stated) == "other" else None,
    }
    if model.generator and not can_stylise:
        front["pipeline_tag"] = "unconditional-image-generation"
    lines = ["---", *(f"{k}: {json.dumps(v)}" for k, v in front.items() if v), "---", ""]
    lines += [
        f"# {address.repo.split('/')[1]}",
        "",
        "A checkpoint of BlendGAN (Liu et al., NeurIPS",
    ]
    lines[-1] += " 2021): a face and a piece of art in, the face in the style of the art out."
    if indicators:
        columns = [f"the natural face (indicator {indicators[0]})", *map(str, indicators[1:])]
        lines += [
            "",
            "![Samples](samples.jpg)",
            "",
            "*Random faces, one a row, drawn by this file.",
        ]
        lines[-1] += f" Columns: {', indicator '.join(columns)}.*"
    lines += [
        "",
        "## Use it",
        "",
        "With the code of the project, which downloads the file once:",
        "",
    ]
    command = f"pairs --count 4 --out pairs --checkpoint {address}"
    if can_stylise:
        command = f"stylize --face photo.jpg --style art.png --out out.png --checkpoint {address}"
    lines += ["```sh", f"python -m blendgan_core {command}", "```", "", "```python"]
    lines += ["import blendgan_core", "", f'model = blendgan_core.load("{address}")', "```", ""]
    lines += [f"In ComfyUI: `{address}` as the `address` of the node *Load BlendGAN*."]
    lines += ["", "## What it holds", "", "| part | size | |", "|---|---|---|"]
    for name, state in (contents.states | contents.extras).items():
        sizes = vars(contents.configs[name]).items() if name in contents.configs else ()
        label = PARTS[name][0] if name in PARTS else _plain(name)
        listed = _plain(", ".join(f"{key} {value}" for key, value in sizes))
        lines.append(f"| {label} | {_size(state)} | {listed} |")
    absent = [PARTS[name][0] for name in PARTS if name not in contents.states]
    lines += ["", f"It has no {' and no '.join(absent)}."] if absent else []
    lines += ["", "## Where it comes from", "", "As the file states it:", ""]
    lines += _bullets(contents.provenance) or ["- nothing is stated"]
    lines += ["", "## Licence", ""]
    lines += [f"Stated in the file: {_plain('; '.join(stated))}." if stated else "None is stated."]
    lines += [
        "",
        "## Please consider",
        "",
        "A model that makes faces inherits the bias of the faces",
    ]
    lines[-1] += (
        " that it saw. Use photos of people who agree to it, and say that a picture was made."
    )
    return "\n".join(lines) + "\n"


def _size(state: dict[str, Tensor]) -> str:
    """How many numbers, and in which precision; a part holds counters of steps besides."""
    tensors = [tensor for tensor in state.values() if tensor.is_floating_point()]
    dtypes = sorted({str(tensor.dtype).removeprefix("torch.") for tensor in tensors})
    return f"{sum(tensor.numel() for tensor in tensors):,} numbers, {', '.join(dtypes)}"


def _licences(provenance: object) -> Iterator[str]:
    """Every licence that is stated, by the file itself or by what it was made from."""
    if isinstance(provenance, list):
        for value in provenance:
            yield from _licences(value)
    elif isinstance(provenance, dict):
        for key, value in provenance.items():
            if key in ("licence", "license") and isinstance(value, str) and value.strip():
                yield value.strip()
            else:
                yield from _licences(value)


def _hub_licence(stated: list[str]) -> str | None:
    """The hub's name of a licence; "other" for several or for one that it does not know."""
    if not stated:
        return None
    words = {
        re.sub(r"[\s_]+", "-", re.sub(r"\blicen[cs]e\b", "", s.lower()).strip()) for s in stated
    }
    found = {LICENCES.get(word) for word in words}
    return found.pop() or "other" if len(found) == 1 else "other"


def _bullets(value: object, depth: int = 0) -> list[str]:
    """A provenance as nested Markdown lists."""
    pairs = value.items() if isinstance(value, dict) else [(None, v) for v in value]
    lines = []
    for key, entry in pairs:
        label = "" if key is None else f"{_plain(key)}: "
        nested = isinstance(entry, dict) or (
            isinstance(entry, list) and any(isinstance(e, dict | list) for e in entry)
        )
        if not nested:
            shown = ", ".join(map(str, entry)) if isinstance(entry, list) else entry
            lines += [f"{'    ' * depth}- {label}{_plain(shown)}"] if entry is not None else []
        elif key is None:
            lines += _bullets(entry, depth)
        else:
            lines += [f"{'    ' * depth}- {label}".rstrip(), *_bullets(entry, depth + 1)]
    return lines


def _plain(value: object) -> str:
    """One line that Markdown shows as it is."""
    return re.sub(r"([\\`*_\[\]<>|])", r"\\\1", " ".join(str(value).split()))


def _address(repo: str, filename: str) -> HubAddress:
    try:
        address = parse_address(f"hf://{repo}/{filename}")
    except CheckpointError:
        address = None
    if address is None or address.repo != repo or address.filename != filename:
        raise CheckpointError(
            f"--repo is {repo!r}; expected owner/name, such as ada/my-blendgan, of letters, "
            "digits, '-', '_' and '.'"
        )
    return address


def _shrink(image: Tensor) -> Tensor:
    """[1, 3, R, R] -> [3, r, r], r at most MAX_CELL."""
    size = min(image.shape[-1], MAX_CELL)
    return F.interpolate(image, size=size, mode="area")[0]


if __name__ == "__main__":
    run_cli(publish, PublishConfig)
