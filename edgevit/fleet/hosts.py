"""What hands out a site: a web server, with the manners that boards need, or a folder such as a stick's."""

import secrets
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from http.client import HTTPException
from pathlib import Path
from typing import Literal, Protocol
from urllib.error import HTTPError
from urllib.parse import urlsplit
from urllib.request import Request, url2pathname, urlopen

from edgevit import __version__
from edgevit.runtime.update.enrollment import check_site

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

    def manners(self) -> Iterator[Finding]:
        """Tell how it answers, whatever the site."""

    def resumes(self, path: str, length: int) -> Iterator[Finding]:
        """Tell whether a file of so many bytes can be read from its middle on."""


def open_host(address: str) -> Host:
    """Return the host of a site: https://..., http://..., file://... or a folder.

    Raises:
        OptionError: boards would not follow such an address.
    """
    if "://" not in address and not address.lower().startswith("file:"):
        return Folder(Path(address))
    parts = urlsplit(known := check_site(address))
    return Folder(Path(url2pathname(parts.path))) if parts.scheme == "file" else WebServer(known)


class WebServer:
    """A server of static files, a bucket, or what pretends to be one."""

    def __init__(self, address: str) -> None:
        """Ask nothing yet."""
        self.address = address.rstrip("/")

    def manners(self) -> Iterator[Finding]:
        """Tell what is answered for files that are missing: boards look for a next root document at each check."""
        for path in ("metadata/999999.root.json", f"targets/{secrets.token_hex(8)}.onnx"):
            try:
                status, _ = self._ask(path)
            except (OSError, HTTPException) as error:
                reason = getattr(error, "reason", None) or error
                yield Finding("failed", f"{self.address} cannot be reached: {reason}")
                return
            if status not in MISSING:
                yield Finding(
                    "failed",
                    f"a missing file, {path}, is answered with {status}, expected 404 or 403: turn off error pages "
                    "that pretend to be files, and rules that send all addresses to one page",
                )
                return
        yield Finding("ok", "missing files are answered as boards need it")

    def resumes(self, path: str, length: int) -> Iterator[Finding]:
        """Tell whether a broken download can go on."""
        middle = length // 2
        try:
            status, content_range = self._ask(path, {"Range": f"bytes={middle}-"})
        except (OSError, HTTPException):
            status, content_range = 0, None
        expected = f"bytes {middle}-{length - 1}/{length}"
        if status == 206 and content_range == expected:
            yield Finding("ok", "a broken download goes on where it ended")
        else:
            yield Finding("warning", "the server knows no ranges: a broken download begins anew")

    def _ask(self, path: str, headers: Mapping[str, str] | None = None) -> tuple[int, str | None]:
        """Return the status of an answer, and which bytes it says it has."""
        request = Request(f"{self.address}/{path}", headers={"User-Agent": f"edgevit/{__version__}", **(headers or {})})
        try:
            with urlopen(request, timeout=TIMEOUT_S) as answer:
                return answer.status, answer.headers["Content-Range"]
        except HTTPError as error:
            with error:
                return error.code, None


class Folder:
    """A folder on this machine."""

    def __init__(self, folder: Path) -> None:
        """Read nothing yet."""
        self.folder = folder
        self.address = folder.resolve().as_uri()

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
