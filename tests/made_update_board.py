"""A board that follows a made site, and in place of systemd a service that lives in two files."""

import dataclasses
import hashlib
import os
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from edgevit.errors import UpdateError
from edgevit.runtime.board.status import BoardStatus, read_status, write_status
from edgevit.runtime.update import board as board_module
from edgevit.runtime.update.board import Patience, Step
from edgevit.runtime.update.check import check
from edgevit.runtime.update.enrollment import Enrollment
from edgevit.runtime.update.fetch import Bounds
from edgevit.runtime.update.service import Condition
from edgevit.runtime.update.state import UpdateState, read_state

QUICK = Patience(results=3, results_s=1.0, reload_s=1.0, start_s=1.0, before_s=1.0, look_s=0.001)
BOUNDS = Bounds(gap_s=60, pause_s=0.001)
BROKEN, SILENT, OTHER_CLASSES = b"does not start", b"gives no results", b"has other classes"
CRASHING = b"ends after each result, and is started anew"
"""Bytes of models that do what they say."""


class CountedTime:
    """A time that passes while somebody sleeps alone: a busy machine takes none of a board's patience."""

    def __init__(self) -> None:
        self._now_s = 0.0

    def monotonic(self) -> float:
        return self._now_s

    def sleep(self, pause_s: float) -> None:
        self._now_s += pause_s


@dataclass
class FileService:
    """A service whose memory is a file: it outlives the process of an update, and reads the model when it is told."""

    model: Path
    file: Path
    dark: bool = False
    """Whether no picture comes, whatever the model."""
    reloads: int = 0
    restarts: int = 0
    loaded: list[str] = field(default_factory=list)
    """Digests of what was loaded, in this process."""

    def status(self) -> BoardStatus | None:
        if not self.file.exists():
            return None
        status = read_status(self.file)
        if CRASHING in self.running:
            status = dataclasses.replace(status, pid=status.pid + 1, results=0)
        if not (self.dark or SILENT in Path(f"{self.file}.bytes").read_bytes()):
            status = dataclasses.replace(status, results=status.results + 1)
            write_status(self.file, status)
        return status

    def condition(self) -> Condition:
        return "trying" if Path(f"{self.file}.bytes").exists() else "off"

    def reload(self) -> None:
        self.reloads += 1
        status = read_status(self.file)
        if any(what in self.model.read_bytes() for what in (BROKEN, OTHER_CLASSES)):
            write_status(self.file, dataclasses.replace(status, reload_error="the new file's classes are others"))
        else:
            self._load(status.pid)

    def restart(self) -> None:
        self.restarts += 1
        self.file.unlink(missing_ok=True)
        content = self.model.read_bytes()
        Path(f"{self.file}.bytes").write_bytes(content)
        if BROKEN not in content:
            self._load(self.restarts + os.getpid())

    def stop(self) -> None:
        self.file.unlink(missing_ok=True)
        Path(f"{self.file}.bytes").unlink(missing_ok=True)

    @property
    def running(self) -> bytes:
        """The bytes that answer."""
        return Path(f"{self.file}.bytes").read_bytes()

    def _load(self, pid: int) -> None:
        content = self.model.read_bytes()
        sha256 = hashlib.sha256(content).hexdigest()
        self.loaded.append(sha256)
        Path(f"{self.file}.bytes").write_bytes(content)
        write_status(
            self.file,
            BoardStatus(
                host="yard",
                version="0",
                pid=pid,
                model=str(self.model),
                sha256=sha256,
                since="2026-11-30T02:00:00Z",
                time="2026-11-30T02:00:00Z",
            ),
        )


@dataclass
class MadeBoard:
    """One board."""

    enrollment: Enrollment
    service: FileService
    told: list[str] = field(default_factory=list)
    steps: list[Step] = field(default_factory=list)

    @property
    def into(self) -> Path:
        return self.enrollment.into

    @property
    def model(self) -> bytes:
        """What lies where the model does."""
        return self.enrollment.model.read_bytes()

    @property
    def files(self) -> list[str]:
        """Names of the models on the disk."""
        return sorted(path.name for path in self.into.iterdir() if path.name not in ("update", "state.json"))

    def check(self, **options: Any) -> UpdateState:
        """Check once; return the state that is on the disk then."""
        settings: dict[str, Any] = {"bounds": BOUNDS, "patience": QUICK, "reached": self.steps.append}
        try:
            with pytest.MonkeyPatch.context() as patch:
                patch.setattr(board_module, "time", CountedTime())
                return check(self.enrollment, self.service, tell=self.told.append, **settings | options)
        except UpdateError as error:
            state = read_state(self.into)
            if state is None or state.error != error.command_line_text:
                raise
            return state


def make_board(
    folder: Path, site: str, root: str, target: str = "stable/farm.onnx", board: str = "b", model: bytes | None = None
) -> MadeBoard:
    """Enrol a board; with a model, its service runs."""
    into = folder / "models"
    into.mkdir(parents=True)
    enrollment = Enrollment(site, target, into, "edgevit", False, board, root)
    service = FileService(enrollment.model, folder / "status.json")
    if model is not None:
        enrollment.model.write_bytes(model)
        service.restart()
    return MadeBoard(enrollment, service)


Make = Callable[..., MadeBoard]
