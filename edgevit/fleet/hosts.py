"""What hands out a site: a web server, with the manners that boards need, or a folder such as a stick's."""

import secrets
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Protocol
from urllib.parse import urlsplit
from urllib.request import url2pathname

import urllib3
from tuf.api.exceptions import DownloadHTTPError
from tuf.ngclient import FetcherInterface, Urllib3Fetcher

from edgevit.errors import OptionError

TIMEOUT_S = 30
"""Longest silence of a server."""
MISSING = (403, 404)
"""What boards take for "there is none"."""


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at."""

    level: Literal["ok", "warning", "failed"]
    text: str


class Host(Protocol):
    """Something that has a site's files."""

    address: str
    """Without a slash at its end."""
    fetcher: FetcherInterface
    """Reads them."""

    def manners(self) -> Iterator[Finding]:
        """Tell how it answers, whatever the site."""

    def resumes(self, path: str, length: int) -> Iterator[Finding]:
        """Tell whether a file of so many bytes can be read from its middle on."""


def open_host(address: str) -> Host:
    """Return the host of a site: https://..., http://..., file://... or a folder.

    Raises:
        OptionError: the address is of another kind.
    """
    scheme = urlsplit(address).scheme
    if scheme in ("http", "https"):
        return WebServer(address)
    if scheme == "file" or "://" not in address:
        return Folder(Path(url2pathname(urlsplit(address).path) if scheme == "file" else address))
    raise OptionError(f"the site is {address!r}, expected https://..., http://..., file://... or a folder")


class WebServer:
    """A server of static files, a bucket, or what pretends to be one."""

    def __init__(self, address: str) -> None:
        """Ask nothing yet."""
        self.address = address.rstrip("/")
        self.fetcher: FetcherInterface = Urllib3Fetcher(TIMEOUT_S)

    def manners(self) -> Iterator[Finding]:
        """Tell what is answered for files that are missing: boards look for a next root document at each check."""
        for path in ("metadata/999999.root.json", f"targets/{secrets.token_hex(8)}.onnx"):
            try:
                status = self._ask(path).status
            except urllib3.exceptions.HTTPError as error:
                reason = getattr(error, "reason", None) or error
                yield Finding("failed", f"{self.address} cannot be reached: {reason}")
                return
            if status not in MISSING:
                yield Finding(
                    "failed",
                    f"a missing file, {path}, is answered with {status}, and boards need 404 or 403: turn off error "
                    "pages that pretend to be files, and rules that send all addresses to one page",
                )
                return
        yield Finding("ok", "missing files are answered as boards need it")

    def resumes(self, path: str, length: int) -> Iterator[Finding]:
        """Tell whether a broken download can go on."""
        middle = length // 2
        answer = self._ask(path, {"Range": f"bytes={middle}-"})
        expected = f"bytes {middle}-{length - 1}/{length}"
        if answer.status == 206 and answer.headers.get("Content-Range") == expected:
            yield Finding("ok", "a broken download goes on where it ended")
        else:
            yield Finding("warning", "the server knows no ranges: a broken download begins anew")

    def _ask(self, path: str, headers: dict[str, str] | None = None) -> urllib3.BaseHTTPResponse:
        with urllib3.PoolManager(timeout=TIMEOUT_S, retries=urllib3.Retry(0, redirect=3)) as pool:
            response = pool.request("GET", f"{self.address}/{path}", headers=headers, preload_content=False)
            response.close()
            return response


class Folder:
    """A folder on this machine."""

    def __init__(self, folder: Path) -> None:
        """Read nothing yet."""
        self.folder = folder
        self.address = folder.resolve().as_uri()
        self.fetcher: FetcherInterface = FolderFetcher()

    def manners(self) -> Iterator[Finding]:
        """Tell whether private keys lie among what is handed out."""
        for path in sorted(self.folder.rglob("*.pem")):
            yield Finding(
                "failed",
                f"{path} looks like a private key: move it away, and if it was on a server, run `edgevit fleet rotate`",
            )

    def resumes(self, path: str, length: int) -> Iterator[Finding]:
        """Say nothing: a file can."""
        yield from ()


class FolderFetcher(FetcherInterface):
    """Reads files as tuf reads what a web server has."""

    def _fetch(self, url: str) -> Iterator[bytes]:
        path = Path(url2pathname(urlsplit(url).path))
        if not path.is_file():
            raise DownloadHTTPError(f"{path} does not exist", MISSING[1])
        return self._pieces(path)

    def _pieces(self, path: Path) -> Iterator[bytes]:
        with path.open("rb") as file:
            while piece := file.read(1 << 16):
                yield piece
