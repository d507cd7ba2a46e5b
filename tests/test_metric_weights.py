"""Weights of metrics come from their addresses by --download alone, once, and only if whole."""

import hashlib
import threading
from dataclasses import replace
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import torch

from blendgan_core.errors import BlendGANError
from trainer import metric_weights
from trainer.metric_weights import DOWNLOADS, Download, fetch
from trainer.paper_tables import PaperTablesConfig, check_paper_flags, to_download, with_downloads

CONTENT = b"weights"


@pytest.fixture
def asked(tmp_path, monkeypatch) -> list[str]:
    """A server in place of the addresses, and a cache of its own; the paths that were asked for."""
    paths = []

    class Handler(SimpleHTTPRequestHandler):
        def log_message(self, *_):
            pass

        def do_GET(self):
            paths.append(self.path)
            self.send_response(200)
            self.send_header("Content-Length", str(len(CONTENT)))
            self.end_headers()
            self.wfile.write(CONTENT)

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    address = f"http://127.0.0.1:{server.server_port}"
    sha256 = hashlib.sha256(CONTENT).hexdigest()
    own = {name: Download(f"{address}/{name}", sha256, f"{name}.pth") for name in DOWNLOADS}
    monkeypatch.setattr(metric_weights, "DOWNLOADS", own)
    monkeypatch.setattr(torch.hub, "_hub_dir", str(tmp_path / "hub"))
    yield paths
    server.shutdown()
    server.server_close()


def test_what_is_missing_is_fetched_once_and_what_is_given_stays(asked, tmp_path):
    given = tmp_path / "own.pth"
    given.touch()
    config = PaperTablesConfig(art=(tmp_path,), lpips=given, download=True)
    check_paper_flags(config)
    for _ in range(2):
        found = with_downloads(config)
        assert found.lpips == given
        assert found.inception == tmp_path / "hub" / "checkpoints" / "inception.pth"
        assert Path(found.alexnet).read_bytes() == found.inception.read_bytes() == CONTENT
        check_paper_flags(found)
    assert asked == ["/inception", "/alexnet"]


def test_nothing_is_fetched_without_the_flag_or_without_a_use(asked, tmp_path):
    assert with_downloads(PaperTablesConfig(art=(tmp_path,))) == PaperTablesConfig(art=(tmp_path,))
    assert to_download(PaperTablesConfig(download=True)) == ["lpips", "alexnet"]
    assert not asked
    with pytest.raises(BlendGANError, match="--natural needs --inception.*--download fetches it"):
        check_paper_flags(PaperTablesConfig(natural=(tmp_path,)))


def test_another_file_than_was_published_is_not_kept(asked, monkeypatch, tmp_path):
    wrong = replace(metric_weights.DOWNLOADS["lpips"], sha256="0123")
    monkeypatch.setitem(metric_weights.DOWNLOADS, "lpips", wrong)
    with pytest.raises(BlendGANError, match=r"--download: .*/lpips could.*hash.*--lpips"):
        fetch("lpips")
    assert not list((tmp_path / "hub" / "checkpoints").iterdir())


def test_a_closed_network_is_told_with_the_address(asked, monkeypatch, tmp_path):
    gone = replace(metric_weights.DOWNLOADS["lpips"], url="http://127.0.0.1:9/alex.pth")
    monkeypatch.setitem(metric_weights.DOWNLOADS, "lpips", gone)
    with pytest.raises(BlendGANError, match=r"127\.0\.0\.1:9/alex\.pth could not.*put it at"):
        fetch("lpips")


def test_addresses_are_those_of_the_publishers():
    """torch-fidelity's, the lpips repository's and torchvision's; names end in the checksum."""
    for name, wanted in DOWNLOADS.items():
        assert wanted.url.startswith("https://"), name
        digits = wanted.url.rsplit("-", 1)[-1].removesuffix(".pth")
        assert name == "lpips" or wanted.sha256.startswith(digits)
