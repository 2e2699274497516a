"""Hard pictures that a run kept, for the page: the newest of them, and their way into a class."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from edgevit.runtime.sinks.folder import BoundedFolder

SHOWN = 12
"""How many pictures are shown at once."""


@dataclass(frozen=True)
class HardPicture:
    """One picture that waits for its class."""

    name: str
    """What the page calls it: the number of its folder among several, and its place there."""
    folder: BoundedFolder
    path: Path


class HardPictures:
    """What the folders of hard pictures hold. Names from outside are only looked up, never made into paths."""

    def __init__(self) -> None:
        self._folders: tuple[BoundedFolder, ...] = ()
        self.labels: tuple[str, ...] = ()
        """Classes that a picture may be put into; none where pictures have no class."""

    def include(self, folders: Sequence[BoundedFolder], labels: Sequence[str]) -> None:
        """Show these folders, whose pictures may be put into these classes."""
        self.labels, self._folders = tuple(labels), tuple(folders)

    @property
    def kept(self) -> bool:
        """Whether hard pictures are kept at all."""
        return bool(self._folders)

    def newest(self) -> list[HardPicture]:
        """Return the newest of each folder, at most SHOWN of it."""
        return [
            HardPicture(f"{number}/{path.relative_to(folder.root).as_posix()}", folder, path)
            for number, folder in enumerate(self._folders)
            for path in folder.newest(SHOWN)
        ]

    def read(self, name: str) -> bytes:
        """Return one of the newest pictures; FileNotFoundError if it is none of them."""
        return self._find(name).path.read_bytes()

    def sort(self, name: str, label: str) -> Path:
        """Put one of the newest pictures into the folder of a class.

        Raises:
            ValueError: there is no such class.
            OSError: there is no such picture, or it cannot be moved.
        """
        if label not in self.labels:
            raise ValueError(f"there is no class {label!r}")
        found = self._find(name)
        return found.folder.relabel(found.path, label)

    def _find(self, name: str) -> HardPicture:
        for picture in self.newest():
            if picture.name == name:
                return picture
        raise FileNotFoundError(f"{name} is no longer among the pictures to sort")
