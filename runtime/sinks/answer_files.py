"""Answers as files, each named as its picture: masks and overlays of a segmentation, labels and overlays of boxes."""

import errno
import logging
import os
import re
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edgevit.errors import OptionError, OutputError
from edgevit.runtime.addresses.destinations import NAMED_AS_SOURCES
from edgevit.runtime.detection.result import Detections
from edgevit.runtime.detection.yolo_text import label_lines
from edgevit.runtime.records import RESULT, Record
from edgevit.runtime.results import Result
from edgevit.runtime.sinks.folder import folder_name
from edgevit.runtime.sinks.pictures import LEFT_FREE, jpeg
from edgevit.system.files import make_folders, replacing

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class FileForm:
    """What is written of an answer."""

    unit: str
    """What one file is, in the singular."""
    suffix: str
    make: Callable[[Any], bytes]
    """Takes an answer of the task."""


_OVERLAY = FileForm("overlay", NAMED_AS_SOURCES["overlays"], lambda result: jpeg(result.overlay()))
FORMS: dict[str, dict[str, FileForm]] = {
    "segment": {
        "masks": FileForm("mask", NAMED_AS_SOURCES["masks"], lambda result: result.mask_png()),
        "overlays": _OVERLAY,
    },
    "detect": {
        "labels": FileForm("label file", ".txt", lambda result: label_lines(result).encode()),
        "overlays": _OVERLAY,
    },
}
"""A model's task, and the kind of folder, to what is written."""

_TASKS = {"segment": "segmentation", "detect": "detection"}
_DOES = {"classify": "classifies", "segment": "segments", "detect": "finds objects"}

_SCHEME = re.compile(r"\w+://")


def find_form(task: str, kind: str, text: str) -> FileForm:
    """Return what a folder of this kind, which `text` names, gets from a model of this task.

    Raises:
        OptionError: its answers have no such form.
    """
    forms = FORMS.get(task, {})
    if kind not in forms:
        others = " and ".join(_TASKS[other] for other, known in FORMS.items() if kind in known)
        remedy = f"take {' or '.join(f'{known}:DIR' for known in forms)}" if forms else "leave it out"
        raise OptionError(f"--to {text} is for {others} models; this one {_DOES[task]}: {remedy}")
    return forms[kind]


class AnswerFileSink:
    """One file for each answer: street.png for street.jpg; of cameras and videos NAME-NUMBER.png.

    A picture in a folder within one that is read has its file in a folder of that name, where readers of labels and
    masks look for it.

    A file that was there before the run may be somebody's work, such as a label that was corrected: it is left alone.
    """

    def __init__(self, folder: Path, form: FileForm, roots: Sequence[Path] = ()) -> None:
        """Write into a folder, which is made if it is missing.

        Args:
            folder: where the files lie.
            form: what is written of an answer.
            roots: the folders of pictures that are read.

        Raises:
            OutputError: it cannot be written.
        """
        try:
            make_folders(folder)
        except OSError as error:
            raise OutputError(f"the folder {folder} cannot be made: {error.strerror}; choose another") from error
        self._folder, self._form, self._roots = folder, form, tuple(roots)
        self._names: set[str] = set()
        self._begun: dict[str, int] = {}
        """Name of a live source to the number that its first frame here has."""
        self.unit = form.unit
        self.written = 0
        """How many files are there with what this run has to say."""
        self.left = 0
        """How many were there before with something else, and were left alone."""

    def write(self, record: Record) -> None:
        result = record.result
        if (
            record.kind != RESULT
            or result is None
            or (isinstance(result, Detections) and record.moment.roi is not None)
        ):
            return
        # a full disk would stop more than these pictures
        if shutil.disk_usage(self._folder).free < LEFT_FREE:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        path, data = self._folder / self._name(record, result), self._form.make(result)
        if not os.path.lexists(path):
            make_folders(path.parent)
            with replacing(path) as part:
                part.write_bytes(data)
        elif not path.is_file() or path.read_bytes() != data:
            self._leave(path)
            return
        self.written += 1

    def flush(self) -> None:
        """Leave it to the system, which writes files within seconds."""

    def close(self) -> None:
        """Nothing is open."""

    def _leave(self, path: Path) -> None:
        if not self.left:
            log.warning(
                "%s was there before and says something else; such files are left as they are: delete them, or choose "
                "another folder",
                path,
            )
        self.left += 1

    def _name(self, record: Record, result: Result) -> str:
        source, moment = record.moment.source, record.moment
        own_file = not _SCHEME.match(source) and result.age_ms is None and result.position_s is None
        name = self._own_name(Path(source)) if own_file else folder_name(_SCHEME.sub("", source))
        name += "" if moment.roi is None else f"-{folder_name(moment.roi)}"
        number = moment.sequence
        if result.age_ms is not None:
            number += self._first_number(name)
        if not own_file or name in self._names:
            # a frame of a stream, or another picture of this name, whose number may be that of a third
            plain, name = name, f"{name}-{number:08d}"
            while own_file and name in self._names:
                number += 1
                name = f"{plain}-{number:08d}"
        if own_file:
            self._names.add(name)
        return f"{name}{self._form.suffix}"

    def _own_name(self, source: Path) -> str:
        """Return the name of a picture's file without its suffix, behind the folders that it lies in."""
        roots = (root for root in self._roots if source.is_relative_to(root))
        # what begins with ".." lies in "." by its letters only
        root = next((root for root in roots if ".." not in source.relative_to(root).parts), source.parent)
        return "/".join(map(folder_name, (*source.parent.relative_to(root).parts, source.stem)))

    def _first_number(self, name: str) -> int:
        """Return the number that the first frame of a live source has: behind those that earlier runs left."""
        if name not in self._begun:
            wanted = re.compile(rf"{re.escape(name)}-([0-9]{{8,}}){re.escape(self._form.suffix)}")
            found = [int(match[1]) for file in os.listdir(self._folder) if (match := wanted.fullmatch(file))]
            self._begun[name] = max(found, default=-1) + 1
        return self._begun[name]
