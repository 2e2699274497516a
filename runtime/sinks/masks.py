"""Masks and overlays of a segmentation as files, each named as its picture."""

import errno
import os
import re
import shutil
from collections.abc import Callable
from pathlib import Path

from edgevit.errors import OutputError
from edgevit.runtime.records import RESULT, Record
from edgevit.runtime.segmentation import Segmentation
from edgevit.runtime.sinks.folder import folder_name
from edgevit.runtime.sinks.pictures import LEFT_FREE, jpeg
from edgevit.system.files import replacing

FORMS: dict[str, tuple[str, Callable[[Segmentation], bytes]]] = {
    "masks": (".png", lambda result: result.mask_png()),
    "overlays": (".jpg", lambda result: jpeg(result.overlay())),
}
"""What is written, to its suffix and what makes the file."""

_SCHEME = re.compile(r"\w+://")


class SegmentationSink:
    """One file for each answer: street.png for street.jpg; of cameras and videos NAME-NUMBER.png."""

    def __init__(self, folder: Path, form: str) -> None:
        """Write what FORMS calls `form`; the folder is made if it is missing.

        Raises:
            OutputError: it cannot be written.
        """
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise OutputError(f"the folder {folder} cannot be made: {error.strerror}; choose another") from error
        self._folder = folder
        self._suffix, self._make = FORMS[form]
        self._names: set[str] = set()
        self.unit = form.removesuffix("s")
        self.written = 0
        """How many files."""

    def write(self, record: Record) -> None:
        result = record.result
        if record.kind != RESULT or not isinstance(result, Segmentation):
            return
        # a full disk would stop more than these pictures
        if shutil.disk_usage(self._folder).free < LEFT_FREE:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        path = self._folder / self._name(record, result)
        with replacing(path) as part:
            part.write_bytes(self._make(result))
        self.written += 1

    def flush(self) -> None:
        """Leave it to the system, which writes files within seconds."""

    def close(self) -> None:
        """Nothing is open."""

    def _name(self, record: Record, result: Segmentation) -> str:
        source, moment = record.moment.source, record.moment
        own_file = not _SCHEME.match(source) and result.age_ms is None and result.position_s is None
        name = folder_name(Path(source).stem if own_file else _SCHEME.sub("", source))
        name += "" if moment.roi is None else f"-{folder_name(moment.roi)}"
        if not own_file or name in self._names:
            # a frame of a stream, or a second picture of this name from another folder
            return f"{name}-{moment.sequence:08d}{self._suffix}"
        self._names.add(name)
        return f"{name}{self._suffix}"
