"""A hub on this machine: speaks as much of the Hugging Face hub's HTTP as huggingface_hub uses."""

import hashlib
import json
import os
import re
import sys
import threading
import time
from base64 import b64decode
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import unquote, urlsplit

TOKEN = "hf_ofTheTests"
MAIN_COMMIT = "a" * 40


@dataclass
class Repository:
    """Files by revision; a revision's commit is its name if that is a commit already."""

    revisions: dict[str, dict[str, bytes]] = field(default_factory=dict)
    private: bool = False
    gated: bool = False

    def commit(self, revision: str) -> str:
        if re.fullmatch("[0-9a-f]{40}", revision):
            return revision
        content = json.dumps({name: digest(data) for name, data in self.files(revision).items()})
        return hashlib.sha1(content.encode()).hexdigest()

    def files(self, revision: str) -> dict[str, bytes]:
        return self.revisions[revision]


@dataclass
class Request:
    method: str
    path: str
    headers: dict[str, str]  # lower case names


def digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


class HubServer:
    """`with HubServer() as hub`: answers at hub.url until the block ends."""

    def __init__(self):
        self.repositories: dict[str, Repository] = {}
        self.requests: list[Request] = []
        self.uploads: dict[str, bytes] = {}  # large files by their sha256
        self.cuts: list[int] = []  # the next downloads break off after so many bytes
        self.status: int | None = None  # answer everything with it

    def __enter__(self) -> "HubServer":
        handler = type("HandlerOfThisHub", (Handler,), {"hub": self})
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self.server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, args=(0.02,), daemon=True).start()
        return self

    def __exit__(self, *_) -> None:
        self.server.shutdown()
        self.server.server_close()

    def add(self, repo: str, filename: str, data: bytes, revision: str = "main") -> Repository:
        repository = self.repositories.setdefault(repo, Repository())
        repository.revisions.setdefault(revision, {})[filename] = data
        return repository

    def downloads(self) -> list[Request]:
        return [r for r in self.requests if r.method == "GET" and "/resolve/" in r.path]


def use_hub(monkeypatch, url: str, home: Path, **variables: str) -> None:
    """Let huggingface_hub find the hub at url, with a cache of its own and these variables.

    It reads them when it is imported, so it is forgotten here, and is imported anew by whoever
    needs it next. The server has no xet, and nobody waits between two attempts.
    """
    for name in [n for n in os.environ if n.startswith(("HF_", "HUGGING"))]:
        monkeypatch.delenv(name)
    own = {"HF_ENDPOINT": url, "HF_HOME": str(home), "HF_HUB_DISABLE_XET": "1"}
    for name, value in (own | variables).items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(time, "sleep", lambda seconds: None)
    forget_huggingface_hub()


def forget_huggingface_hub() -> None:
    for name in [n for n in sys.modules if n.split(".")[0] == "huggingface_hub"]:
        del sys.modules[name]


class Handler(BaseHTTPRequestHandler):
    """Answers one connection; the routes are tried in order."""

    hub: HubServer
    protocol_version = "HTTP/1.1"

    def log_message(self, *_) -> None:
        pass

    def _serve(self) -> None:
        path = urlsplit(self.path).path
        headers = {name.lower(): value for name, value in self.headers.items()}
        self.hub.requests.append(Request(self.command, path, headers))
        self.body = self.rfile.read(int(headers.get("content-length", 0)))
        if self.hub.status is not None:
            return self._error(self.hub.status)
        for pattern, answer in ROUTES:
            match = re.fullmatch(pattern, f"{self.command} {path}")
            if match:
                return answer(self, *map(unquote, match.groups()))
        return self._error(404, "RouteNotFound")

    do_GET = do_HEAD = do_POST = do_PUT = _serve

    def _send(self, status: int, data: bytes = b"", **headers: str) -> None:
        self.send_response(status)
        headers.setdefault("Content_Length", str(len(data)))
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(data)

    def _json(self, value: object, status: int = 200) -> None:
        self._send(status, json.dumps(value).encode(), Content_Type="application/json")

    def _error(self, status: int, code: str = "", message: str = "") -> None:
        self._send(status, X_Error_Code=code, X_Error_Message=message)

    def _token(self) -> str | None:
        """The token that was sent, or None."""
        return (self.headers.get("Authorization") or "").removeprefix("Bearer ") or None

    def _repository(self, repo: str, revision: str | None = None) -> Repository | None:
        """What the caller may see, or None after having said no."""
        repository, token = self.hub.repositories.get(repo), self._token()
        if token not in (None, TOKEN):
            self._error(401, message="Invalid credentials in Authorization header")
        elif repository is None or (repository.private and token is None):
            self._error(401 if token is None else 404, "RepoNotFound", "Repository not found")
        elif repository.gated:
            self._error(403, "GatedRepo", "Access to this model is restricted")
        elif revision is not None and revision not in repository.revisions:
            self._error(404, "RevisionNotFound", "Invalid rev id")
        else:
            return repository
        return None

    # downloads

    def resolve(self, repo: str, revision: str, filename: str) -> None:
        repository = self._repository(repo, revision)
        if repository is None:
            return
        data = repository.files(revision).get(filename)
        if data is None:
            return self._error(404, "EntryNotFound", "Entry not found")
        start = int(re.sub(r"bytes=(\d+)-.*", r"\1", self.headers.get("Range", "bytes=0-")))
        headers = {
            "ETag": f'"{digest(data)}"',
            "X_Repo_Commit": repository.commit(revision),
            "X_Linked_Size": str(len(data)),
            "Accept_Ranges": "bytes",
            "Content_Length": str(len(data) - start),
        }
        if start:
            headers["Content_Range"] = f"bytes {start}-{len(data) - 1}/{len(data)}"
        end = len(data)
        if self.command == "GET" and self.hub.cuts:
            end = min(end, start + self.hub.cuts.pop(0))
            self.close_connection = True
        self._send(206 if start else 200, data[start:end], **headers)

    def model_info(self, repo: str, revision: str = "main") -> None:
        repository = self._repository(repo, revision)
        if repository is not None:
            names = [{"rfilename": name} for name in repository.files(revision)]
            info = {"id": repo, "modelId": repo, "sha": repository.commit(revision)}
            info |= {"private": repository.private, "tags": [], "downloads": 0, "likes": 0}
            self._json(info | {"siblings": names})

    # uploads

    def create(self) -> None:
        asked = json.loads(self.body)
        if self._token() != TOKEN:
            return self._error(401, message="Invalid username or password.")
        if asked.get("organization") == "somebody-else":
            return self._error(403, message="You don't have the rights to create a model")
        repo = f"{asked['organization']}/{asked['name']}"
        private = asked.get("private") or asked.get("visibility") == "private"
        if repo in self.hub.repositories:
            return self._json({"url": f"{self.hub.url}/{repo}"}, 409)
        self.hub.repositories[repo] = Repository({"main": {}}, private=bool(private))
        return self._json({"url": f"{self.hub.url}/{repo}"})

    def validate_yaml(self) -> None:
        self._json({"errors": [], "warnings": []})

    def preupload(self, repo: str, revision: str) -> None:
        names = [entry["path"] for entry in json.loads(self.body)["files"]]
        modes = {name: "regular" if name.endswith(".md") else "lfs" for name in names}
        files = [{"path": n, "uploadMode": m, "shouldIgnore": False} for n, m in modes.items()]
        self._json({"files": files})

    def large_file_batch(self, repo: str) -> None:
        objects = []
        for entry in json.loads(self.body)["objects"]:
            actions = {"upload": {"href": f"{self.hub.url}/large/{entry['oid']}", "header": {}}}
            present = entry["oid"] in self.hub.uploads
            objects.append(entry | ({} if present else {"actions": actions}))
        self._json({"transfer": "basic", "objects": objects})

    def large_file(self, oid: str) -> None:
        self.hub.uploads[oid] = self.body
        self._send(200)

    def commit(self, repo: str, revision: str) -> None:
        if self._token() != TOKEN:
            return self._error(401)
        files = self.hub.repositories[repo].revisions[revision]
        for line in self.body.splitlines():
            entry = json.loads(line)
            if entry["key"] == "file":
                files[entry["value"]["path"]] = b64decode(entry["value"]["content"])
            elif entry["key"] == "lfsFile":
                files[entry["value"]["path"]] = self.hub.uploads[entry["value"]["oid"]]
        address = f"{self.hub.url}/{repo}/commit/{MAIN_COMMIT}"
        return self._json({"success": True, "commitUrl": address, "commitOid": MAIN_COMMIT})


REPO = "([^/]+/[^/]+?)"
ROUTES = [
    (f"(?:GET|HEAD) /{REPO}/resolve/([^/]+)/(.+)", Handler.resolve),
    (f"GET /api/models/{REPO}", Handler.model_info),
    (f"GET /api/models/{REPO}/revision/(.+)", Handler.model_info),
    ("POST /api/repos/create", Handler.create),
    ("POST /api/validate-yaml", Handler.validate_yaml),
    (f"POST /api/models/{REPO}/preupload/(.+)", Handler.preupload),
    (f"POST /{REPO}.git/info/lfs/objects/batch", Handler.large_file_batch),
    ("PUT /large/(.+)", Handler.large_file),
    (f"POST /api/models/{REPO}/commit/(.+)", Handler.commit),
]
