"""Checkpoints on the Hugging Face hub: `hf://owner/repo[@revision]/path/file.safetensors`.

All of it goes through huggingface_hub, which is imported only for such an address: its cache, its
token, mirrors (HF_ENDPOINT), HF_HUB_OFFLINE. Whatever goes wrong becomes one line.
"""

import errno
import inspect
import os
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote

from .errors import CheckpointError

FORM = "hf://owner/repo[@revision]/path/file.safetensors"
NAME = r"[A-Za-z0-9](?:[A-Za-z0-9_.-]*[A-Za-z0-9_])?"
ADDRESS = re.compile(rf"hf://({NAME}/{NAME})(?:@([^@/\s]+))?/([^\x00-\x1f]+)")
OTHER_KINDS = ("models", "datasets", "spaces", "buckets")  # no owners: the hub's own prefixes
TOO_LONG = 160  # characters of a reason that comes from somebody else's code
LISTED = 5  # file names that a "not found" shows

OnProgress = Callable[[int, int], Any]  # bytes that are here, bytes of the whole file


@dataclass(frozen=True)
class HubAddress:
    """One file of a model repository on the hub."""

    repo: str
    """owner/name"""
    filename: str
    """path inside the repository, with slashes"""
    revision: str | None = None
    """branch, tag or commit; None for the main branch"""

    def __str__(self) -> str:
        revision = f"@{quote(self.revision, safe='')}" if self.revision else ""
        return f"hf://{self.repo}{revision}/{self.filename}"


def is_address(path: str | os.PathLike) -> bool:
    """Whether this names a file on the hub; pathlib leaves one slash of the two."""
    return re.match(r"hf:[/\\]", os.fspath(path)) is not None


def parse_address(path: str | os.PathLike) -> HubAddress:
    """Take an address apart; CheckpointError if it is malformed.

    The revision is what stands between the @ and the next slash, so a slash in a branch's name is
    written %2F. A pathlib.Path of an address is understood too, on Windows with its backslashes.
    """
    text = re.sub(r"^hf:/(?!/)", "hf://", os.fspath(path).replace("\\", "/"))
    match = ADDRESS.fullmatch(text)
    if match is None:
        raise CheckpointError(f"{text} is not an address on the hub; expected {FORM}")
    repo, revision, filename = match.groups()
    if repo.split("/")[0] in OTHER_KINDS:
        raise CheckpointError(
            f"{text} is not the address of a model: '{repo.split('/')[0]}' is no owner; "
            f"expected {FORM}"
        )
    if {"", ".", ".."} & set(filename.split("/")):
        raise CheckpointError(f"{text} has an empty or dotted folder in it; expected {FORM}")
    return HubAddress(repo, filename, unquote(revision) if revision else None)


def local_path(path: str | os.PathLike, on_progress: OnProgress | None = None) -> Path:
    """Where the file lies on this machine: a path as it is, an hf:// address after its download."""
    return download(parse_address(path), on_progress) if is_address(path) else Path(path)


def download(address: HubAddress, on_progress: OnProgress | None = None) -> Path:
    """Fetch a file into huggingface_hub's cache, with a progress bar on stderr; return its path.

    The cache is asked first, and the hub only whether it has something newer. on_progress is called
    beside the bar, where huggingface_hub can (0.20 cannot). Raises CheckpointError.
    """
    try:
        from huggingface_hub import hf_hub_download
    except ImportError as error:
        raise not_installed(str(address)) from error
    accepted = inspect.signature(hf_hub_download).parameters
    options = {}
    if "resume_download" in accepted and accepted["resume_download"].default is False:
        options["resume_download"] = True  # versions that throw a part away unless they are asked
    if on_progress is not None and "tqdm_class" in accepted:
        options["tqdm_class"] = _bar_that_tells(on_progress)
    try:
        found = hf_hub_download(
            address.repo, address.filename, revision=address.revision, **options
        )
    except Exception as error:  # of requests, httpx or xet, depending on the version
        raise explain(error, str(address), address.repo, address) from error
    return Path(found)


def cached_path(address: str) -> Path | None:
    """Where huggingface_hub's cache holds the file of an hf:// address, None if it does not or if
    the address is malformed; never downloads."""
    try:
        from huggingface_hub import try_to_load_from_cache

        wanted = parse_address(address)
        found = try_to_load_from_cache(wanted.repo, wanted.filename, revision=wanted.revision)
    except (ImportError, ValueError):  # the latter of parse_address or of huggingface_hub's check
        return None
    return Path(found) if isinstance(found, str) else None


def explain(
    error: Exception, subject: str, repo: str, address: HubAddress | None = None
) -> CheckpointError:
    """What huggingface_hub raised, as one line that says what to do.

    subject: what the line begins with; address: what was being downloaded, None for an upload.
    """
    from huggingface_hub import constants, get_token, utils

    host = constants.ENDPOINT
    cache = Path(constants.HF_HUB_CACHE)
    not_reached = isinstance(error, utils.LocalEntryNotFoundError)
    error = _first_cause(error)
    status = getattr(getattr(error, "response", None), "status_code", None)
    log_in = "log in with `hf auth login` or set HF_TOKEN"
    if isinstance(error, utils.OfflineModeIsEnabled):
        absent = f" and the file is not in the cache ({cache})" if address else ""
        text = f"HF_HUB_OFFLINE is set{absent}; unset it and run the same again"
    elif isinstance(error, utils.GatedRepoError):
        text = f"its owner wants terms to be accepted: do so at {host}/{repo}, then {log_in}"
    elif isinstance(error, utils.RepositoryNotFoundError) and get_token():
        text = (
            f"{host} shows your token no repository {repo}; check the name, and the token's "
            f"permissions at {host}/settings/tokens"
        )
    elif isinstance(error, utils.RepositoryNotFoundError):
        text = (
            f"{host} has no public repository {repo}; check the name, or if it is private {log_in}"
        )
    elif isinstance(error, utils.RevisionNotFoundError):
        text = f"{repo} has no such branch, tag or commit; look at {host}/{repo}/tree/main"
    elif isinstance(error, utils.EntryNotFoundError) and not not_reached and address:
        text = f"{repo} has no such file; {_what_there_is(address)}"
    elif status == 401:
        text = (
            f"{host} refuses the token; {log_in}"
            if get_token()
            else f"{host} asks who you are; {log_in}"
        )
    elif status == 403:
        text = (
            f"the token is not allowed to do this; change its permissions at "
            f"{host}/settings/tokens, or ask the owner of {repo}"
        )
    elif status is not None:
        text = f"{host} answers {status} ({_reason(error)}); run the same again later"
    elif isinstance(error, utils.HFValidationError):
        text = f"not a name that the hub allows ({_reason(error)})"
    elif isinstance(error, utils.FileMetadataError):
        text = (
            f"{host} does not answer as a hub does; check HF_ENDPOINT, the proxy and the firewall"
        )
    elif os.strerror(errno.ENOSPC) in str(error):
        text = (
            f"the disk of {cache} is full; free some space, or set HF_HOME to another disk's folder"
        )
    elif isinstance(error, PermissionError) or getattr(error, "errno", None) == errno.EROFS:
        text = f"{error.filename or cache} may not be written to; set HF_HOME to a folder of yours"
    elif not_reached:
        text = (
            f"no connection to {host} ({_reason(error)}) and the file is not in the cache "
            f"({cache}); run the same again when there is one"
        )
    else:
        text = f"the connection broke ({_reason(error)}); run the same again"
    return CheckpointError(f"{subject}: {text}")


def not_installed(subject: str) -> CheckpointError:
    """huggingface_hub is missing; subject: what needs it."""
    return CheckpointError(
        f"{subject}: this needs huggingface_hub, which is not installed; run `pip install "
        "huggingface_hub`, or do it with a browser"
    )


def _first_cause(error: Exception) -> Exception:
    """What lies under the wrappers; an answer of the hub stays whole."""
    from huggingface_hub.utils import HfHubHTTPError, LocalEntryNotFoundError

    while error.__cause__ is not None and (
        isinstance(error, LocalEntryNotFoundError) or not isinstance(error, HfHubHTTPError)
    ):
        error = error.__cause__
    return error


def _reason(error: Exception) -> str:
    text = " ".join(str(error).split()) or type(error).__name__
    return text if len(text) <= TOO_LONG else text[:TOO_LONG] + ".."


def _what_there_is(address: HubAddress) -> str:
    """Checkpoints that the repository does have, if the hub tells at once."""
    from huggingface_hub import HfApi

    try:
        info = HfApi().model_info(address.repo, revision=address.revision, timeout=5)
    except Exception:  # only a hint
        return "check the name"
    names = [entry.rfilename for entry in info.siblings or ()]
    names = sorted(name for name in names if name.endswith(".safetensors"))
    if not names:
        return "it has no .safetensors file at all"
    more = f" and {len(names) - LISTED} more" if len(names) > LISTED else ""
    return f"it has {', '.join(names[:LISTED])}{more}"


def _bar_that_tells(on_progress: OnProgress) -> type:
    """huggingface_hub's progress bar, which also tells somebody else."""
    from huggingface_hub.utils import tqdm

    class Bar(tqdm):
        def __init__(self, *args, **options):
            super().__init__(*args, **options)
            self.here, self.whole = options.get("initial") or 0, options.get("total") or 0

        def update(self, n=1):
            self.here += n  # tqdm's own count stands still where no terminal shows it
            on_progress(self.here, self.whole)
            return super().update(n)

    return Bar
