"""Getting a site's files, from a web server or a stick: within bounds, and from where a broken transfer ended."""

import contextlib
import os
import time
from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit
from urllib.request import url2pathname

import urllib3
from tuf.api.exceptions import DownloadError, DownloadHTTPError, DownloadLengthMismatchError, SlowRetrievalError
from tuf.ngclient import Urllib3Fetcher

from edgevit import __version__
from edgevit.runtime.update.offer import LARGEST

CHUNK = 1 << 14
"""Bytes that are read at once, at most."""
LONGEST_REASON = 200
"""Characters of what is wrong with a connection, at most."""
NOT_FOUND = 404
_WHOLE = getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_BINARY", 0)
"""Windows, where `edgevit fleet check` runs too, has only the latter."""


@dataclass(frozen=True)
class Bounds:
    """How long a board goes on, and how much it takes."""

    gap_s: int = 30
    """Longest silence of a server, in seconds."""
    total_s: float = 3600.0
    """Longest time of a check and its download together, in seconds; the next check goes on from there."""
    largest: int = LARGEST
    """Bytes of a model, at most."""
    tries: int = 6
    """How often in a row a transfer that breaks off is taken up again, unless it has brought something."""
    pause_s: float = 2.0
    """Time before it is, in seconds."""


class SiteFetcher(Urllib3Fetcher):
    """What tuf asks for a site's documents, and what fetches models; all it raises is a DownloadError."""

    def __init__(self, bounds: Bounds, sleep: Callable[[float], None] = time.sleep) -> None:
        """Begin; the whole time counts from now on."""
        super().__init__(bounds.gap_s, CHUNK, f"edgevit/{__version__}")
        self._bounds, self._sleep = bounds, sleep
        self._until_s = time.monotonic() + bounds.total_s

    def _fetch(self, url: str) -> Iterator[bytes]:
        return self._open(url, 0)[1]

    def resume(self, url: str, path: Path, length: int) -> None:
        """Fetch a file of so many bytes into `path`, after what is there already, and flush it to the disk.

        Raises:
            DownloadError: it cannot be had, or has another length; what came stays for the next time.
            OSError: the disk does not take it.
        """
        failures = 0
        while True:
            had = path.stat().st_size if path.exists() else 0
            if had == length:
                return
            try:
                self._append(url, path, had if had < length else 0, length)
                if path.stat().st_size < length:
                    raise DownloadLengthMismatchError(f"{url} has {path.stat().st_size} bytes, expected {length}")
            except (DownloadHTTPError, DownloadLengthMismatchError):
                raise
            except DownloadError:
                failures = 0 if path.exists() and path.stat().st_size > had else failures + 1
                if failures >= self._bounds.tries or self._late(self._bounds.pause_s):
                    raise
                self._sleep(self._bounds.pause_s)

    def _append(self, url: str, path: Path, offset: int, length: int) -> None:
        # a server that knows no ranges begins anew
        offset, chunks = self._open(url, offset)
        # never through a link: who may write to the folder could have root overwrite any file
        handle = os.open(path, os.O_RDWR | os.O_CREAT | _WHOLE, 0o666)
        with contextlib.closing(chunks), os.fdopen(handle, "r+b") as file:
            file.truncate(offset)
            file.seek(offset)
            try:
                for chunk in chunks:
                    if file.tell() + len(chunk) > length:
                        file.truncate(0)
                        raise DownloadLengthMismatchError(f"{url} has more than {length} bytes")
                    file.write(chunk)
            finally:
                file.flush()
                os.fsync(file.fileno())

    def _open(self, url: str, offset: int) -> tuple[int, Generator[bytes]]:
        """Return from which byte on, `offset` or 0, the file's bytes come, and these."""
        return self._open_file(url, offset) if url.startswith("file:") else self._ask(url, offset)

    def _open_file(self, url: str, offset: int) -> tuple[int, Generator[bytes]]:
        from edgevit.artifact.files import open_regular  # most boards have a network, and do without

        path = url2pathname(urlsplit(url).path)
        try:
            file = open_regular(path)
        except (FileNotFoundError, NotADirectoryError) as error:
            raise DownloadHTTPError(f"{path} does not exist", NOT_FOUND) from error
        except OSError as error:
            raise DownloadError(f"{path} cannot be read: {error.strerror or error}") from error
        file.seek(offset)

        def chunks() -> Generator[bytes]:
            with file:
                try:
                    while chunk := file.read(CHUNK):
                        self._check_time(url)
                        yield chunk
                except OSError as error:
                    raise DownloadError(f"{path} cannot be read: {error.strerror or error}") from error

        return offset, chunks()

    def _ask(self, url: str, offset: int) -> tuple[int, Generator[bytes]]:
        self._check_time(url)
        headers = {"Range": f"bytes={offset}-"} if offset else {}
        try:
            # a name that tuf does not promise, but its way through proxies: see test_private_names.py
            response = self._proxy_env.request(
                "GET",
                url,
                headers={"Accept-Encoding": "identity", **headers},
                preload_content=False,
                timeout=urllib3.Timeout(self.socket_timeout),
                retries=urllib3.Retry(3, connect=1, read=1, status=0, backoff_factor=0.5),
            )
        except (urllib3.exceptions.HTTPError, ValueError) as error:  # the latter for a redirection to no address
            raise DownloadError(f"{urlsplit(url).netloc} cannot be reached ({_reason(error)})") from error
        status = response.status
        # some hosts, and the login pages of guest networks, answer everything with a page; ours are never pages
        if "html" in response.headers.get("Content-Type", "") and status < 400:
            status = NOT_FOUND
        if status >= 400:
            response.close()
            if status == 416 and offset:  # what is there is longer than the file
                return self._ask(url, 0)
            raise DownloadHTTPError(f"{url} is answered with {response.status}", status)
        begins = response.headers.get("Content-Range", "").startswith(f"bytes {offset}-")
        return (offset if status == 206 and begins else 0), self._pieces(url, response)

    def _pieces(self, url: str, response: urllib3.response.BaseHTTPResponse) -> Generator[bytes]:
        """Yield what comes, as it comes: a server that sends a byte now and then meets the bound of the whole time."""
        try:
            while chunk := response.read1(CHUNK, decode_content=False):
                self._check_time(url)
                yield chunk
        except urllib3.exceptions.HTTPError as error:
            raise DownloadError(f"the transfer broke off ({_reason(error)})") from error
        finally:
            response.close()

    def _late(self, ahead_s: float = 0.0) -> bool:
        return time.monotonic() + ahead_s > self._until_s

    def _check_time(self, url: str) -> None:
        if self._late():
            raise SlowRetrievalError(f"{url} takes longer than {self._bounds.total_s:g} s")


def _reason(error: BaseException) -> str:
    """Return what is wrong in few words: urllib3 wraps errors into each other, and tells each one's parts."""
    inner = next((one for one in (getattr(error, "reason", None), *error.args) if isinstance(one, BaseException)), None)
    if inner is not None:
        return _reason(inner)
    text = getattr(error, "strerror", None) or str(error).rpartition(": ")[2]
    # a redirection's address may be of any length
    return text[:LONGEST_REASON] or type(error).__name__
