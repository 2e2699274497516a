"""A folder of pictures under a quota: each is there whole or not at all, and the oldest make room for the newest."""

import contextlib
import itertools
import logging
import re
import tempfile
import threading
from collections import deque
from dataclasses import dataclass
from pathlib import Path

from edgevit.errors import OutputError
from edgevit.system.files import PART, OwnedFolder, make_folders, replacing

log = logging.getLogger(__name__)

SORTED = "sorted-"
"""Beginning of the name of a picture that somebody put into its class."""

_NUMBERED = re.compile(r"([0-9]{8,})-(.*)\.(?:jpg|txt)", re.DOTALL)

_NOTE = b"edgevit may delete this picture for its quota"
MARK = b"\xff\xfe" + (len(_NOTE) + 2).to_bytes(2, "big") + _NOTE
"""A comment in a JPEG, by which a picture is known that may be deleted: a name may be that of anybody's photo."""
_HEAD = 128
"""Bytes of a file in which the mark stands."""
_DEVICE = re.compile(r"(con|prn|aux|nul|conin\$|conout\$|(com|lpt)[0-9¹²³])", re.IGNORECASE | re.ASCII)
"""Names that Windows keeps for devices, also before a dot:
https://learn.microsoft.com/windows/win32/fileio/naming-a-file"""


@dataclass(frozen=True)
class _Kept:
    number: int
    path: Path
    size: int


class BoundedFolder:
    """Numbered pictures in a folder and the folders in it.

    Their age is the order of their numbers: a clock that is set back makes no picture older. A picture that somebody
    moved into the folder of another class is theirs: it is neither counted nor deleted. So is every picture without the
    mark that is written into each, whatever it is called.
    """

    def __init__(self, root: Path, quota: int, *, durable: bool = True, labels: Path | None = None) -> None:
        """Make the folder, or take over what an earlier run left in it.

        Args:
            root: the folder.
            quota: bytes that its pictures may take.
            labels: a folder in which a text file lies for each picture, under its name. Both count for the quota and
                are deleted together; where somebody changed the text, both are his.
            durable: flush each picture to the disk, which on an SD card takes tens of milliseconds. Without, a power
                cut may leave the last ones empty; the next start removes them.

        Raises:
            OutputError: it cannot be written, or another run writes there.
        """
        self.root, self._quota, self._durable, self._labels = root, quota, durable, labels
        beside = () if labels is None else (labels,)
        self._owned = OwnedFolder()
        try:
            for made in (root, *beside):
                make_folders(made)
            self._owned.have(root)
            folders = (root, *_folders(root))
            for part in (part for folder in (*folders, *beside) for part in folder.glob(f"{PART}*")):
                part.unlink(missing_ok=True)
            named = [path for folder in (*folders, *beside) for path in folder.iterdir()]
            taken = {int(match[1]) for path in named if (match := _NUMBERED.fullmatch(path.name))}
            at_home = [path for path in named if _is_home(path, root)]
            marked = [path for path in at_home if _is_marked(path)]
            found = [_kept(path, labels) for path in marked if labels is None or _is_untouched(path, labels)]
            with tempfile.TemporaryFile(dir=root):
                pass
        except OutputError:
            raise
        except OSError as error:
            self._owned.close()
            reason = error.strerror or error
            raise OutputError(f"the folder {root} cannot be written: {reason}; choose one that can") from error
        if others := len(at_home) - len(marked):
            log.warning(
                "%s: pictures that the quota neither counts nor deletes, as they are yours or an earlier version's: %d",
                root,
                others,
            )
        for kept in found:
            if not kept.size:
                kept.path.unlink(missing_ok=True)
        self._kept = deque(sorted(found, key=lambda kept: kept.number))
        self._refused = False
        """Whether a picture has been larger than the quota."""
        self._guard = threading.Lock()
        """Pictures are stored by the run's thread, and put into classes by those of its page."""
        self._bytes = sum(kept.size for kept in self._kept)
        self._taken = taken
        """Numbers that names there have, of whatever it is: none is written over."""
        self._next = max((kept.number for kept in self._kept), default=-1) + 1
        self._make_room(0)

    def store(self, label: str, notes: str, picture: bytes, *, sort: bool, text: bytes = b"") -> Path | None:
        """Write a picture, named by its number, its label and `notes`; in a folder named by the label if `sort`.

        `text` goes into the folder of texts, where there is one.

        Return its path; None if it is larger than the quota.

        Raises:
            OSError: the disk does not take it.
        """
        picture = _marked(picture)
        if (size := len(picture) + len(text)) > self._quota:
            if not self._refused:
                log.warning(
                    "%s: a picture of %d bytes is larger than the quota of %d, and so not kept; give more, such as "
                    "quota=500MB",
                    self.root,
                    size,
                    self._quota,
                )
            self._refused = True
            return None
        with self._guard:
            return self._store(label, notes, picture, text, sort=sort)

    def close(self) -> None:
        """Let another run have the folder."""
        self._owned.close()

    def newest(self, most: int) -> list[Path]:
        """Return the newest pictures that nobody has put into a class yet, at most so many."""
        with self._guard:
            paths = [kept.path for kept in reversed(self._kept)]
        found: list[Path] = []
        for path in paths:
            if len(found) == most:
                break
            if path.is_file():
                found.append(path)
        return found

    def relabel(self, path: Path, label: str) -> Path:
        """Put a picture of `newest` into the folder of its class; it is never counted or deleted from then on.

        Raises:
            FileNotFoundError: it is none of this folder's pictures, or no longer there.
            OSError: it cannot be moved.
        """
        with self._guard:
            kept = next((kept for kept in self._kept if kept.path == path), None)
            if kept is None or not path.is_file():
                raise FileNotFoundError(f"{path.name} is no longer among the pictures to sort")
            folder = self.root / folder_name(label)
            make_folders(folder)
            # a picture of this name may have been put here before
            for attempt in itertools.count(1):
                moved = folder / f"{SORTED}{path.stem}{f'-{attempt}' if attempt > 1 else ''}{path.suffix}"
                if not moved.exists():
                    break
            path.rename(moved)
            self._kept.remove(kept)
            self._bytes -= kept.size
            return moved

    def _store(self, label: str, notes: str, picture: bytes, text: bytes, *, sort: bool) -> Path:
        self._make_room(len(picture) + len(text))
        while self._next in self._taken:
            self._next += 1
        name = folder_name(label)
        folder = self.root / name if sort else self.root
        make_folders(folder)
        path = folder / f"{self._next:08d}-{name}{notes}.jpg"
        with contextlib.ExitStack() as undoing:
            # first, so that a text that is newer than its picture is one that somebody changed
            if self._labels is not None:
                label_path = _label(path, self._labels)
                with replacing(label_path, durable=self._durable) as part:
                    part.write_bytes(text)
                undoing.callback(label_path.unlink)
            with replacing(path, durable=self._durable) as part:
                part.write_bytes(picture)
            undoing.pop_all()
        self._kept.append(_Kept(self._next, path, len(picture) + len(text)))
        self._bytes += len(picture) + len(text)
        self._next += 1
        return path

    def _make_room(self, size: int) -> None:
        while self._kept and self._bytes + size > self._quota:
            oldest = self._kept.popleft()
            self._bytes -= oldest.size
            if self._labels is None:
                oldest.path.unlink(missing_ok=True)
            elif _is_untouched(oldest.path, self._labels):
                oldest.path.unlink()
                _label(oldest.path, self._labels).unlink()


def folder_name(label: str) -> str:
    """Return a label as the name of a folder, on Windows and memory sticks too: "n/a" as "n_a", "con" as "_con"."""
    name = re.sub(r"[/\\:*?\"<>|\x00-\x1f\x7f]|[. ]+$", "_", label)
    name = re.sub(r"^\.+", "_", name).strip() or "_"
    if _DEVICE.fullmatch(name.partition(".")[0].strip()):
        name = f"_{name}"
    return name.encode("utf-8", "replace")[:120].decode("utf-8", "ignore").rstrip(". ")


def _folders(root: Path) -> list[Path]:
    return [path for path in root.iterdir() if path.is_dir() and not path.is_symlink()]


def _marked(picture: bytes) -> bytes:
    """Return a JPEG with the mark: behind its JFIF header, which has to come first."""
    at = 4 + int.from_bytes(picture[4:6], "big") if picture.startswith(b"\xff\xd8\xff\xe0") else 2
    return picture[:at] + MARK + picture[at:]


def _is_marked(path: Path) -> bool:
    """Tell whether a picture has the mark, or is empty, as a power cut may leave it."""
    try:
        with path.open("rb") as file:
            head = file.read(_HEAD)
    except OSError:
        return False
    return MARK in head or not head


def _is_home(path: Path, root: Path) -> bool:
    """Tell whether a picture has a name that this class gives, in the folder where it puts such a picture."""
    match = _NUMBERED.fullmatch(path.name)
    if match is None or path.suffix != ".jpg" or path.is_symlink() or not path.is_file():
        return False
    folder = path.parent.name
    return path.parent == root or match[2] == folder or match[2].startswith(f"{folder}-")


def _kept(path: Path, labels: Path | None) -> _Kept:
    text_size = 0 if labels is None else _label(path, labels).stat().st_size
    return _Kept(int(path.name.partition("-")[0]), path, path.stat().st_size + text_size)


def _label(picture: Path, labels: Path) -> Path:
    return labels / f"{picture.stem}.txt"


def _is_untouched(picture: Path, labels: Path) -> bool:
    """Tell whether a picture and its text are there as they were written: the text first."""
    try:
        return _label(picture, labels).stat().st_mtime_ns <= picture.stat().st_mtime_ns
    except FileNotFoundError:
        return False
