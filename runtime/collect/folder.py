"""A folder of photos by class: numbered on from what is there, written whole, never deleted."""

import re
import shlex
import tempfile
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

from edgevit.errors import EdgevitError, ImageError, OptionError, OutputError
from edgevit.runtime.collect.likeness import difference_hash, distance
from edgevit.runtime.datasets.listing import as_one_folder
from edgevit.runtime.images.read import read_image
from edgevit.runtime.images.resample import RGBImage
from edgevit.runtime.sinks.folder import folder_name
from edgevit.system.files import PART, OwnedFolder, make_folders, replacing_output

REMEMBERED = 1000
"""Newest photos of a class that a new one is compared with."""

_NUMBERED = re.compile(r"([0-9]{5,})-.*\.jpg", re.DOTALL)


class QuotaReachedError(EdgevitError):
    """The photos together are as large as was allowed."""


def check_label(label: str) -> str:
    """Return a label that can be the name of a folder.

    Raises:
        OptionError: it cannot.
    """
    if folder_name(label) != label:
        raise OptionError(f"--label is {label!r}, which cannot name a folder; try {folder_name(label)!r}")
    return label


class PhotoFolder:
    """Photos of several classes, each class a folder, as `edgevit train --data` reads them."""

    def __init__(self, root: Path, quota: int) -> None:
        """Make the folder, or go on with what is there.

        Args:
            root: the folder.
            quota: bytes that all photos in it may take together.

        Raises:
            OutputError: it cannot be written, or another run writes there.
        """
        self.root, self._quota = root, quota
        self._hashes: dict[str, list[int]] = {}
        self._owned = OwnedFolder()
        try:
            make_folders(root)
            self._owned.have(root)
            with tempfile.TemporaryFile(dir=root):
                pass
            for part in root.glob(f"*/{PART}*"):
                part.unlink(missing_ok=True)
            photos = [path for path in root.glob("*/*.jpg") if path.is_file()]
            self._bytes = sum(path.stat().st_size for path in photos)
        except OutputError:
            raise
        except OSError as error:
            self._owned.close()
            reason = error.strerror or error
            raise OutputError(f"the folder {root} cannot be written: {reason}; choose another after --to") from error
        self._counts = Counter(path.parent.name for path in photos)
        # one sequence for all classes, so that a photo which is moved to another keeps its name
        numbers = [int(match[1]) for path in photos if (match := _NUMBERED.fullmatch(path.name))]
        self._next = max(numbers, default=-1) + 1

    def close(self) -> None:
        """Let another run have the folder."""
        self._owned.close()

    def check_labels(self, labels: Sequence[str]) -> None:
        """Refuse a label whose folder is another's in a part of all systems.

        Raises:
            OptionError: a folder is there whose name differs in the case of letters alone.
        """
        there = {as_one_folder(path.name): path for path in sorted(self.root.iterdir()) if path.is_dir()}
        for label in labels:
            twin = there.get(as_one_folder(label))
            if twin is not None and not (self.root / label).is_dir():
                raise OptionError(
                    f"--label is {label!r}, and {twin} is there: two classes on Linux, one elsewhere; give --label "
                    f"{shlex.quote(twin.name)}, or rename the folder"
                )

    def counts(self) -> Mapping[str, int]:
        """Tell how many photos of each class there are."""
        return dict(self._counts)

    def resembles(self, label: str, image: RGBImage, most: int) -> bool:
        """Tell whether an (H, W, 3) picture looks like one of its class: at most so many bits differ."""
        new = difference_hash(image)
        return any(distance(new, old) <= most for old in self._known(label))

    def save(self, label: str, image: RGBImage, photo: bytes) -> Path:
        """Write a photo, the JPEG of an (H, W, 3) picture; return its path.

        Raises:
            QuotaReachedError: there is no room for it.
            OutputError: it cannot be written.
        """
        if self._bytes + len(photo) > self._quota:
            raise QuotaReachedError(f"{self.root} is full: its photos may take {self._quota:,} bytes; raise --quota")
        known = self._known(label)
        path = self.root / label / f"{self._next:05d}-{label}.jpg"
        try:
            make_folders(path.parent)
        except OSError as error:
            raise OutputError(
                f"{path.parent} cannot be made: {error.strerror or error}; choose another --to"
            ) from error
        with replacing_output(path, durable=True) as part:
            part.write_bytes(photo)
        known.append(difference_hash(image))
        del known[:-REMEMBERED]
        self._bytes += len(photo)
        self._next += 1
        self._counts[label] += 1
        return path

    def _known(self, label: str) -> list[int]:
        """Return the hashes of a class's newest photos; those of an earlier run are read when they are first needed."""
        if label not in self._hashes:
            found: list[int] = []
            for path in sorted((self.root / label).glob("*.jpg"))[-REMEMBERED:]:
                try:
                    found.append(difference_hash(read_image(path, min_size=(64, 64))))
                except ImageError:
                    continue  # what cannot be read looks like nothing
            self._hashes[label] = found
        return self._hashes[label]
