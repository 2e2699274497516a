"""A running model's status: counted from what it answers, and told to whoever asks."""

import os
import platform
import threading
from collections import deque
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from edgevit import __version__
from edgevit.device_profiles.state import ROOT, temperature_c, throttle_flags
from edgevit.errors import EdgevitError
from edgevit.runtime.board.status import BoardStatus
from edgevit.runtime.delivery.sender import Backlog
from edgevit.runtime.moment import FrameKey, iso_time
from edgevit.runtime.records import RESULT, Record
from edgevit.runtime.sources.frames import Clock

RATE_S = 60.0
"""Over how long frames a second are counted."""
_NOW = 0xF
"""Flags of Raspberry Pi's firmware that hold at this moment."""


class BoardReport:
    """A sink that counts; any thread may ask it for the status."""

    def __init__(
        self,
        model: str | Path,
        sha256: str,
        *,
        update: Callable[[], Mapping[str, Any] | None] = lambda: None,
        clock: Clock | None = None,
        root: Path = ROOT,
    ) -> None:
        """Begin to count.

        Args:
            model: path of the file that was loaded.
            sha256: its digest.
            update: returns what the updater wrote last; called from the threads that ask.
            clock: of this machine.
            root: where the machine says of itself how warm it is.
        """
        self._model, self._root, self._clock = os.path.abspath(model), root, clock or Clock()
        self._ask_update = update
        self._profile = _profile_name()
        self._lock = threading.Lock()
        self._ask_backlogs: Callable[[], tuple[Backlog, ...]] = tuple
        self._frame: FrameKey | None = None
        self._frames: deque[float] = deque()
        """When those of the last minute were classified, on the monotonic clock."""
        self._reload_error: str | None = None
        self.loaded(sha256)

    def include(self, backlogs: Callable[[], tuple[Backlog, ...]]) -> None:
        """Tell of what waits for a network too; `backlogs` is called from the threads that ask."""
        self._ask_backlogs = backlogs

    def loaded(self, sha256: str) -> None:
        """Note that another model answers from now on."""
        with self._lock:
            self._sha256, self._since_s, self._begun_s = sha256, self._clock.wall_s(), self._clock.monotonic_s()
            self._results = self._failures = 0
            self._frames.clear()

    def reloading(self, error: str | None) -> None:
        """Note what became of a reload: why it left the old model in place; None when it begins, or has succeeded."""
        with self._lock:
            self._reload_error = None if error is None else _printable(error)

    def failed(self) -> None:
        """Note a picture that cannot be read."""
        with self._lock:
            self._failures += 1

    def write(self, record: Record) -> None:
        if record.kind != RESULT or record.result is None:
            return
        frame = record.moment.frame
        with self._lock:
            self._results += 1
            if frame != self._frame:
                now_s = self._clock.monotonic_s()
                self._frame = frame
                self._frames.append(now_s)
                self._forget(now_s)

    def flush(self) -> None:
        """Nothing waits."""

    def close(self) -> None:
        """Nothing is open."""

    def status(self) -> BoardStatus:
        """Return how things are now."""
        backlogs, flags = self._ask_backlogs(), throttle_flags(self._root)
        warm, update = temperature_c(self._root), self._ask_update()
        with self._lock:
            now_s = self._clock.monotonic_s()
            self._forget(now_s)
            # a model that has run for less than a second has no rate
            span_s = max(1.0, min(RATE_S, now_s - self._begun_s))
            return BoardStatus(
                host=_printable(platform.node()),
                version=__version__,
                pid=os.getpid(),
                model=_printable(self._model),
                sha256=self._sha256,
                since=iso_time(self._since_s),
                time=iso_time(self._clock.wall_s()),
                results=self._results,
                failures=self._failures,
                profile=self._profile,
                frames_per_second=round(len(self._frames) / span_s, 2),
                temperature_c=warm,
                throttled=None if flags is None else bool(flags & _NOW),
                backlog=sum(backlog.counts.waiting for backlog in backlogs) if backlogs else None,
                reload_error=self._reload_error,
                update=update,
            )

    def facts(self) -> tuple[Any, ...]:
        """Return what is told at once when it changes: the model, a reload that failed, and the updater's state."""
        update = self._ask_update()
        with self._lock:
            return self._sha256, self._since_s, self._reload_error, update

    def _forget(self, now_s: float) -> None:
        while self._frames and self._frames[0] < now_s - RATE_S:
            self._frames.popleft()


def _profile_name() -> str | None:
    from edgevit.device_profiles import detect_profile

    try:
        profile = detect_profile().profile
    except EdgevitError:  # whoever needs a profile says what is wrong with it
        return None
    return None if profile is None else profile.name


def _printable(text: str) -> str:
    """Return text whose every character can be written: a path may hold bytes that are not UTF-8."""
    return text.encode("utf-8", "replace").decode()
