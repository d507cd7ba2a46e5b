"""Publishing a checkpoint, to a hub on this machine."""

import json
import socket
import sys

import hub_server
import pytest
import torch
from hub_server import TOKEN, HubServer
from PIL import Image
from tiny_model import tiny_model

import blendgan_core
from blendgan_core import CheckpointError
from trainer.publish import PublishConfig, _hub_licence, publish

PROVENANCE = {
    "kind": "one-shot fine-tune",
    "reference": "my_<art>.png",
    "steps": 12,
    "seed": 7,
    "parent_provenance": {"kind": "gan", "licence": "CC0 1.0", "natural": ["ffhq", "own"]},
}


@pytest.fixture
def checkpoint(tmp_path):
    return blendgan_core.save(tiny_model(blendgan_core), tmp_path / "mine.safetensors", PROVENANCE)


@pytest.fixture
def hub(tmp_path, monkeypatch):
    with HubServer() as server:
        hub_server.use_hub(monkeypatch, server.url, tmp_path / "home", HF_TOKEN=TOKEN)
        yield server
    hub_server.forget_huggingface_hub()


def front_matter(card: str) -> dict:
    """The values are written as JSON, which is YAML too."""
    _, front, _ = card.split("---\n", 2)
    return {key: json.loads(v) for key, v in (line.split(": ", 1) for line in front.splitlines())}


def refusal(**flags) -> str:
    with pytest.raises(CheckpointError) as error:
        publish(PublishConfig(**flags))
    assert "\n" not in str(error.value)
    return str(error.value)


def test_a_dry_run_shows_all_and_touches_no_network(hub, checkpoint, tmp_path, monkeypatch, capsys):
    def connect(*_):
        raise AssertionError("a dry run must not connect")

    monkeypatch.setattr(socket.socket, "connect", connect)
    out = tmp_path / "look"
    card = publish(PublishConfig(file=checkpoint, repo="ada/mine", dry_run=True, out=out))
    assert "huggingface_hub" not in sys.modules and not hub.requests
    text = card.read_text(encoding="utf-8")
    assert front_matter(text)["license"] == "cc0-1.0"
    assert front_matter(text)["pipeline_tag"] == "image-to-image"
    assert text.count("hf://ada/mine/mine.safetensors") == 3  # command, Python, ComfyUI
    for words in ("kind: one-shot fine-tune", "steps: 12", "seed: 7", "natural: ffhq, own"):
        assert f"- {words}\n" in text
    assert "reference: my\\_\\<art\\>.png" in text  # shown as it is, not taken for markup
    assert "resolution 32" in text
    with Image.open(out / "samples.jpg") as sheet:
        assert sheet.size == (5 * 128, 5 * 128)  # a natural face and four indicators, five faces
    printed = capsys.readouterr().out
    assert text in printed and "would be uploaded to ada/mine" in printed
    for path in (card, out / "samples.jpg", checkpoint):
        assert f"{path.name} ({path.stat().st_size / 1e3:,.0f} kB)" in printed


def test_what_is_published_can_be_loaded_by_its_address(
    hub, checkpoint, tmp_path, monkeypatch, capsys
):
    monkeypatch.setattr("trainer.publish.FACES", 1)
    publish(PublishConfig(file=checkpoint, repo="ada/mine", private=True, out=tmp_path / "out"))
    repository = hub.repositories["ada/mine"]
    files = repository.files("main")
    assert repository.private and sorted(files) == ["README.md", "mine.safetensors", "samples.jpg"]
    for name in ("README.md", "samples.jpg"):
        assert files[name] == (tmp_path / "out" / name).read_bytes()
    address = "hf://ada/mine/mine.safetensors"
    assert address in capsys.readouterr().out
    again, model = blendgan_core.load(address), tiny_model(blendgan_core)
    assert again.provenance == PROVENANCE
    assert all(torch.equal(a, model.state_dict()[k]) for k, a in again.state_dict().items())


def test_publishing_again_replaces_the_card_only(hub, checkpoint, tmp_path, monkeypatch):
    monkeypatch.setattr("trainer.publish.FACES", 1)
    for _ in range(2):
        publish(PublishConfig(file=checkpoint, repo="ada/mine", out=tmp_path / "out"))
    assert sum(r.method == "PUT" for r in hub.requests) == 2  # weights and picture, once
    assert not hub.repositories["ada/mine"].private


def test_a_public_repository_is_not_taken_for_a_private_one(hub, checkpoint, tmp_path):
    hub.add("ada/open", "x.txt", b"")
    message = refusal(file=checkpoint, repo="ada/open", private=True, out=tmp_path / "out")
    assert "exists and is public" in message and not hub.uploads


def test_who_may_not_write_is_told_what_to_do(hub, checkpoint, tmp_path, monkeypatch):
    flags = {"file": checkpoint, "out": tmp_path / "out"}
    assert "permissions" in refusal(repo="somebody-else/x", **flags)
    hub_server.use_hub(monkeypatch, hub.url, tmp_path / "home")
    assert "`hf auth login` or set HF_TOKEN" in refusal(repo="ada/mine", **flags)
    hub_server.use_hub(monkeypatch, hub.url, tmp_path / "home", HF_TOKEN="hf_wrong")
    assert "refuses the token" in refusal(repo="ada/mine", **flags)
    options = {"HF_TOKEN": TOKEN, "HF_HUB_OFFLINE": "1"}
    hub_server.use_hub(monkeypatch, hub.url, tmp_path / "home", **options)
    assert "HF_HUB_OFFLINE is set; unset it" in refusal(repo="ada/mine", **flags)
    assert not hub.uploads and not (tmp_path / "out").exists()


@pytest.mark.parametrize("repo", ["mine", "ada/", "ada/a/b", "ada/mine@v1", "https://x.org/ada/b"])
def test_a_malformed_repository_shows_the_right_form(checkpoint, repo):
    assert "expected owner/name" in refusal(file=checkpoint, repo=repo, dry_run=True)


def test_other_files_are_not_published(tmp_path, checkpoint):
    pickled = tmp_path / "blendgan.pt"
    torch.save({"g_ema": {}}, pickled)
    assert f"trainer.convert {pickled}" in refusal(file=pickled, repo="a/b", dry_run=True)
    message = refusal(file=tmp_path / "gone.safetensors", repo="a/b", dry_run=True)
    assert "does not exist" in message
    renamed = checkpoint.rename(tmp_path / "mine.bin")
    assert "does not end in .safetensors" in refusal(file=renamed, repo="a/b", dry_run=True)


def test_a_file_without_a_generator_has_no_picture(tmp_path):
    model = tiny_model(blendgan_core, parts=("style_encoder",))
    path = blendgan_core.save(model, tmp_path / "style.safetensors")
    out = tmp_path / "out"
    card = publish(PublishConfig(file=path, repo="a/b", dry_run=True, out=out)).read_text()
    assert [file.name for file in out.iterdir()] == ["README.md"]
    assert "samples" not in card and "It has no generator and no pSp encoder." in card
    assert "license" not in front_matter(card) and "None is stated." in card


@pytest.mark.parametrize(
    ("stated", "name"),
    [
        ([], None),
        (["MIT"], "mit"),
        (["MIT License", "mit"], "mit"),
        (["CC BY-NC 4.0"], "cc-by-nc-4.0"),
        (["Apache 2.0"], "apache-2.0"),
        (["MIT", "CC0"], "other"),
        (["whatever I like"], "other"),
    ],
)
def test_licences_get_the_names_that_the_hub_knows(stated, name):
    assert _hub_licence(stated) == name
