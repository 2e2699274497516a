"""A board as python-tuf's own client has it, which reads a site from the disk."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from tuf.api.exceptions import DownloadHTTPError
from tuf.ngclient import FetcherInterface, Updater


class FolderFetcher(FetcherInterface):
    """Answers as a static web server over a folder would, where a file is missing too."""

    def _fetch(self, url: str) -> Iterator[bytes]:
        path = Path(unquote(urlsplit(url).path))
        if not path.is_file():
            raise DownloadHTTPError(f"no {path}", 404)
        return iter([path.read_bytes()])


class PlainBoard:
    """What a board remembers between its looks at a site."""

    def __init__(self, home: Path, root: Path) -> None:
        """Enrol in `home` with the root document `root`."""
        self.home = home
        self.root = root.read_bytes()
        (home / "store").mkdir(parents=True, exist_ok=True)

    def look(self, site: Path, path: str) -> tuple[dict[str, Any] | None, bytes | None]:
        """Return a model's custom entry and its verified bytes, or twice None; raises what tuf does."""
        updater = Updater(
            str(self.home / "store"),
            f"file://{site}/metadata",
            str(self.home),
            f"file://{site}/targets",
            FolderFetcher(),
            bootstrap=self.root,
        )
        target = updater.get_targetinfo(path)
        if target is None:
            return None, None
        return target.custom, Path(updater.download_target(target, str(self.home / "model"))).read_bytes()
