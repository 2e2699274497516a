"""Two places for a model on the disk: the one that runs and the one before; a third only while a newer one comes."""

import hashlib
import os
import shutil
from pathlib import Path

from edgevit.system.files import PART, flush_names


class Slots:
    """The files of one model. Each change is one renaming, so that a whole model lies there at any moment."""

    def __init__(self, model: Path) -> None:
        """Use the folder of `model`, which need not exist yet; all files keep its suffix, by which a format is told."""
        self.model = model
        self.previous = model.with_name(f"{model.stem}.previous{model.suffix}")

    def next(self, sha256: str) -> Path:
        """Return where a model of this digest is fetched to."""
        return self.model.with_name(f"{self.model.stem}.next-{sha256[:16]}{self.model.suffix}")

    def tidy(self, sha256: str | None = None) -> None:
        """Remove what earlier checks have left, but for the file that a model of this digest is fetched to."""
        kept = None if sha256 is None else self.next(sha256)
        # a whole name: farm.next-week.onnx is somebody's own
        fetched = f"{self.model.stem}.next-{'[0-9a-f]' * 16}{self.model.suffix}"
        left = [*self.model.parent.glob(fetched), *self.model.parent.glob(f"{PART}*")]
        for path in left:
            if path != kept:
                path.unlink(missing_ok=True)

    def swap(self, newer: Path, *, keep: bool) -> None:
        """Let a newer file, which was flushed, be the one that runs.

        Args:
            newer: lies in the same folder.
            keep: the one that runs now becomes the one before; else it is dropped, and the one before stays.
        """
        if keep:
            self._keep()
        newer.replace(self.model)
        flush_names(self.model.parent)

    def _keep(self) -> None:
        temporary = self.model.with_name(f"{PART}previous{self.model.suffix}")
        temporary.unlink(missing_ok=True)
        try:
            os.link(self.model, temporary)
        except OSError:  # a disk without hard links: make room, and copy
            self.previous.unlink(missing_ok=True)
            shutil.copyfile(self.model, temporary)
            with temporary.open("rb") as file:
                os.fsync(file.fileno())
        temporary.replace(self.previous)
        # renaming one name of a file to another name of the same file does nothing
        temporary.unlink(missing_ok=True)
        flush_names(self.model.parent)

    def swap_back(self) -> None:
        """Let the one before run again."""
        self.previous.replace(self.model)
        flush_names(self.model.parent)


def digest(path: Path) -> str | None:
    """Return the SHA-256 of a file in hexadecimal digits; None if there is none that can be read."""
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError:
        return None
