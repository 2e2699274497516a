"""Download registry weights once, into a cache; resumed when broken off, checked by SHA-256 at every use."""

import hashlib
import logging
import os
import sys
from pathlib import Path
from urllib.parse import urlsplit

from edgevit.errors import DownloadError, MissingExtraError
from edgevit.models.weights.checkpoint import describe_page
from edgevit.models.zoo.spec import WeightsSpec
from edgevit.system.files import make_folders, replacing

logger = logging.getLogger(__name__)

TIMEOUT_S = 30.0
"""How long to wait for the server between two bytes, in seconds."""
RETRIES = 2
"""How often one call tries again after the connection broke."""


def cache_dir() -> Path:
    """Return where downloads are kept: $EDGEVIT_HOME, else `edgevit` in $XDG_CACHE_HOME or ~/.cache."""
    if home := os.environ.get("EDGEVIT_HOME"):
        return Path(home)
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "edgevit"


def fetch(entry: WeightsSpec, retries: int = RETRIES) -> Path:
    """Return the file of a downloadable entry, downloading it unless it is in the cache.

    The digest of the first download is written beside the file, as FILE.sha256, and a line says so; where the registry
    knows the digest, that one counts.

    Raises:
        DownloadError: no connection, an answer that is not a file of weights, or a digest that is not the expected.
        MissingExtraError: the download library is not installed.
    """
    if entry.url is None:
        raise ValueError(f"{entry.file} is part of the package and is not downloaded")
    path = cache_dir() / entry.file
    record = path.with_name(f"{path.name}.sha256")
    try:
        if path.is_file():
            digest = sha256_of(path)
            _check_cached(path, digest, entry.sha256 or _recorded(record))
        else:
            make_folders(path.parent)
            digest = _download(entry, entry.url, path, retries)
        if not record.is_file():
            if entry.sha256 is None:
                # shown by default: whoever reads it can compare the digest with another download's
                logger.warning(
                    "%s is not pinned, as its publisher states no SHA-256; this one's is %s, and is remembered in %s",
                    path.name,
                    digest,
                    record,
                )
            with replacing(record) as file:
                file.write_text(f"{digest}  {path.name}\n", encoding="utf-8", newline="\n")
    except OSError as error:
        if isinstance(error, DownloadError):
            raise
        raise DownloadError(
            f"cannot keep downloads in {path.parent} ({error.strerror or error}); set EDGEVIT_HOME to another folder, "
            "or pass --weights FILE"
        ) from error
    return path


def sha256_of(path: Path) -> str:
    """Return the file's SHA-256 in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _recorded(record: Path) -> str | None:
    return record.read_text(encoding="utf-8").partition(" ")[0] if record.is_file() else None


def _check_cached(path: Path, digest: str, expected: str | None) -> None:
    if expected is not None and not digest.startswith(expected):
        raise DownloadError(
            f"{path} is damaged: its SHA-256 is {digest[:12]}..., expected {expected[:12]}...; delete it to download "
            "it again"
        )


def _download(entry: WeightsSpec, url: str, path: Path, retries: int) -> str:
    """Fetch, check and only then publish under the final name; return the digest."""
    try:
        import gdown
        import requests
    except ModuleNotFoundError as error:
        raise MissingExtraError("gdown", "downloading weights", "export") from error

    incoming = path.with_name(f"{path.name}.incoming")
    by_hand = f"put the file at {path} by hand, or pass --weights FILE"
    logger.info("downloading %s from %s", path.name, url)
    try:
        # Broken off, it leaves INCOMING????????.part beside it, and continues that file the next time.
        gdown.download(
            url,
            str(incoming),
            quiet=not sys.stderr.isatty(),
            use_cookies=False,
            resume=True,
            timeout=TIMEOUT_S,
            retries=retries,
        )
    except (requests.RequestException, gdown.exceptions.DownloadError) as error:
        raise DownloadError(f"cannot download {url}: {_reason(url, error)}; try again to resume, {by_hand}") from error
    try:
        with incoming.open("rb") as file:
            page = describe_page(file.read(512))
        if page is not None:
            raise DownloadError(f"{url} answered with {page}, not weights (a quota or a login?); {by_hand}")
        digest = sha256_of(incoming)
        if entry.sha256 is not None and not digest.startswith(entry.sha256):
            raise DownloadError(
                f"{url} has the SHA-256 {digest[:12]}..., expected {entry.sha256[:12]}...: changed at its source or "
                f"damaged on its way; try again, or {by_hand}"
            )
        incoming.replace(path)
    finally:
        incoming.unlink(missing_ok=True)
    return digest


def _reason(url: str, error: Exception) -> str:
    """Say in few words why a download failed; the library's own texts run over several lines."""
    import requests

    cause = error.__cause__ if isinstance(error.__cause__, requests.RequestException) else error
    host = urlsplit(url).hostname
    if isinstance(cause, requests.HTTPError) and cause.response is not None:
        return f"{host} answered {cause.response.status_code} {cause.response.reason}"
    if isinstance(cause, requests.Timeout):
        return f"{host} did not answer within {TIMEOUT_S:.0f} s"
    if isinstance(cause, requests.exceptions.ChunkedEncodingError):
        return f"the connection to {host} broke off"
    if isinstance(cause, requests.ConnectionError):
        return f"no connection to {host}"
    return " ".join(str(cause).split())[:200]
