"""Checkpoints by their address on the hub, against a hub on this machine."""

import errno
import os
import pickle
import sys
from pathlib import PurePosixPath, PureWindowsPath

import hub_server
import pytest
import torch
from hub_server import TOKEN, HubServer
from tiny_model import tiny_model

import blendgan_core
from blendgan_core import CheckpointError
from blendgan_core.__main__ import main
from blendgan_core.hub import HubAddress, cached_path, local_path, parse_address

REPO = "ada/faces"
ADDRESS = f"hf://{REPO}/tiny.safetensors"


@pytest.fixture(scope="module")
def content(tmp_path_factory) -> bytes:
    path = tmp_path_factory.mktemp("model") / "tiny.safetensors"
    return blendgan_core.save(tiny_model(blendgan_core), path, {"seed": 3}).read_bytes()


@pytest.fixture
def hub(content):
    with HubServer() as server:
        server.add(REPO, "tiny.safetensors", content)
        yield server


@pytest.fixture
def use_hub(hub, tmp_path, monkeypatch):
    """use_hub(NAME=value, ..): from now on as in a new process with these variables."""

    def use(**variables: str) -> None:
        hub_server.use_hub(monkeypatch, **{"url": hub.url, "home": tmp_path / "home"} | variables)

    use()
    yield use
    hub_server.forget_huggingface_hub()


def refusal(path: str) -> str:
    with pytest.raises(CheckpointError) as error:
        blendgan_core.load(path)
    message = str(error.value)
    assert "\n" not in message
    return message


# addresses


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("hf://a/b/c.safetensors", HubAddress("a/b", "c.safetensors")),
        ("hf://a/b@v1.0/d/e/c.pt", HubAddress("a/b", "d/e/c.pt", "v1.0")),
        ("hf://a/b@refs%2Fpr%2F1/c.pt", HubAddress("a/b", "c.pt", "refs/pr/1")),
        ("hf://A-1/b_2.x/mail@home.pt", HubAddress("A-1/b_2.x", "mail@home.pt")),
    ],
)
def test_an_address_is_taken_apart(text, address):
    """Also when it went through a flag of type Path, which leaves one slash of the two."""
    for path in (text, PurePosixPath(text), PureWindowsPath(text), str(PureWindowsPath(text))):
        assert parse_address(path) == address
    assert str(address) == text


@pytest.mark.parametrize(
    "text",
    [
        "hf://",
        "hf://a/b",
        "hf://a/b/",
        "hf://a//c.pt",
        "hf:///a/b/c.pt",
        "hf://a/b@/c.pt",
        "hf://a/b@v1@v2/c.pt",
        "hf://a@v1/b/c.pt",
        "hf://a/b/../c.pt",
        "hf://a/b//c.pt",
        "hf://-a/b/c.pt",
        "hf://a/b/c\n.pt",
        "hf://datasets/a/b/c.pt",
    ],
)
def test_a_malformed_address_shows_the_right_form(text):
    with pytest.raises(CheckpointError, match=r"expected hf://owner/repo\[@revision\]/path"):
        local_path(text)


def test_other_paths_stay_files(tmp_path, use_hub, content, hub):
    """And huggingface_hub is not even imported for them."""
    for name in ("hf", "hf.safetensors"):
        (tmp_path / name).write_bytes(content)
        blendgan_core.load(tmp_path / name)
    assert "huggingface_hub" not in sys.modules and not hub.requests
    assert refusal("hub://a/b/c.pt").endswith("does not exist; expected a checkpoint file")


@pytest.mark.parametrize("text", ["hf://a", "hf://a--b/c/d.pt", f"hf://a/{'b' * 120}/d.pt"])
def test_the_cache_has_nothing_of_an_address_that_cannot_be(text, use_hub):
    """Such as a damaged delta names for its base."""
    assert cached_path(text) is None


# downloads


def test_it_is_downloaded_once_with_a_progress_bar(use_hub, hub, capfd):
    use_hub(TQDM_POSITION="-1")  # show the bar though this is no terminal
    model, expected = blendgan_core.load(ADDRESS), tiny_model(blendgan_core)
    assert model.provenance == {"seed": 3}
    for name, tensor in expected.state_dict().items():
        assert torch.equal(model.state_dict()[name], tensor), name
    assert "100%" in capfd.readouterr().err
    assert len(hub.downloads()) == 1
    use_hub()
    blendgan_core.load(ADDRESS)
    assert len(hub.downloads()) == 1


def test_a_revision_names_a_branch_a_tag_or_a_commit(use_hub, hub):
    for number, revision in enumerate(["main", "v2", "refs/pr/1", "b" * 40]):
        hub.add(REPO, "deep/er/file.bin", bytes([number]), revision)
    for number, revision in enumerate(["", "@v2", "@refs%2Fpr%2F1", "@" + "b" * 40]):
        assert local_path(f"hf://{REPO}{revision}/deep/er/file.bin").read_bytes() == bytes([number])


def test_a_private_repository_asks_for_a_token_and_gets_it(use_hub, hub):
    hub.repositories[REPO].private = True
    message = refusal(ADDRESS)
    assert ADDRESS in message and "`hf auth login` or set HF_TOKEN" in message
    use_hub(HF_TOKEN=TOKEN)
    blendgan_core.load(ADDRESS)
    assert hub.downloads()[-1].headers["authorization"] == f"Bearer {TOKEN}"


def test_a_wrong_token_is_refused(use_hub):
    use_hub(HF_TOKEN="hf_wrong")
    assert "refuses the token" in refusal(ADDRESS)


def test_a_gated_repository_says_where_to_accept_its_terms(use_hub, hub):
    hub.repositories[REPO].gated = True
    message = refusal(ADDRESS)
    assert "terms" in message and f"{hub.url}/{REPO}" in message and "hf auth login" in message


def test_what_is_not_there_is_named(use_hub, hub):
    hub.add(REPO, "readme.txt", b"")
    assert "no public repository ada/none; check the name" in refusal("hf://ada/none/x.safetensors")
    assert "no such branch, tag or commit" in refusal(f"hf://{REPO}@v9/tiny.safetensors")
    message = refusal(f"hf://{REPO}/tinny.safetensors")
    assert message.endswith("ada/faces has no such file; it has tiny.safetensors")
    use_hub(HF_TOKEN=TOKEN)
    assert "shows your token no repository" in refusal("hf://ada/none/x.safetensors")


@pytest.mark.parametrize(
    ("status", "words"), [(403, "not allowed"), (503, "answers 503"), (429, "answers 429")]
)
def test_a_hub_that_says_no(use_hub, hub, status, words):
    hub.status = status
    assert words in refusal(ADDRESS)


def test_offline_the_cache_serves_or_the_line_says_why_not(use_hub, hub):
    use_hub(HF_HUB_OFFLINE="1")
    message = refusal(ADDRESS)
    assert "HF_HUB_OFFLINE is set and the file is not in the cache" in message
    use_hub()
    blendgan_core.load(ADDRESS)
    asked = len(hub.requests)
    use_hub(HF_HUB_OFFLINE="1")
    blendgan_core.load(ADDRESS)
    assert len(hub.requests) == asked


def test_without_a_connection_the_cache_serves_too(use_hub, hub):
    use_hub(url="http://127.0.0.1:9")  # nothing listens there
    assert "no connection to http://127.0.0.1:9" in refusal(ADDRESS)
    use_hub()
    blendgan_core.load(ADDRESS)
    use_hub(url="http://127.0.0.1:9")
    blendgan_core.load(ADDRESS)


def test_a_cut_download_continues_where_it_stopped(use_hub, hub, content, monkeypatch):
    """Newer versions continue by themselves, 0.20 with the next run."""
    from huggingface_hub import constants, file_download

    for module in (constants, file_download):  # so much arrives as a whole; else 10 MB
        monkeypatch.setattr(module, "DOWNLOAD_CHUNK_SIZE", 4096, raising=False)
    hub.cuts = [5 * 4096]
    try:
        found = local_path(ADDRESS)
    except CheckpointError as error:
        assert "the connection broke" in str(error)
        found = local_path(ADDRESS)
    assert found.read_bytes() == content
    assert [r.headers.get("range") for r in hub.downloads()] == [None, "bytes=20480-"]


def test_a_connection_that_stays_broken_says_what_to_do(use_hub, hub, content):
    hub.cuts = [1000] + [0] * 50
    message = refusal(ADDRESS)
    assert "the connection broke" in message and message.endswith("run the same again")
    hub.cuts = []
    assert local_path(ADDRESS).read_bytes() == content


@pytest.mark.parametrize(
    "bad", [b"not weights", pickle.dumps(os.system), (8).to_bytes(8, "little") + b"{" * 8]
)
def test_what_arrives_goes_through_the_safe_loader(use_hub, hub, bad):
    hub.add(REPO, "bad.safetensors", bad)
    assert "bad.safetensors" in refusal(f"hf://{REPO}/bad.safetensors")


def test_a_full_disk_and_a_forbidden_folder_are_named(use_hub, monkeypatch):
    import huggingface_hub

    for number, words in [(errno.ENOSPC, "is full"), (errno.EACCES, "may not be written to")]:

        def fail(*_, number=number, **__):
            raise OSError(number, os.strerror(number), "blob.incomplete")

        monkeypatch.setattr(huggingface_hub, "hf_hub_download", fail)
        message = refusal(ADDRESS)
        assert words in message and "set HF_HOME" in message


def test_without_huggingface_hub_it_says_how_to_get_it(use_hub, monkeypatch):
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    assert "pip install huggingface_hub" in refusal(ADDRESS)


def test_progress_is_told(use_hub, content):
    """Where huggingface_hub can: newer versions."""
    import inspect

    import huggingface_hub

    told = []
    local_path(ADDRESS, lambda here, whole: told.append((here, whole)))
    if "tqdm_class" in inspect.signature(huggingface_hub.hf_hub_download).parameters:
        assert told[-1] == (len(content), len(content))
    else:
        assert told == []


# the commands


def test_the_commands_take_an_address(use_hub, hub, tmp_path, capsys):
    assert main(["inspect", ADDRESS]) == 0
    assert "resolution: 32 x 32" in capsys.readouterr().out
    out = tmp_path / "pair.png"
    assert main(["pairs", "--checkpoint", ADDRESS, "--out", str(out)]) == 0 and out.exists()
    assert main(["pairs", "--checkpoint", f"hf://{REPO}/no.safetensors", "--out", str(out)]) == 2
    captured = capsys.readouterr().err.splitlines()
    assert captured[-1].startswith(f"error: hf://{REPO}/no.safetensors: ")


def test_the_trainings_take_an_address(use_hub, hub):
    import tyro

    from trainer.gan import GanConfig, load_stylizer

    config = tyro.cli(GanConfig, args=["--natural", "x", "--out", "y", "--init", ADDRESS])
    assert load_stylizer(config.init).provenance == {"seed": 3}
    assert config.init.name == "tiny.safetensors"  # what a provenance calls the parent
