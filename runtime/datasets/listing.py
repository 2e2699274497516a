"""Which files of a folder are pictures: one walk and one rule for every command that reads folders."""

import glob
import logging
import os
import re
import sys
import unicodedata
from collections import Counter, deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from edgevit.errors import DataError, ImageError

log = logging.getLogger(__name__)

SUFFIXES = (
    ".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".bmp", ".webp", ".tif", ".tiff", ".gif", ".avif", ".jp2", ".ppm", ".pgm",
)  # fmt: skip
"""What a picture's name ends with, in any case."""

LIKE_HIDDEN = ("__MACOSX",)
"""Names that are left out as those are that begin with a dot."""

CONVERTED = (".heic", ".heif", ".jxl", ".dng", ".cr2", ".cr3", ".nef", ".arw", ".raf", ".orf", ".rw2")
"""What the names of photos end with for which there is no decoder here."""

_NUMBER = re.compile("([0-9]+)")


@dataclass(frozen=True)
class LeftOut:
    """How many files and folders were left out, by kind."""

    files: Counter[str] = field(default_factory=Counter)
    """By suffix, or "hidden"."""
    folders: Counter[str] = field(default_factory=Counter)
    """By name."""
    boxes: Counter[str] = field(default_factory=Counter)
    """By reason; of those that somebody marked in the pictures."""

    def __add__(self, other: "LeftOut") -> "LeftOut":
        return LeftOut(self.files + other.files, self.folders + other.folders, self.boxes + other.boxes)

    def __str__(self) -> str:
        """Return one line such as "9 files left out: 2 .mp4, 7 .txt", empty for nothing."""
        count, parts = self.files.total(), []
        if count:
            kinds = ", ".join(f"{number} {kind}" for kind, number in sorted(self.files.items()))
            parts.append(f"{count:,} file{'' if count == 1 else 's'} left out: {kinds}")
        if self.folders:
            names = ", ".join(f"{name}{f' ({number})' if number > 1 else ''}" for name, number in self.folders.items())
            parts.append(f"folders left out: {names}")
        if count := self.boxes.total():
            reasons = ", ".join(f"{number:,} {reason}" for reason, number in self.boxes.items())
            parts.append(f"{count:,} box{'' if count == 1 else 'es'} left out: {reasons}")
        if any(kind in CONVERTED for kind in self.files):
            parts.append("convert the photos among them to JPEG or PNG")
        return "; ".join(parts)


@dataclass(frozen=True)
class Listing:
    """The pictures of a folder, at any depth."""

    paths: tuple[Path, ...]
    """In natural order, img2.jpg before img10.jpg; a folder's own files before those of the folders in it."""
    left_out: LeftOut


def list_pictures(folder: Path) -> Listing:
    """List the pictures of a folder and below it; hidden files and folders, and what is no picture, are counted.

    Links to folders are followed, but no folder is read twice, so that a loop of links ends.

    Raises:
        DataError: the folder cannot be read.
    """
    left_out = LeftOut()
    folders = {
        inside: [path for path in files if _is_picture(path, left_out)]
        for inside, files in _walk(str(folder), left_out)
    }
    order = sorted(folders, key=natural_key)
    return Listing(tuple(Path(path) for inside in order for path in folders[inside]), left_out)


def list_files(folder: Path, suffix: str) -> tuple[Path, ...]:
    """List the files of a folder and below it whose names end so, in any case; hidden ones are left out.

    Raises:
        DataError: the folder cannot be read.
    """
    files = (path for _, inside in _walk(str(folder), LeftOut()) for path in inside)
    return tuple(
        Path(path) for path in files if path.lower().endswith(suffix) and not _is_hidden(os.path.basename(path))
    )


def list_images(source: str) -> Iterator[Path]:
    """Yield the paths that a source names: a file, a folder (as list_pictures), a glob, or "-" for lines on stdin.

    Raises:
        ImageError: nothing is there.
    """
    path = Path(source)
    if source == "-":
        # as bytes, since the name of a file need not be text in this machine's encoding
        lines = map(os.fsdecode, getattr(sys.stdin, "buffer", sys.stdin))
        yield from (Path(name) for line in lines if (name := line.rstrip("\r\n")))
    elif path.is_dir():
        listing = list_pictures(path)
        if str(listing.left_out):
            log.warning("%s: %s", path, listing.left_out)
        if not listing.paths:
            raise ImageError(no_pictures(path))
        yield from listing.paths
    elif path.exists():
        yield path
    elif glob.has_magic(source):
        matches = sorted({p for p in map(Path, _expand(source)) if p.is_file()}, key=lambda p: natural_key(str(p)))
        if not matches:
            raise ImageError(f"no file matches {source}; put quotes around the pattern, or give a folder")
        yield from matches
    else:
        raise ImageError(f"{source} does not exist; give a file, a folder, a pattern in quotes, or - for a list")


def visible_folders(folder: Path) -> tuple[str, ...]:
    """Return the names of the folders directly in a folder, in natural order; nothing that is hidden.

    Raises:
        DataError: the folder cannot be read.
    """
    try:
        with os.scandir(folder) as entries:
            names = [entry.name for entry in entries if _is_folder(entry) and not _is_hidden(entry.name)]
    except OSError as error:
        raise _no_folder(folder, error) from error
    return tuple(sorted(names, key=natural_key))


def count_loose(folder: Path) -> int:
    """Return how many pictures lie directly in a folder.

    Raises:
        DataError: the folder cannot be read.
    """
    try:
        with os.scandir(folder) as entries:
            return sum(not _is_folder(entry) and _is_picture(entry.name, LeftOut()) for entry in entries)
    except OSError as error:
        raise _no_folder(folder, error) from error


def natural_key(path: str) -> list[tuple[object, ...]]:
    """Return what sorts paths folder by folder, numbers by their value, however accents are encoded."""
    return [_name_key(name) for name in with_slashes(normalized(path)).split("/")]


def _name_key(name: str) -> tuple[object, ...]:
    parts = tuple(int(part) if i % 2 else part for i, part in enumerate(_NUMBER.split(name)))
    return parts, name


def normalized(name: str) -> str:
    """Return a name in Unicode's composed form (NFC), in which equal names are equal."""
    return name if name.isascii() else unicodedata.normalize("NFC", name)


def as_one_folder(label: str) -> str:
    """Return what is equal for labels whose folders are one where no case of letters is told apart: macOS, Windows."""
    return normalized(label).casefold()


def with_slashes(path: str, separator: str = os.sep) -> str:
    """Return a path with "/" between its names, as on every system but Windows, where names hold no backslash."""
    return path.replace(separator, "/")


def no_pictures(folder: Path) -> str:
    """Return the message for a folder without pictures."""
    return f"no image in folder {folder} (looked for {' '.join(SUFFIXES)})"


def _no_folder(folder: str | Path, error: OSError) -> DataError:
    return DataError(f"{folder} cannot be read: {error.strerror}")


def _is_folder(entry: os.DirEntry[str]) -> bool:
    """Return whether it is a folder or a link to one; a link that leads to itself, or nowhere we may look, is none."""
    try:
        return entry.is_dir()
    except OSError:
        return False


def _is_hidden(name: str) -> bool:
    return name.startswith(".") or name in LIKE_HIDDEN


def _is_picture(path: str, left_out: LeftOut) -> bool:
    name = os.path.basename(path)
    suffix = os.path.splitext(name)[1].lower()
    if _is_hidden(name):
        left_out.files["hidden"] += 1
    elif suffix not in SUFFIXES:
        left_out.files[suffix or "without suffix"] += 1
    else:
        return True
    return False


def _walk(folder: str, left_out: LeftOut) -> Iterator[tuple[str, list[str]]]:
    """Yield each folder, this one first, and the paths of its files; real folders come before those behind links."""
    pending, links, seen = deque([folder]), deque[str](), set()
    while pending or links:
        current = pending.popleft() if pending else links.popleft()
        try:
            found = os.stat(current)
            # some network drives number nothing on Windows
            if found.st_ino and (found.st_dev, found.st_ino) in seen:
                left_out.folders[f"{os.path.basename(current)} (a link to one that is read already)"] += 1
                continue
            seen.add((found.st_dev, found.st_ino))
            with os.scandir(current) as scan:
                entries = sorted(scan, key=lambda entry: natural_key(entry.name))
        except OSError as error:
            if current == folder:
                raise _no_folder(folder, error) from error
            left_out.folders[f"{os.path.basename(current)} ({error.strerror})"] += 1
            continue
        files = []
        for entry in entries:
            if _is_folder(entry):
                if _is_hidden(entry.name):
                    left_out.folders[entry.name] += 1
                else:
                    (links if entry.is_symlink() else pending).append(entry.path)
            elif entry.is_symlink() or entry.is_file():  # a broken link is told when it is read
                files.append(entry.path)
            else:
                left_out.files["neither file nor folder"] += 1
        yield current, files


def _expand(pattern: str) -> Iterator[str]:
    """Yield what matches a pattern; ** goes into every visible folder below, but into none of them twice."""
    parts = with_slashes(pattern).split("/")
    if "**" not in parts:
        yield from glob.iglob(pattern)
        return
    place = parts.index("**")
    head, tail = "/".join(parts[:place]), "/".join(parts[place + 1 :]) or "*"
    for base in glob.iglob(head + "/") if place else [""]:
        for folder, _ in _walk(base or os.curdir, LeftOut()):
            inside = folder if base else os.path.relpath(folder)
            yield from _expand(tail if inside == os.curdir else os.path.join(glob.escape(inside), tail))
